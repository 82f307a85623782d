// Reads the values of fields from texts: fields of delimited records, keys and headers of Kafka records, defaults, and the
// numbers of other formats. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "job_spec.pb.h"
#include "jobs/plan/value.h"

namespace tenfold {

enum class FieldError : uint8_t { kNone, kMalformed, kOutOfRange };

// Timestamps are from 1970 on and before 2200, in microseconds.
inline constexpr int64_t kTimestampEnd = 7'258'118'400'000'000;

// Reads a text as a value of the type, which is no list. A decimal is a number by R1; an integer is one that is whole, and
// out of range if it does not fit 64 bits; a boolean is true or false; a text is malformed if it is not UTF-8. A timestamp
// with a unit is a number; what is less than a microsecond does not count. Otherwise it is YYYY-MM-DD, which may be followed
// by a T or blank and HH:MM[:SS[.D+]], and that by Z, +HH:MM or -HH:MM; it is UTC without.
FieldError ReadFieldText(std::string_view text, FieldType type, TimestampUnit unit, Value* value);

// The same of a number, as which a decimal, an integer, or a timestamp with a unit is read.
FieldError ReadFieldNumber(Fraction number, FieldType type, TimestampUnit unit, Value* value);

// The timestamp that is this many units after 1970; nullopt if it is out of range.
std::optional<Timestamp> TimestampOf(const Fraction& number, TimestampUnit unit);

// RFC 3339 UTC of microseconds since 1970, from 0 on, with as many decimals as it needs.
std::string TimestampText(int64_t us);

// The text form of a value that is no list and not null, as keys and concat have it: a number is rounded to 1e-9, a
// timestamp is RFC 3339 UTC with as many decimals as it needs.
std::string ValueText(const Value& value);

// "decimal", "text_list": the types as a spec names them.
std::string_view FieldTypeName(FieldType type);

}  // namespace tenfold
