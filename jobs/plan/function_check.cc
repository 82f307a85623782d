// The calls of functions that ExpressionCheck meets.
#include <algorithm>
#include <cstdint>
#include <utility>

#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "jobs/plan/expression_check.h"
#include "jobs/plan/pane_calendar.h"
#include "jobs/plan/pattern.h"
#include "jobs/plan/time_units.h"

namespace tenfold {
namespace {

constexpr char kZoneText[] = "a time zone must be a text in quotes, like \"Europe/Berlin\"";

// Sets the calendar by which a node's unit of time is computed in a zone.
void SetCalendar(const ZoneClock& zone, PlanNode* node) {
  FoldWindow window;
  window.set_unit(CalendarUnitOf(static_cast<TimeUnit>(node->index)));
  window.set_utc_offset_s(zone.utc_offset_s());
  *window.mutable_changes() = zone.changes();
  node->calendar = std::make_shared<PaneCalendar>(std::move(window));
}

}  // namespace

using Kind = Expression::Kind;
using enum ValueType;

ExpressionCheck::Node ExpressionCheck::CheckFunction(const Expression& tree, const Function& function) {
  const std::string_view letters = function.parameters;
  const size_t optional_at = letters.find('|');
  const bool repeats = letters.ends_with('*');
  const size_t least = repeats ? letters.size() - 1 : std::min(optional_at, letters.size());
  const size_t most = repeats ? SIZE_MAX : letters.size() - (optional_at == std::string_view::npos ? 0 : 1);
  const size_t given = tree.arguments.size();
  if (given < least || given > most) {
    return Refuse(tree, fmt::format("{} has {} argument{}; write {}", function.name, given, given == 1 ? "" : "s",
                                    function.signature));
  }
  PlanNode node{.op = function.op, .type = function.result, .nullable = function.makes_null};
  // A function of patterns has the group 1 unless it says another one, and 0 if there is none; round has 0 digits.
  if (function.op == Op::kRegexExtract) node.index = 1;
  for (size_t i = 0; i < given; ++i) {
    const Expression& argument = tree.arguments[i];
    const char letter = repeats ? letters[std::min(i, letters.size() - 2)] : letters[i < optional_at ? i : i + 1];
    if (letter == 'r') {
      if (!SetPattern(argument, &node)) return std::nullopt;
      if (function.op == Op::kRegexExtract) node.index = std::min(1, node.pattern->NumberOfCapturingGroups());
      continue;
    }
    if (letter == 'w') {
      if (!SetReplacement(argument, &node)) return std::nullopt;
      continue;
    }
    if (letter == 'i') {
      const bool group = function.op == Op::kRegexExtract;
      const std::optional<int> value = group
                                           ? WholeConstant(argument, 0, node.pattern->NumberOfCapturingGroups(), "the group")
                                       : function.op == Op::kPow ? WholeConstant(argument, 0, 8, "the power")
                                                                 : WholeConstant(argument, -18, 18, "the number of digits");
      if (!value) return std::nullopt;
      node.index = *value;
      continue;
    }
    if (letter == 'u' || letter == 'f' || letter == 'z') {
      if (!SetTimeConstant(letter, argument, &node)) return std::nullopt;
      continue;
    }
    const ValueType wanted = letter == 'n' ? kNumber : letter == 'm' ? kTimestamp : kText;
    const Node checked = CheckTree(argument, wanted);
    if (!checked) return std::nullopt;
    const ValueType type = At(*checked).type;
    const bool list = type == kTextList || type == kNumberList;
    if (letter == 's' ? list : type != wanted) {
      return Refuse(argument, fmt::format("is {}; {} takes {} here: {}", TypeName(type), function.name,
                                          letter == 's' ? "no list" : TypeName(wanted), function.signature));
    }
    node.nullable |= At(*checked).nullable;
    node.arguments.push_back(*checked);
  }
  return Add(tree, std::move(node));
}

bool ExpressionCheck::SetTimeConstant(char letter, const Expression& tree, PlanNode* node) {
  const bool truncates = node->op == Op::kDateTrunc;
  const auto refuse = [&](std::string why) {
    Refuse(tree, std::move(why));
    return false;
  };
  if (letter == 'u') {
    const std::optional<TimeUnit> unit = tree.kind == Kind::kText ? TimeUnitOf(tree.text, truncates) : std::nullopt;
    if (!unit)
      return refuse(fmt::format("{} is no unit that {} has, which are, in quotes, {}", Quoted(tree.text),
                                truncates ? "date_trunc" : "date_part", TimeUnitNames(truncates)));
    node->index = static_cast<int>(*unit);
    // Without a zone it is UTC.
    SetCalendar(ZoneClock(), node);
    return true;
  }
  if (tree.kind != Kind::kText) return refuse(letter == 'f' ? "the format must be a text in quotes" : kZoneText);
  if (letter == 'f') {
    node->constant = tree.text;
    const std::string problem = TimeFormatProblem(tree.text);
    return problem.empty() || refuse(fmt::format("the format {} {}", Quoted(tree.text), problem));
  }
  const auto zone = zones_.find(tree.text);
  if (zone == zones_.end())
    return refuse(fmt::format("{} is no time zone that this system knows; they have names like Europe/Berlin and UTC",
                              Quoted(tree.text)));
  SetCalendar(*zone->second, node);
  return true;
}

const ExpressionCheck::Table* ExpressionCheck::FindTable(const Expression& tree) {
  const auto found = tree.kind == Kind::kName ? tables_.find(tree.text) : tables_.end();
  if (found != tables_.end()) return &found->second;
  std::vector<std::string> names;
  for (const auto& [name, table] : tables_) names.push_back(name);
  std::ranges::sort(names);
  Refuse(tree, names_are_ != "field" ? "tables are looked up before measures, in let, where or key"
                                     : fmt::format("{} is no table{}; tables: {{NAME: FILE}} has them",
                                                   Quoted(ExpressionText(tree)), DidYouMean(tree.text, names)));
  return nullptr;
}

ExpressionCheck::Node ExpressionCheck::CheckInTable(const Expression& tree) {
  const Table* const table = FindTable(tree.arguments[1]);
  if (table == nullptr) return std::nullopt;
  const Node value = CheckTree(tree.arguments[0], kText);
  if (!value) return std::nullopt;
  const ValueType type = At(*value).type;
  if (type == kTextList || type == kNumberList)
    return Refuse(tree.arguments[0], fmt::format("is {}; one value is in a table or is not", TypeName(type)));
  return Add(tree, {.op = Op::kInTable,
                    .type = kBoolean,
                    .nullable = At(*value).nullable,
                    .arguments = {*value},
                    .index = static_cast<int>(table->index)});
}

ExpressionCheck::Node ExpressionCheck::CheckLookup(const Expression& tree) {
  if (tree.arguments.size() != 3)
    return Refuse(
        tree, fmt::format("lookup has {} arguments; write {}", tree.arguments.size(), FindFunction("lookup")->signature));
  const Table* const table = FindTable(tree.arguments[0]);
  if (table == nullptr) return std::nullopt;
  if (!table->has_values) {
    return Refuse(tree.arguments[0], fmt::format("{} has keys alone; write VALUE in {}, or give it a second column",
                                                 tree.arguments[0].text, tree.arguments[0].text));
  }
  const Node value = CheckTree(tree.arguments[1], kText);
  const Node otherwise = CheckTree(tree.arguments[2], kText);
  if (!value || !otherwise) return std::nullopt;
  const ValueType type = At(*value).type;
  if (type == kTextList || type == kNumberList)
    return Refuse(tree.arguments[1], fmt::format("is {}; one value is looked up", TypeName(type)));
  if (At(*otherwise).type != kText) {
    return Refuse(tree.arguments[2],
                  fmt::format("is {}; a table has texts, and what stands for a missing one is a text too, or null",
                              TypeName(At(*otherwise).type)));
  }
  return Add(tree, {.op = Op::kLookup,
                    .type = kText,
                    .nullable = At(*otherwise).nullable,
                    .arguments = {*value, *otherwise},
                    .index = static_cast<int>(table->index)});
}

std::optional<int> ExpressionCheck::WholeConstant(const Expression& tree, int least, int most, std::string_view what) {
  const bool negative = tree.kind == Kind::kCall && tree.text == "negate";
  const Expression& number = negative ? tree.arguments[0] : tree;
  Fraction value;
  std::optional<int64_t> whole;
  if (number.kind == Kind::kNumber && Fraction::Parse(number.text, &value) == NumberError::kNone) whole = value.ToInteger();
  if (whole && negative) whole = -*whole;
  if (whole && *whole >= least && *whole <= most) return static_cast<int>(*whole);
  Refuse(tree, fmt::format("{} must be a whole number from {} to {}", what, least, most));
  return std::nullopt;
}

bool ExpressionCheck::SetPattern(const Expression& tree, PlanNode* node) {
  if (tree.kind != Kind::kText) {
    Refuse(tree, "a regular expression must be a text in quotes");
    return false;
  }
  std::string error;
  node->pattern = CompilePattern(tree.text, &error);
  if (node->pattern == nullptr) Refuse(tree, std::move(error));
  return node->pattern != nullptr;
}

bool ExpressionCheck::SetReplacement(const Expression& tree, PlanNode* node) {
  if (tree.kind != Kind::kText) {
    Refuse(tree, "the replacement must be a text in quotes");
    return false;
  }
  std::string error;
  if (!node->pattern->CheckRewriteString(tree.text, &error)) {
    Refuse(tree,
           fmt::format("is no replacement for the pattern: {}; \\1 is its first group, \\\\ a backslash", Shown(error)));
    return false;
  }
  node->constant = tree.text;
  return true;
}

}  // namespace tenfold
