#include "common/files/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr uint64_t kMostBytes = 128 << 20;

}  // namespace

bool Ballast::Keep() {
  MutexLock lock(&mutex_);
  if (there_) return true;
  struct statvfs disk{};
  if (statvfs(std::filesystem::path(path_).parent_path().c_str(), &disk) != 0) return !given_up_;
  const uint64_t block = disk.f_frsize;
  const uint64_t bytes = std::min(kMostBytes, disk.f_blocks * block / 8);
  struct stat file{};
  if (stat(path_.c_str(), &file) == 0 && static_cast<uint64_t>(file.st_size) >= bytes) {
    there_ = true;
  } else if (disk.f_bavail * block >= 2 * bytes) {
    const int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    there_ = fd >= 0 && posix_fallocate(fd, 0, static_cast<off_t>(bytes)) == 0;
    if (fd >= 0) close(fd);
    if (!there_) unlink(path_.c_str());
  }
  if (there_) given_up_ = false;
  return there_ || !given_up_;
}

void Ballast::GiveUp() {
  MutexLock lock(&mutex_);
  // A process before this one may have made it.
  if (unlink(path_.c_str()) != 0) return;
  LOG(WARNING) << path_ << " is given up, since the disk is full";
  there_ = false;
  given_up_ = true;
}

}  // namespace tenfold
