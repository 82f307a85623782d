#include "jobs/decode/column.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace tenfold {
namespace {

constexpr int kMaxScale = 18;
// Units are multiples of 10^-9.
constexpr int kUnitDigits = 9;

constexpr std::array<int64_t, kMaxScale + 1> kPowersOfTen = [] {
  std::array<int64_t, kMaxScale + 1> powers = {1};
  for (size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

// 10^power, if it fits.
std::optional<int64_t> PowerOfTen(int power) {
  return power <= kMaxScale ? std::optional(kPowersOfTen[static_cast<size_t>(power)]) : std::nullopt;
}

std::optional<int64_t> Product(std::optional<int64_t> a, std::optional<int64_t> b) {
  int64_t product = 0;
  if (!a || !b || __builtin_mul_overflow(*a, *b, &product)) return std::nullopt;
  return product;
}

// A denominator that both divide.
std::optional<Denominator> Common(const Denominator& a, const Denominator& b) {
  Denominator common{a.divisor, std::max(a.scale, b.scale)};
  if (a.divisor == b.divisor) return common;
  const std::optional<int64_t> divisor = Product(a.divisor, b.divisor / std::gcd(a.divisor, b.divisor));
  if (!divisor) return std::nullopt;
  common.divisor = *divisor;
  return common;
}

// What numbers of one denominator are multiplied by to have another, which it divides.
std::optional<int64_t> Factor(const Denominator& from, const Denominator& to) {
  return Product(PowerOfTen(to.scale - from.scale), to.divisor / from.divisor);
}

struct Factors {
  Denominator common;
  int64_t a = 1;
  int64_t b = 1;
};
std::optional<Factors> CommonFactors(const Denominator& a, const Denominator& b) {
  const std::optional<Denominator> common = Common(a, b);
  if (!common) return std::nullopt;
  const std::optional<int64_t> of_a = Factor(a, *common);
  const std::optional<int64_t> of_b = Factor(b, *common);
  if (!of_a || !of_b) return std::nullopt;
  return Factors{*common, *of_a, *of_b};
}

// Calls `of(row)`, which returns whether the row does not fit, for the first `count` rows. Returns those.
template <typename F>
Rows UnfitRows(size_t count, F of) {
  Rows unfit = 0;
  for (size_t i = 0; i < count; ++i) unfit |= Rows{of(i)} << i;
  return unfit;
}

// How numbers are rounded: to whole numbers of number * factor / divisor, each of which stands for `unit`.
struct Rounding {
  int64_t factor = 1;
  int64_t divisor = 1;
  int64_t unit = 1;
};
// To `digits` decimals.
std::optional<Rounding> RoundingOf(const Denominator& denominator, int digits) {
  const int more = digits - denominator.scale;
  const std::optional<int64_t> factor = PowerOfTen(std::max(more, 0));
  const std::optional<int64_t> divisor = Product(PowerOfTen(std::max(-more, 0)), denominator.divisor);
  const std::optional<int64_t> unit = PowerOfTen(std::max(-digits, 0));
  if (!factor || !divisor || !unit) return std::nullopt;
  return Rounding{*factor, *divisor, *unit};
}

// Returns whether the result does not fit.
bool Round(Op op, const Rounding& rounding, int64_t number, int64_t* rounded) {
  int64_t value = 0;
  if (__builtin_mul_overflow(number, rounding.factor, &value)) return true;
  int64_t whole = value;
  if (rounding.divisor != 1) {
    whole = value / rounding.divisor;
    const int64_t rest = value % rounding.divisor;
    if (op == Op::kFloor) {
      whole -= rest < 0 ? 1 : 0;
    } else if (op == Op::kCeil) {
      whole += rest > 0 ? 1 : 0;
    } else if (op == Op::kRound) {
      // The rest is compared with what it lacks, as the double of it may not fit.
      const int64_t size = rest < 0 ? -rest : rest;
      const int64_t lacks = rounding.divisor - size;
      if (size > lacks || (size == lacks && whole % 2 != 0)) whole += value < 0 ? -1 : 1;
    }
  }
  return __builtin_mul_overflow(whole, rounding.unit, rounded);
}

void SetUnfit(Rows rows, Column* column) { column->unfit |= rows; }

}  // namespace

void ComputeArithmetic(Op op, const Column& a, const Column& b, size_t count, Column* result) {
  result->unfit = a.unfit | b.unfit;
  int64_t* const to = result->numbers.data();
  const int64_t* const left = a.numbers.data();
  const int64_t* const right = b.numbers.data();
  if (op == Op::kMultiply) {
    const std::optional<int64_t> divisor = Product(a.denominator.divisor, b.denominator.divisor);
    result->denominator = {divisor.value_or(1), a.denominator.scale + b.denominator.scale};
    if (!divisor) return SetUnfit(FirstRows(count), result);
    return SetUnfit(UnfitRows(count, [=](size_t i) { return __builtin_mul_overflow(left[i], right[i], &to[i]); }), result);
  }
  const std::optional<Factors> factors = CommonFactors(a.denominator, b.denominator);
  if (!factors) {
    result->denominator = {};
    return SetUnfit(FirstRows(count), result);
  }
  result->denominator = factors->common;
  const int64_t of_left = factors->a;
  const int64_t of_right = op == Op::kAdd ? factors->b : -factors->b;
  SetUnfit(UnfitRows(count,
                     [=](size_t i) {
                       int64_t x = 0;
                       int64_t y = 0;
                       bool over = __builtin_mul_overflow(left[i], of_left, &x);
                       over |= __builtin_mul_overflow(right[i], of_right, &y);
                       over |= __builtin_add_overflow(x, y, &to[i]);
                       return over;
                     }),
           result);
}

void DivideByConstant(const Column& a, const Column& b, size_t count, Column* result) {
  // (n / (d * 10^s)) / (m / (e * 10^t)) is n * e * 10^t / (d * m * 10^s).
  const int64_t by = b.numbers[0];
  result->unfit = a.unfit | b.unfit;
  result->denominator = {};
  if (by == 0 || by == std::numeric_limits<int64_t>::min()) return SetUnfit(FirstRows(count), result);
  const std::optional<int64_t> divisor = Product(a.denominator.divisor, by < 0 ? -by : by);
  const std::optional<int64_t> factor =
      Product(Product(PowerOfTen(b.denominator.scale), b.denominator.divisor), by < 0 ? -1 : 1);
  if (!divisor || !factor) return SetUnfit(FirstRows(count), result);
  result->denominator = {*divisor, a.denominator.scale};
  SetUnfit(UnfitRows(count, [&](size_t i) { return __builtin_mul_overflow(a.numbers[i], *factor, &result->numbers[i]); }),
           result);
}

void ComputeSigned(Op op, const Column& a, size_t count, Column* result) {
  result->unfit = a.unfit;
  result->denominator = op == Op::kSign ? Denominator{} : a.denominator;
  SetUnfit(UnfitRows(count,
                     [&](size_t i) {
                       const int64_t value = a.numbers[i];
                       int64_t* const to = &result->numbers[i];
                       if (op == Op::kSign) {
                         *to = (value > 0) - (value < 0);
                         return false;
                       }
                       if (op == Op::kAbs && value >= 0) {
                         *to = value;
                         return false;
                       }
                       return __builtin_sub_overflow(0, value, to);
                     }),
           result);
}

void ComputeRounded(Op op, const Column& a, int digits, size_t count, Column* result) {
  const int wanted = op == Op::kRound ? digits : 0;
  result->unfit = a.unfit;
  result->denominator = {1, std::max(wanted, 0)};
  const std::optional<Rounding> rounding = RoundingOf(a.denominator, wanted);
  if (!rounding) return SetUnfit(FirstRows(count), result);
  SetUnfit(UnfitRows(count, [&](size_t i) { return Round(op, *rounding, a.numbers[i], &result->numbers[i]); }), result);
}

Rows ToUnits(const Column& column, size_t count, std::array<int64_t, Column::kRows>* units) {
  const std::optional<Rounding> rounding = RoundingOf(column.denominator, kUnitDigits);
  if (!rounding) return FirstRows(count);
  return UnfitRows(count, [&](size_t i) { return Round(Op::kRound, *rounding, column.numbers[i], &(*units)[i]); });
}

Comparison CompareNumbers(const Column& a, const Column& b, size_t count) {
  Comparison compared{.less = 0, .equal = 0, .unfit = a.unfit | b.unfit};
  const std::optional<Factors> factors = CommonFactors(a.denominator, b.denominator);
  if (!factors) {
    compared.unfit = FirstRows(count);
    return compared;
  }
  for (size_t i = 0; i < count; ++i) {
    int64_t x = 0;
    int64_t y = 0;
    bool over = __builtin_mul_overflow(a.numbers[i], factors->a, &x);
    over |= __builtin_mul_overflow(b.numbers[i], factors->b, &y);
    compared.unfit |= Rows{over} << i;
    compared.less |= Rows{x < y} << i;
    compared.equal |= Rows{x == y} << i;
  }
  return compared;
}

Comparison CompareTexts(const Column& a, const Column& b, size_t count) {
  Comparison compared{.less = 0, .equal = 0, .unfit = a.unfit | b.unfit};
  for (size_t i = 0; i < count; ++i) {
    const int order = a.texts[i].compare(b.texts[i]);
    compared.less |= Rows{order < 0} << i;
    compared.equal |= Rows{order == 0} << i;
  }
  return compared;
}

void TakeRows(const Column& from, Rows rows, Rows taken, Column* result) {
  if (rows == 0) return;
  int64_t factor = 1;
  if (taken == 0) {
    result->denominator = from.denominator;
  } else if (!(from.denominator == result->denominator)) {
    const std::optional<Factors> factors = CommonFactors(result->denominator, from.denominator);
    if (!factors) return SetUnfit(rows, result);
    if (factors->a != 1) {
      ForRows(taken, [&](size_t i) {
        int64_t* const number = &result->numbers[i];
        if (__builtin_mul_overflow(*number, factors->a, number)) result->unfit |= Rows{1} << i;
      });
    }
    result->denominator = factors->common;
    factor = factors->b;
  }
  result->nulls = (result->nulls & ~rows) | (from.nulls & rows);
  result->trues = (result->trues & ~rows) | (from.trues & rows);
  result->unfit |= from.unfit & rows;
  ForRows(rows, [&](size_t i) {
    if (__builtin_mul_overflow(from.numbers[i], factor, &result->numbers[i])) result->unfit |= Rows{1} << i;
    result->texts[i] = from.texts[i];
  });
}

void SetScales(const std::array<int8_t, Column::kRows>& scales, Rows rows, Column* column) {
  int8_t most = 0;
  ForRows(rows, [&](size_t i) { most = std::max(most, scales[i]); });
  column->denominator = {1, most};
  ForRows(rows, [&](size_t i) {
    if (scales[i] == most) return;
    int64_t* const number = &column->numbers[i];
    const int64_t factor = kPowersOfTen[static_cast<size_t>(most - scales[i])];
    if (__builtin_mul_overflow(*number, factor, number)) column->unfit |= Rows{1} << i;
  });
}

}  // namespace tenfold
