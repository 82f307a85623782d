// Cuts time into the panes of a job's windows: the intervals of one length, or the days, weeks, months or years of a time
// zone, from 1970 on. Pure; const objects are thread-safe.
//
// Pane P of a calendar unit begins at the first instant at which the local date is in it or behind it. So each is one
// interval, also where a clock is put back over midnight, and one that the clock skips is empty.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"

namespace tenfold {

class PaneCalendar {
 public:
  explicit PaneCalendar(FoldWindow window);

  const FoldWindow& window() const { return window_; }

  // The pane that an instant is in, in microseconds since 1970, which may be below 0.
  int64_t PaneOf(int64_t us) const;
  // The instant at which a pane begins; of two panes that begin at one the first is empty.
  int64_t BeginOf(int64_t pane) const;
  // What window e covers: [begin, end).
  struct Times {
    int64_t begin_us = 0;
    int64_t end_us = 0;
  };
  Times TimesOf(int64_t window) const;

  // The date in the time zone that an instant is of, in days since 1970: once it has begun it is never an earlier one again.
  int64_t DayOf(int64_t us) const;
  // How far the zone's clock is ahead of UTC at an instant, in microseconds.
  int64_t OffsetAt(int64_t us) const { return StretchAt(us).offset_us; }

 private:
  // A stretch of time in which the distance from UTC is the same.
  struct Stretch {
    int64_t begin_us = 0;
    int64_t offset_us = 0;
    // The latest local day that began before the stretch.
    int64_t day_before = 0;
  };

  const Stretch& StretchAt(int64_t us) const;
  int64_t BeginOfDay(int64_t day) const;
  int64_t PaneOfDay(int64_t day) const;
  int64_t FirstDayOf(int64_t pane) const;

  const FoldWindow window_;
  std::vector<Stretch> stretches_;
};

// Days from 1970-01-01 of a date of the proleptic Gregorian calendar, and the date of such a day (H. Hinnant,
// "chrono-compatible low-level date algorithms").
int64_t DaysOfDate(int64_t year, int64_t month, int64_t day);
void DateOfDays(int64_t days, int64_t* year, int64_t* month, int64_t* day);

}  // namespace tenfold
