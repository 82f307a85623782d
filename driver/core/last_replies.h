// What workers told with a job's last batch besides its result: for status, and which logs its records are of.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "driver.pb.h"
#include "driver/core/attempt.h"
#include "state.pb.h"
#include "worker.pb.h"

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
  // The windows that have rows; of a job without windows none. And whether there was a batch, without which none are known.
  const std::vector<WindowRange>& windows() const { return windows_; }
  bool known() const { return known_; }
  // Says which logs the partitions are.
  void SetLogs(AssignRequest* request) const;
  // Adds counters to the status's partitions, which are all there, and the readers.
  void Fill(JobStatus* status) const;

 private:
  std::vector<PartitionState> counters_;
  // By worker id.
  std::map<std::string, ReaderUse> readers_;
  std::vector<WindowRange> windows_;
  bool known_ = false;
};

}  // namespace tenfold
