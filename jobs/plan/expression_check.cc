#include "jobs/plan/expression_check.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "common/limits.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "jobs/plan/expression_lexer.h"
#include "jobs/plan/field_place.h"
#include "jobs/plan/field_value.h"
#include "jobs/plan/pattern.h"

namespace tenfold {
namespace {

using Kind = Expression::Kind;
using enum ValueType;

// The digits of a decimal field: 40 before an exponent of 60, or after one of -60.
constexpr PlanNode::Digits kDecimalDigits = {.whole = kMaxNumberDigits + kMaxNumberExponent,
                                             .scale = kMaxNumberDigits + kMaxNumberExponent};
constexpr PlanNode::Digits kIntegerDigits = {.whole = 20};
// A quotient of two sums of 128 bits, to each of which a number was added.
constexpr PlanNode::Digits kQuotientDigits = {.whole = 40, .scale = 9, .divisor = 40};

// What a unit of a duration is in seconds, as text.
std::string_view SecondsOf(std::string_view unit) {
  if (unit == "ms") return "0.001";
  if (unit == "s") return "1";
  if (unit == "m") return "60";
  if (unit == "h") return "3600";
  return unit == "d" ? "86400" : "604800";
}

Fraction SecondsIn(std::string_view duration) {
  const size_t unit = duration.find_first_not_of("0123456789");
  Fraction count;
  Fraction seconds;
  // The limit of digits was checked with the node's.
  Fraction::Parse(duration.substr(0, unit), &count);
  Fraction::Parse(SecondsOf(duration.substr(unit)), &seconds);
  return count * seconds;
}

}  // namespace

ExpressionCheck::Node ExpressionCheck::Check(std::string_view text, const std::string& path, Wanted wanted) {
  ParsedExpression parsed = ParseExpression(text);
  if (parsed.expression) return Check(*parsed.expression, path, wanted);
  problems_->push_back({path, parsed.begin, parsed.end, std::move(parsed.error)});
  return std::nullopt;
}

ExpressionCheck::Node ExpressionCheck::Check(const Expression& expression, const std::string& path, Wanted wanted) {
  path_ = path;
  const size_t before = nodes_;
  nodes_ += CountNodes(expression);
  if (nodes_ > kMaxExpressionNodes) {
    // Reported once, where the limit is passed.
    if (before > kMaxExpressionNodes) return std::nullopt;
    return Refuse(expression, fmt::format("all expressions have more than {} operands, operators and calls together",
                                          kMaxExpressionNodes));
  }
  const Node node = CheckTree(expression, wanted);
  if (!node || !wanted || At(*node).type == *wanted) return node;
  if (At(*node).type == kNull) return Refuse(expression, fmt::format("is always null; it must be {}", TypeName(*wanted)));
  return Refuse(expression, fmt::format("is {}; it must be {}", TypeName(At(*node).type), TypeName(*wanted)));
}

void ExpressionCheck::Problem(const std::string& path, const Expression& at, std::string message) {
  problems_->push_back({path, at.begin, at.end, std::move(message)});
}

ExpressionCheck::Node ExpressionCheck::Refuse(const Expression& tree, std::string message) {
  Problem(path_, tree, std::move(message));
  return std::nullopt;
}

std::vector<std::string> ExpressionCheck::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, field] : fields_) names.push_back(name);
  for (const auto& [name, column] : columns_) names.push_back(name);
  for (const auto& [name, let] : lets_) names.push_back(name);
  if (element_) names.push_back(element_->first);
  std::ranges::sort(names);
  return names;
}

ExpressionCheck::Node ExpressionCheck::Add(const Expression& tree, PlanNode node) {
  if (node.type == kNumber) BoundDigits(&node);
  const PlanNode::Digits& digits = node.digits;
  if (digits.whole + digits.scale + digits.divisor > kMaxExpressionDigits) {
    return Refuse(tree, fmt::format("may have more than {} digits; round what it is computed from, as by round(x, 9)",
                                    kMaxExpressionDigits));
  }
  plan_->nodes.push_back(std::move(node));
  return static_cast<uint32_t>(plan_->nodes.size() - 1);
}

