// The windows of a job as its spec says them: lengths of time, and the names of time zones. Pure but for the time zones,
// which are the system's where the spec is read, and stand in the fold from there on.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "job_spec.pb.h"

namespace tenfold {

// A length of time: some of one unit. Only one day, week, month or year is of the calendar; other lengths are exact.
struct WindowLength {
  int64_t count = 0;
  PaneUnit unit = PANE_FIXED;
  // Of PANE_FIXED, a count of microseconds. Of a number of days or weeks, what those are without a calendar.
  int64_t us = 0;
};

// Reads "5m", "1h30m", "1d", "7d", "1w", "1mo", "1y"; nullopt for what is none of them.
std::optional<WindowLength> ParseWindowLength(std::string_view text);

// Sets panes, unit and pane_us of the fold's windows. `every` is how far one begins behind the one before it; equal to
// `size` for tumbling windows. Returns why not, to follow the key that is wrong in *key, or nothing.
std::string SetWindowLength(const WindowLength& size, const WindowLength& every, bool zoned, FoldWindow* window);

// What the system knows of a time zone until 2200; nullopt for a name that it does not know.
std::optional<ZoneClock> ReadZone(const std::string& name);
// Has the fold know the clocks of the time zones that its expressions name, of those that the system knows.
void SetZones(GeneralFold* fold);
// Sets the zone of a calendar's windows. False for a name that the system does not know.
bool SetWindowZone(const std::string& name, FoldWindow* window);

// What the window's size and its panes' length are in a spec: "1d", "90s".
std::string WindowSizeText(const FoldWindow& window);
std::string PaneText(const FoldWindow& window);

}  // namespace tenfold
