// Which of a job's windows is the current one and which become final with a batch, by what workers say of its partitions
// (rules W4 to W7 of the job language). Pure.
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

  struct Finals {
    // Ascending, without those that have no rows.
    std::vector<int64_t> windows;
    // Every window up to this is final with the batch that has all of these.
    std::optional<int64_t> closed_through;
    // More are, for which the next batch has room.
    bool more = false;
  };
  // What becomes final: windows behind `closed_through` that every one of the partitions has passed, at most
  // kMaxFinalWindows. A batch may leave some of them to the next one.
  Finals PlanFinals(const std::vector<const PartitionState*>& partitions, const std::vector<WindowRange>& with_rows,
                    std::optional<int64_t> closed_through) const;

  // The most bytes of results of final windows in a batch, about, but one result in any case.
  static constexpr size_t kMaxFinalBytes = 512 << 10;

 private:
  std::shared_ptr<const PaneCalendar> calendar_;
};

}  // namespace tenfold
