// Room that a process keeps on its disk while that has room, and gives up where the disk is full: so that what frees room,
// which has to write a little too, can be done. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "common/thread/mutex.h"

namespace tenfold {

class Ballast {
 public:
  // The file PATH has an eighth of its disk, and at most 128 MiB: as much as the largest commits. Does nothing before Keep.
  explicit Ballast(std::string path) : path_(std::move(path)) {}

  // Makes the file where it is missing and the disk has room for it twice. Returns whether it is there, or was never given
  // up: a disk that was full from the first has none.
  bool Keep();
  // Deletes the file.
  void GiveUp();

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  Mutex mutex_;
  bool there_ ABSL_GUARDED_BY(mutex_) = false;
  bool given_up_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tenfold
