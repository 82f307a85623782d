#include "jobs/plan/pane_clock.h"

#include <algorithm>

namespace tenfold {

PaneClock::PaneClock(const PaneCalendar* calendar, std::optional<int64_t> max_time_us)
    : calendar_(calendar),
      panes_(calendar->window().panes()),
      lateness_us_(calendar->window().lateness_us()),
      max_time_us_(max_time_us) {
  if (max_time_us_) Pass(*max_time_us_ - lateness_us_);
}

void PaneClock::Pass(int64_t us) {
  passed_ = calendar_->PaneOf(us);
  passed_until_us_ = calendar_->BeginOf(passed_ + 1);
}

void PaneClock::Take(int64_t time_us) {
  if (time_us < pane_begin_us_ || time_us >= pane_end_us_) {
    pane_ = calendar_->PaneOf(time_us);
    pane_begin_us_ = calendar_->BeginOf(pane_);
    pane_end_us_ = calendar_->BeginOf(pane_ + 1);
  }
  if (max_time_us_ && time_us <= *max_time_us_) return;
  max_time_us_ = time_us;
  if (time_us - lateness_us_ >= passed_until_us_) Pass(time_us - lateness_us_);
}

std::optional<RowPane> PaneClock::Row() const {
  const int64_t last = pane_ + panes_;
  const int64_t first = std::max(pane_ + 1, max_time_us_ ? passed_ + 1 : pane_ + 1);
  if (first > last) return std::nullopt;
  return RowPane(last, first, panes_);
}

std::optional<int64_t> PaneClock::passed() const { return max_time_us_ ? std::optional(passed_) : std::nullopt; }

std::optional<int64_t> PaneClock::newest() const {
  return max_time_us_ ? std::optional(calendar_->PaneOf(*max_time_us_) + 1) : std::nullopt;
}

}  // namespace tenfold
