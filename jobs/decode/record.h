// A record of the log as formats and expressions see it. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/record_parts.h"
#include "job_spec.pb.h"

namespace tenfold {

struct Record {
  // Empty also where it is null.
  std::string_view value;
  std::string_view topic;
  int32_t partition = 0;
  int64_t offset = 0;
  // What it has beside its value; needed only by a plan that reads it (Plan::reads_parts).
  const RecordParts* parts = nullptr;
};

// What a format finds at a field's place, before it is converted. It is valid as long as the record and until the reader's
// next Clear.
struct RawValue {
  enum class Kind : uint8_t {
    kNull,
    // Text as it is, which any type may be read from: of delimited records, and topics.
    kBytes,
    // A string, a number as JSON has it, true or false: of JSON as it is written, but a string without its escapes.
    kString,
    kNumber,
    kBoolean,
    // A number that is mantissa / 10^decimals, and has no text.
    kDecimal,
    // The items of an array.
    kList,
    // What no field can be, as an object.
    kOther,
  };
  Kind kind = Kind::kNull;
  // Of a decimal, at most 18.
  uint8_t decimals = 0;
  std::string_view text = {};
  int64_t mantissa = 0;
  // Of a number that its schema says counts time since 1970, what it counts.
  TimestampUnit unit = TIMESTAMP_TEXT;
  const std::vector<RawValue>* items = nullptr;
};

}  // namespace tenfold
