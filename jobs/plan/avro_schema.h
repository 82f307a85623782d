// The schema that Avro records are written by, as their reader and the checks of a job's fields need it. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"
#include "jobs/plan/json_path.h"

namespace tenfold {

struct AvroType {
  enum class Kind : uint8_t {
    kNull,
    kBoolean,
    kInt,
    kLong,
    kFloat,
    kDouble,
    kBytes,
    kString,
    kFixed,
    kEnum,
    kRecord,
    kArray,
    kMap,
    kUnion,
  };
  // What a schema's logicalType makes of it; those that are not here are what they are without.
  enum class Logical : uint8_t { kNone, kDecimal, kDate, kTimestampMillis, kTimestampMicros };
  Kind kind = Kind::kNull;
  Logical logical = Logical::kNone;
  // Of a decimal, how many digits are behind the point.
  uint32_t scale = 0;
  // Of a fixed, in bytes.
  uint32_t size = 0;
  // As messages say it: "int", "shop.Sale", "timestamp-millis".
  std::string name;
  // The fields of a record or the symbols of an enum, in their order.
  std::vector<std::string> names;
  // Indexes into AvroSchema::types: of a record's fields, a union's branches, the items of an array or the values of a map.
  std::vector<uint32_t> types;
};

struct AvroSchema {
  // That of a whole record is the first.
  std::vector<AvroType> types;
};

// Whether objects and arrays of the text nest so deep only that what goes through them by recursion ends in time.
bool IsShallowJson(std::string_view json);

// Reads a schema, JSON as Avro 1.11 has it. What only writers and resolution need, as aliases and defaults, is not looked
// at. Returns nullopt and what is wrong, as "has a field ..".
std::optional<AvroSchema> ReadAvroSchema(std::string_view json, std::string* error);

// A schema with what decides how records are read alone, without blanks, comments, defaults and aliases; nullopt for what is
// no schema.
std::optional<std::string> CompactAvroSchema(std::string_view json);

// Returns what is wrong with a field of the type and unit whose place is the path, as far as the schema tells; or "".
std::string AvroPlaceProblem(const AvroSchema& schema, const JsonPath& path, FieldType type, TimestampUnit unit);

}  // namespace tenfold
