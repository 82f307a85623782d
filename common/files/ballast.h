// Room that a process keeps on its disk while that has room, and gives up where the disk is full: so that what frees room,
// which has to write a little too, can be done. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "common/thread/mutex.h"

namespace tenfold {

class Ballast {
 public:
  // The file PATH has an eighth of its disk, and at most 128 MiB: as much as the largest commits. Keep makes it.
  explicit Ballast(std::string path) : path_(std::move(path)) {}

  // Makes the file where it is missing and the disk has room for it twice, or it was given up and there is room for it and a
  // quarter more.
  void Keep();
  // Makes the file an empty one: so a later process knows it as well.
  void GiveUp();
  // Whether the file was given up, by this process or one before it, and not made since. A disk that was full from the first
  // has none to give up.
  bool given_up() const;
  // Whether the disk has room for as much again, and the file was not given up.
  bool has_room() const;

  const std::string& path() const { return path_; }

 private:
  enum class State { kUnknown, kNone, kKept, kGivenUp };

  // Looks at the file, once.
  State Look() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  mutable Mutex mutex_;
  mutable State state_ ABSL_GUARDED_BY(mutex_) = State::kUnknown;
};

}  // namespace tenfold
