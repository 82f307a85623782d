// The oracle's own reading of a job's expressions: it parses their text and computes them by brute force, with rational
// numbers, and shares nothing with jobs/plan and jobs/decode but RE2 and the table of letters. It takes only the expressions
// of a spec that has passed the rules. Pure.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "job_spec.pb.h"
#include "state.pb.h"

namespace tenfold::oracle {

using BigInt = boost::multiprecision::cpp_int;
using Rational = boost::multiprecision::cpp_rational;

struct Nothing {};
// Microseconds since 1970, UTC.
struct Instant {
  int64_t us = 0;
};
// A list of texts and one of numbers are both lists of values.
struct Datum;
using List = std::vector<Datum>;
struct Datum {
  std::variant<Nothing, std::string, Rational, bool, Instant, List> is;

  bool null() const { return std::holds_alternative<Nothing>(is); }
  const std::string& text() const { return std::get<std::string>(is); }
  const Rational& number() const { return std::get<Rational>(is); }
  bool truth() const { return std::holds_alternative<bool>(is) && std::get<bool>(is); }
};

// A parsed expression: a leaf has a value or a name, anything else what it does and with what.
struct Formula {
  enum class Kind { kValue, kName, kDo } kind = Kind::kValue;
  Datum value;
  std::string name;
  std::vector<Formula> parts;
};

Formula ParseFormula(std::string_view text);

// The names of a record: fields with their values, and lets with their formulas, which are computed when they are needed.
struct Names {
  std::map<std::string, Datum> fields;
  const std::map<std::string, Formula>* lets = nullptr;
  std::map<std::string, Datum> computed;
  // The values of tables by their keys.
  const std::map<std::string, std::map<std::string, std::string>>* tables = nullptr;
  // By their names.
  const std::map<std::string, ZoneClock>* zones = nullptr;
};

// Why a formula has no value.
struct Trouble {
  BadReason reason = BAD_NONE;
};
std::variant<Datum, Trouble> Compute(const Formula& formula, Names* names);

// Reads [+-]?D+(.D+)?([eE][+-]?D+)? within R1's limits.
BadReason ReadDecimal(std::string_view text, Rational* number);
// Reads a timestamp's text; BAD_MALFORMED_FIELD or BAD_NUMBER_OUT_OF_RANGE if it is none.
BadReason ReadInstant(std::string_view text, Instant* instant);
// The instant this many microseconds after 1970, rounded down; nullopt before 1970 and from 2200 on.
std::optional<Instant> InstantOf(const Rational& us);
// The nearest whole number, half to even.
BigInt Nearest(const Rational& number);
// The Gregorian calendar.
bool IsLeap(int64_t year);
int64_t MonthDays(int64_t year, int64_t month);
// The text form in keys and concat.
std::string FormOf(const Datum& datum);

// Does what a function or operator of more than one meaning does not: those that have all their arguments, none null.
std::variant<Datum, Trouble> CallFunction(const std::string& name, const std::vector<Datum>& arguments);
// The same of date_part, date_trunc and time.
std::variant<Datum, Trouble> CallTimeFunction(const std::string& name, const std::vector<Datum>& arguments,
                                              const Names& names);

}  // namespace tenfold::oracle
