#include "driver/core/job_windows.h"

#include <algorithm>

#include "jobs/plan/pane_clock.h"

namespace tenfold {
namespace {

// How many panes a partition may be ahead of the slowest one that has more records.
constexpr int64_t kMaxPanesAhead = 4096;

std::optional<int64_t> MaxTimeOf(const PartitionState& partition) {
  return partition.has_max_time_us() ? std::optional(partition.max_time_us()) : std::nullopt;
}

bool IsAtEnd(const PartitionState& partition, const std::vector<int64_t>& ends) {
  return partition.partition() < ends.size() && partition.next_offset() >= ends[partition.partition()];
}

}  // namespace

JobWindows::JobWindows(const JobSpec& spec) {
  if (spec.fold().general().has_window()) calendar_ = std::make_shared<PaneCalendar>(spec.fold().general().window());
}

std::optional<int64_t> JobWindows::Current(const std::vector<const PartitionState*>& partitions,
                                           std::optional<int64_t> closed_through) const {
  std::optional<int64_t> current;
  for (const PartitionState* const partition : partitions) {
    const std::optional<int64_t> newest = PaneClock(calendar_.get(), MaxTimeOf(*partition)).newest();
    if (newest) current = std::max(current.value_or(*newest), *newest);
  }
  if (current && closed_through) current = std::max(*current, *closed_through + 1);
  return current;
}

std::optional<int64_t> JobWindows::Passed(const std::vector<const PartitionState*>& partitions, const Idle* idle,
                                          const std::vector<int64_t>& ends) const {
  std::optional<int64_t> passed;
  for (const PartitionState* const partition : partitions) {
    if (IsAtEnd(*partition, ends)) continue;
    // What was folded since the partition was seen idle has ended that.
    const bool is_idle = idle != nullptr && partition->partition() < idle->at.size() &&
                         idle->at[partition->partition()] == partition->next_offset();
    if (is_idle) continue;
    const std::optional<int64_t> of_partition = PaneClock(calendar_.get(), MaxTimeOf(*partition)).passed();
    if (!of_partition) return std::nullopt;
    passed = std::min(passed.value_or(*of_partition), *of_partition);
  }
  if (!passed && idle != nullptr && !partitions.empty()) return PaneClock(calendar_.get(), idle->clock_us).passed();
  return passed;
}

JobWindows::Finals JobWindows::PlanFinals(const std::vector<const PartitionState*>& partitions,
                                          const std::vector<WindowRange>& with_rows, std::optional<int64_t> closed_through,
                                          const Idle& idle, const std::vector<int64_t>& ends) const {
  Finals finals{.windows = {}, .passed = Passed(partitions, nullptr, ends), .closed_through = closed_through, .more = false};
  const auto is_at_end = [&ends](const PartitionState* partition) { return IsAtEnd(*partition, ends); };
  if (!partitions.empty() && std::ranges::all_of(partitions, is_at_end)) {
    // There are no later records: every window is final that has rows.
    for (const WindowRange& range : with_rows) finals.passed = std::max(finals.passed.value_or(range.last()), range.last());
  }
  std::optional<int64_t> passed = finals.passed;
  if (!idle.at.empty()) passed = std::max(passed, Passed(partitions, &idle, ends));
  if (!passed || (closed_through && *passed <= *closed_through)) return finals;
  // Ranges of several workers overlap, and each may have very many windows; only the first ones are of use.
  for (const WindowRange& range : with_rows) {
    // No record is of a time before 1970, whatever a worker says.
    const int64_t least = closed_through ? *closed_through + 1 : calendar_->PaneOf(0);
    const int64_t first = std::max(range.first(), least);
    const int64_t last = std::min({range.last(), *passed, first + static_cast<int64_t>(kMaxFinalWindows)});
    for (int64_t window = first; window <= last; ++window) finals.windows.push_back(window);
  }
  std::ranges::sort(finals.windows);
  finals.windows.erase(std::unique(finals.windows.begin(), finals.windows.end()), finals.windows.end());
  finals.more = finals.windows.size() > kMaxFinalWindows;
  if (finals.more) finals.windows.resize(kMaxFinalWindows);
  finals.closed_through = finals.more ? finals.windows.back() : *passed;
  return finals;
}

int64_t JobWindows::EndOf(int64_t window) const { return calendar_->TimesOf(window).end_us; }

int64_t JobWindows::LastEnded(int64_t us) const {
  int64_t window = calendar_->PaneOf(us);
  while (EndOf(window) > us) --window;
  // Two windows end at once where a pane is empty; the later one counts.
  while (EndOf(window + 1) <= us) ++window;
  return window;
}

void JobWindows::HoldBack(const std::vector<PartitionState>& counters, const std::vector<int64_t>& next_offsets,
                          std::vector<int64_t>* targets) const {
  std::optional<int64_t> slowest;
  std::vector<std::optional<int64_t>> newest(targets->size());
  for (size_t p = 0; p < targets->size(); ++p) {
    if ((*targets)[p] <= next_offsets[p]) continue;
    newest[p] = PaneClock(calendar_.get(), MaxTimeOf(counters[p])).newest();
    if (newest[p]) slowest = std::min(slowest.value_or(*newest[p]), *newest[p]);
  }
  for (size_t p = 0; p < targets->size(); ++p) {
    if (newest[p] && *newest[p] > *slowest + kMaxPanesAhead) (*targets)[p] = next_offsets[p];
  }
}

}  // namespace tenfold
