#include "common/number/fraction.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tenfold {
namespace {

using Integer = Fraction::Integer;

// The decimals of units.
constexpr int kUnitDigits = 9;

// Returns the quotient of two whole numbers, of which the second is above 0, rounded down.
Integer FloorOf(const Integer& dividend, const Integer& divisor) {
  Integer quotient = dividend / divisor;
  if (dividend % divisor < 0) --quotient;
  return quotient;
}

Integer HalfToEven(const Integer& dividend, const Integer& divisor) {
  Integer quotient = FloorOf(dividend, divisor);
  const Integer twice = 2 * (dividend - quotient * divisor);
  if (twice > divisor || (twice == divisor && quotient % 2 != 0)) ++quotient;
  return quotient;
}

std::optional<int64_t> To64Bits(const Integer& value) {
  if (value < std::numeric_limits<int64_t>::min() || value > std::numeric_limits<int64_t>::max()) return std::nullopt;
  return static_cast<int64_t>(value);
}

}  // namespace

Integer TenToThe(int power) {
  Integer value = 1;
  for (; power >= 18; power -= 18) value *= 1'000'000'000'000'000'000;
  for (; power > 0; --power) value *= 10;
  return value;
}

NumberError Fraction::Parse(std::string_view text, Fraction* value) {
  Number number;
  if (const NumberError error = ParseNumber(text, &number); error != NumberError::kNone) return error;
  Integer mantissa = 0;
  for (size_t i = number.mantissa.size(); i-- > 0;) mantissa = (mantissa << 64) | number.mantissa[i];
  if (number.negative) mantissa = -mantissa;
  if (number.exponent > 0) mantissa *= TenToThe(number.exponent);
  *value = Fraction(std::move(mantissa), 1, std::max(-number.exponent, 0));
  return NumberError::kNone;
}

Fraction Fraction::OfUnits(Units units) {
  const Uint128 size = units < 0 ? -static_cast<Uint128>(units) : static_cast<Uint128>(units);
  const Integer magnitude = (Integer(static_cast<uint64_t>(size >> 64)) << 64) | static_cast<uint64_t>(size);
  return {units < 0 ? Integer(-magnitude) : magnitude, 1, kUnitDigits};
}

Fraction operator+(const Fraction& a, const Fraction& b) {
  const int scale = std::max(a.scale_, b.scale_);
  Integer left = a.numerator_ * TenToThe(scale - a.scale_);
  Integer right = b.numerator_ * TenToThe(scale - b.scale_);
  if (a.denominator_ == b.denominator_) return {left + right, a.denominator_, scale};
  return {left * b.denominator_ + right * a.denominator_, a.denominator_ * b.denominator_, scale};
}

Fraction operator-(const Fraction& a, const Fraction& b) { return a + -b; }

Fraction operator*(const Fraction& a, const Fraction& b) {
  return {a.numerator_ * b.numerator_, a.denominator_ * b.denominator_, a.scale_ + b.scale_};
}

Fraction operator/(const Fraction& a, const Fraction& b) {
  Integer numerator = a.numerator_ * b.denominator_ * TenToThe(b.scale_);
  if (b.sign() < 0) numerator = -numerator;
  return {std::move(numerator), a.denominator_ * abs(b.numerator_), a.scale_};
}

bool operator==(const Fraction& a, const Fraction& b) { return a <=> b == 0; }

std::strong_ordering operator<=>(const Fraction& a, const Fraction& b) { return (a - b).sign() <=> 0; }

Integer Fraction::Divisor() const { return denominator_ * TenToThe(scale_); }

Integer Fraction::Floor() const { return FloorOf(numerator_, Divisor()); }

Integer Fraction::Scaled(int digits) const {
  return digits >= scale_ ? HalfToEven(numerator_ * TenToThe(digits - scale_), denominator_)
                          : HalfToEven(numerator_, denominator_ * TenToThe(scale_ - digits));
}

Fraction Fraction::Rounded(int digits) const {
  if (digits >= 0) return {Scaled(digits), 1, digits};
  return {Scaled(digits) * TenToThe(-digits), 1, 0};
}

Fraction Fraction::SquareRoot() const {
  // The root in units is that of x = numerator * 10^18 / divisor. With r the root of x rounded down it lies in [r, r+1), and
  // 4x against (2r+1)^2 says on which side of r + 1/2.
  const Integer wide = numerator_ * TenToThe(2 * kUnitDigits);
  const Integer divisor = Divisor();
  Integer root = boost::multiprecision::sqrt(Integer(wide / divisor));
  const Integer middle = (2 * root + 1) * (2 * root + 1) * divisor;
  if (4 * wide > middle || (4 * wide == middle && root % 2 != 0)) ++root;
  return {std::move(root), 1, kUnitDigits};
}

std::optional<int64_t> Fraction::ToUnits() const { return To64Bits(Scaled(kUnitDigits)); }

std::optional<int64_t> Fraction::ToInteger() const { return IsWhole() ? To64Bits(Truncated()) : std::nullopt; }

Fraction Fraction::OfDecimal(int64_t numerator, int64_t divisor, int scale) {
  Fraction fraction(numerator);
  fraction.denominator_ = divisor;
  fraction.scale_ = scale;
  return fraction;
}

bool Fraction::ToDecimal(int64_t* numerator, int* scale) const {
  constexpr int kMostScale = 18;
  const std::optional<int64_t> fits = denominator_ == 1 && scale_ <= kMostScale ? To64Bits(numerator_) : std::nullopt;
  if (!fits) return false;
  *numerator = *fits;
  *scale = scale_;
  return true;
}

std::string Fraction::Text() const {
  const Integer units = Scaled(kUnitDigits);
  std::string digits = Integer(abs(units)).str();
  constexpr size_t kDecimals = kUnitDigits;
  if (digits.size() <= kDecimals) digits.insert(0, kDecimals + 1 - digits.size(), '0');
  std::string decimals = digits.substr(digits.size() - kDecimals);
  digits.resize(digits.size() - kDecimals);
  while (!decimals.empty() && decimals.back() == '0') decimals.pop_back();
  if (!decimals.empty()) digits += "." + decimals;
  return units < 0 ? "-" + digits : digits;
}

}  // namespace tenfold