void ExpressionCheck::BoundDigits(PlanNode* node) const {
  using Digits = PlanNode::Digits;
  std::vector<Digits> of;
  for (const uint32_t argument : node->arguments) {
    if (At(argument).type == kNumber) of.push_back(At(argument).digits);
  }
  const auto largest = [&of] {
    Digits all;
    for (const Digits& digits : of) {
      all.whole = std::max(all.whole, digits.whole);
      all.scale = std::max(all.scale, digits.scale);
      all.divisor = std::max(all.divisor, digits.divisor);
    }
    return all;
  };
  switch (node->op) {
    case Op::kAdd:
    case Op::kSubtract:
      node->digits = {.whole = std::max(of[0].whole + of[1].divisor, of[1].whole + of[0].divisor) + 1,
                      .scale = std::max(of[0].scale, of[1].scale),
                      .divisor = of[0].divisor + of[1].divisor};
      break;
    case Op::kMultiply:
      node->digits = {
          .whole = of[0].whole + of[1].whole, .scale = of[0].scale + of[1].scale, .divisor = of[0].divisor + of[1].divisor};
      break;
    case Op::kDivide:
      node->digits = {.whole = of[0].whole + of[1].divisor + of[1].scale,
                      .scale = of[0].scale,
                      .divisor = of[0].divisor + of[1].whole + of[1].scale};
      break;
    case Op::kMod:
      // a - b * trunc(a / b), where the last has the digits of a / b before its point.
      node->digits = {.whole = of[0].whole + of[1].whole + 2 * (of[0].divisor + of[1].divisor + of[1].scale) + 1,
                      .scale = std::max(of[0].scale, of[1].scale),
                      .divisor = of[0].divisor + of[1].divisor};
      break;
    case Op::kPow:
      node->digits = {
          .whole = of[0].whole * node->index, .scale = of[0].scale * node->index, .divisor = of[0].divisor * node->index};
      break;
    case Op::kRound:
      node->digits = {.whole = of[0].whole + 1, .scale = std::max(node->index, 0)};
      break;
    case Op::kFloor:
    case Op::kCeil:
    case Op::kTrunc:
      node->digits = {.whole = of[0].whole + 1};
      break;
    case Op::kSqrt:
      node->digits = {.whole = of[0].whole + 1, .scale = 9};
      break;
    case Op::kSign:
    case Op::kLength:
    case Op::kHash64:
    case Op::kSecondsBetween:
    case Op::kDatePart:
      node->digits = {.whole = kIntegerDigits.whole, .scale = 6};
      break;
    case Op::kNumber:
    case Op::kTryNumber:
    case Op::kElement:
      node->digits = kDecimalDigits;
      break;
    case Op::kField: {
      const FieldType type = plan_->fields[static_cast<size_t>(node->index)].type;
      node->digits = type == FIELD_INTEGER ? kIntegerDigits : kDecimalDigits;
      if (plan_->fields[static_cast<size_t>(node->index)].is_quotient) node->digits = kQuotientDigits;
      break;
    }
    case Op::kLet:
      node->digits = At(plan_->lets[static_cast<size_t>(node->index)].node).digits;
      break;
    case Op::kConstant: {
      const auto* const constant = std::get_if<Fraction>(&node->constant);
      if (constant == nullptr) break;
      const Fraction::Integer whole = abs(constant->Truncated());
      node->digits = {.whole = static_cast<int>(whole.str().size()), .scale = constant->scale(), .divisor = 0};
      break;
    }
    default:
      node->digits = largest();
  }
}

