// What a job's registry has said of schemas, and which of them a record names. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "jobs/plan/avro_schema.h"
#include "state.pb.h"

namespace tenfold {

// By id; null where the registry has none that records can be read by. Those of an id never change.
using LearnedSchemas = absl::flat_hash_map<uint32_t, std::shared_ptr<const AvroSchema>>;

// INVALID_ARGUMENT, naming the id, for what is no schema.
absl::StatusOr<std::shared_ptr<const LearnedSchemas>> ReadLearnedSchemas(
    const google::protobuf::RepeatedPtrField<LearnedSchema>& learned);

// Confluent's serializers put a zero and the id of a schema, the highest byte first, before a record's value.
inline constexpr size_t kConfluentBytes = 5;

// No registry has a schema by a higher id, which is a positive int of Java's.
inline constexpr uint32_t kMaxSchemaId = 0x7fff'ffff;

// Returns the id; nullopt where the record does not begin so.
inline std::optional<uint32_t> SchemaIdOf(std::string_view record) {
  if (record.size() < kConfluentBytes || record[0] != '\0') return std::nullopt;
  uint32_t id = 0;
  for (size_t i = 1; i < kConfluentBytes; ++i) id = id << 8 | static_cast<unsigned char>(record[i]);
  return id;
}

}  // namespace tenfold
