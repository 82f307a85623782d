#include "jobs/oracle/window_assignment.h"

#include <algorithm>
#include <array>
#include <limits>

namespace tenfold::oracle {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;

constexpr int64_t kDaysOf400Years = 146'097;

bool IsLeap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

// How many days there are from 1970 to the begin of a month, counted from January 1970.
int64_t DaysBefore(int64_t month) {
  constexpr std::array<int64_t, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  // The months before 1970 that may be asked for are all of 1969 and 1968.
  int64_t days = month < 0 ? -365 - 366 : 0;
  int64_t year = month < 0 ? 1968 : 1970;
  month += month < 0 ? 24 : 0;
  for (; month >= 12; month -= 12) days += IsLeap(year++) ? 366 : 365;
  for (int64_t i = 0; i < month; ++i) days += kDays[static_cast<size_t>(i)] + (i == 1 && IsLeap(year) ? 1 : 0);
  return days;
}

}  // namespace

WindowAssignment::WindowAssignment(const FoldWindow& window, size_t partitions) : window_(window), latest_(partitions) {}

int64_t WindowAssignment::FirstDay(int64_t pane) const {
  if (window_.unit() == PANE_DAY) return pane;
  // The Monday before 1970 was three days before it.
  if (window_.unit() == PANE_WEEK) return pane * 7 - 3;
  return window_.unit() == PANE_MONTH ? DaysBefore(pane) : DaysBefore(pane * 12);
}

int64_t WindowAssignment::Begin(int64_t pane) const {
  if (window_.unit() == PANE_FIXED) return pane * window_.pane_us();
  if (const auto found = begins_.find(pane); found != begins_.end()) return found->second;
  // The first instant whose local day is the pane's first or a later one, in any stretch of time between two changes.
  const int64_t day = FirstDay(pane);
  int64_t begin = std::numeric_limits<int64_t>::max();
  int64_t from = std::numeric_limits<int64_t>::min() / 2;
  int64_t offset = window_.utc_offset_s() * kSecond;
  for (int i = 0; i <= window_.changes_size(); ++i) {
    const int64_t to =
        i < window_.changes_size() ? window_.changes(i).from_s() * kSecond : std::numeric_limits<int64_t>::max();
    if (const int64_t first = std::max(from, day * kDay - offset); first < to) begin = std::min(begin, first);
    if (i == window_.changes_size()) break;
    from = to;
    offset = window_.changes(i).utc_offset_s() * kSecond;
  }
  return begins_[pane] = begin;
}

int64_t WindowAssignment::PaneAt(int64_t time_us) const {
  // Near the one that UTC has; of several that begin at one instant the last one has it.
  int64_t pane = 0;
  if (window_.unit() == PANE_FIXED) {
    pane = time_us / window_.pane_us();
  } else {
    const int64_t day = time_us / kDay;
    pane = window_.unit() == PANE_DAY     ? day
           : window_.unit() == PANE_WEEK  ? day / 7
           : window_.unit() == PANE_MONTH ? day * 4800 / kDaysOf400Years
                                          : day * 400 / kDaysOf400Years;
  }
  for (pane += 4; Begin(pane) > time_us; --pane) continue;
  return pane;
}

void WindowAssignment::Take(size_t partition, int64_t time_us) {
  latest_[partition] = std::max(latest_[partition].value_or(time_us), time_us);
}

std::vector<int64_t> WindowAssignment::Windows(size_t partition, int64_t time_us) const {
  std::vector<int64_t> windows;
  const int64_t pane = PaneAt(time_us);
  for (int64_t window = pane + 1; window <= pane + int64_t{window_.panes()}; ++window) {
    if (*latest_[partition] - window_.lateness_us() < Begin(window)) windows.push_back(window);
  }
  return windows;
}

int64_t WindowAssignment::LastWindow(int64_t time_us) const { return PaneAt(time_us) + int64_t{window_.panes()}; }

std::optional<int64_t> WindowAssignment::Newest() const {
  std::optional<int64_t> latest;
  for (const std::optional<int64_t>& time : latest_) {
    if (time) latest = std::max(latest.value_or(*time), *time);
  }
  return latest ? std::optional(PaneAt(*latest) + 1) : std::nullopt;
}

std::optional<int64_t> WindowAssignment::Passed(const std::set<size_t>& ended) const {
  std::optional<int64_t> passed;
  for (size_t partition = 0; partition < latest_.size(); ++partition) {
    const std::optional<int64_t>& time = latest_[partition];
    if (ended.contains(partition)) continue;
    if (!time) return std::nullopt;
    const int64_t of_partition = PaneAt(*time - window_.lateness_us());
    passed = std::min(passed.value_or(of_partition), of_partition);
  }
  return passed;
}

}  // namespace tenfold::oracle
