// What the merges of all jobs together may take of the driver's memory (--merge-memory), and what they take. Used by one
// thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "common/limits.h"

namespace tenfold {

struct MergeMemory {
  uint64_t limit = kMergeMemoryBytes;
  // A merge may take so much in any case, or it would never end.
  uint64_t least = kLeastMergeBytes;
  // The sum of all shares, about.
  uint64_t used = 0;
};

// What one merge takes of the memory; given back when it is destroyed.
class MergeShare {
 public:
  explicit MergeShare(std::shared_ptr<MergeMemory> memory) : memory_(std::move(memory)) {}
  ~MergeShare() {
    if (memory_ != nullptr) Set(0);
  }
  MergeShare(MergeShare&& other) noexcept : memory_(std::move(other.memory_)), bytes_(std::exchange(other.bytes_, 0)) {}
  MergeShare& operator=(MergeShare&&) = delete;

  // Takes so much, in place of what it took before.
  void Set(uint64_t bytes) {
    memory_->used += bytes - bytes_;
    bytes_ = bytes;
  }
  // Whether all shares together keep to the limit.
  bool Fits() const { return memory_->used <= memory_->limit; }
  // Whether so much is left that what can be asked for again may be kept.
  bool IsPlenty() const { return memory_->used <= memory_->limit / 4; }
  // Whether this share is within what a merge may take in any case.
  bool IsLeast() const { return bytes_ <= memory_->least; }

 private:
  std::shared_ptr<MergeMemory> memory_;
  uint64_t bytes_ = 0;
};

}  // namespace tenfold
