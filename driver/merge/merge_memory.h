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
  // Of all shares, about.
  uint64_t used = 0;
};

// What one merge takes; given back at its end.
class MergeShare {
 public:
  explicit MergeShare(std::shared_ptr<MergeMemory> memory) : memory_(std::move(memory)) {}
  ~MergeShare() {
    if (memory_ != nullptr) Set(0);
  }
  MergeShare(MergeShare&& other) noexcept : memory_(std::move(other.memory_)), bytes_(std::exchange(other.bytes_, 0)) {}
  MergeShare& operator=(MergeShare&&) = delete;

  // Of what is taken now.
  void Set(uint64_t bytes) {
    memory_->used += bytes - bytes_;
    bytes_ = bytes;
  }
  // All shares together keep to the limit.
  bool Fits() const { return memory_->used <= memory_->limit; }
  // So much is left that to keep what can be asked for again is in nobody's way.
  bool IsPlenty() const { return memory_->used <= memory_->limit / 4; }
  // This one takes no more than it may in any case.
  bool IsLeast() const { return bytes_ <= memory_->least; }

 private:
  std::shared_ptr<MergeMemory> memory_;
  uint64_t bytes_ = 0;
};

}  // namespace tenfold