ExpressionCheck::Node ExpressionCheck::CheckTree(const Expression& tree, Wanted wanted) {
  switch (tree.kind) {
    case Kind::kNumber:
    case Kind::kDuration: {
      const std::string digits =
          tree.kind == Kind::kNumber ? tree.text : tree.text.substr(0, tree.text.find_first_not_of("0123456789"));
      Fraction value;
      const NumberError error = Fraction::Parse(digits, &value);
      if (error != NumberError::kNone) return Refuse(tree, DescribeNumberError(digits, error));
      if (tree.kind == Kind::kDuration) value = SecondsIn(tree.text);
      return Add(tree, {.type = kNumber, .constant = std::move(value)});
    }
    case Kind::kText:
      return Add(tree, {.type = kText, .constant = tree.text});
    case Kind::kBoolean:
      return Add(tree, {.type = kBoolean, .constant = tree.text == "true"});
    case Kind::kNull:
      return Add(tree, {.type = wanted.value_or(kNull), .nullable = true});
    case Kind::kName:
      return CheckName(tree, wanted);
    case Kind::kCall:
      return CheckCall(tree, wanted);
  }
  return std::nullopt;
}

bool ExpressionCheck::IsUntyped(const Expression& tree) const {
  return tree.kind == Kind::kName && columns_.contains(tree.text) && !fields_.contains(tree.text) &&
         !lets_.contains(tree.text);
}

ExpressionCheck::Node ExpressionCheck::CheckName(const Expression& tree, Wanted wanted) {
  if (broken_.contains(tree.text)) return std::nullopt;
  if (element_ && element_->first == tree.text) return Add(tree, {.op = Op::kElement, .type = element_->second});
  if (const auto let = lets_.find(tree.text); let != lets_.end()) {
    const PlanNode& value = At(plan_->lets[let->second].node);
    return Add(tree,
               {.op = Op::kLet, .type = value.type, .nullable = value.nullable, .index = static_cast<int>(let->second)});
  }
  if (const auto field = fields_.find(tree.text); field != fields_.end()) return AddFieldNode(field->second);
  if (const auto column = columns_.find(tree.text); column != columns_.end()) {
    plan_->fields.push_back({.name = tree.text,
                             .type = wanted == kNumber ? FIELD_DECIMAL : FIELD_TEXT,
                             .unit = TIMESTAMP_TEXT,
                             .place = {.kind = FieldPlace::Kind::kColumn, .column = column->second, .path = {}},
                             .nullable = plan_->format.delimited().has_null_as(),
                             .default_value = {}});
    fields_[tree.text] = static_cast<uint32_t>(plan_->fields.size() - 1);
    return AddFieldNode(fields_[tree.text]);
  }
  const bool of_record = names_are_ == "field";
  if (of_record && tree.text.starts_with("record.")) return CheckRecordPlace(tree);
  if (FindFunction(tree.text) != nullptr)
    return Refuse(tree, fmt::format("{} is a function; write {}", tree.text, FindFunction(tree.text)->signature));
  if (tables_.contains(tree.text))
    return Refuse(tree, fmt::format("{} is a table; write lookup({}, value, otherwise), or value in {}", tree.text,
                                    tree.text, tree.text));
  if (const auto elsewhere = elsewhere_.find(tree.text); elsewhere != elsewhere_.end())
    return Refuse(tree, fmt::format("{} is no {}; {}", Quoted(tree.text), names_are_, elsewhere->second));
  std::string near = DidYouMean(tree.text, Names());
  const std::string_view ours = WriteInPlaceOf(tree.text);
  if (near.empty() && of_record && !ours.empty()) near = fmt::format("; write {}", ours);
  return Refuse(tree, fmt::format("{} is no {}{}", Quoted(tree.text), names_are_, near));
}

