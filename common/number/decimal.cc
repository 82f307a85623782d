#include "common/number/decimal.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/number/units.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// A number of this many digits always fits one limb.
constexpr int kLimbDigits = 19;
constexpr int kUnitExponent = -9;

// The sum of kMaxScoreTerms terms below 10^kNarrowDigits cannot overflow 128 bits.
constexpr int kNarrowDigits = 36;

constexpr std::array<Uint128, kNarrowDigits + 1> kPowersOfTen = [] {
  std::array<Uint128, kNarrowDigits + 1> powers{1};
  for (size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();
static_assert(kPowersOfTen.back() < (Uint128{1} << 127) / kMaxScoreTerms);

constexpr Uint128 PowerOfTen(int exponent) { return kPowersOfTen[static_cast<size_t>(exponent)]; }

// Holds every sum exactly. A number lies between 10^-(digits + exponent) and 10^(digits + exponent), so a product of two
// spans four times that in decimal digits, of 3.33 bits at most.
constexpr size_t kSumBits = 4 * (kMaxNumberDigits + kMaxNumberExponent) * 333 / 100 + 1;
using WideInteger = std::array<uint64_t, (kSumBits + 63) / 64 + 1>;  // a limb more for the sum of kMaxScoreTerms
static_assert(kMaxNumberDigits <= 3 * kLimbDigits);

// Computes limbs = limbs * factor + addend.
void MultiplyAdd(std::span<uint64_t> limbs, uint64_t factor, uint64_t addend) {
  Uint128 carry = addend;
  for (uint64_t& limb : limbs) {
    carry += Uint128{limb} * factor;
    limb = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
}

// Divides in place and returns the remainder.
uint64_t Divide(std::span<uint64_t> limbs, uint64_t divisor) {
  uint64_t remainder = 0;
  for (size_t i = limbs.size(); i-- > 0;) {
    const Uint128 dividend = (Uint128{remainder} << 64) | limbs[i];
    if (dividend == 0) continue;
    limbs[i] = static_cast<uint64_t>(dividend / divisor);
    remainder = static_cast<uint64_t>(dividend % divisor);
  }
  return remainder;
}

// Computes sum += factor * limb * 2^(64 * shift).
void AddProduct(const WideInteger& factor, uint64_t limb, size_t shift, WideInteger* sum) {
  if (limb == 0) return;
  Uint128 carry = 0;
  for (size_t i = shift; i < sum->size(); ++i) {
    carry += Uint128{factor[i - shift]} * limb;
    // The product and two more limbs fit 128 bits exactly.
    carry += (*sum)[i];
    (*sum)[i] = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
}

bool Less(const WideInteger& a, const WideInteger& b) {
  return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend());
}

// Returns a - b, where b <= a.
WideInteger Difference(const WideInteger& a, const WideInteger& b) {
  WideInteger difference;
  uint64_t borrow = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const Uint128 limb = Uint128{a[i]} - b[i] - borrow;
    difference[i] = static_cast<uint64_t>(limb);
    borrow = static_cast<uint64_t>(limb >> 64) & 1;
  }
  return difference;
}

NumberError ToUnits(bool negative, Uint128 magnitude, int64_t* units) {
  const Uint128 limit = static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) + (negative ? 1U : 0U);
  if (magnitude > limit) return NumberError::kOutOfRange;
  const uint64_t bits = static_cast<uint64_t>(magnitude);
  *units = static_cast<int64_t>(negative ? 0 - bits : bits);
  return NumberError::kNone;
}

// Returns the highest exponent in which all products, and units, are integers.
int CommonExponent(std::span<const Number> constants, std::span<const Number> numbers) {
  int exponent = kUnitExponent;
  for (size_t i = 0; i < constants.size(); ++i) exponent = std::min(exponent, constants[i].exponent + numbers[i].exponent);
  return exponent;
}

bool FitsNarrow(std::span<const Number> constants, std::span<const Number> numbers, int exponent) {
  if (kUnitExponent - exponent > kNarrowDigits) return false;
  for (size_t i = 0; i < constants.size(); ++i) {
    const Number& c = constants[i];
    const Number& n = numbers[i];
    if (c.digits > kLimbDigits || n.digits > kLimbDigits) return false;
    if (c.digits + n.digits + c.exponent + n.exponent - exponent > kNarrowDigits) return false;
  }
  return true;
}

NumberError SumNarrow(std::span<const Number> constants, std::span<const Number> numbers, int exponent, int64_t* units) {
  Units sum = 0;
  for (size_t i = 0; i < constants.size(); ++i) {
    const Number& c = constants[i];
    const Number& n = numbers[i];
    const Uint128 product = Uint128{c.mantissa[0]} * n.mantissa[0] * PowerOfTen(c.exponent + n.exponent - exponent);
    sum += c.negative != n.negative ? -static_cast<Units>(product) : static_cast<Units>(product);
  }
  const bool negative = sum < 0;
  Uint128 magnitude = static_cast<Uint128>(negative ? -sum : sum);
  if (exponent < kUnitExponent) {
    const Uint128 divisor = PowerOfTen(kUnitExponent - exponent);
    const Uint128 quotient = magnitude / divisor;
    const Uint128 twice = 2 * (magnitude - quotient * divisor);
    magnitude = quotient + (twice > divisor || (twice == divisor && (quotient & 1) != 0) ? 1 : 0);
  }
  return ToUnits(negative, magnitude, units);
}

// Divides by 10^digits, rounding half to even, and returns the quotient, or any number above 64 bits where it is.
Uint128 DivideByPowerOfTen(WideInteger* dividend, int digits) {
  bool round_up = false;
  if (digits > 0) {
    // All but the last digit in steps of a limb; of their remainders it matters only whether they are all zero.
    bool sticky = false;
    for (int left = digits - 1; left > 0; left -= kLimbDigits) {
      sticky |= Divide(*dividend, static_cast<uint64_t>(PowerOfTen(std::min(left, kLimbDigits)))) != 0;
    }
    const uint64_t digit = Divide(*dividend, 10);
    round_up = digit > 5 || (digit == 5 && (sticky || ((*dividend)[0] & 1) != 0));
  }
  if (std::any_of(dividend->begin() + 1, dividend->end(), [](uint64_t limb) { return limb != 0; })) return ~Uint128{0};
  return Uint128{(*dividend)[0]} + (round_up ? 1 : 0);
}

NumberError SumWide(std::span<const Number> constants, std::span<const Number> numbers, int exponent, int64_t* units) {
  WideInteger positive{};
  WideInteger negative{};
  for (size_t i = 0; i < constants.size(); ++i) {
    const Number& c = constants[i];
    const Number& n = numbers[i];
    WideInteger factor{};
    std::copy(c.mantissa.begin(), c.mantissa.end(), factor.begin());
    for (int left = c.exponent + n.exponent - exponent; left > 0; left -= kLimbDigits) {
      MultiplyAdd(factor, static_cast<uint64_t>(PowerOfTen(std::min(left, kLimbDigits))), 0);
    }
    WideInteger* sum = c.negative != n.negative ? &negative : &positive;
    for (size_t j = 0; j < n.mantissa.size(); ++j) AddProduct(factor, n.mantissa[j], j, sum);
  }
  const bool below_zero = Less(positive, negative);
  WideInteger magnitude = below_zero ? Difference(negative, positive) : Difference(positive, negative);
  return ToUnits(below_zero, DivideByPowerOfTen(&magnitude, kUnitExponent - exponent), units);
}

NumberError Sum(std::span<const Number> constants, std::span<const Number> numbers, int64_t* units) {
  const int exponent = CommonExponent(constants, numbers);
  return FitsNarrow(constants, numbers, exponent) ? SumNarrow(constants, numbers, exponent, units)
                                                  : SumWide(constants, numbers, exponent, units);
}

// Computes constant * 10^exponent in units. Returns false if that is not a 64-bit integer.
bool UnitsOf(const Number& constant, int exponent, int64_t* units) {
  const Number one = {.mantissa = {1, 0, 0}, .digits = 1, .exponent = exponent, .negative = false};
  if (constant.exponent + exponent < kUnitExponent) return false;
  return Sum({&constant, 1}, {&one, 1}, units) == NumberError::kNone;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Appends decimal digits to `value`, which wraps if they do not fit, and returns their end.
const char* ReadDigits(const char* p, const char* end, uint64_t* value) {
  uint64_t read = *value;
  for (; p != end && IsDigit(*p); ++p) read = read * 10 + static_cast<uint64_t>(*p - '0');
  *value = read;
  return p;
}

// Reads [+-]?D+, of any length, and returns the end of it, or nullptr where it is malformed. What is beyond the limit
// stays beyond it.
const char* ReadExponent(const char* p, const char* end, int* exponent) {
  const bool negative = p != end && *p == '-';
  if (p != end && (*p == '-' || *p == '+')) ++p;
  if (p == end || !IsDigit(*p)) return nullptr;
  int value = 0;
  for (; p != end && IsDigit(*p); ++p) {
    if (value <= kMaxNumberExponent) value = value * 10 + (*p - '0');
  }
  *exponent = negative ? -value : value;
  return p;
}

// A number without its exponent, as written.
struct Mantissa {
  bool negative = false;
  // The digits read as an integer, which wraps if they do not fit.
  uint64_t value = 0;
  // The text without the sign.
  std::string_view text;
  ptrdiff_t digits = 0;
  ptrdiff_t fraction_digits = 0;
};

// Reads [+-]?D+(.D+)?, of any length, and moves to the end of it; false where it is malformed. Inline, as what its caller
// does not use then costs nothing: that is a tenth of the instructions of an event (tests/bench/instructions).
[[gnu::always_inline]] inline bool ReadMantissa(const char** text, const char* end, Mantissa* mantissa) {
  const char* p = *text;
  mantissa->negative = p != end && *p == '-';
  if (p != end && (*p == '-' || *p == '+')) ++p;
  const char* const begin = p;
  p = ReadDigits(p, end, &mantissa->value);
  mantissa->digits = p - begin;
  if (mantissa->digits == 0) return false;
  if (p != end && *p == '.') {
    const char* const fraction = ++p;
    p = ReadDigits(p, end, &mantissa->value);
    mantissa->fraction_digits = p - fraction;
    if (mantissa->fraction_digits == 0) return false;
    mantissa->digits += mantissa->fraction_digits;
  }
  mantissa->text = {begin, static_cast<size_t>(p - begin)};
  *text = p;
  return true;
}

// A mantissa of at most kPlainDigits digits and no exponent: the form that nearly all numbers have.
struct PlainNumber {
  // An integer whose absolute value is below 10^kPlainDigits.
  int64_t mantissa;
  size_t fraction_digits;
  bool negative;
};
constexpr int kPlainDigits = 17;
// kMaxScoreTerms products of a plain mantissa and a 64-bit factor cannot overflow 128 bits.
static_assert(Uint128{kMaxScoreTerms} * PowerOfTen(kPlainDigits) <= Uint128{1} << 64);

// Parses a plain number. Returns false for every other text, valid or not. Inline as ReadMantissa is.
[[gnu::always_inline]] inline bool ReadPlain(std::string_view text, PlainNumber* number) {
  const char* p = text.data();
  const char* const end = p + text.size();
  Mantissa read;
  if (!ReadMantissa(&p, end, &read) || p != end || read.digits > kPlainDigits) return false;
  *number = {static_cast<int64_t>(read.value), static_cast<size_t>(read.fraction_digits), read.negative};
  return true;
}

}  // namespace

NumberError ParseNumber(std::string_view text, Number* number) {
  const char* p = text.data();
  const char* const end = p + text.size();
  Mantissa read;
  if (!ReadMantissa(&p, end, &read)) return NumberError::kMalformed;

  int exponent = 0;
  if (p != end && (*p == 'e' || *p == 'E')) {
    p = ReadExponent(p + 1, end, &exponent);
    if (p == nullptr) return NumberError::kMalformed;
  }
  if (p != end) return NumberError::kMalformed;
  if (read.digits > kMaxNumberDigits || exponent > kMaxNumberExponent || exponent < -kMaxNumberExponent) {
    return NumberError::kOutOfRange;
  }

  number->negative = read.negative;
  number->digits = static_cast<int>(read.digits);
  number->exponent = exponent - static_cast<int>(read.fraction_digits);
  number->mantissa = {read.digits <= kLimbDigits ? read.value : 0, 0, 0};
  if (read.digits > kLimbDigits) {
    for (const char c : read.text) {
      if (c != '.') MultiplyAdd(number->mantissa, 10, static_cast<uint64_t>(c - '0'));
    }
  }
  return NumberError::kNone;
}

bool ReadPlainNumber(std::string_view text, int64_t* mantissa, int* scale) {
  PlainNumber number;
  if (!ReadPlain(text, &number)) return false;
  *mantissa = number.negative ? -number.mantissa : number.mantissa;
  *scale = static_cast<int>(number.fraction_digits);
  return true;
}

std::string QuoteNumber(std::string_view text) {
  constexpr size_t kShown = 64;
  return absl::StrCat("\"", absl::CHexEscape(std::string(text.substr(0, kShown))), text.size() > kShown ? "...\"" : "\"");
}

std::string DescribeNumberError(std::string_view text, NumberError error) {
  const std::string quoted = QuoteNumber(text);
  if (error == NumberError::kMalformed) return absl::StrCat(quoted, " is no number; write it like 2, -0.8 or 1e-3");
  return absl::StrCat(quoted, " is out of range; a number has at most ", kMaxNumberDigits,
                      " digits and an exponent within +-", kMaxNumberExponent);
}

absl::StatusOr<WeightedSum> WeightedSum::Create(std::vector<std::string> constants) {
  if (constants.size() > kMaxScoreTerms) {
    return absl::InvalidArgumentError(
        absl::StrCat("a score has at most ", kMaxScoreTerms, " terms, not ", constants.size()));
  }
  WeightedSum sum;
  for (const std::string& constant : constants) {
    Term term;
    const NumberError error = ParseNumber(constant, &term.constant);
    if (error != NumberError::kNone) {
      return absl::InvalidArgumentError(absl::StrCat("constant ", DescribeNumberError(constant, error)));
    }
    for (int64_t factor; term.factor_count < term.factors.size(); ++term.factor_count) {
      if (!UnitsOf(term.constant, -static_cast<int>(term.factor_count), &factor)) break;
      term.factors[term.factor_count] = factor;
    }
    sum.terms_.push_back(term);
  }
  return sum;
}

bool WeightedSum::EvaluatePlain(std::span<const std::string_view> fields, int64_t* units) const {
  Units sum = 0;
  for (size_t i = 0; i < fields.size(); ++i) {
    PlainNumber number;
    if (!ReadPlain(fields[i], &number) || number.fraction_digits >= terms_[i].factor_count) return false;
    const Units product = Units{number.mantissa} * terms_[i].factors[number.fraction_digits];
    sum += number.negative ? -product : product;
  }
  *units = static_cast<int64_t>(sum);
  return *units == sum;
}

NumberError WeightedSum::Evaluate(std::span<const std::string_view> fields, int64_t* units) const {
  DCHECK_EQ(fields.size(), terms_.size());
  if (int64_t plain; EvaluatePlain(fields, &plain)) {
    *units = plain;
    return NumberError::kNone;
  }
  std::array<Number, kMaxScoreTerms> constants;  // not initialized: only what is set is read
  std::array<Number, kMaxScoreTerms> parsed;
  bool out_of_range = false;
  for (size_t i = 0; i < fields.size(); ++i) {
    constants[i] = terms_[i].constant;
    const NumberError error = ParseNumber(fields[i], &parsed[i]);
    if (error == NumberError::kMalformed) return error;
    out_of_range |= error == NumberError::kOutOfRange;
  }
  if (out_of_range) return NumberError::kOutOfRange;
  return Sum({constants.data(), fields.size()}, {parsed.data(), fields.size()}, units);
}

}  // namespace tenfold
