// R1's numbers: a record's contribution, computed exactly in decimal and rounded once, half to even, to units of 1e-9.
// Pure; thread-safe once made.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tenfold {

enum class NumberError {
  kNone,
  // Not [+-]?D+(.D+)?([eE][+-]?D+)?
  kMalformed,
  // More than kMaxNumberDigits digits in the mantissa as written, or an exponent beyond +-kMaxNumberExponent; or a
  // contribution that does not fit 64 bits of units.
  kOutOfRange,
};

// constant_0 * field_0 + constant_1 * field_1 + ...
class WeightedSum {
 public:
  // At most kMaxScoreTerms constants; INVALID_ARGUMENT names the one that is no valid number.
  static absl::StatusOr<WeightedSum> Create(std::vector<std::string> constants);

  // Computes the sum for the fields' texts, one a constant, in their order. All fields are checked before the sum is
  // judged: the first malformed field wins over a number out of range, wherever that is.
  NumberError Evaluate(std::span<const std::string_view> fields, int64_t* units) const;

 private:
  WeightedSum() = default;
};

}  // namespace tenfold