ExpressionCheck::Node ExpressionCheck::CheckRecordPlace(const Expression& tree) {
  PlannedField field{
      .name = tree.text, .type = FIELD_TEXT, .unit = TIMESTAMP_TEXT, .place = {}, .nullable = false, .default_value = {}};
  if (!ReadRecordPlace(tree.text, &field.place)) {
    return Refuse(tree, fmt::format("{} is no part of a record; there are {}", Quoted(tree.text), kRecordPlaces));
  }
  using enum FieldPlace::Kind;
  if (field.place.kind == kPartition || field.place.kind == kOffset) field.type = FIELD_INTEGER;
  if (field.place.kind == kTimestamp) field.type = FIELD_TIMESTAMP;
  field.nullable = field.place.kind == kKey || field.place.kind == kHeader;
  plan_->fields.push_back(field);
  fields_[tree.text] = static_cast<uint32_t>(plan_->fields.size() - 1);
  return AddFieldNode(fields_[tree.text]);
}

uint32_t ExpressionCheck::AddFieldNode(uint32_t field) {
  const PlannedField& planned = plan_->fields[field];
  PlanNode node{
      .op = Op::kField, .type = TypeOf(planned.type), .nullable = planned.nullable, .index = static_cast<int>(field)};
  if (node.type == kNumber) BoundDigits(&node);
  plan_->nodes.push_back(std::move(node));
  return static_cast<uint32_t>(plan_->nodes.size() - 1);
}

ExpressionCheck::Node ExpressionCheck::CheckCall(const Expression& tree, Wanted wanted) {
  const std::string& name = tree.text;
  if (name == "+") return CheckArithmetic(tree, Op::kAdd);
  if (name == "-") return CheckArithmetic(tree, Op::kSubtract);
  if (name == "*") return CheckArithmetic(tree, Op::kMultiply);
  if (name == "/") return CheckArithmetic(tree, Op::kDivide);
  if (name == "negate") return CheckArithmetic(tree, Op::kNegate);
  if (name == "and") return CheckConditions(tree, Op::kAnd);
  if (name == "or") return CheckConditions(tree, Op::kOr);
  if (name == "not") return CheckConditions(tree, Op::kNot);
  if (name == "case" || name == "case_of" || name == "if") return CheckCase(tree, wanted);
  if (name == "in") return CheckIn(tree);
  if (name == "like") return CheckLike(tree);
  if (name == "in_table") return CheckInTable(tree);
  if (name == "lookup") return CheckLookup(tree);
  if (name == "between") return CheckSame(tree, Op::kBetween, kBoolean);
  if (name == "coalesce") return CheckSame(tree, Op::kCoalesce, wanted);
  if (name == "nullif") return CheckSame(tree, Op::kNullIf, wanted);
  if (name == "is_null") {
    const Node argument = CheckTree(tree.arguments[0], std::nullopt);
    if (!argument) return std::nullopt;
    return Add(tree, {.op = Op::kIsNull, .type = kBoolean, .arguments = {*argument}});
  }
  const Function* const function = FindFunction(name);
  if (function != nullptr) return CheckFunction(tree, *function);
  if (!name.empty() && !IsExpressionName(name)) return CheckComparison(tree);
  if (name == "sum" || name == "count" || name == "avg" || name == "min" || name == "max") {
    if (names_are_ != "field")
      return Refuse(tree, fmt::format("{}(..) stands under measures, with a name; write that name here", name));
    return Refuse(tree, fmt::format("{}(...) is a measure, no part of an expression; write it under measures, as in "
                                    "measures: {{NAME: {}(..)}}; a score is summed as it is",
                                    name, name));
  }
  if (const std::string_view ours = WriteInPlaceOf(name); !ours.empty())
    return Refuse(tree, fmt::format("{} is no function; write {}", Quoted(name), ours));
  std::vector<std::string> names;
  for (const Function& known : Functions()) names.emplace_back(known.name);
  return Refuse(tree, fmt::format("{} is no function{}", Quoted(name), DidYouMean(name, names)));
}

