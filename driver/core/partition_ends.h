// How far the partitions of a job go, as last seen, and which of them give nothing, why and since when. Times are
// microseconds of the decisions' clock. Pure; used by one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "driver.pb.h"
#include "driver/core/action.h"
#include "driver/core/journalled_job.h"
#include "waiting.pb.h"

namespace tenfold {

class PartitionEnds {
 public:
  // `job` outlives the object.
  explicit PartitionEnds(const JournalledJob* job) : job_(job) {}

  // One for each partition.
  void Take(const Ends& ends, int64_t now_us);
  // The partitions' ends now; of those of which it is not known, how far they are folded.
  std::vector<int64_t> Known() const;
  // As last seen; -1 if never.
  int64_t end(uint32_t partition) const { return partition < ends_.size() ? ends_[partition] : -1; }
  // Offsets between the last batch and the ends as last seen.
  uint64_t lag() const;

  // OK if some end is known, or there are no partitions; else why the first one is not.
  const absl::Status& nothing_known() const { return nothing_known_; }
  // Of kind WAITING_STUCK if some partitions give nothing, with the first of them; else WAITING_NOT.
  Waiting Stuck() const;
  // Sets end, problem and since.
  void Describe(uint32_t partition, PartitionStatus* status) const;

 private:
  struct Problem {
    std::string why;
    int64_t since_us = 0;
  };

  const JournalledJob* const job_;
  std::vector<int64_t> ends_;
  absl::Status nothing_known_;
  // By partition index.
  std::map<uint32_t, Problem> stuck_;
};

}  // namespace tenfold
