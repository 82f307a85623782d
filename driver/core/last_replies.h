// What workers told with a job's last batch besides its result, for status alone.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "driver.pb.h"
#include "driver/core/attempt.h"
#include "state.pb.h"

namespace tenfold {

class LastReplies {
 public:
  explicit LastReplies(size_t partitions) : counters_(partitions) {}
  // The job has so many partitions now; those that are new have no counters yet.
  void Resize(size_t partitions) { counters_.resize(partitions); }
  // The attempt becomes a batch.
  void Take(const Attempt& attempt);

  // The partitions' counters, by index.
  const std::vector<PartitionState>& counters() const { return counters_; }
  // Adds counters to the status's partitions, which are all there, and the readers.
  void Fill(JobStatus* status) const;

 private:
  std::vector<PartitionState> counters_;
  // By worker id.
  std::map<std::string, ReaderUse> readers_;
};

}  // namespace tenfold
