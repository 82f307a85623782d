// Holds panes, rows and late records against the oracle, which knows only windows.
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "jobs/oracle/window_assignment.h"
#include "jobs/plan/pane_calendar.h"
#include "jobs/plan/pane_clock.h"
#include "jobs/spec/window_text.h"

namespace tenfold {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kHour = 3'600 * kSecond;
constexpr int64_t kDay = 24 * kHour;

FoldWindow Window(const std::string& size, const std::string& every, int64_t lateness_us, const std::string& zone = "") {
  FoldWindow window;
  EXPECT_EQ(SetWindowLength(*ParseWindowLength(size), *ParseWindowLength(every), !zone.empty(), &window), "");
  if (!zone.empty()) {
    EXPECT_TRUE(SetWindowZone(zone, &window));
  }
  window.set_lateness_us(lateness_us);
  window.set_ahead_us(60 * kSecond);
  return window;
}

TEST(PaneCalendarTest, CutsDaysWhereAZonesClocksAreChanged) {
  const PaneCalendar berlin(Window("1d", "1d", 0, "Europe/Berlin"));
  const int64_t march_29 = DaysOfDate(2026, 3, 29);
  EXPECT_EQ(berlin.BeginOf(march_29), march_29 * kDay - kHour);
  EXPECT_EQ(berlin.BeginOf(march_29 + 1) - berlin.BeginOf(march_29), 23 * kHour);
  const int64_t october_25 = DaysOfDate(2026, 10, 25);
  EXPECT_EQ(berlin.BeginOf(october_25 + 1) - berlin.BeginOf(october_25), 25 * kHour);
  EXPECT_EQ(berlin.PaneOf(berlin.BeginOf(october_25)), october_25);
  EXPECT_EQ(berlin.PaneOf(berlin.BeginOf(october_25) - 1), october_25 - 1);
}

TEST(PaneCalendarTest, HasADayThatAZoneNeverHadAsAnEmptyOne) {
  // Samoa went from 29 to 31 December 2011.
  const PaneCalendar apia(Window("1d", "1d", 0, "Pacific/Apia"));
  const int64_t skipped = DaysOfDate(2011, 12, 30);
  EXPECT_EQ(apia.BeginOf(skipped), apia.BeginOf(skipped + 1));
  EXPECT_EQ(apia.PaneOf(apia.BeginOf(skipped)), skipped + 1);
  EXPECT_EQ(apia.PaneOf(apia.BeginOf(skipped) - 1), skipped - 1);
}

TEST(PaneCalendarTest, KeepsADayWholeWhoseMidnightComesTwice) {
  // In Havana clocks go back from 1:00 to 0:00, in Asuncion they went from 0:00 to 23:00 of the day before.
  for (const std::string zone : {"America/Havana", "America/Asuncion", "America/Sao_Paulo"}) {
    const PaneCalendar calendar(Window("1d", "1d", 0, zone));
    for (int64_t day = DaysOfDate(1999, 1, 1); day < DaysOfDate(2012, 1, 1); ++day) {
      const int64_t begin = calendar.BeginOf(day);
      const int64_t end = calendar.BeginOf(day + 1);
      ASSERT_LT(begin, end) << zone << " " << day;
      for (int64_t us = begin; us < end; us += 600 * kSecond) ASSERT_EQ(calendar.PaneOf(us), day) << zone << " " << day;
    }
  }
}

TEST(PaneCalendarTest, WeeksBeginOnMondaysAndMonthsOnTheirFirst) {
  const PaneCalendar weeks(Window("1w", "1w", 0));
  EXPECT_EQ(weeks.BeginOf(weeks.PaneOf(DaysOfDate(2026, 11, 28) * kDay)), DaysOfDate(2026, 11, 23) * kDay);
  const PaneCalendar months(Window("1mo", "1mo", 0));
  EXPECT_EQ(months.BeginOf(months.PaneOf(DaysOfDate(2024, 2, 29) * kDay)), DaysOfDate(2024, 2, 1) * kDay);
  EXPECT_EQ(months.PaneOf(0), 0);
  const PaneCalendar years(Window("1y", "1y", 0));
  EXPECT_EQ(years.BeginOf(years.PaneOf(DaysOfDate(2024, 2, 29) * kDay)), DaysOfDate(2024, 1, 1) * kDay);
}

TEST(WindowTextTest, RefusesSizesThatAreNoWholeNumberOfPanes) {
  FoldWindow window;
  const auto set = [&](const char* size, const char* every, bool zoned = false) {
    return SetWindowLength(*ParseWindowLength(size), *ParseWindowLength(every), zoned, &window);
  };
  EXPECT_EQ(set("1h", "5m"), "");
  EXPECT_EQ(window.panes(), 12u);
  EXPECT_EQ(set("1w", "1d"), "");
  EXPECT_EQ(window.panes(), 7u);
  EXPECT_EQ(set("30d", "30d"), "");
  EXPECT_EQ(window.unit(), PANE_FIXED);
  EXPECT_NE(set("1h", "7m"), "");
  EXPECT_NE(set("1mo", "1d"), "");
  EXPECT_NE(set("2mo", "2mo"), "");
  EXPECT_NE(set("1h", "1h", true), "");
  EXPECT_NE(set("1h", "1s"), "") << "more panes than are allowed";
  EXPECT_FALSE(ParseWindowLength("1"));
  EXPECT_FALSE(ParseWindowLength("0d"));
  EXPECT_FALSE(ParseWindowLength("-1d"));
}

// What a window has by the rows of the clock.
std::map<int64_t, int64_t> SumsOfRows(const std::map<uint64_t, int64_t>& rows, int64_t panes, int64_t first, int64_t last) {
  std::map<int64_t, int64_t> sums;
  for (int64_t window = first; window <= last; ++window) {
    for (const auto& [number, sum] : rows) {
      if (RowPane(number).IsIn(window, panes)) sums[window] += sum;
    }
  }
  return sums;
}

// Rule W1: an event that missed some windows counts in the others, and a passed window never changes.
TEST(PaneClockTest, RowsHaveWhatTheOracleHasInEachWindow) {
  const std::vector<FoldWindow> kinds = {Window("10s", "10s", 0),
                                         Window("1m", "10s", 5 * kSecond),
                                         Window("1m", "5s", 30 * kSecond),
                                         Window("1d", "1d", kHour, "Europe/Berlin"),
                                         Window("1w", "1d", 3 * kHour, "America/Sao_Paulo"),
                                         Window("1y", "1mo", 0, "Pacific/Apia")};
  uint64_t late = 0;
  for (uint64_t seed = 0; seed < 1'200; ++seed) {
    std::mt19937_64 random(seed);
    const FoldWindow& kind = kinds[seed % kinds.size()];
    const auto calendar = PaneCalendar(kind);
    const int64_t pane_us = calendar.BeginOf(1001) - calendar.BeginOf(1000);
    PaneClock clock(&calendar, std::nullopt);
    oracle::WindowAssignment oracle(kind, 1);
    std::map<uint64_t, int64_t> rows;
    std::map<int64_t, int64_t> expected;
    int64_t now = DaysOfDate(1970 + static_cast<int64_t>(random() % 60), 1, 1) * kDay;
    for (int i = 0; i < 60; ++i) {
      now += static_cast<int64_t>(random() % static_cast<uint64_t>(pane_us / 2));
      const int64_t time = std::max<int64_t>(0, now - static_cast<int64_t>(random() % static_cast<uint64_t>(3 * pane_us)));
      if (i % 7 == 3) clock = PaneClock(&calendar, clock.max_time_us());
      clock.Take(time);
      oracle.Take(0, time);
      const std::vector<int64_t> windows = oracle.Windows(0, time);
      const std::optional<RowPane> row = clock.Row();
      ASSERT_EQ(row.has_value(), !windows.empty()) << "seed " << seed;
      late += windows.empty();
      if (row) {
        std::string bytes;
        row->Append(&bytes);
        ASSERT_EQ(RowPane::Of(bytes).number(), row->number());
        ASSERT_EQ(row->first(kind.panes()), windows.front()) << "seed " << seed;
        ASSERT_EQ(row->last(), windows.back()) << "seed " << seed;
        rows[row->number()] += i;
      }
      for (const int64_t window : windows) expected[window] += i;
      ASSERT_EQ(clock.newest(), oracle.Newest());
      ASSERT_EQ(clock.passed(), oracle.Passed({}));
    }
    if (expected.empty()) continue;
    ASSERT_EQ(SumsOfRows(rows, kind.panes(), expected.begin()->first, expected.rbegin()->first), expected)
        << "seed " << seed;
  }
  EXPECT_GT(late, 1000u) << "nearly nothing is late, so that is not tested";
}

}  // namespace
}  // namespace tenfold
