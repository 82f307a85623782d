// Which of a job's windows is the current one and which become final with a batch, by what workers say of its partitions
// (rules W4 to W7 and W10 of the job language). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "job_spec.pb.h"
#include "jobs/plan/pane_calendar.h"
#include "state.pb.h"
#include "worker.pb.h"

namespace tenfold {

class JobWindows {
 public:
  explicit JobWindows(const JobSpec& spec);

  // Whether the job has windows; nothing else is asked of one that has none.
  bool any() const { return calendar_ != nullptr; }

  // The window that a batch's result is of: the first that covers the latest time of any record, but none that is final;
  // nullopt as long as no record had a time.
  std::optional<int64_t> Current(const std::vector<const PartitionState*>& partitions,
                                 std::optional<int64_t> closed_through) const;

  // Partitions that hold no window back, as nothing has come of them for the time that the spec says.
  struct Idle {
    // By partition index, the offset at which it is idle; -1 if it is not. Empty if none is.
    std::vector<int64_t> at;
    // What the clock was that time ago, which stands in for the partitions if all are idle.
    int64_t clock_us = 0;
  };

  struct Finals {
    // Ascending, without those that have no rows.
    std::vector<int64_t> windows;
    // Those behind this one are final by decree: an idle partition has not passed them.
    std::optional<int64_t> passed;
    // Every window up to this is final with the batch that has all of these.
    std::optional<int64_t> closed_through;
    // More are, for which the next batch has room.
    bool more = false;
  };
  // What becomes final: windows behind `closed_through` that every one of the partitions has passed that is not idle, at
  // most kMaxFinalWindows. A batch may leave some of them to the next one. `ends` are where the job ends in the partitions,
  // by index: one that is folded so far has passed every window.
  Finals PlanFinals(const std::vector<const PartitionState*>& partitions, const std::vector<WindowRange>& with_rows,
                    std::optional<int64_t> closed_through, const Idle& idle, const std::vector<int64_t>& ends) const;

  // When a window ends, in microseconds of Unix time, and the last window that ends then or before.
  int64_t EndOf(int64_t window) const;
  int64_t LastEnded(int64_t us) const;

  // Sets the targets of partitions back to their next offsets that are so far ahead of the slowest one, of those with more
  // records, that windows between them would pile up. Of a partition without counters nothing is known.
  void HoldBack(const std::vector<PartitionState>& counters, const std::vector<int64_t>& next_offsets,
                std::vector<int64_t>* targets) const;

  // The most bytes of results of final windows in a batch, about, but one result in any case.
  static constexpr size_t kMaxFinalBytes = 512 << 10;

 private:
  // The last window that all of them have passed that are not at their end, or with `idle` those that are not idle; nullopt
  // if one has passed none.
  std::optional<int64_t> Passed(const std::vector<const PartitionState*>& partitions, const Idle* idle,
                                const std::vector<int64_t>& ends) const;

  std::shared_ptr<const PaneCalendar> calendar_;
};

}  // namespace tenfold
