#include "jobs/plan/pane_calendar.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tenfold {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;
constexpr int64_t kMonthsPerYear = 12;
// 1970-01-01 was a Thursday, three days after a Monday.
constexpr int64_t kDaysFromMonday = 3;
constexpr int64_t kFirstYear = 1970;

int64_t FloorOf(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace

int64_t DaysOfDate(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  const int64_t era = FloorOf(year, 400);
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

void DateOfDays(int64_t days, int64_t* year, int64_t* month, int64_t* day) {
  days += 719'468;
  const int64_t era = FloorOf(days, 146'097);
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  *day = day_of_year - (153 * shifted + 2) / 5 + 1;
  *month = shifted < 10 ? shifted + 3 : shifted - 9;
  *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

PaneCalendar::PaneCalendar(FoldWindow window) : window_(std::move(window)) {
  stretches_.push_back({.begin_us = std::numeric_limits<int64_t>::min(),
                        .offset_us = window_.utc_offset_s() * kSecond,
                        .day_before = std::numeric_limits<int64_t>::min()});
  for (const ZoneChange& change : window_.changes()) {
    const int64_t begin = change.from_s() * kSecond;
    stretches_.push_back({.begin_us = begin, .offset_us = change.utc_offset_s() * kSecond, .day_before = DayOf(begin - 1)});
  }
}

const PaneCalendar::Stretch& PaneCalendar::StretchAt(int64_t us) const {
  const auto behind = std::upper_bound(stretches_.begin() + 1, stretches_.end(), us,
                                       [](int64_t instant, const Stretch& stretch) { return instant < stretch.begin_us; });
  return *(behind - 1);
}

int64_t PaneCalendar::DayOf(int64_t us) const {
  const Stretch& stretch = StretchAt(us);
  return std::max(stretch.day_before, FloorOf(us + stretch.offset_us, kDay));
}

int64_t PaneCalendar::BeginOfDay(int64_t day) const {
  // The first stretch at whose end the day has begun, and there the first instant of it.
  size_t i = 0;
  while (i + 1 < stretches_.size() && stretches_[i + 1].day_before < day) ++i;
  return std::max(stretches_[i].begin_us, day * kDay - stretches_[i].offset_us);
}

int64_t PaneCalendar::PaneOfDay(int64_t day) const {
  if (window_.unit() == PANE_DAY) return day;
  if (window_.unit() == PANE_WEEK) return FloorOf(day + kDaysFromMonday, 7);
  int64_t year = 0;
  int64_t month = 0;
  int64_t of_month = 0;
  DateOfDays(day, &year, &month, &of_month);
  return window_.unit() == PANE_YEAR ? year - kFirstYear : (year - kFirstYear) * kMonthsPerYear + month - 1;
}

int64_t PaneCalendar::FirstDayOf(int64_t pane) const {
  if (window_.unit() == PANE_DAY) return pane;
  if (window_.unit() == PANE_WEEK) return pane * 7 - kDaysFromMonday;
  if (window_.unit() == PANE_YEAR) return DaysOfDate(kFirstYear + pane, 1, 1);
  const int64_t years = FloorOf(pane, kMonthsPerYear);
  return DaysOfDate(kFirstYear + years, pane - years * kMonthsPerYear + 1, 1);
}

int64_t PaneCalendar::PaneOf(int64_t us) const {
  return window_.unit() == PANE_FIXED ? FloorOf(us, window_.pane_us()) : PaneOfDay(DayOf(us));
}

int64_t PaneCalendar::BeginOf(int64_t pane) const {
  return window_.unit() == PANE_FIXED ? pane * window_.pane_us() : BeginOfDay(FirstDayOf(pane));
}

PaneCalendar::Times PaneCalendar::TimesOf(int64_t window) const {
  return {.begin_us = BeginOf(window - int64_t{window_.panes()}), .end_us = BeginOf(window)};
}

}  // namespace tenfold