ExpressionCheck::Node ExpressionCheck::CheckArithmetic(const Expression& tree, Op op) {
  std::vector<uint32_t> arguments;
  bool nullable = false;
  for (const Expression& argument : tree.arguments) {
    const Node node = CheckTree(argument, kNumber);
    if (!node) continue;
    arguments.push_back(*node);
    nullable |= At(*node).nullable;
  }
  // What is wrong with each of them is told.
  if (arguments.size() < tree.arguments.size()) return std::nullopt;
  const auto is_time = [&](uint32_t node) { return At(node).type == kTimestamp; };
  if (arguments.size() == 2 && is_time(arguments[0])) return CheckTimeArithmetic(tree, op, arguments[0], arguments[1]);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const ValueType type = At(arguments[i]).type;
    if (type != kNumber)
      return Refuse(tree.arguments[i],
                    fmt::format("is {}; {} computes with numbers{}", TypeName(type), tree.text == "negate" ? "-" : tree.text,
                                type == kText ? ", as number(text) is" : ""));
  }
  return Add(tree, {.op = op, .type = kNumber, .nullable = nullable, .arguments = std::move(arguments)});
}

ExpressionCheck::Node ExpressionCheck::CheckTimeArithmetic(const Expression& tree, Op op, uint32_t left, uint32_t right) {
  const bool nullable = At(left).nullable || At(right).nullable;
  if (At(right).type == kTimestamp && op == Op::kSubtract)
    return Add(tree, {.op = Op::kSecondsBetween, .type = kNumber, .nullable = nullable, .arguments = {left, right}});
  if (At(right).type != kNumber || (op != Op::kAdd && op != Op::kSubtract)) {
    return Refuse(tree,
                  fmt::format("a timestamp can have a duration added or subtracted, as in t + 5m, or another timestamp "
                              "subtracted, which gives seconds; not {} {}",
                              tree.text, TypeName(At(right).type)));
  }
  const PlanNode negated{.op = Op::kNegate, .type = kNumber, .nullable = nullable, .arguments = {right}};
  if (op == Op::kSubtract) {
    const Node seconds = Add(tree, negated);
    if (!seconds) return std::nullopt;
    right = *seconds;
  }
  return Add(tree, {.op = Op::kAddSeconds, .type = kTimestamp, .nullable = nullable, .arguments = {left, right}});
}

ExpressionCheck::Node ExpressionCheck::CheckTimeText(const Expression& tree) {
  Value value;
  if (ReadFieldText(tree.text, FIELD_TIMESTAMP, TIMESTAMP_TEXT, &value) != FieldError::kNone)
    return Refuse(
        tree, fmt::format("{} is no timestamp from 1970 on and before 2200, as 2026-11-28T03:10:57Z is", Quoted(tree.text)));
  return Add(tree, {.type = kTimestamp, .constant = std::move(value)});
}

bool ExpressionCheck::CheckAlike(const std::vector<const Expression*>& trees, Wanted wanted, bool compared,
                                 std::vector<uint32_t>* nodes, ValueType* type) {
  // Those with a type of their own say what the others are: columns without a type, and nulls.
  std::vector<Node> checked(trees.size());
  *type = kNull;
  const Expression* first = nullptr;
  const auto check = [&](size_t i, Wanted want) {
    const bool time = compared && *type == kTimestamp && trees[i]->kind == Kind::kText;
    checked[i] = time ? CheckTimeText(*trees[i]) : CheckTree(*trees[i], want);
    if (!checked[i]) return false;
    const ValueType found = At(*checked[i]).type;
    if (*type == kNull && found != kNull) {
      *type = found;
      first = trees[i];
    }
    if (found == *type || found == kNull) return true;
    Refuse(*trees[i], fmt::format("is {}, but {} is {}", TypeName(found), Quoted(ExpressionText(*first)), TypeName(*type)));
    return false;
  };
  // Texts come last, as a text beside a timestamp is one.
  for (const bool text : {false, true}) {
    for (size_t i = 0; i < trees.size(); ++i) {
      const bool is_text = compared && trees[i]->kind == Kind::kText;
      if (is_text == text && !IsUntyped(*trees[i]) && trees[i]->kind != Kind::kNull && !check(i, wanted)) return false;
    }
  }
  if (*type == kNull && wanted) *type = *wanted;
  for (size_t i = 0; i < trees.size(); ++i) {
    if (checked[i]) continue;
    if (*type == kNull && trees[i]->kind != Kind::kNull) {
      Refuse(*trees[i],
             fmt::format("is it a number or a text? Give the field {} a type, as in fields: {{{}: {{decimal: {}}}}}",
                         trees[i]->text, trees[i]->text, trees[i]->text));
      return false;
    }
    if (!check(i, *type == kNull ? Wanted() : Wanted(*type))) return false;
  }
  for (const Node& node : checked) nodes->push_back(*node);
  return true;
}

