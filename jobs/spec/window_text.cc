#include "jobs/spec/window_text.h"

#include <array>
#include <limits>

#include "absl/time/time.h"
#include "common/limits.h"
#include "common/text/duration.h"
#include "fmt/format.h"
#include "jobs/plan/field_value.h"
#include "jobs/plan/plan.h"

namespace tenfold {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kDayUs = 86'400 * kSecondUs;
constexpr int64_t kMostCount = 1'000'000;

struct CalendarUnit {
  std::string_view name;
  PaneUnit unit;
  int64_t days;
};
// Longer names first, as "mo" ends like none of the others and "m" is a minute.
constexpr std::array<CalendarUnit, 4> kCalendarUnits = {
    {{"mo", PANE_MONTH, 0}, {"d", PANE_DAY, 1}, {"w", PANE_WEEK, 7}, {"y", PANE_YEAR, 0}}};

std::optional<int64_t> ReadCount(std::string_view digits) {
  int64_t count = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9' || count > kMostCount) return std::nullopt;
    count = count * 10 + (c - '0');
  }
  return digits.empty() || count == 0 || count > kMostCount ? std::nullopt : std::optional(count);
}

std::string_view NameOf(PaneUnit unit) {
  for (const CalendarUnit& one : kCalendarUnits) {
    if (one.unit == unit) return one.name;
  }
  return "";
}

}  // namespace

std::optional<WindowLength> ParseWindowLength(std::string_view text) {
  for (const CalendarUnit& unit : kCalendarUnits) {
    if (!text.ends_with(unit.name)) continue;
    const std::optional<int64_t> count = ReadCount(text.substr(0, text.size() - unit.name.size()));
    if (!count) return std::nullopt;
    return WindowLength{.count = *count, .unit = unit.unit, .us = *count * unit.days * kDayUs};
  }
  const absl::StatusOr<absl::Duration> exact = ParseDuration(text);
  if (!exact.ok() || *exact <= absl::ZeroDuration()) return std::nullopt;
  return WindowLength{.count = 1, .unit = PANE_FIXED, .us = absl::ToInt64Microseconds(*exact)};
}

std::string SetWindowLength(const WindowLength& size, const WindowLength& every, bool zoned, FoldWindow* window) {
  const auto set = [window](int64_t panes, PaneUnit unit, int64_t pane_us) -> std::string {
    if (panes > int64_t{kMaxPanes}) {
      return fmt::format("makes {} panes of a window; {} are allowed: let windows begin less often", panes, kMaxPanes);
    }
    window->set_panes(static_cast<uint32_t>(panes));
    window->set_unit(unit);
    window->set_pane_us(pane_us);
    return "";
  };
  if (every.unit != PANE_FIXED && every.count == 1) {
    if (size.unit == every.unit) return set(size.count, every.unit, 0);
    if (size.unit == PANE_WEEK && every.unit == PANE_DAY) return set(size.count * 7, PANE_DAY, 0);
    if (size.unit == PANE_YEAR && every.unit == PANE_MONTH) return set(size.count * 12, PANE_MONTH, 0);
    return "is no whole number of the days, weeks, months or years in which windows begin";
  }
  if (zoned) return "has a zone, in which only windows of 1d, 1w, 1mo or 1y are, or some of these";
  if (size.us == 0 || every.us == 0)
    return "is no exact length; months and years are windows of 1mo and 1y, or sizes of these";
  if (size.us % every.us != 0) return "is no multiple of how often windows begin";
  return set(size.us / every.us, PANE_FIXED, every.us);
}

std::optional<ZoneClock> ReadZone(const std::string& name) {
  // These are whatever a machine has them be, or other names for the same zones.
  const bool is_local = name == "localtime" || name == "posixrules" || name == "Factory" || name.starts_with("posix/") ||
                        name.starts_with("right/");
  absl::TimeZone zone;
  if (name.empty() || is_local || !absl::LoadTimeZone(name, &zone)) return std::nullopt;
  ZoneClock clock;
  clock.set_name(name);
  const absl::Time begin = absl::UnixEpoch();
  int32_t offset = zone.At(begin).offset;
  clock.set_utc_offset_s(offset);
  absl::TimeZone::CivilTransition transition;
  for (absl::Time time = begin; zone.NextTransition(time, &transition);) {
    time = zone.At(transition.to).trans;
    if (time <= begin || absl::ToUnixMicros(time) >= kTimestampEnd) {
      if (time <= begin) continue;
      break;
    }
    const int32_t after = zone.At(time).offset;
    if (after == offset) continue;
    offset = after;
    ZoneChange* const change = clock.add_changes();
    change->set_from_s(absl::ToUnixSeconds(time));
    change->set_utc_offset_s(offset);
  }
  return clock;
}

void SetZones(GeneralFold* fold) {
  fold->clear_zones();
  for (const std::string& name : NamedZones(*fold)) {
    if (std::optional<ZoneClock> zone = ReadZone(name)) *fold->add_zones() = *std::move(zone);
  }
}

bool SetWindowZone(const std::string& name, FoldWindow* window) {
  std::optional<ZoneClock> clock = ReadZone(name);
  if (!clock) return false;
  window->set_zone(name);
  window->set_utc_offset_s(clock->utc_offset_s());
  window->mutable_changes()->Swap(clock->mutable_changes());
  return true;
}

std::string PaneText(const FoldWindow& window) {
  return window.unit() == PANE_FIXED ? DurationText(absl::Microseconds(window.pane_us()))
                                     : fmt::format("1{}", NameOf(window.unit()));
}

std::string WindowSizeText(const FoldWindow& window) {
  const int64_t panes = window.panes();
  return window.unit() == PANE_FIXED ? DurationText(absl::Microseconds(window.pane_us() * panes))
                                     : fmt::format("{}{}", panes, NameOf(window.unit()));
}

}  // namespace tenfold
