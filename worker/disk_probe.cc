#include "worker/disk_probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace tenfold {
namespace {

constexpr absl::Duration kHangsAfter = absl::Seconds(5);

}  // namespace

DiskProbe::~DiskProbe() {
  writer_.reset();
  if (fd_ >= 0) close(fd_);
}

absl::Status DiskProbe::Open(const std::string& data_dir) {
  path_ = absl::StrCat(data_dir, "/probe");
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  return fd_ >= 0 ? absl::OkStatus() : absl::ErrnoToStatus(errno, path_);
}

absl::Status DiskProbe::Check() {
  MutexLock lock(&mutex_);
  if (began_ == absl::InfiniteFuture()) {
    began_ = absl::Now();
    writer_->Post([this] { Write(); });
  } else if (absl::Now() - began_ > kHangsAfter) {
    return absl::FailedPreconditionError(
        absl::StrCat("its disk has not taken a write for ", absl::ToInt64Seconds(absl::Now() - began_), " s: ", path_));
  }
  return last_;
}

void DiskProbe::Write() {
  const char byte = 0;
  const bool written = pwrite(fd_, &byte, 1, 0) == 1 && fdatasync(fd_) == 0;
  const int error = errno;
  MutexLock lock(&mutex_);
  began_ = absl::InfiniteFuture();
  // A file that was never written needs room; any other kind of trouble is the disk's.
  const bool fails = !written && error != ENOSPC && error != EDQUOT;
  last_ = fails ? absl::FailedPreconditionError(absl::StrCat("its disk fails: ", path_, ": ", std::strerror(error)))
                : absl::OkStatus();
}

}  // namespace tenfold
