// Whether too large a part of a job's records is bad lately (`on_bad_record: {fail_above: ..}`). Looked at with each batch,
// over the last batches that have at least kLeast records together, so that a few bad ones of a slow topic are no share
// yet. Pure; what it has seen goes with the driver's process. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "driver/core/journalled_job.h"
#include "journal.pb.h"
#include "state.pb.h"

namespace tenfold {

class BadShare {
 public:
  static constexpr uint64_t kLeast = 1000;

  // The job has switched to another fold: of what that makes of records before its first batch nothing is judged.
  void Restart() {
    before_.reset();
    batches_.clear();
    sum_ = {};
  }
  // The job's next batch: why the job fails instead of making it, or "". `counters` are those of every partition; `is_last`
  // where no record comes after it, so that fewer than kLeast are looked at too.
  std::string Check(const JournalledJob& job, const BatchCommitted& batch, const std::vector<PartitionState>& counters,
                    bool is_last);

 private:
  struct Count {
    uint64_t records = 0;
    uint64_t bad_records = 0;
  };
  // All until the last batch, and what each of the last batches has added.
  std::optional<Count> before_;
  std::deque<Count> batches_;
  // The sum of these.
  Count sum_;
};

}  // namespace tenfold
