// Makes the names in a folder durable: what was created in it, renamed or deleted. Thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace tenfold {

// The error of the system, naming the folder.
absl::Status SyncFolder(const std::string& path);

}  // namespace tenfold
