// The memory that the merges of all jobs together may take at the driver (--merge-memory), and take. Used by one
// thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "common/limits.h"

namespace tenfold {

struct MergeMemory {
  uint64_t limit = kMergeMemoryBytes;
  // What each merge may take in any case, as otherwise it could never end.
  uint64_t least = kLeastMergeBytes;
  // About the sum of all shares.
  uint64_t used = 0;
};

// The share of the memory that one merge takes, until the object is destroyed.
class MergeShare {
 public:
  explicit MergeShare(std::shared_ptr<MergeMemory> memory) : memory_(std::move(memory)) {}
  ~MergeShare() {
    if (memory_ != nullptr) Set(0);
  }
  MergeShare(MergeShare&& other) noexcept : memory_(std::move(other.memory_)), bytes_(std::exchange(other.bytes_, 0)) {}
  MergeShare& operator=(MergeShare&&) = delete;

  // Sets the share to this many bytes.
  void Set(uint64_t bytes) {
    memory_->used += bytes - bytes_;
    bytes_ = bytes;
  }
  // Whether all shares together keep to the limit.
  bool Fits() const { return memory_->used <= memory_->limit; }
  // Whether there is enough left to keep what could also be asked for again.
  bool IsPlenty() const { return memory_->used <= memory_->limit / 4; }
  // Whether this share is within what a merge may take in any case.
  bool IsLeast() const { return bytes_ <= memory_->least; }

 private:
  std::shared_ptr<MergeMemory> memory_;
  uint64_t bytes_ = 0;
};

}  // namespace tenfold
