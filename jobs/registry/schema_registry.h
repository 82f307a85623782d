// Asks a registry for schemas, over the REST interface of Confluent's, which others have too. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "job_spec.pb.h"
#include "state.pb.h"

namespace tenfold {

struct RegistryAccess {
  // Where files lie that the registry's password and certificates may name; anywhere if it is unset.
  std::optional<std::vector<std::string>> file_dirs;
  // Polled at least about once a second: true gives up.
  std::function<bool()> is_cancelled = [] { return false; };
};

// Returns what the registry has by the id: the schema, with all that it refers to, in the form that records are read by, or
// why records cannot be read by it. NOT_FOUND, with a clause on why, if it has none; UNAVAILABLE, with a clause on the
// trouble, if it does not say.
absl::StatusOr<LearnedSchema> AskRegistry(const SchemaRegistry& registry, uint32_t id, const RegistryAccess& access);

}  // namespace tenfold
