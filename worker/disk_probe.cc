#include "worker/disk_probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace tenfold {

DiskProbe::~DiskProbe() {
  if (fd_ >= 0) close(fd_);
}

absl::Status DiskProbe::Open(const std::string& data_dir) {
  path_ = absl::StrCat(data_dir, "/probe");
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  return fd_ >= 0 ? absl::OkStatus() : absl::ErrnoToStatus(errno, path_);
}

absl::Status DiskProbe::Check() {
  if (under_way_.exchange(true))
    return absl::FailedPreconditionError(absl::StrCat("its disk does not take a write: ", path_));
  const char byte = 0;
  const bool written = pwrite(fd_, &byte, 1, 0) == 1 && fdatasync(fd_) == 0;
  const int error = errno;
  under_way_ = false;
  // A file that was never written needs room; any other kind of trouble is the disk's.
  if (written || error == ENOSPC || error == EDQUOT) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("its disk fails: ", path_, ": ", std::strerror(error)));
}

}  // namespace tenfold
