#include "jobs/plan/function.h"

#include <algorithm>
#include <array>

namespace tenfold {
namespace {

using enum ValueType;

constexpr auto kFunctions = std::to_array<Function>({
    {"abs", Op::kAbs, "n", kNumber, false, "abs(number)"},
    {"ceil", Op::kCeil, "n", kNumber, false, "ceil(number)"},
    {"coalesce", Op::kCoalesce, "", kNull, false, "coalesce(value, value, ...)"},
    {"concat", Op::kConcat, "s*", kText, false, "concat(value, value, ...)"},
    {"contains", Op::kContains, "tt", kBoolean, false, "contains(text, part)"},
    {"date_part", Op::kDatePart, "um|z", kNumber, false, "date_part(unit, time[, zone])"},
    {"date_trunc", Op::kDateTrunc, "um|z", kTimestamp, false, "date_trunc(unit, time[, zone])"},
    {"ends_with", Op::kEndsWith, "tt", kBoolean, false, "ends_with(text, end)"},
    {"floor", Op::kFloor, "n", kNumber, false, "floor(number)"},
    {"from_unix_ms", Op::kFromUnixMs, "n", kTimestamp, false, "from_unix_ms(milliseconds)"},
    {"greatest", Op::kGreatest, "n*", kNumber, false, "greatest(number, number, ...)"},
    {"hash64", Op::kHash64, "t", kNumber, false, "hash64(text)"},
    {"if", Op::kCase, "", kNull, false, "if(condition, value, otherwise)"},
    {"least", Op::kLeast, "n*", kNumber, false, "least(number, number, ...)"},
    {"left", Op::kLeft, "tn", kText, false, "left(text, length)"},
    {"length", Op::kLength, "t", kNumber, false, "length(text)"},
    {"lookup", Op::kLookup, "", kText, false, "lookup(TABLE, value, otherwise)"},
    {"lower", Op::kLower, "t", kText, false, "lower(text)"},
    {"ltrim", Op::kLeftTrim, "t|t", kText, false, "ltrim(text[, characters])"},
    {"mod", Op::kMod, "nn", kNumber, false, "mod(number, divisor)"},
    {"nullif", Op::kNullIf, "", kNull, true, "nullif(value, other)"},
    {"number", Op::kNumber, "t", kNumber, false, "number(text)"},
    {"pow", Op::kPow, "ni", kNumber, false, "pow(number, 0 to 8)"},
    {"regex_extract", Op::kRegexExtract, "tr|i", kText, true, "regex_extract(text, pattern[, group])"},
    {"regex_matches", Op::kRegexMatches, "tr", kBoolean, false, "regex_matches(text, pattern)"},
    {"regex_replace", Op::kRegexReplace, "trw", kText, false, "regex_replace(text, pattern, replacement)"},
    {"replace", Op::kReplace, "ttt", kText, false, "replace(text, part, by)"},
    {"right", Op::kRight, "tn", kText, false, "right(text, length)"},
    {"round", Op::kRound, "n|i", kNumber, false, "round(number[, digits])"},
    {"rtrim", Op::kRightTrim, "t|t", kText, false, "rtrim(text[, characters])"},
    {"sign", Op::kSign, "n", kNumber, false, "sign(number)"},
    {"split", Op::kSplit, "tt", kTextList, false, "split(text, separator)"},
    {"split_part", Op::kSplitPart, "ttn", kText, false, "split_part(text, separator, position)"},
    {"sqrt", Op::kSqrt, "n", kNumber, false, "sqrt(number)"},
    {"starts_with", Op::kStartsWith, "tt", kBoolean, false, "starts_with(text, begin)"},
    {"substring", Op::kSubstring, "tn|n", kText, false, "substring(text, start[, length])"},
    {"time", Op::kTime, "tf", kTimestamp, false, "time(text, format)"},
    {"trim", Op::kTrim, "t|t", kText, false, "trim(text[, characters])"},
    {"trunc", Op::kTrunc, "n", kNumber, false, "trunc(number)"},
    {"try_number", Op::kTryNumber, "t", kNumber, true, "try_number(text)"},
    {"upper", Op::kUpper, "t", kText, false, "upper(text)"},
    {"url_decode", Op::kUrlDecode, "t", kText, true, "url_decode(text)"},
    {"url_host", Op::kUrlHost, "t", kText, true, "url_host(url)"},
    {"url_param", Op::kUrlParam, "tt", kText, true, "url_param(url, name)"},
    {"url_path", Op::kUrlPath, "t", kText, false, "url_path(url)"},
});
static_assert(std::ranges::is_sorted(kFunctions, {}, &Function::name));

}  // namespace

std::span<const Function> Functions() { return kFunctions; }

const Function* FindFunction(std::string_view name) {
  const auto found = std::ranges::lower_bound(kFunctions, name, {}, &Function::name);
  return found != kFunctions.end() && found->name == name ? &*found : nullptr;
}

}  // namespace tenfold
