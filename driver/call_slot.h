// A slot that a call takes while it waits at the driver, for Kafka or for a batch. There are kMaxWaitingCalls slots.
#pragma once

#include <atomic>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace tenfold {

class CallSlot {
 public:
  // `taken` counts the slots that are taken, and outlives the object.
  explicit CallSlot(std::atomic<int>* taken) : taken_(taken), number_(++*taken) {}
  ~CallSlot() { --*taken_; }
  CallSlot(const CallSlot&) = delete;
  CallSlot& operator=(const CallSlot&) = delete;

  // RESOURCE_EXHAUSTED if there was none left.
  absl::Status status() const {
    if (number_ <= kMaxWaitingCalls) return absl::OkStatus();
    return absl::ResourceExhaustedError(absl::StrCat("the driver lets ", kMaxWaitingCalls,
                                                     " calls wait at a time, and as many do; try again when fewer programs "
                                                     "watch or wait for batches"));
  }

 private:
  std::atomic<int>* const taken_;
  const int number_;
};

}  // namespace tenfold
