#include "driver/core/job_windows.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "common/table/row_pane.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

constexpr int64_t kSecond = 1'000'000;

// Tumbling windows of 10 s: window e ends e * 10 s after 1970.
JobSpec Spec() {
  JobSpec spec;
  FoldWindow* const window = spec.mutable_fold()->mutable_general()->mutable_window();
  window->set_panes(1);
  window->set_pane_us(10 * kSecond);
  window->set_lateness_us(2 * kSecond);
  return spec;
}

PartitionState At(std::optional<int64_t> second) {
  PartitionState partition;
  if (second) partition.set_max_time_us(*second * kSecond);
  return partition;
}

WindowRange Range(int64_t first, int64_t last) {
  WindowRange range;
  range.set_first(first);
  range.set_last(last);
  return range;
}

JobWindows::Finals Plan(std::vector<PartitionState> partitions, const std::vector<WindowRange>& with_rows,
                        std::optional<int64_t> closed_through = std::nullopt, const JobWindows::Idle& idle = {},
                        const std::vector<int64_t>& ends = {}) {
  std::vector<const PartitionState*> pointers;
  for (uint32_t p = 0; p < partitions.size(); ++p) {
    partitions[p].set_partition(p);
    partitions[p].set_next_offset(100 + p);
    pointers.push_back(&partitions[p]);
  }
  return JobWindows(Spec()).PlanFinals(pointers, with_rows, closed_through, idle, ends);
}

TEST(JobWindowsTest, TheCurrentWindowIsThatOfTheLatestTimeButNoneThatIsFinal) {
  const JobWindows windows(Spec());
  const PartitionState early = At(5);
  const PartitionState late = At(35);
  const PartitionState none = At(std::nullopt);
  EXPECT_EQ(windows.Current({&none}, std::nullopt), std::nullopt);
  EXPECT_EQ(windows.Current({&early, &none, &late}, std::nullopt), 4);
  EXPECT_EQ(windows.Current({&early, &late}, 3), 4);
  EXPECT_EQ(windows.Current({&early, &late}, 6), 7);
}

TEST(JobWindowsTest, AWindowIsFinalOnceThePartitionThatIsFarthestBehindHasPassedItByTheLateness) {
  EXPECT_TRUE(Plan({At(11), At(30)}, {Range(1, 4)}).windows.empty());
  const JobWindows::Finals finals = Plan({At(12), At(30)}, {Range(1, 4)});
  EXPECT_EQ(finals.windows, std::vector<int64_t>{1});
  EXPECT_EQ(finals.closed_through, 1);
  EXPECT_FALSE(finals.more);
}

// Rule W4: a partition without data holds windows back, too.
TEST(JobWindowsTest, NothingIsFinalWhileAPartitionHasNoTime) {
  const JobWindows::Finals finals = Plan({At(100), At(std::nullopt)}, {Range(1, 4)}, 1);
  EXPECT_TRUE(finals.windows.empty());
  EXPECT_EQ(finals.closed_through, 1);
}

TEST(JobWindowsTest, WindowsWithoutRowsAreSkippedAndThoseOfSeveralWorkersComeOnce) {
  const JobWindows::Finals finals = Plan({At(92)}, {Range(2, 3), Range(7, 7), Range(3, 4), Range(8, 30)}, 2);
  EXPECT_EQ(finals.windows, (std::vector<int64_t>{3, 4, 7, 8, 9}));
  EXPECT_EQ(finals.closed_through, 9);
}

