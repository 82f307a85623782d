// The values that a job's expressions compute with. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/number/fraction.h"

namespace tenfold {

// What an expression yields; kNull is the type of `null` alone. Any value may be null where the plan says that it may.
enum class ValueType : uint8_t { kNull, kText, kNumber, kBoolean, kTimestamp, kTextList, kNumberList };

// Microseconds since 1970, UTC.
struct Timestamp {
  int64_t us = 0;
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

struct Null {};

// Texts are UTF-8, and compare by bytes.
using Value = std::variant<Null, std::string, Fraction, bool, Timestamp, std::vector<std::string>, std::vector<Fraction>>;

inline bool IsNull(const Value& value) { return std::holds_alternative<Null>(value); }

}  // namespace tenfold
