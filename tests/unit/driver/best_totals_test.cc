#include "driver/merge/best_totals.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/text/framed_key.h"
#include "driver/merge/total_replica.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Two that differ by so little that 64 binary places do not tell, with the higher one last by key.
constexpr Units kMuch = Units{1} << 100;

ResultRules QuotientRules() {
  ResultRules rules;
  rules.ranking.sums = 2;
  rules.ranking.quotient.emplace();
  rules.ranking.quotient->divisor = 1;
  return rules;
}

std::vector<std::string> Keys(const std::vector<Partial>& top) {
  std::vector<std::string> keys;
  for (const Partial& partial : top) keys.push_back(partial.key);
  return keys;
}

TEST(BestTotalsTest, QuotientsThatLookAlikeAreComparedExactly) {
  const auto rules = std::make_shared<const ResultRules>(QuotientRules());
  const std::vector<std::pair<std::string, std::vector<Units>>> totals = {
      {"a", {kMuch, kMuch}}, {"b", {7, 7}}, {"z", {kMuch + 1, kMuch}}, {"low", {kMuch - 1, kMuch}}};
  BestTotals best(3, rules);
  for (const auto& [key, sums] : totals) best.Take({.key = key, .sum = sums[0], .sums = sums});
  EXPECT_THAT(Keys(best.TakeAll()[0].top), ElementsAre("z", "a", "b"));
}

TEST(BestTotalsTest, SoTheyAreAmongTheDriversTotals) {
  TotalReplica replica(std::make_shared<MergeMemory>(), QuotientRules());
  replica.Begin({{"w", 1, 1}});
  TotalReplica::Entries entries;
  const auto add = [&](const std::string& key, Units dividend, Units divisor) {
    Entry* const entry = entries.Add();
    entry->set_key(key);
    *entry->mutable_sum() = ToProto(dividend);
    *entry->add_others() = ToProto(divisor);
  };
  // More alike than a block of totals has.
  for (int i = 0; i < 200; ++i) add("k" + std::to_string(1000 + i), kMuch, kMuch);
  add("z", kMuch + 1, kMuch);
  add("low", kMuch - 1, kMuch);
  ASSERT_TRUE(replica.Add(0, entries));
  replica.Complete(0, {});
  EXPECT_THAT(Keys(replica.Highest(3).top), ElementsAre("z", "k1000", "k1001"));
}

TEST(BestTotalsTest, GroupsAreTheFirstByNameWhetherTheirKeysAreRankedOrNot) {
  ResultRules rules;
  rules.groups = 2;
  rules.condition = [](std::span<const Units> sums) { return sums[0] > 5; };
  BestTotals best(1, std::make_shared<const ResultRules>(rules));
  const auto take = [&best](const std::string& group, const std::string& key, Units sum) {
    std::string frame;
    AppendKeyPart(group, &frame);
    AppendKeyPart(key, &frame);
    best.Take({.key = frame, .sum = sum, .sums = {}});
  };
  take("c", "x", 9);
  EXPECT_FALSE(best.is_cut());
  take("b", "x", 3);
  take("d", "x", 100);
  EXPECT_TRUE(best.is_cut());
  take("b", "y", 8);
  take("b", "z", 8);
  take("a", "x", 1);
  const std::vector<BestOfGroup> groups = best.TakeAll();
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(PartsOfKey(groups[0].group)[0], "a");
  EXPECT_THAT(groups[0].top, IsEmpty());
  EXPECT_EQ(PartsOfKey(groups[1].group)[0], "b");
  ASSERT_EQ(groups[1].top.size(), 1u);
  EXPECT_EQ(PartsOfKey(groups[1].top[0].key)[1], "y");
}

}  // namespace
}  // namespace tenfold
