// Who a worker is: kept in its data directory, so that it stays the same worker on another address, and never joins another
// cluster with states of the first.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tenfold {

struct Identity {
  std::string worker_id;
  // Empty until the first driver has admitted it.
  std::string cluster_id;
};

// Reads DIR/identity; makes it, and the directory, if it is missing. DATA_LOSS, naming the file, if it is damaged.
absl::StatusOr<Identity> ReadOrMakeIdentity(const std::string& data_dir);
// Durable on return.
absl::Status WriteIdentity(const std::string& data_dir, const Identity& identity);

}  // namespace tenfold
