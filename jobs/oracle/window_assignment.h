// Which windows a record is in, by brute force: each record is put into each window that covers its time and that its own
// partition has not passed yet. Knows neither panes nor rows of a state, and shares no code with jobs/plan and jobs/decode
// but the table of a zone's changes. Pure; used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "job_spec.pb.h"

namespace tenfold::oracle {

class WindowAssignment {
 public:
  WindowAssignment(const FoldWindow& window, size_t partitions);

  // The time of a partition's next record.
  void Take(size_t partition, int64_t time_us);
  // The windows that a record of the partition with this time is in, ascending, its time having been taken; none if it is
  // late.
  std::vector<int64_t> Windows(size_t partition, int64_t time_us) const;
  // The window with the highest number that covers the time.
  int64_t LastWindow(int64_t time_us) const;
  // The instant at which pane `pane` begins, at which window `pane` ends; and the pane that an instant is in.
  int64_t Begin(int64_t pane) const;
  int64_t PaneAt(int64_t time_us) const;

  // The first window that covers the latest time of all partitions; nullopt without one.
  std::optional<int64_t> Newest() const;
  // The last window that all partitions but `ended` have passed; nullopt if one has passed none.
  std::optional<int64_t> Passed(const std::set<size_t>& ended) const;

 private:
  int64_t FirstDay(int64_t pane) const;

  const FoldWindow window_;
  // The latest time of each partition.
  std::vector<std::optional<int64_t>> latest_;
  mutable std::map<int64_t, int64_t> begins_;
};

}  // namespace tenfold::oracle
