#include "common/files/directory_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace tenfold {

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) close(fd_);
}

absl::Status DirectoryLock::Acquire(const std::string& dir) {
  const std::string path = absl::StrCat(dir, "/process.lock");
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot use the data directory ", dir));
  if (flock(fd_, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  if (errno != EWOULDBLOCK) return absl::ErrnoToStatus(errno, absl::StrCat("cannot lock ", path));
  return absl::FailedPreconditionError(
      absl::StrCat("the data directory ", dir, " is in use by another process; stop that one, or use another --data-dir"));
}

}  // namespace tenfold
