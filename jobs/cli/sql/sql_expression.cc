#include "jobs/cli/sql/sql_expression.h"

#include <algorithm>
#include <array>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"
#include "jobs/plan/expression_lexer.h"

namespace tenfold {
namespace {

// SQL's names of functions that ours have others for.
const std::map<std::string, std::string>& FunctionNames() {
  static const auto* const names = new std::map<std::string, std::string>{
      {"btrim", "trim"}, {"ceiling", "ceil"},     {"char_length", "length"},    {"character_length", "length"},
      {"power", "pow"},  {"substr", "substring"}, {"string_to_array", "split"}, {"strptime", "time"}};
  return *names;
}

// Why there is none, and what to write.
const std::map<std::string, std::string>& Refusals() {
  static const auto* const refusals = new std::map<std::string, std::string>{
      {"now", "a result is a function of the records, which know no present time"},
      {"current_timestamp", "a result is a function of the records, which know no present time"},
      {"random", "a result is a function of the records"},
      {"timezone",
       "AT TIME ZONE stands in EXTRACT(hour FROM t AT TIME ZONE 'Europe/Berlin'); and there is date_trunc(unit, t, zone)"},
      {"tumble", "windows are FROM TUMBLE(table, column, INTERVAL '1 day')"},
      {"tumble_start", "windows are FROM TUMBLE(table, column, INTERVAL '1 day'), and window_start is their begin"},
      {"tumble_end", "windows are FROM TUMBLE(table, column, INTERVAL '1 day'), and window_end is their end"},
      {"hop", "windows are FROM HOP(table, column, INTERVAL '5 minutes', INTERVAL '1 day')"},
      {"window", "windows are FROM TUMBLE(table, column, INTERVAL '1 day')"},
      {"unnest", "it stands behind FROM: FROM clicks, unnest(tags) AS t(tag)"}};
  return *refusals;
}

constexpr auto kAggregates = std::to_array<std::string_view>({"approx_count_distinct",
                                                              "array_agg",
                                                              "avg",
                                                              "bool_and",
                                                              "bool_or",
                                                              "count",
                                                              "every",
                                                              "json_agg",
                                                              "max",
                                                              "min",
                                                              "mode",
                                                              "percentile_cont",
                                                              "percentile_disc",
                                                              "stddev",
                                                              "stddev_pop",
                                                              "stddev_samp",
                                                              "string_agg",
                                                              "sum",
                                                              "var_pop",
                                                              "var_samp",
                                                              "variance"});

std::string QuotedText(std::string_view text) {
  return fmt::format("'{}'", absl::StrReplaceAll(std::string(text), {{"'", "''"}}));
}

// 5m of "5 minutes".
std::optional<std::string> LengthOf(std::string_view text) {
  static const auto* const units = new std::map<std::string, std::string>{
      {"ms", "ms"},  {"millisecond", "ms"}, {"s", "s"},      {"sec", "s"},  {"second", "s"},
      {"m", "m"},    {"min", "m"},          {"minute", "m"}, {"h", "h"},    {"hour", "h"},
      {"d", "d"},    {"day", "d"},          {"w", "w"},      {"week", "w"}, {"mo", "mo"},
      {"mon", "mo"}, {"month", "mo"},       {"y", "y"},      {"year", "y"}};
  std::string rest = absl::AsciiStrToLower(std::string(text));
  absl::StripAsciiWhitespace(&rest);
  const size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
  std::string unit = rest.substr(digits);
  absl::StripAsciiWhitespace(&unit);
  if (digits == 0 || digits > 9) return std::nullopt;
  auto found = units->find(unit);
  if (found == units->end() && unit.size() > 1 && unit.back() == 's') found = units->find(unit.substr(0, unit.size() - 1));
  if (found == units->end()) return std::nullopt;
  return rest.substr(0, digits) + found->second;
}

}  // namespace

SqlText& SqlText::Add(std::string_view part, size_t offset) {
  if (places.empty() || places.back().second != offset) places.emplace_back(text.size(), offset);
  text += part;
  return *this;
}

SqlText& SqlText::Add(const SqlText& part) {
  for (const auto& [at, offset] : part.places) places.emplace_back(text.size() + at, offset);
  text += part.text;
  return *this;
}

SqlText& SqlText::Add(std::string_view part) {
  text += part;
  return *this;
}

std::string SqlName(const SqlNode& names) {
  const std::vector<std::string> parts = NamesOf(names);
  if (parts.size() == 2 && parts[0] == "pg_catalog") return parts[1];
  return absl::StrJoin(parts, ".");
}

bool IsSqlAggregate(const SqlNode& call) {
  const std::string name = SqlName(FieldOf(InnerOf(call), "funcname"));
  return std::ranges::binary_search(kAggregates, std::string_view(name));
}

std::optional<std::string> SqlInterval(const SqlNode& node) {
  const SqlNode& inner = InnerOf(node);
  if (KindOf(node) == "A_Const") return LengthOf(TextOf(FieldOf(inner, "sval"), "sval"));
  if (KindOf(node) != "TypeCast" || SqlName(FieldOf(FieldOf(inner, "typeName"), "names")) != "interval") return std::nullopt;
  const std::string text = TextOf(FieldOf(InnerOf(FieldOf(inner, "arg")), "sval"), "sval");
  const SqlNode& typmods = FieldOf(FieldOf(inner, "typeName"), "typmods");
  if (!typmods.is_array() || typmods.empty()) return LengthOf(text);
  if (text.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  // INTERVAL '5' MINUTE: a bit of PostgreSQL's for the unit.
  static const auto* const units = new std::map<int, std::string>{{1 << 1, "mo"}, {1 << 2, "y"},  {1 << 3, "d"},
                                                                  {1 << 10, "h"}, {1 << 11, "m"}, {1 << 12, "s"}};
  const SqlNode& bits = FieldOf(FieldOf(InnerOf(typmods[0]), "ival"), "ival");
  const auto unit = units->find(bits.is_number_integer() ? bits.get<int>() : 0);
  return unit == units->end() ? std::nullopt : LengthOf(text + unit->second);
}

SqlText SqlExpressions::List(const SqlNode& items, std::string_view between, size_t at) {
  SqlText list;
  for (const SqlNode& item : items) {
    if (!list.text.empty()) list.Add(between);
    list.Add(Translate(item, at));
  }
  return list;
}

SqlText SqlExpressions::Translate(const SqlNode& node, size_t near) {
  const std::string_view kind = KindOf(node);
  const SqlNode& inner = InnerOf(node);
  const size_t at = OffsetOf(node, near);
  SqlText text;
  if (left_ == 0) return text;
  if (kind == "A_Const") return Bounded(Constant(inner, at), at);
  if (kind == "ColumnRef") {
    for (const SqlNode& field : FieldOf(inner, "fields")) {
      if (KindOf(field) == "A_Star") {
        Problem(at, "* stands for no expression; name columns");
        return text;
      }
    }
    return Bounded(column_(NamesOf(FieldOf(inner, "fields")), at).value_or(SqlText()), at);
  }
  if (kind == "A_Expr") return Operation(inner, at);
  if (kind == "FuncCall") return Call(node, at);
  if (kind == "TypeCast") return Cast(node, at);
  if (kind == "CaseExpr") return Case(inner, at);
  if (kind == "CoalesceExpr") return Function("coalesce", FieldOf(inner, "args"), at);
  if (kind == "MinMaxExpr")
    return Extreme(TextOf(inner, "op") == "IS_GREATEST" ? "greatest" : "least", FieldOf(inner, "args"), at);
  if (kind == "BoolExpr") {
    const std::string op = TextOf(inner, "boolop");
    if (op == "NOT_EXPR") return text.Add("(not ", at).Add(List(FieldOf(inner, "args"), "", at)).Add(")");
    return text.Add("(", at).Add(List(FieldOf(inner, "args"), op == "AND_EXPR" ? " and " : " or ", at)).Add(")");
  }
  if (kind == "NullTest") {
    text.Add("(", at).Add(Translate(FieldOf(inner, "arg"), at));
    return text.Add(TextOf(inner, "nulltesttype") == "IS_NULL" ? " is null)" : " is not null)");
  }
  if (kind == "BooleanTest") {
    const std::string test = TextOf(inner, "booltesttype");
    const SqlText of = Translate(FieldOf(inner, "arg"), at);
    if (test == "IS_UNKNOWN" || test == "IS_NOT_UNKNOWN")
      return text.Add("(", at).Add(of).Add(test == "IS_UNKNOWN" ? " is null)" : " is not null)");
    const bool negated = test == "IS_NOT_TRUE" || test == "IS_FALSE";
    const bool of_null = test == "IS_FALSE" || test == "IS_NOT_FALSE";
    return text.Add(negated ? "(not coalesce(" : "(coalesce(", at).Add(of).Add(of_null ? ", true))" : ", false))");
  }
  if (kind == "SubLink") return InTable(InnerOf(node), at);
  static const auto* const others = new std::map<std::string, std::string, std::less<>>{
      {"ParamRef", "a parameter has no value here"},
      {"SQLValueFunction", "a result is a function of the records, which know no present time and no user"},
      {"A_ArrayExpr", "an array is not supported here"},
      {"A_Indirection", "a part of a value is not supported here; give the column the place path.NAME = '..' of the part"},
      {"RowExpr", "a row is not supported here"},
      {"GroupingFunc", "grouping sets are not supported"}};
  const auto why = others->find(kind);
  Problem(at, why == others->end() ? fmt::format("{} is not supported", kind.empty() ? "this" : kind) : why->second);
  return text;
}

SqlText SqlExpressions::Bounded(SqlText text, size_t at) {
  if (left_ == 0) return {};
  if (text.text.size() < left_) {
    left_ -= text.text.size();
    return text;
  }
  left_ = 0;
  Problem(at, "the expression is too long");
  return {};
}

bool SqlExpressions::IsNumber(const SqlNode& node) const {
  const std::string_view kind = KindOf(node);
  if (kind == "A_Const") {
    const SqlNode& constant = InnerOf(node);
    return constant.contains("ival") || constant.contains("fval");
  }
  static const std::vector<std::string> kArithmetic = {"+", "-", "*", "/", "%", "^"};
  if (kind == "A_Expr") {
    const std::string op = SqlName(FieldOf(InnerOf(node), "name"));
    return TextOf(InnerOf(node), "kind") == "AEXPR_OP" && std::ranges::find(kArithmetic, op) != kArithmetic.end();
  }
  const std::string type = type_of_(node).name;
  return type == "integer" || type == "decimal";
}

bool SqlExpressions::MayBeNull(const SqlNode& node) const {
  return KindOf(node) == "A_Const" ? InnerOf(node).contains("isnull") : type_of_(node).nullable;
}

// SQL's pass over nulls, ours do not.
SqlText SqlExpressions::Extreme(const std::string& name, const SqlNode& arguments, size_t at) {
  if (!arguments.is_array() || std::ranges::none_of(arguments, [this](const SqlNode& node) { return MayBeNull(node); }))
    return Function(name, arguments, at);
  SqlText text;
  for (const SqlNode& argument : arguments) {
    const SqlText next = Translate(argument, at);
    if (text.text.empty()) {
      text = next;
      continue;
    }
    SqlText both;
    both.Add(absl::StrCat("coalesce(", name, "("), at).Add(text).Add(", ").Add(next).Add("), ");
    text = Bounded(both.Add(text).Add(", ").Add(next).Add(")"), at);
  }
  return text;
}

SqlText SqlExpressions::Constant(const SqlNode& constant, size_t at) {
  SqlText text;
  if (constant.contains("isnull")) return text.Add("null", at);
  // What is 0, false or empty is left out.
  if (const SqlNode& number = FieldOf(constant, "ival"); number.is_object())
    return text.Add(std::to_string(number.value("ival", 0)), at);
  if (const SqlNode& number = FieldOf(constant, "fval"); number.is_object()) {
    std::string digits = TextOf(number, "fval");
    const bool negative = digits.starts_with('-');
    if (negative) digits = digits.substr(1);
    // .5 and 1.e2
    if (digits.starts_with('.')) digits = absl::StrCat("0", digits);
    if (const size_t point = digits.find('.');
        point != std::string::npos &&
        (point + 1 == digits.size() || !absl::ascii_isdigit(static_cast<unsigned char>(digits[point + 1])))) {
      digits = absl::StrCat(digits.substr(0, point), digits.substr(point + 1));
    }
    return text.Add(negative ? absl::StrCat("-", digits) : digits, at);
  }
  if (const SqlNode& flag = FieldOf(constant, "boolval"); flag.is_object())
    return text.Add(flag.value("boolval", false) ? "true" : "false", at);
  if (const SqlNode& string = FieldOf(constant, "sval"); string.is_object())
    return text.Add(QuotedText(TextOf(string, "sval")), at);
  Problem(at, "a string of bits is not supported");
  return text;
}

SqlText SqlExpressions::Operation(const SqlNode& expression, size_t at) {
  const std::string kind = TextOf(expression, "kind");
  const std::string op = SqlName(FieldOf(expression, "name"));
  const SqlNode& left = FieldOf(expression, "lexpr");
  const SqlNode& right = FieldOf(expression, "rexpr");
  SqlText text;
  const auto between = [&](std::string_view words) {
    text.Add("(", at).Add(Translate(left, at)).Add(words);
    const SqlNode& items = FieldOf(InnerOf(right), "items");
    return text.Add(List(items, " and ", at)).Add(")");
  };
  if (kind == "AEXPR_OP") return Comparison(expression, op, at);
  if (kind == "AEXPR_IN") {
    text.Add("(", at).Add(Translate(left, at)).Add(op == "=" ? " in (" : " not in (");
    return text.Add(List(FieldOf(InnerOf(right), "items"), ", ", at)).Add("))");
  }
  if (kind == "AEXPR_BETWEEN") return between(" between ");
  if (kind == "AEXPR_NOT_BETWEEN") return between(" not between ");
  if (kind == "AEXPR_LIKE")
    return text.Add("(", at)
        .Add(Translate(left, at))
        .Add(op == "~~" ? " like " : " not like ")
        .Add(Translate(right, at))
        .Add(")");
  if (kind == "AEXPR_NULLIF")
    return text.Add("nullif(", at).Add(Translate(left, at)).Add(", ").Add(Translate(right, at)).Add(")");
  static const auto* const others = new std::map<std::string, std::string>{
      {"AEXPR_ILIKE", "ILIKE is not supported; compare LOWER(..) by LIKE"},
      {"AEXPR_SIMILAR", "SIMILAR TO is not supported; use ~, a regular expression"},
      {"AEXPR_DISTINCT", "IS DISTINCT FROM is not supported; use = and IS NULL"},
      {"AEXPR_NOT_DISTINCT", "IS NOT DISTINCT FROM is not supported; use = and IS NULL"},
      {"AEXPR_OP_ANY", "ANY is not supported; use IN"},
      {"AEXPR_OP_ALL", "ALL is not supported; use AND"},
      {"AEXPR_BETWEEN_SYM", "BETWEEN SYMMETRIC is not supported; use LEAST and GREATEST"}};
  const auto why = others->find(kind);
  Problem(at, why == others->end() ? "this operator is not supported" : why->second);
  return text;
}

SqlText SqlExpressions::Comparison(const SqlNode& expression, const std::string& op, size_t at) {
  const SqlNode& left = FieldOf(expression, "lexpr");
  const SqlNode& right = FieldOf(expression, "rexpr");
  SqlText text;
  if (left.is_null()) {
    if (op == "-") return text.Add("(- ", at).Add(Translate(right, at)).Add(")");
    if (op == "+") return Translate(right, at);
    Problem(at, fmt::format("the operator {} is not supported", Quoted(op)));
    return text;
  }
  const auto call = [&](std::string_view begin, std::string_view end = ")") {
    return text.Add(begin, at).Add(Translate(left, at)).Add(", ").Add(Translate(right, at)).Add(end);
  };
  if (op == "||") return call("concat(");
  if (op == "%") return call("mod(");
  if (op == "^") return call("pow(");
  if (op == "~") return call("regex_matches(");
  if (op == "!~") return call("(not regex_matches(", "))");
  static const auto* const same = new std::vector<std::string>{"+", "-", "*", "/", "=", "<>", "<", "<=", ">", ">="};
  if (std::ranges::find(*same, op) == same->end()) {
    Problem(at, fmt::format("the operator {} is not supported{}", Quoted(op),
                            op == "~*" || op == "!~*" ? "; write (?i) at the pattern's begin" : ""));
    return text;
  }
  return text.Add("(", at).Add(Translate(left, at)).Add(fmt::format(" {} ", op)).Add(Translate(right, at)).Add(")");
}

SqlText SqlExpressions::Function(const std::string& name, const SqlNode& arguments, size_t at) {
  return SqlText().Add(name + "(", at).Add(List(arguments, ", ", at)).Add(")");
}

SqlText SqlExpressions::Call(const SqlNode& node, size_t at) {
  const SqlNode& call = InnerOf(node);
  std::string name = SqlName(FieldOf(call, "funcname"));
  if (call.contains("over")) {
    Problem(at, fmt::format("{} OVER (..) is not supported", absl::AsciiStrToUpper(name)));
    return {};
  }
  if (IsSqlAggregate(node)) return aggregate_(node, at).value_or(SqlText());
  if (const auto why = Refusals().find(name); why != Refusals().end()) {
    Problem(at, fmt::format("{} is not supported: {}", absl::AsciiStrToUpper(name), why->second));
    return {};
  }
  for (const char* part : {"agg_distinct", "agg_order", "agg_filter", "agg_within_group", "func_variadic"}) {
    if (!call.contains(part)) continue;
    Problem(at, fmt::format("{} is no aggregate", absl::AsciiStrToUpper(name)));
    return {};
  }
  const SqlNode& arguments = FieldOf(call, "args");
  if (!IsWord(name)) {
    Problem(at, fmt::format("{} is no function", Quoted(name)));
    return {};
  }
  for (const SqlNode& argument : arguments) {
    if (KindOf(argument) != "NamedArgExpr") continue;
    Problem(OffsetOf(argument, at), fmt::format("{} has no arguments by name", absl::AsciiStrToUpper(name)));
    return {};
  }
  if (name == "lookup" && arguments.is_array() && !arguments.empty()) {
    // Its first argument is the name of a table.
    const std::vector<std::string> table = NamesOf(FieldOf(InnerOf(arguments[0]), "fields"));
    if (arguments.size() != 3 || table.size() != 1 || !IsWord(table[0])) {
      Problem(at, "write lookup(table, value, otherwise)");
      return {};
    }
    if (std::string wrong = lookups_(table[0], ""); !wrong.empty()) {
      Problem(at, std::move(wrong));
      return {};
    }
    SqlNode values = arguments;
    values.erase(0);
    return SqlText().Add(absl::StrCat("lookup(", table[0], ", "), at).Add(List(values, ", ", at)).Add(")");
  }
  if (name == "extract" || name == "date_part") return DatePart(arguments, at);
  if (name.starts_with("regexp_")) return Pattern(name, arguments, at);
  if (name == "to_timestamp" && arguments.is_array() && arguments.size() == 2) {
    Problem(at, "TO_TIMESTAMP of a text is not supported: write strptime(text, '%Y-%m-%d %H:%M:%S')");
    return {};
  }
  if (name == "to_timestamp") return SqlText().Add("from_unix_ms(1000 * ", at).Add(List(arguments, ", ", at)).Add(")");
  if (name == "greatest" || name == "least") return Extreme(name, arguments, at);
  if (name == "concat") {
    // SQL's passes over nulls, ours does not.
    SqlText text;
    for (const SqlNode& argument : arguments) {
      text.Add(text.text.empty() ? "concat(" : ", ", at);
      const SqlText of = Translate(argument, at);
      if (MayBeNull(argument)) {
        text.Add("coalesce(concat(").Add(of).Add(", ''), '')");
      } else {
        text.Add(of);
      }
    }
    return text.text.empty() ? text : text.Add(", '')");
  }
  if (const auto ours = FunctionNames().find(name); ours != FunctionNames().end()) name = ours->second;
  return Function(name, arguments, at);
}

SqlText SqlExpressions::DatePart(const SqlNode& arguments, size_t at) {
  SqlText text;
  if (!arguments.is_array() || arguments.size() != 2) return Function("date_part", arguments, at);
  const SqlNode& time = InnerOf(arguments[1]);
  // What the clock shows in a zone.
  const bool zoned = KindOf(arguments[1]) == "FuncCall" && SqlName(FieldOf(time, "funcname")) == "timezone" &&
                     FieldOf(time, "args").is_array() && FieldOf(time, "args").size() == 2;
  text.Add("date_part(", at).Add(Translate(arguments[0], at)).Add(", ");
  if (!zoned) return text.Add(Translate(arguments[1], at)).Add(")");
  const SqlNode& parts = FieldOf(time, "args");
  return text.Add(Translate(parts[1], at)).Add(", ").Add(Translate(parts[0], at)).Add(")");
}

SqlText SqlExpressions::Pattern(const std::string& name, const SqlNode& arguments, size_t at) {
  const size_t size = arguments.is_array() ? arguments.size() : 0;
  if (name == "regexp_like" && size == 2) return Function("regex_matches", arguments, at);
  if (name == "regexp_substr" && size == 2)
    return SqlText().Add("regex_extract(", at).Add(List(arguments, ", ", at)).Add(", 0)");
  const bool all = name == "regexp_replace" && size == 4 && TextOf(FieldOf(InnerOf(arguments[3]), "sval"), "sval") == "g";
  if (all) {
    SqlNode three = arguments;
    three.erase(3);
    return Function("regex_replace", three, at);
  }
  Problem(at,
          "of regular expressions there are regexp_like(t, re), regexp_substr(t, re) and regexp_replace(t, re, by, 'g'), "
          "which replaces all; and regex_matches, regex_extract and regex_replace of jobs/README.md");
  return {};
}

SqlText SqlExpressions::Cast(const SqlNode& node, size_t at) {
  const SqlNode& cast = InnerOf(node);
  const std::string type = SqlName(FieldOf(FieldOf(cast, "typeName"), "names"));
  const SqlNode& of = FieldOf(cast, "arg");
  const bool is_text = KindOf(of) == "A_Const" && FieldOf(InnerOf(of), "sval").is_object();
  if (type == "interval") {
    const std::optional<std::string> length = SqlInterval(node);
    // Months have no length of their own.
    if (length && !length->ends_with("mo") && !length->ends_with('y')) return SqlText().Add(*length, at);
    Problem(at, "an interval is a number of ms, seconds, minutes, hours, days or weeks, like INTERVAL '5 minutes'");
    return {};
  }
  const SqlNode& type_name = FieldOf(cast, "typeName");
  if (type_name.contains("typmods") || type_name.contains("arrayBounds")) {
    Problem(at,
            fmt::format("a cast to a {} of a certain size is not supported; write ROUND(x, 2) or LEFT(x, 5)", Shown(type)));
    return {};
  }
  const bool is_whole = type == "int4" || type == "int8" || type == "int2";
  if (is_whole && KindOf(of) == "A_Const" && FieldOf(InnerOf(of), "ival").is_object()) return Translate(of, at);
  if (type == "bool" && (type_of_(of).name == "boolean" || FieldOf(InnerOf(of), "boolval").is_object()))
    return Translate(of, at);
  if (type == "timestamptz" || type == "timestamp" || type == "date") {
    const std::string text = TextOf(FieldOf(InnerOf(of), "sval"), "sval");
    if (is_text && (type != "date" || text.size() <= 10)) return Translate(of, at);
    Problem(at, "only a text in quotes is made a timestamp here; give the column that type");
    return {};
  }
  if (type == "text" || type == "varchar" || type == "bpchar")
    return SqlText().Add("concat(", at).Add(Translate(of, at)).Add(", '')");
  if (type == "numeric" && IsNumber(of)) return Translate(of, at);
  if (type == "numeric") return SqlText().Add("number(", at).Add(Translate(of, at)).Add(")");
  Problem(at, fmt::format(
                  "a cast to {} is not supported; there are numeric of a text, text, and timestamptz of a text in quotes",
                  Shown(type)));
  return {};
}

// x IN (SELECT column FROM table).
SqlText SqlExpressions::InTable(const SqlNode& link, size_t at) {
  const SqlNode& select = InnerOf(FieldOf(link, "subselect"));
  const SqlNode& from = FieldOf(select, "fromClause");
  const SqlNode& targets = FieldOf(select, "targetList");
  bool plain = TextOf(link, "subLinkType") == "ANY_SUBLINK" && !link.contains("operName") && from.is_array() &&
               from.size() == 1 && KindOf(from[0]) == "RangeVar" && targets.is_array() && targets.size() == 1;
  for (const char* part :
       {"whereClause", "groupClause", "havingClause", "distinctClause", "larg", "withClause", "limitOffset"})
    plain = plain && !select.contains(part);
  const std::vector<std::string> column =
      plain ? NamesOf(FieldOf(InnerOf(FieldOf(InnerOf(targets[0]), "val")), "fields")) : std::vector<std::string>();
  if (!plain || column.empty() || TextOf(select, "limitOption") == "LIMIT_OPTION_COUNT") {
    Problem(at, "a subquery is not supported, but x IN (SELECT column FROM table) of a table that is a file");
    return {};
  }
  const std::string table = TextOf(InnerOf(from[0]), "relname");
  const std::string alias = TextOf(FieldOf(InnerOf(from[0]), "alias"), "aliasname");
  if (column.size() > 2 || (column.size() == 2 && column[0] != (alias.empty() ? table : alias))) {
    Problem(at, "the column is of another table than the one that is asked");
    return {};
  }
  if (std::string wrong = lookups_(table, column.back()); !wrong.empty()) {
    Problem(at, std::move(wrong));
    return {};
  }
  return SqlText().Add("(", at).Add(Translate(FieldOf(link, "testexpr"), at)).Add(absl::StrCat(" in ", table, ")"));
}

SqlText SqlExpressions::Case(const SqlNode& expression, size_t at) {
  SqlText text;
  text.Add("case", at);
  if (expression.contains("arg")) text.Add(" ").Add(Translate(expression["arg"], at));
  for (const SqlNode& when : FieldOf(expression, "args")) {
    const SqlNode& branch = InnerOf(when);
    text.Add(" when ").Add(Translate(FieldOf(branch, "expr"), at));
    text.Add(" then ").Add(Translate(FieldOf(branch, "result"), at));
  }
  if (expression.contains("defresult")) text.Add(" else ").Add(Translate(expression["defresult"], at));
  return text.Add(" end");
}

}  // namespace tenfold
