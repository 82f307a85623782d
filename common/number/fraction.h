// Exact fractions, the numbers of a job's expressions while a record is evaluated: nothing is rounded but where a spec
// writes it and where a contribution leaves (R1). Slower than WeightedSum and without its limits. Pure.
//
// A fraction is numerator / (denominator * 10^scale). Decimal numbers have the denominator 1, so that sums of them need no
// larger scale than the largest of theirs. It is not reduced: its digits are bounded by how it was computed (jobs/plan).
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/number/decimal.h"
#include "common/number/units.h"

namespace tenfold {

class Fraction {
 public:
  using Integer = boost::multiprecision::cpp_int;

  Fraction() = default;
  explicit Fraction(int64_t value) : numerator_(value) {}
  // The denominator is above 0, the scale not below it.
  Fraction(Integer numerator, Integer denominator, int scale)
      : numerator_(std::move(numerator)), denominator_(std::move(denominator)), scale_(scale) {}

  // Reads a number as R1 has it. `value` is set only if the result is kNone.
  static NumberError Parse(std::string_view text, Fraction* value);
  static Fraction OfUnits(Units units);
  // numerator / (divisor * 10^scale), for a divisor above 0 and a scale not below it.
  static Fraction OfDecimal(int64_t numerator, int64_t divisor, int scale);

  friend Fraction operator+(const Fraction& a, const Fraction& b);
  friend Fraction operator-(const Fraction& a, const Fraction& b);
  friend Fraction operator*(const Fraction& a, const Fraction& b);
  // `b` is not 0.
  friend Fraction operator/(const Fraction& a, const Fraction& b);
  Fraction operator-() const { return {-numerator_, denominator_, scale_}; }
  friend bool operator==(const Fraction& a, const Fraction& b);
  friend std::strong_ordering operator<=>(const Fraction& a, const Fraction& b);

  // -1, 0 or 1.
  int sign() const { return numerator_.sign(); }
  // How many decimals it is written with, at most.
  int scale() const { return scale_; }
  bool IsWhole() const { return numerator_ % Divisor() == 0; }

  // The largest whole number that is not above it, and the part of it before the point.
  Integer Floor() const;
  Integer Truncated() const { return numerator_ / Divisor(); }
  // The nearest multiple of 10^-digits, of two equally near ones the even multiple; digits may be negative.
  Fraction Rounded(int digits) const;
  // The square root, rounded so to a multiple of 1e-9; the number is not negative.
  Fraction SquareRoot() const;

  // The nearest number of units of 1e-9, half to even; nullopt if it does not fit 64 bits.
  std::optional<int64_t> ToUnits() const;
  // The value if it is whole and fits 64 bits.
  std::optional<int64_t> ToInteger() const;
  // Sets numerator and scale of a value that is numerator / 10^scale with a numerator of 64 bits and a scale of at most 18.
  // False for every other one, even where an equal fraction is written that way.
  bool ToDecimal(int64_t* numerator, int* scale) const;
  // R1's text form, rounded to a multiple of 1e-9, of any length.
  std::string Text() const;

 private:
  // What the numerator is divided by.
  Integer Divisor() const;
  // The nearest whole number to 10^digits times the fraction, half to even.
  Integer Scaled(int digits) const;

  Integer numerator_ = 0;
  Integer denominator_ = 1;
  int scale_ = 0;
};

// 10^power, for a power from 0 on.
Fraction::Integer TenToThe(int power);

}  // namespace tenfold
