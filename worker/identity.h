// The identity of a worker, kept in its data directory, so that it stays the same worker at another address, and never joins
// another cluster with states of the first.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tenfold {

struct Identity {
  std::string worker_id;
  // The cluster's id; empty until a driver has admitted the worker.
  std::string cluster_id;
  // The highest epoch of a driver that it has obeyed.
  uint64_t epoch = 0;
};

// Reads DIR/identity, or creates it. DATA_LOSS, naming the file, if it is damaged.
absl::StatusOr<Identity> ReadOrMakeIdentity(const std::string& data_dir);
// Writes DIR/identity, durably.
absl::Status WriteIdentity(const std::string& data_dir, const Identity& identity);

}  // namespace tenfold