ExpressionCheck::Node ExpressionCheck::CheckComparison(const Expression& tree) {
  std::vector<uint32_t> arguments;
  ValueType type = kNull;
  if (!CheckAlike({&tree.arguments[0], &tree.arguments[1]}, std::nullopt, true, &arguments, &type)) return std::nullopt;
  const std::string& name = tree.text;
  if (type == kTextList || type == kNumberList) return Refuse(tree, fmt::format("{} do not compare", TypeName(type)));
  if (type == kBoolean && name != "=" && name != "<>") return Refuse(tree, "booleans have no order");
  const bool nullable = At(arguments[0]).nullable || At(arguments[1]).nullable;
  const Op op = name == "<"    ? Op::kLess
                : name == "<=" ? Op::kLessOrEqual
                : name == ">"  ? Op::kGreater
                : name == ">=" ? Op::kGreaterOrEqual
                               : Op::kEqual;
  const Node compared = Add(tree, {.op = op, .type = kBoolean, .nullable = nullable, .arguments = std::move(arguments)});
  if (!compared || name != "<>") return compared;
  return Add(tree, {.op = Op::kNot, .type = kBoolean, .nullable = nullable, .arguments = {*compared}});
}

ExpressionCheck::Node ExpressionCheck::CheckConditions(const Expression& tree, Op op) {
  PlanNode node{.op = op, .type = kBoolean};
  for (const Expression& argument : tree.arguments) {
    const Node condition = CheckTree(argument, kBoolean);
    if (!condition) continue;
    if (At(*condition).type != kBoolean) {
      Refuse(argument, fmt::format("is {}; `{}` takes conditions", TypeName(At(*condition).type), tree.text));
      continue;
    }
    node.nullable |= At(*condition).nullable;
    node.arguments.push_back(*condition);
  }
  return node.arguments.size() == tree.arguments.size() ? Add(tree, std::move(node)) : std::nullopt;
}