TEST(JobWindowsTest, ABatchHasSoManyFinalsAtMostAndTheNextOneGoesOnFromThere) {
  const JobWindows::Finals finals = Plan({At(10'002)}, {Range(1, 900), Range(5, 1'000'000'000)});
  ASSERT_EQ(finals.windows.size(), kMaxFinalWindows);
  EXPECT_EQ(finals.windows.back(), 64);
  EXPECT_EQ(finals.closed_through, 64);
  EXPECT_TRUE(finals.more);
  const JobWindows::Finals rest = Plan({At(10'002)}, {Range(1, 900)}, 64);
  EXPECT_EQ(rest.windows.front(), 65);
}

// Rule W4: partitions that are idle do not count.
TEST(JobWindowsTest, WindowsThatIdlePartitionsHaveNotPassedAreFinalByDecree) {
  const JobWindows::Finals finals = Plan({At(25), At(std::nullopt), At(52)}, {Range(1, 6)}, 1, {.at = {100, 101, -1}});
  EXPECT_EQ(finals.windows, (std::vector<int64_t>{2, 3, 4, 5}));
  EXPECT_EQ(finals.closed_through, 5);
  EXPECT_EQ(finals.passed, std::nullopt);
  EXPECT_EQ(Plan({At(25), At(52)}, {Range(1, 6)}, 1, {.at = {100, -1}}).passed, 2);
}

TEST(JobWindowsTest, APartitionOfWhichMoreWasFoldedSinceItWasSeenIdleCountsAgain) {
  EXPECT_EQ(Plan({At(25), At(52)}, {Range(1, 6)}, std::nullopt, {.at = {99, -1}}).closed_through, 2);
}

TEST(JobWindowsTest, IfAllPartitionsAreIdleTheClockSaysWhatIsFinal) {
  const JobWindows::Idle idle{.at = {100, 101}, .clock_us = 43 * kSecond};
  EXPECT_EQ(Plan({At(25), At(26)}, {Range(1, 6)}, 1, idle).closed_through, 4);
  // A clock that is behind the records takes nothing back.
  EXPECT_EQ(Plan({At(25), At(26)}, {Range(1, 6)}, 1, {.at = {100, 101}, .clock_us = kSecond}).closed_through, 2);
}

// Rule W10.
TEST(JobWindowsTest, PartitionsFarAheadOfTheSlowestOneThatHasMoreAreHeldBack) {
  const std::vector<PartitionState> counters = {At(0), At(40'959), At(40'970), At(std::nullopt), At(99'999)};
  const std::vector<int64_t> next = {1, 1, 1, 1, 1};
  std::vector<int64_t> targets = {5, 5, 5, 5, 1};
  JobWindows(Spec()).HoldBack(counters, next, &targets);
  EXPECT_EQ(targets, (std::vector<int64_t>{5, 5, 1, 5, 1}));
  // The slowest has nothing more, so that nothing is waited for.
  targets = {1, 5, 5, 5, 1};
  JobWindows(Spec()).HoldBack(counters, next, &targets);
  EXPECT_EQ(targets, (std::vector<int64_t>{1, 5, 5, 5, 1}));
}

TEST(JobWindowsTest, WhatHasPassedIsClosedAlsoIfNoWindowHadRows) {
  const JobWindows::Finals finals = Plan({At(92)}, {}, 2);
  EXPECT_TRUE(finals.windows.empty());
  EXPECT_EQ(finals.closed_through, 9);
}

TEST(JobWindowsTest, APartitionAtTheJobsEndHasPassedEveryWindow) {
  // The partitions are folded to offsets 100 and 101.
  const JobWindows::Finals waits = Plan({At(5), At(500)}, {Range(1, 9)}, std::nullopt, {}, {101, 101});
  EXPECT_TRUE(waits.windows.empty()) << "the first one goes on, and has passed none";
  const JobWindows::Finals one = Plan({At(std::nullopt), At(25)}, {Range(1, 9)}, std::nullopt, {}, {100, 102});
  EXPECT_EQ(one.closed_through, Plan({At(25)}, {Range(1, 9)}).closed_through) << "the second alone counts";
  const JobWindows::Finals all = Plan({At(5), At(std::nullopt)}, {Range(1, 2), Range(7, 9)}, 1, {}, {100, 101});
  EXPECT_EQ(all.windows, (std::vector<int64_t>{2, 7, 8, 9}));
  EXPECT_EQ(all.closed_through, 9);
  EXPECT_EQ(all.passed, 9) << "none of them is so by decree";
}

}  // namespace
}  // namespace tenfold
