#include "common/files/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr uint64_t kMostBytes = 128 << 20;

struct Room {
  // How many bytes the file has, and how many its disk has free.
  uint64_t wanted = 0;
  uint64_t available = 0;
};
std::optional<Room> RoomFor(const std::string& path) {
  struct statvfs disk{};
  if (statvfs(std::filesystem::path(path).parent_path().c_str(), &disk) != 0) return std::nullopt;
  const uint64_t block = disk.f_frsize;
  return Room{std::min(kMostBytes, disk.f_blocks * block / 8), disk.f_bavail * block};
}

}  // namespace

Ballast::State Ballast::Look() const {
  if (state_ != State::kUnknown) return state_;
  struct stat file{};
  const bool there = stat(path_.c_str(), &file) == 0;
  return state_ = !there ? State::kNone : file.st_size == 0 ? State::kGivenUp : State::kKept;
}

void Ballast::Keep() {
  MutexLock lock(&mutex_);
  if (Look() == State::kKept) return;
  const std::optional<Room> room = RoomFor(path_);
  if (!room || room->wanted == 0) return;
  // One that was given up is missed, and what needs room waits for it.
  const uint64_t rest = state_ == State::kGivenUp ? room->wanted / 4 : room->wanted;
  if (room->available < room->wanted + rest) return;
  // Under another name first: an empty file says that it was given up.
  const std::string made = path_ + ".new";
  const int fd = open(made.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const bool whole = posix_fallocate(fd, 0, static_cast<off_t>(room->wanted)) == 0;
  close(fd);
  if (whole && std::rename(made.c_str(), path_.c_str()) == 0) {
    state_ = State::kKept;
  } else {
    unlink(made.c_str());
  }
}

void Ballast::GiveUp() {
  MutexLock lock(&mutex_);
  // A process that ended while it made one left that.
  unlink((path_ + ".new").c_str());
  if (Look() != State::kKept) return;
  // A file system that copies what it writes may lack the room to change a file, but not that to delete one.
  if (truncate(path_.c_str(), 0) != 0 && unlink(path_.c_str()) != 0) return;
  LOG(WARNING) << path_ << " is given up, since the disk is full";
  state_ = State::kGivenUp;
}

bool Ballast::given_up() const {
  MutexLock lock(&mutex_);
  return Look() == State::kGivenUp;
}

bool Ballast::has_room() const {
  if (given_up()) return false;
  const std::optional<Room> room = RoomFor(path_);
  return !room || room->available >= room->wanted;
}

}  // namespace tenfold
