// R1's numbers: a record's contribution, computed exactly in decimal and rounded once, half to even, to units of 1e-9.
// Pure; thread-safe once made.
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
  // Not [+-]?D+(.D+)?([eE][+-]?D+)? where D is an ASCII digit; the empty text is malformed.
  kMalformed,
  // Not malformed, but more than kMaxNumberDigits digits before the exponent as written (zeros count, leading ones too),
  // or an exponent whose value as written is beyond +-kMaxNumberExponent ("1e060" is sound, "0e61" is not); or a
  // contribution that does not fit 64 bits of units once rounded.
  kOutOfRange,
};

// A number as written: its digits, read as an integer, times 10^exponent.
struct Number {
  // Below 10^kMaxNumberDigits, least significant limb first.
  std::array<uint64_t, 3> mantissa;
  // How many digits were written: mantissa < 10^digits.
  int digits;
  int exponent;
  bool negative;
};

// Sets `number` on kNone; else its members mean nothing.
NumberError ParseNumber(std::string_view text, Number* number);

// A text as messages show it: quoted, escaped, cut where it is long.
std::string QuoteNumber(std::string_view text);
// What is wrong with a text that ParseNumber refuses: "\"1,5\" is no number; ...".
std::string DescribeNumberError(std::string_view text, NumberError error);

// constant_0 * field_0 + constant_1 * field_1 + ...
class WeightedSum {
 public:
  // At most kMaxScoreTerms constants; INVALID_ARGUMENT names the one that is no valid number.
  static absl::StatusOr<WeightedSum> Create(std::vector<std::string> constants);

  // Computes the sum for the fields' texts, one a constant, in their order. kMalformed if any field is, wherever it is;
  // else kOutOfRange if any field is; else as the sum is. Sets `units` on kNone only.
  NumberError Evaluate(std::span<const std::string_view> fields, int64_t* units) const;

 private:
  WeightedSum() = default;

  // A constant, and what the integer of a number with `f` fraction digits and no exponent is to be multiplied with to give
  // units: constant * 10^(9 - f), for as many `f` from 0 on as that is an integer of 64 bits.
  struct Term {
    Number constant;
    std::array<int64_t, 10> factors;
    size_t factor_count = 0;
  };

  // The sum, if every field is written plainly, as nearly all are, and needs no rounding; false if the long way is called
  // for.
  bool EvaluatePlain(std::span<const std::string_view> fields, int64_t* units) const;

  std::vector<Term> terms_;
};

}  // namespace tenfold
