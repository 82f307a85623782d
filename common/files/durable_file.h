// Directories and files that survive a loss of power once the call has returned. Thread-safe. Errors are the system's, with
// the path.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tenfold {

// Makes the directory and its missing ancestors, and syncs every directory made and the parent of the first of them. A
// directory that exists already is synced together with its parent, since the process that made it may have been killed
// first. If `base`, an ancestor of `path`, is given, every directory from `path` up to `base` is synced for the same reason.
// INVALID_ARGUMENT if a file stands in the way.
absl::Status MakeDirectory(const std::string& path, const std::string& base = "");

// The same, and nobody but its owner may look into it; what was there before may be open to others. A directory of another
// user stays as it is, and a warning says so.
absl::Status MakePrivateDirectory(const std::string& path);

// Makes the directory's entries durable: files that were created in it, renamed or deleted.
absl::Status SyncDirectory(const std::string& path);

// Replaces the file at `path`, if there is one, by a file with this text. After a crash either the old or the new file is
// there, whole. The new file is called PATH.new until it is durable.
absl::Status ReplaceFile(const std::string& path, std::string_view text);

}  // namespace tenfold
