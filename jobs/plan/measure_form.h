// What a measure's expression is made of: an aggregate, or a quotient of two. Pure.
#pragma once

#include <optional>
#include <string>

#include "common/number/units.h"
#include "jobs/plan/expression.h"

namespace tenfold {

struct Aggregate {
  // sum(NUMBER), count(VALUE), max(NUMBER) and min(NUMBER); count() has no argument.
  enum class Kind { kSum, kCount, kMax, kMin };
  Kind kind = Kind::kSum;
  std::optional<Expression> argument;

  bool counts() const { return kind == Kind::kCount; }
  // Whether a row keeps a height for it (common/number/height.h).
  bool is_height() const { return kind == Kind::kMax || kind == Kind::kMin; }
  // The constant beside it in a quotient, in units of 1e-9.
  Units added = 0;
};

struct MeasureForm {
  // The only aggregate, unless it is a quotient.
  Aggregate dividend;
  // Set where it is a quotient. The constant beside it is not negative.
  std::optional<Aggregate> divisor;
  // It is written avg(NUMBER): the divisor counts the numbers that are not null.
  bool is_average = false;
};

// What is wrong with a measure, and where.
struct MeasureProblem {
  size_t begin = 0;
  size_t end = 0;
  std::string message;
};

// The forms are sum(NUMBER), count(), count(VALUE), avg(NUMBER), max(NUMBER), min(NUMBER), and A / B where A and B are one
// of the first three, or one of them with a constant added or taken away. Nullopt with `*problem` set for what is none.
std::optional<MeasureForm> ReadMeasureForm(const Expression& tree, MeasureProblem* problem);

// The forms, as messages name them.
inline constexpr char kMeasureForms[] =
    "sum(number), count(), count(value), avg(number), max(number), min(number), or a quotient like sum(a) / sum(b) or "
    "(sum(a) + 10) / (count() + 2)";

}  // namespace tenfold
