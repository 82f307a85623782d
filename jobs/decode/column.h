// Values of one field or expression in up to 64 records, and exact arithmetic on them. A row whose value has no place in 64
// bits is unfit: its record is decoded alone (jobs/decode/general_decoder.h), to the value that it has. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "jobs/plan/function.h"

namespace tenfold {

// A bit for each row.
using Rows = uint64_t;

// The first `count` rows.
inline Rows FirstRows(size_t count) { return count == 64 ? ~Rows{0} : (Rows{1} << count) - 1; }

// What a number is divided by: divisor * 10^scale.
struct Denominator {
  int64_t divisor = 1;
  int scale = 0;
  friend bool operator==(const Denominator&, const Denominator&) = default;
};

struct Column {
  static constexpr size_t kRows = 64;

  // Rows that are null, and those that are unfit, of which nothing else is known.
  Rows nulls = 0;
  Rows unfit = 0;
  // Of conditions, the rows that are true, unless they are null.
  Rows trues = 0;
  // Numbers, times the denominator; microseconds of timestamps. Every row may be read, whatever it is.
  std::array<int64_t, kRows> numbers = {};
  Denominator denominator;
  // Every row may be read.
  std::array<std::string_view, kRows> texts = {};

  Rows KnownTrue() const { return trues & ~nulls & ~unfit; }
  Rows KnownFalse() const { return ~trues & ~nulls & ~unfit; }
};

// Calls `of(row)` for each of the rows.
template <typename F>
void ForRows(Rows rows, F of) {
  for (; rows != 0; rows &= rows - 1) of(static_cast<size_t>(__builtin_ctzll(rows)));
}

// Each sets the first `count` rows of `result`, which is none of the arguments, except its nulls; unfit are those of the
// arguments and those whose value does not fit.
// For kAdd, kSubtract and kMultiply.
void ComputeArithmetic(Op op, const Column& a, const Column& b, size_t count, Column* result);
// `b` has one value in all rows.
void DivideByConstant(const Column& a, const Column& b, size_t count, Column* result);
// For kNegate, kAbs and kSign.
void ComputeSigned(Op op, const Column& a, size_t count, Column* result);
// For kFloor, kCeil, kTrunc, and kRound to `digits`, half to even.
void ComputeRounded(Op op, const Column& a, int digits, size_t count, Column* result);

// Sets the first `count` of `units` to numbers rounded to 1e-9, half to even, in units of that. Returns the rows that do not
// fit.
Rows ToUnits(const Column& column, size_t count, std::array<int64_t, Column::kRows>* units);

// How the rows of two columns of one type compare, nulls apart.
struct Comparison {
  Rows less = 0;
  Rows equal = 0;
  // Where that is not known.
  Rows unfit = 0;
};
Comparison CompareNumbers(const Column& a, const Column& b, size_t count);
Comparison CompareTexts(const Column& a, const Column& b, size_t count);

// Takes `rows` of `from` into `result`, which has taken `taken` before. Numbers of different denominators get a common one.
void TakeRows(const Column& from, Rows rows, Rows taken, Column* result);

// Gives the numbers of rows, which have each its own count of decimals, one scale.
void SetScales(const std::array<int8_t, Column::kRows>& scales, Rows rows, Column* column);

}  // namespace tenfold
