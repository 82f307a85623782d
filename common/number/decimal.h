// Numbers as R1 defines them. A record's contribution is computed exactly in decimal and rounded once, half to even, to
// units of 1e-9. Pure; const objects are thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tenfold {

enum class NumberError {
  kNone,
  // The text is not [+-]?D+(.D+)?([eE][+-]?D+)?, where D is an ASCII digit; for example, it is empty.
  kMalformed,
  // The text is well-formed, but has more than kMaxNumberDigits digits before its exponent (all zeros count),
  // or an exponent whose value as written is beyond +-kMaxNumberExponent ("1e060" is sound, "0e61" is not); or a
  // contribution that does not fit 64 bits of units once rounded.
  kOutOfRange,
};

// A number as it was written: mantissa * 10^exponent.
struct Number {
  // An integer below 10^kMaxNumberDigits, least significant limb first.
  std::array<uint64_t, 3> mantissa;
  // How many digits the mantissa was written with: mantissa < 10^digits.
  int digits;
  int exponent;
  bool negative;
};

// Parses a number. `number` is valid only if the result is kNone.
NumberError ParseNumber(std::string_view text, Number* number);

// Reads a number of at most 17 digits and without an exponent, as nearly all are, as mantissa / 10^scale. False for every
// other text, valid or not.
bool ReadPlainNumber(std::string_view text, int64_t* mantissa, int* scale);

// Returns a text as messages show it: quoted, escaped, shortened where it is long.
std::string QuoteNumber(std::string_view text);
// Says what is wrong with a text that ParseNumber refuses: "\"1,5\" is no number; ...".
std::string DescribeNumberError(std::string_view text, NumberError error);

// The sum constant_0 * field_0 + constant_1 * field_1 + ... for given constants.
class WeightedSum {
 public:
  // Takes at most kMaxScoreTerms constants. INVALID_ARGUMENT names the constant that is not a valid number.
  static absl::StatusOr<WeightedSum> Create(std::vector<std::string> constants);

  // Computes the sum for the fields' texts, one for each constant in their order. Returns kMalformed if any field is
  // malformed, else kOutOfRange if any field or the sum is out of range. `units` is set only if the result is kNone.
  NumberError Evaluate(std::span<const std::string_view> fields, int64_t* units) const;

 private:
  WeightedSum() = default;

  // A constant with its factors: the digits of a number that has `f` fraction digits and no exponent, read as an integer and
  // multiplied by factor f = constant * 10^(9 - f), are units. Kept for each f, from 0 on, whose factor is a 64-bit integer.
  struct Term {
    Number constant;
    std::array<int64_t, 10> factors;
    size_t factor_count = 0;
  };

  // Computes the sum if no field has an exponent and nothing needs rounding, as in nearly all records. Returns false if
  // Evaluate must take the general path.
  bool EvaluatePlain(std::span<const std::string_view> fields, int64_t* units) const;

  std::vector<Term> terms_;
};

}  // namespace tenfold
