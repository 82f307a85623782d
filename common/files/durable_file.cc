#include "common/files/durable_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

absl::Status ErrnoStatus(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

absl::Status WriteAll(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno != EINTR) return ErrnoStatus("write", path);
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(fd) == 0 ? absl::OkStatus() : ErrnoStatus("sync", path);
}

// Returns the path with its symbolic links resolved, and so each ".." relative to the directory that a link leads to.
absl::StatusOr<fs::path> Resolved(const std::string& path) {
  std::error_code error;
  fs::path resolved = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot make the directory ", path));
  if (!resolved.has_filename()) resolved = resolved.parent_path();
  return resolved;
}

}  // namespace

absl::Status MakeDirectory(const std::string& path, const std::string& base) {
  const absl::StatusOr<fs::path> resolved = Resolved(path);
  if (!resolved.ok()) return resolved.status();
  const fs::path& directory = *resolved;
  std::error_code error;
  // The lowest ancestor that exists already.
  fs::path there = directory;
  while (!fs::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  if (fs::exists(there, error) && !fs::is_directory(there, error))
    return absl::InvalidArgumentError(absl::StrCat("cannot make the directory ", path, ": ", there.string(), " is a file"));
  fs::create_directories(directory, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot make the directory ", path));
  if (there == directory) there = directory.parent_path();
  if (!base.empty()) {
    const absl::StatusOr<fs::path> top = Resolved(base);
    if (!top.ok()) return top.status();
    const fs::path way = there.lexically_relative(*top);
    if (!way.empty() && *way.begin() != "..") there = *top;
  }
  for (fs::path made = directory;; made = made.parent_path()) {
    const absl::Status synced = SyncDirectory(made.string());
    // A directory of another user may be unreadable, or lie on a file system that cannot sync directories.
    const bool passed = absl::IsPermissionDenied(synced) || absl::IsInvalidArgument(synced);
    if (!synced.ok() && !(made == there && passed)) return synced;
    if (made == there) return absl::OkStatus();
  }
}

absl::Status MakePrivateDirectory(const std::string& path) {
  if (absl::Status made = MakeDirectory(path); !made.ok()) return made;
  if (chmod(path.c_str(), S_IRWXU) == 0) return absl::OkStatus();
  if (errno != EPERM) return ErrnoStatus("keep others out of the directory", path);
  LOG(WARNING) << path << " belongs to another user, so that it stays open to whom it is open now";
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus("open", path);
  const absl::Cleanup closed = [fd] { close(fd); };
  return fsync(fd) == 0 ? absl::OkStatus() : ErrnoStatus("sync", path);
}

absl::Status ReplaceFile(const std::string& path, std::string_view text) {
  const std::string made = absl::StrCat(path, ".new");
  const int fd = open(made.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus("write", made);
  const absl::Status written = WriteAll(fd, text, made);
  if (close(fd) != 0 && written.ok()) return ErrnoStatus("write", made);
  if (!written.ok()) return written;
  if (rename(made.c_str(), path.c_str()) != 0) return ErrnoStatus("rename", made);
  return SyncDirectory(fs::path(path).parent_path().string());
}

}  // namespace tenfold
