#include "common/number/digest.h"

#include <string>

#include "common/limits.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

constexpr Uint128 Make(uint64_t high, uint64_t low) { return (Uint128{high} << 64) | low; }

// h of "page1", as another program computed it: the XXH3-128 of eight zero bytes and "page1" is already odd.
constexpr Uint128 kPage1Hash = Make(0xa302d8b36ce3bf69, 0x3a50445454e8bfe5);

TEST(DigestTest, FactorsAreOdd) {
  EXPECT_TRUE(kDigestCountFactor % 2 == 1);
  EXPECT_TRUE(kDigestSumFactor % 2 == 1);
}

TEST(DigestTest, CountIsMultipliedByTheFramedKeysHash) {
  EXPECT_TRUE(DigestTerm("page1", 1, 0) == kPage1Hash * kDigestCountFactor);
}

TEST(DigestTest, SumIsMultipliedByTheFramedKeysHash) {
  EXPECT_TRUE(DigestTerm("page1", 0, 1) == kPage1Hash * kDigestSumFactor);
}

TEST(DigestTest, EvenHashIsMadeOdd) {
  // Odd times odd is odd; about half of the hashes come even.
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(DigestTerm("key" + std::to_string(i), 1, 0) % 2 == 1) << i;
}

TEST(DigestTest, NegativeSumIsTwosComplement) {
  EXPECT_TRUE(DigestTerm("page1", 0, -1) == Uint128{0} - DigestTerm("page1", 0, 1));
}

TEST(DigestTest, DeltasAddUpToTheRow) {
  const Units large = Units{1} << 110;
  const Uint128 deltas = DigestTerm("a", 3, large) + DigestTerm("a", 0, 5) + DigestTerm("a", 4, -3 * large);
  EXPECT_TRUE(deltas == DigestTerm("a", 7, 5 - 2 * large));
}

TEST(DigestTest, KeysOfEveryLengthDiffer) {
  // Zero bytes at the end are part of the key: the frame has no padding.
  EXPECT_FALSE(DigestTerm("", 1, 0) == DigestTerm(std::string(1, '\0'), 1, 0));
  const std::string longest(kMaxKeyBytes, 'x');
  EXPECT_FALSE(DigestTerm(longest, 1, 0) == DigestTerm(longest + "x", 1, 0));
}

}  // namespace
}  // namespace tenfold
