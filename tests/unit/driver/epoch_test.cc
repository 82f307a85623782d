#include "driver/core/epoch.h"

#include <limits>

#include "gtest/gtest.h"

namespace tenfold {
namespace {

constexpr uint64_t kAllBits = std::numeric_limits<uint64_t>::max();

TEST(EpochTest, EachStartHasAHigherOneWhateverTheRandomBits) {
  uint64_t last = 0;
  for (int start = 0; start < 1000; ++start) {
    const uint64_t next = NextEpoch(last, start % 2 == 0 ? 0 : kAllBits, false);
    EXPECT_GT(next, last);
    last = next;
  }
}

TEST(EpochTest, ItIsAboveTheNumbersThatOlderJournalsCountedUp) { EXPECT_GT(NextEpoch(57, 0, false), 57u); }

TEST(EpochTest, TwoStartsFromOneJournalDifferByTheirRandomBits) {
  EXPECT_NE(NextEpoch(5 << 20, 1, false), NextEpoch(5 << 20, 2, false));
}

TEST(EpochTest, ARestoredJournalIsAboveAllThatCameFromWhatWasCopied) {
  const uint64_t backup = NextEpoch(0, 3, false);
  uint64_t last = backup;
  for (int start = 0; start < 100'000; ++start) last = NextEpoch(last, kAllBits, false);
  EXPECT_GT(NextEpoch(backup, 0, true), last);
  EXPECT_GT(NextEpoch(NextEpoch(backup, 0, true), 0, false), NextEpoch(backup, 0, true));
  EXPECT_GT(NextEpoch(NextEpoch(backup, kAllBits, true), 0, true), NextEpoch(backup, kAllBits, true));
}

TEST(EpochTest, StartsThatDoNotFitRaiseTheGeneration) {
  const uint64_t last = (uint64_t{1} << kEpochGenerationShift) - 1;
  EXPECT_EQ(NextEpoch(last, 0, false), uint64_t{1} << kEpochGenerationShift);
}

}  // namespace
}  // namespace tenfold
