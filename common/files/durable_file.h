// Directories and files that survive a loss of power once the call has returned. Thread-safe. Errors are the system's, with
// the path.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tenfold {

// Makes the directory, and those above it that are missing. Syncs it, every directory made, and the one above the first of
// them. One that is there already is synced with its parent, as whoever made it may have been killed before.
// With `base`, a directory above `path`, all from `path` up to it are synced, as a kill may have come between them.
absl::Status MakeDirectory(const std::string& path, const std::string& base = "");

// Makes the names in a directory durable: what was created in it, renamed or deleted.
absl::Status SyncDirectory(const std::string& path);

// Puts a file with this text in place of the one at `path`, if there is one: either of them is there whatever happens. Uses
// the name PATH.new meanwhile.
absl::Status ReplaceFile(const std::string& path, std::string_view text);

}  // namespace tenfold
