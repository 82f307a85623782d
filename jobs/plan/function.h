// What expressions can call. The names of a release never change their meaning, as states are folded by them. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "jobs/plan/value.h"

namespace tenfold {

enum class Op : uint8_t {
  // Leaves.
  kConstant,
  kField,
  kLet,
  // What a list is exploded to.
  kElement,
  // Operators, and what needs not all of its arguments.
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kNegate,
  kEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kAnd,
  kOr,
  kNot,
  kIsNull,
  kIn,
  kBetween,
  kCase,
  kCaseOf,
  kCoalesce,
  kNullIf,
  // Of the tables of a plan.
  kLookup,
  kInTable,
  // Timestamps with numbers of seconds.
  kAddSeconds,
  kSecondsBetween,
  // Functions of numbers.
  kAbs,
  kLeast,
  kGreatest,
  kFloor,
  kCeil,
  kTrunc,
  kRound,
  kSign,
  kMod,
  kPow,
  kSqrt,
  kNumber,
  kTryNumber,
  // Functions of texts.
  kLower,
  kUpper,
  kTrim,
  kLeftTrim,
  kRightTrim,
  kLength,
  kSubstring,
  kLeft,
  kRight,
  kSplitPart,
  kSplit,
  kConcat,
  kReplace,
  kStartsWith,
  kEndsWith,
  kContains,
  kRegexMatches,
  kRegexExtract,
  kRegexReplace,
  kHash64,
  // Functions of URLs and times.
  kUrlHost,
  kUrlPath,
  kUrlParam,
  kUrlDecode,
  kFromUnixMs,
  kTime,
  kDatePart,
  kDateTrunc,
};

struct Function {
  std::string_view name;
  Op op;
  // A letter for each parameter: t text, n number, m timestamp, s what has a text form, r a regular expression, w a
  // replacement for it, u a unit of time, z a time zone and f a format of times, which are text constants, i a whole
  // constant. After | they may be left out; before * one may be there any number of
  // times, at least once.
  std::string_view parameters;
  ValueType result;
  // Whether it may be null where no argument is.
  bool makes_null;
  // "substring(text, start[, length])", as messages and the reference have it.
  std::string_view signature;
};

// By name, ascending. Those of which the rules of types are of their own (if, coalesce, nullif, lookup) are among them,
// without parameters.
std::span<const Function> Functions();

// Nullptr if there is none of the name.
const Function* FindFunction(std::string_view name);

}  // namespace tenfold