// Makes kCase of `if` and `case`: conditions and values by turns, and the value otherwise; of `case x when`, kCaseOf.
ExpressionCheck::Node ExpressionCheck::CheckCase(const Expression& tree, Wanted wanted) {
  if (tree.text == "if" && tree.arguments.size() != 3)
    return Refuse(tree,
                  fmt::format("if takes 3 arguments, not {}: {}", tree.arguments.size(), FindFunction("if")->signature));
  const bool of = tree.text == "case_of";
  std::vector<const Expression*> compared;
  if (of) compared.push_back(&tree.arguments[0]);
  std::vector<const Expression*> values;
  for (size_t i = of ? 1 : 0; i + 1 < tree.arguments.size(); i += 2) {
    compared.push_back(&tree.arguments[i]);
    values.push_back(&tree.arguments[i + 1]);
  }
  values.push_back(&tree.arguments.back());

  std::vector<uint32_t> conditions;
  ValueType type = kNull;
  if (of) {
    if (!CheckAlike(compared, std::nullopt, true, &conditions, &type)) return std::nullopt;
    if (type == kTextList || type == kNumberList) return Refuse(tree, fmt::format("{} do not compare", TypeName(type)));
  } else {
    for (const Expression* condition : compared) {
      const Node node = CheckTree(*condition, kBoolean);
      if (!node) return std::nullopt;
      if (At(*node).type != kBoolean)
        return Refuse(*condition, fmt::format("is {}; it must be a condition", TypeName(At(*node).type)));
      conditions.push_back(*node);
    }
  }
  std::vector<uint32_t> results;
  if (!CheckAlike(values, wanted, false, &results, &type)) return std::nullopt;

  PlanNode node{.op = of ? Op::kCaseOf : Op::kCase, .type = type};
  size_t next = 0;
  if (of) node.arguments.push_back(conditions[next++]);
  for (size_t i = 0; i + 1 < results.size(); ++i) {
    node.arguments.push_back(conditions[next++]);
    node.arguments.push_back(results[i]);
  }
  node.arguments.push_back(results.back());
  node.nullable = std::ranges::any_of(results, [this](uint32_t result) { return At(result).nullable; });
  return Add(tree, std::move(node));
}

ExpressionCheck::Node ExpressionCheck::CheckIn(const Expression& tree) {
  if (tree.arguments.size() < 2) return Refuse(tree, "the list of `in` is empty");
  return CheckSame(tree, Op::kIn, kBoolean);
}

// coalesce, nullif, in and between, whose arguments have all one type.
ExpressionCheck::Node ExpressionCheck::CheckSame(const Expression& tree, Op op, Wanted wanted) {
  if ((op == Op::kCoalesce && tree.arguments.size() < 2) || (op == Op::kNullIf && tree.arguments.size() != 2))
    return Refuse(tree,
                  fmt::format("has {} arguments; write {}", tree.arguments.size(), FindFunction(tree.text)->signature));
  const bool condition = op == Op::kIn || op == Op::kBetween;
  std::vector<const Expression*> trees;
  for (const Expression& argument : tree.arguments) trees.push_back(&argument);
  PlanNode node{.op = op};
  if (!CheckAlike(trees, condition ? Wanted() : wanted, condition, &node.arguments, &node.type)) return std::nullopt;
  if ((condition || op == Op::kNullIf) && (node.type == kTextList || node.type == kNumberList))
    return Refuse(tree, fmt::format("{} do not compare", TypeName(node.type)));
  if (op == Op::kBetween && node.type == kBoolean) return Refuse(tree, "booleans have no order");
  if (condition) node.type = kBoolean;
  const auto is_nullable = [this](uint32_t argument) { return At(argument).nullable; };
  node.nullable = op == Op::kNullIf || (op == Op::kCoalesce ? std::ranges::all_of(node.arguments, is_nullable)
                                                            : std::ranges::any_of(node.arguments, is_nullable));
  return Add(tree, std::move(node));
}

ExpressionCheck::Node ExpressionCheck::CheckLike(const Expression& tree) {
  const Node text = CheckTree(tree.arguments[0], kText);
  if (!text) return std::nullopt;
  if (At(*text).type != kText)
    return Refuse(tree.arguments[0], fmt::format("is {}; like takes a text", TypeName(At(*text).type)));
  const Expression& pattern = tree.arguments[1];
  if (pattern.kind != Kind::kText) return Refuse(pattern, "the pattern of like must be a text in quotes");
  std::string error;
  PlanNode node{.op = Op::kRegexMatches, .type = kBoolean, .nullable = At(*text).nullable, .arguments = {*text}};
  node.pattern = CompileLike(pattern.text, &error);
  return node.pattern == nullptr ? Refuse(pattern, std::move(error)) : Add(tree, std::move(node));
}

}  // namespace tenfold
