#include "common/files/directory_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace tenfold {
namespace {

std::string LockOf(const std::string& dir) { return absl::StrCat(dir, "/process.lock"); }

}  // namespace

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) close(fd_);
}

absl::Status DirectoryLock::Acquire(const std::string& dir) {
  dir_ = dir;
  const std::string path = LockOf(dir);
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot use the data directory ", dir));
  if (flock(fd_, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  if (errno != EWOULDBLOCK) return absl::ErrnoToStatus(errno, absl::StrCat("cannot lock ", path));
  return absl::FailedPreconditionError(
      absl::StrCat("the data directory ", dir, " is in use by another process; stop that one, or use another --data-dir"));
}

absl::Status DirectoryLock::Check(const std::string& file) const {
  const auto is_gone = [] { return errno == ENOENT || errno == ENOTDIR; };
  struct stat locked{};
  struct stat there{};
  bool removed = fstat(fd_, &locked) == 0;
  if (stat(LockOf(dir_).c_str(), &there) == 0) {
    removed &= locked.st_dev != there.st_dev || locked.st_ino != there.st_ino;
  } else {
    removed &= is_gone();
  }
  removed |= access(absl::StrCat(dir_, "/", file).c_str(), F_OK) != 0 && is_gone();
  if (!removed) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the data directory ", dir_, " was removed or replaced, in whole or in part, while it is in use"));
}

}  // namespace tenfold
