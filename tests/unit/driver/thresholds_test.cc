#include "driver/merge/thresholds.h"

#include <limits>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

constexpr Units kMin = std::numeric_limits<Units>::min();
constexpr Units kMax = std::numeric_limits<Units>::max();

using Floors = std::vector<std::optional<Units>>;

TEST(UnseenBoundTest, IsTheSumOfPositiveFloors) { EXPECT_EQ(UnseenBound(Floors{5, std::nullopt, -3, 7}), Units{12}); }

TEST(UnseenBoundTest, IsTheHighestFloorWhereNoneIsPositive) { EXPECT_EQ(UnseenBound(Floors{-5, -3}), Units{-3}); }

TEST(UnseenBoundTest, IsNoneWhereEverythingWasSent) {
  EXPECT_EQ(UnseenBound(Floors{std::nullopt, std::nullopt}), std::nullopt);
}

TEST(UnseenBoundTest, DoesNotOverflow) { EXPECT_EQ(UnseenBound(Floors{kMax, kMax}), kMax); }

TEST(SecondRoundThresholdsTest, AskForEverythingWhereNoTotalIsExact) {
  EXPECT_THAT(SecondRoundThresholds(std::nullopt, Floors{3, 4}), testing::ElementsAre(kMin, kMin));
}

TEST(SecondRoundThresholdsTest, AreTheTotalWhereThatIsNotPositive) {
  EXPECT_THAT(SecondRoundThresholds(Units{-4}, Floors{3, 4}), testing::ElementsAre(Units{-4}, Units{-4}));
  EXPECT_THAT(SecondRoundThresholds(Units{0}, Floors{3, 4}), testing::ElementsAre(Units{0}, Units{0}));
}

// What R7 needs of them: a key below each has a total below the k-th.
TEST(SecondRoundThresholdsTest, AKeyBelowEachHasATotalBelowTheKth) {
  std::mt19937_64 random(1);
  const auto draw = [&](int bits) { return static_cast<Units>((Uint128{random()} << 64 | random()) >> (128 - bits)); };
  for (int i = 0; i < 20'000; ++i) {
    const Units kth = 1 + draw(1 + static_cast<int>(random() % 120));
    Floors floors;
    for (uint64_t w = 1 + random() % 8; w > 0; --w) {
      if (random() % 5 == 0) {
        floors.push_back(std::nullopt);
      } else {
        floors.push_back(draw(1 + static_cast<int>(random() % 120)) * (random() % 4 == 0 ? -1 : 1));
      }
    }
    Units highest_below = 0;
    for (const Units threshold : SecondRoundThresholds(kth, floors)) {
      ASSERT_TRUE(threshold >= 1);
      highest_below += threshold - 1;
    }
    ASSERT_TRUE(highest_below < kth) << "case " << i;
  }
}

TEST(NextThresholdsTest, AskForNothingWhereTheDepthSuffices) {
  EXPECT_THAT(NextThresholds(Units{100}, {10, 20}), testing::ElementsAre(std::nullopt, std::nullopt));
  EXPECT_THAT(NextThresholds(std::nullopt, {10, 20}), testing::ElementsAre(std::nullopt, std::nullopt));
}

TEST(NextThresholdsTest, AreInProportionToTheDepthAndNeverNearZero) {
  const std::vector<std::optional<Units>> thresholds = NextThresholds(Units{1'000'000}, {3'000'000, 1'000'000, 0});
  ASSERT_EQ(thresholds.size(), 3u);
  EXPECT_TRUE(*thresholds[0] > 2 * *thresholds[1]);
  EXPECT_TRUE(*thresholds[2] > 10'000) << "a worker that has little yet would send all it has once it grows";
  EXPECT_TRUE(*thresholds[0] + *thresholds[1] + *thresholds[2] <= 1'000'000);
}

}  // namespace
}  // namespace tenfold
