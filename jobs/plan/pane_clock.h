// Which rows the records of a partition go to in a job with windows, and which records are late (rules W1 and W2 of the job
// language): a function of the partition's records in their order alone. Pure.
//
// A record of pane P is in the windows P+1 to z = P+panes. Those that had ended, by the latest time before it or its own,
// less the lateness, are passed for its partition; from window a on none has passed. It goes to the row (z, a) of its key,
// of which window e has the sum if a <= e <= z, and is late if a > z.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "common/table/row_pane.h"
#include "jobs/plan/pane_calendar.h"

namespace tenfold {

class PaneClock {
 public:
  // Of a partition whose latest time so far is this. The calendar outlives the object.
  PaneClock(const PaneCalendar* calendar, std::optional<int64_t> max_time_us);

  // The time of the partition's next record, as far as it can be read.
  void Take(int64_t time_us);
  // The row that the record goes to, whose time was taken last; nullopt if it is late.
  std::optional<RowPane> Row() const;

  // The latest time so far.
  std::optional<int64_t> max_time_us() const { return max_time_us_; }
  // The last window that has passed for the partition; nullopt if none is known to.
  std::optional<int64_t> passed() const;
  // The window that the latest time is the first of; nullopt without one.
  std::optional<int64_t> newest() const;

 private:
  // All windows that end at this time or before have passed.
  void Pass(int64_t us);

  const PaneCalendar* calendar_;
  int64_t panes_;
  int64_t lateness_us_;
  std::optional<int64_t> max_time_us_;
  // The pane of the last record, and from when to when it is.
  int64_t pane_ = 0;
  int64_t pane_begin_us_ = 0;
  int64_t pane_end_us_ = 0;
  // What has passed, and at which time less the lateness that changes.
  int64_t passed_ = std::numeric_limits<int64_t>::min();
  int64_t passed_until_us_ = std::numeric_limits<int64_t>::min();
};

}  // namespace tenfold
