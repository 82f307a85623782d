#include "common/table/totals.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/number/digest.h"
#include "gtest/gtest.h"
#include "worker/fold/delta_table.h"

namespace tenfold {
namespace {

constexpr Units kLowest = std::numeric_limits<Units>::min();

using Row = std::pair<std::string, Units>;

std::vector<Row> Rows(const std::vector<TotalEntry>& entries) {
  std::vector<Row> rows;
  for (const TotalEntry& entry : entries) rows.emplace_back(entry.key, entry.sum);
  return rows;
}

// Present keys by brute force.
class Model {
 public:
  void Add(const std::string& key, int64_t count, Units sum) {
    auto& [row_count, row_sum] = rows_[key];
    row_count += count;
    row_sum += sum;
    if (row_count == 0) rows_.erase(key);
  }

  // Sum descending, then key.
  std::vector<Row> Ordered() const {
    std::vector<Row> rows;
    for (const auto& [key, row] : rows_) rows.emplace_back(key, row.second);
    std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.second > b.second; });
    return rows;
  }
  std::optional<Units> Find(const std::string& key) const {
    const auto found = rows_.find(key);
    if (found == rows_.end()) return std::nullopt;
    return found->second.second;
  }
  Uint128 Digest() const {
    Uint128 digest = 0;
    for (const auto& [key, row] : rows_) digest += DigestTerm(key, static_cast<uint64_t>(row.first), row.second);
    return digest;
  }
  const std::map<std::string, std::pair<int64_t, Units>>& rows() const { return rows_; }

 private:
  std::map<std::string, std::pair<int64_t, Units>> rows_;
};

Delta Of(std::string_view key, int64_t count, Units sum) {
  return {.key = key, .count = static_cast<uint64_t>(count), .sum = sum};
}

// Checks all that Highest promises, against the model.
void CheckHighest(const Totals& totals, const Model& model, size_t depth, std::optional<Units> threshold,
                  size_t max_entries) {
  const Totals::Top top = totals.Highest(depth, threshold, max_entries);
  const std::vector<Row> ordered = model.Ordered();

  size_t wanted = 0;
  while (threshold && wanted < ordered.size() && ordered[wanted].second >= *threshold) ++wanted;
  const size_t size = std::min({std::max(depth, std::min(wanted, max_entries)), ordered.size()});
  ASSERT_EQ(top.entries.size(), size);
  for (size_t i = 0; i < size; ++i) {
    ASSERT_TRUE(top.entries[i].sum == ordered[i].second) << i;
    ASSERT_TRUE(model.Find(std::string(top.entries[i].key)) == top.entries[i].sum) << top.entries[i].key;
    if (i == 0) continue;
    const TotalEntry& before = top.entries[i - 1];
    ASSERT_TRUE(before.sum > top.entries[i].sum || before.key < top.entries[i].key) << "order at " << i;
  }
  ASSERT_EQ(top.floor.has_value(), size < ordered.size());
  if (top.floor) {
    ASSERT_TRUE(*top.floor == ordered[size].second);
  }
}

TEST(TotalsTest, EmptyTotalsHaveNothing) {
  const Totals totals;
  const Totals::Top top = totals.Highest(10, kLowest, 100);
  EXPECT_TRUE(top.entries.empty());
  EXPECT_EQ(top.floor.has_value(), false);
  EXPECT_EQ(totals.size(), 0u);
  EXPECT_TRUE(totals.Digest() == 0);
  std::vector<TotalEntry> entries;
  EXPECT_EQ(totals.AtOrAbove(kLowest, 0, 1000, &entries), 0u);
  EXPECT_TRUE(entries.empty());
}

TEST(TotalsTest, HighestAreInOrderAndTheFloorIsTheNextOne) {
  Totals totals;
  totals.Add(Of("low", 1, -5));
  totals.Add(Of("b", 1, 7));
  totals.Add(Of("a", 1, 7));
  totals.Add(Of("high", 1, 9));
  const Totals::Top top = totals.Highest(3, std::nullopt, 0);
  EXPECT_EQ(Rows(top.entries), (std::vector<Row>{{"high", 9}, {"a", 7}, {"b", 7}}));
  ASSERT_TRUE(top.floor.has_value());
  EXPECT_TRUE(*top.floor == -5);
}

TEST(TotalsTest, RanksByAnyOfSeveralSumsInEitherOrderAndByACondition) {
  Totals totals({.sums = 3, .by = 2, .ascending = true});
  const std::vector<Units> a = {5, 30}, b = {6, 10}, c = {7, 20}, d = {8, 40};
  totals.Add({.key = "a", .count = 1, .sum = 1, .others = a});
  totals.Add({.key = "b", .count = 1, .sum = 2, .others = b});
  totals.Add({.key = "c", .count = 1, .sum = 3, .others = c});
  totals.Add({.key = "d", .count = 1, .sum = 4, .others = d});
  const Totals::Top top = totals.Highest(2, std::nullopt, 0);
  EXPECT_EQ(Rows(top.entries), (std::vector<Row>{{"b", -10}, {"c", -20}}));
  EXPECT_TRUE(*top.floor == -30);
  EXPECT_TRUE(std::ranges::equal(top.entries[0].sums, std::vector<Units>{2, 6, 10}));
  const auto is_odd = [](std::span<const Units> sums) { return sums[0] % 2 != 0; };
  EXPECT_EQ(Rows(totals.Highest(3, std::nullopt, 0, is_odd).entries), (std::vector<Row>{{"c", -20}, {"a", -30}}));
  EXPECT_TRUE(totals.Digest() ==
              DigestTerm("a", 1, 1, a) + DigestTerm("b", 1, 2, b) + DigestTerm("c", 1, 3, c) + DigestTerm("d", 1, 4, d));
}

TEST(TotalsTest, FloorIsUnsetOnceEverythingIsThere) {
  Totals totals;
  totals.Add(Of("a", 1, 1));
  totals.Add(Of("b", 1, -1));
  EXPECT_FALSE(totals.Highest(2, std::nullopt, 0).floor.has_value());
  EXPECT_FALSE(totals.Highest(1, kLowest, 2).floor.has_value());
  EXPECT_TRUE(totals.Highest(1, std::nullopt, 0).floor.has_value());
}

TEST(TotalsTest, TieCutAtTheEndIsToldByTheFloor) {
  Totals totals;
  for (int i = 0; i < 200; ++i) totals.Add(Of("key" + std::to_string(i), 1, 3));
  const Totals::Top top = totals.Highest(10, std::nullopt, 0);
  ASSERT_EQ(top.entries.size(), 10u);
  ASSERT_TRUE(top.floor.has_value());
  EXPECT_TRUE(*top.floor == 3);
}

TEST(TotalsTest, ThresholdAsksForMoreThanTheDepthUpToTheLimit) {
  Totals totals;
  for (int i = 0; i < 1000; ++i) totals.Add(Of("key" + std::to_string(i), 1, i));
  EXPECT_EQ(totals.Highest(10, Units{900}, 500).entries.size(), 100u);
  EXPECT_TRUE(*totals.Highest(10, Units{900}, 500).floor == 899);
  EXPECT_EQ(totals.Highest(10, Units{900}, 50).entries.size(), 50u);
  EXPECT_TRUE(*totals.Highest(10, Units{900}, 50).floor == 949);
  EXPECT_EQ(totals.Highest(10, Units{995}, 500).entries.size(), 10u);
  EXPECT_EQ(totals.Highest(0, Units{995}, 500).entries.size(), 5u);
  EXPECT_EQ(totals.Highest(0, std::nullopt, 500).entries.size(), 0u);
}

TEST(TotalsTest, KeyWithoutCountIsAbsentEverywhere) {
  Totals totals;
  totals.Add(Of("kept", 2, 1));
  totals.Add(Of("gone", 3, 100));
  totals.Add(Of("gone", -3, -100));
  EXPECT_EQ(totals.size(), 1u);
  EXPECT_FALSE(totals.Find("gone").has_value());
  EXPECT_EQ(Rows(totals.Highest(10, kLowest, 10).entries), (std::vector<Row>{{"kept", 1}}));
  EXPECT_FALSE(totals.Highest(1, std::nullopt, 0).floor.has_value());
  std::vector<TotalEntry> entries;
  totals.AtOrAbove(kLowest, 0, 1000, &entries);
  EXPECT_EQ(Rows(entries), (std::vector<Row>{{"kept", 1}}));
  EXPECT_TRUE(totals.Digest() == DigestTerm("kept", 2, 1));
}

TEST(TotalsTest, AbsentKeyDoesNotHideNegativeOnes) {
  // An absent key counts as less than any sum, not as 0.
  Totals totals;
  totals.Add(Of("negative", 1, -8));
  totals.Add(Of("lower", 1, -9));
  totals.Add(Of("gone", 1, 0));
  totals.Add(Of("gone", -1, 0));
  const Totals::Top top = totals.Highest(1, std::nullopt, 0);
  EXPECT_EQ(Rows(top.entries), (std::vector<Row>{{"negative", -8}}));
  ASSERT_TRUE(top.floor.has_value());
  EXPECT_TRUE(*top.floor == -9);
}

TEST(TotalsTest, AbsentKeyMayComeBack) {
  Totals totals;
  totals.Add(Of("a", 1, 5));
  totals.Add(Of("a", -1, -5));
  totals.Add(Of("a", 1, 2));
  EXPECT_EQ(Rows(totals.Highest(1, std::nullopt, 0).entries), (std::vector<Row>{{"a", 2}}));
}

TEST(TotalsTest, ZeroSumIsPresent) {
  Totals totals;
  totals.Add(Of("a", 2, 0));
  EXPECT_TRUE(totals.Find("a")->sum == 0);
  EXPECT_EQ(Rows(totals.Highest(1, std::nullopt, 0).entries), (std::vector<Row>{{"a", 0}}));
}

TEST(TotalsTest, FindsSumsBeyond64Bits) {
  Totals totals;
  const Units large = Units{1} << 120;
  totals.Add(Of("a", 1, large));
  totals.Add(Of("a", 1, -3 * large));
  EXPECT_TRUE(totals.Find("a")->sum == -2 * large);
}

TEST(TotalsTest, DigestIsTheSumOfTheShards) {
  Totals totals;
  totals.Add(Of("a", 2, 5));
  totals.Add(Of("b", 1, 6));
  totals.Add(Of("a", 7, -8));
  EXPECT_TRUE(totals.Digest() == DigestTerm("a", 2, 5) + DigestTerm("b", 1, 6) + DigestTerm("a", 7, -8));
}

TEST(TotalsTest, PartsOfAtOrAboveAreBoundedAndCoverAllOnce) {
  Totals totals;
  Model model;
  for (int i = 0; i < 10'000; ++i) {
    totals.Add(Of("key" + std::to_string(i), 1, i % 1000));
    model.Add("key" + std::to_string(i), 1, i % 1000);
  }
  std::vector<Row> all;
  uint64_t from = 0;
  do {
    std::vector<TotalEntry> part;
    from = totals.AtOrAbove(950, from, 200, &part);
    EXPECT_LE(part.size(), 200 / sizeof(Units) + 1);
    for (const TotalEntry& entry : part) all.emplace_back(entry.key, entry.sum);
  } while (from != 0);
  std::vector<Row> expected = model.Ordered();
  std::erase_if(expected, [](const Row& row) { return row.second < 950; });
  std::sort(all.begin(), all.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(all, expected);
}

TEST(TotalsTest, AtOrAboveGoesOnEvenIfOneKeyIsMoreThanAPart) {
  Totals totals;
  for (int i = 0; i < 5; ++i) totals.Add(Of("key" + std::to_string(i), 1, i));
  std::vector<TotalEntry> entries;
  uint64_t from = 0;
  for (int part = 0; part < 10; ++part) {
    from = totals.AtOrAbove(kLowest, from, 0, &entries);
    if (from == 0) break;
  }
  EXPECT_EQ(from, 0u);
  EXPECT_EQ(entries.size(), 5u);
}

// Random deltas, whole shards joining and leaving, and every question, compared with brute force. Few distinct sums make
// many ties; few keys make an absent key likely; many keys make the tree several levels deep.
class RandomTotalsTest : public testing::TestWithParam<std::tuple<int, int>> {};

TEST_P(RandomTotalsTest, EqualsBruteForce) {
  const auto [keys, spread] = GetParam();
  std::mt19937_64 random(static_cast<uint64_t>(keys * 31 + spread));
  const auto draw = [&](int below) { return static_cast<int>(random() % static_cast<uint64_t>(below)); };
  Totals totals;
  Model model;
  for (int step = 0; step < 60; ++step) {
    const int changes = 1 + draw(keys);
    for (int i = 0; i < changes; ++i) {
      const std::string key = "key" + std::to_string(draw(keys));
      const auto row = model.rows().find(key);
      int64_t count = 1 + draw(3);
      Units sum = draw(2 * spread + 1) - spread;
      if (row != model.rows().end() && draw(4) == 0) {
        count = -row->second.first;
        sum = -row->second.second;
      }
      totals.Add(Of(key, count, sum));
      model.Add(key, count, sum);
    }
    ASSERT_EQ(totals.size(), model.rows().size());
    const auto depth = static_cast<size_t>(draw(30));
    const Units threshold = draw(4 * spread) - 2 * spread;
    ASSERT_NO_FATAL_FAILURE(CheckHighest(totals, model, depth, std::nullopt, 1000));
    ASSERT_NO_FATAL_FAILURE(CheckHighest(totals, model, depth, threshold, 40));
    ASSERT_NO_FATAL_FAILURE(CheckHighest(totals, model, depth, threshold, 1'000'000));
    ASSERT_NO_FATAL_FAILURE(CheckHighest(totals, model, 1'000'000, threshold, 0));
    std::vector<TotalEntry> above;
    uint64_t from = 0;
    do from = totals.AtOrAbove(threshold, from, 500, &above);
    while (from != 0);
    const std::vector<Row> ordered = model.Ordered();
    ASSERT_EQ(above.size(), static_cast<size_t>(std::count_if(ordered.begin(), ordered.end(),
                                                              [&](const Row& row) { return row.second >= threshold; })));
  }
  for (int i = 0; i < keys; ++i) {
    const std::string key = "key" + std::to_string(i);
    const std::optional<TotalEntry> found = totals.Find(key);
    ASSERT_TRUE((found ? std::optional(found->sum) : std::nullopt) == model.Find(key)) << key;
  }
  EXPECT_TRUE(totals.Digest() == model.Digest());
}

INSTANTIATE_TEST_SUITE_P(KeysAndSpread, RandomTotalsTest,
                         testing::Values(std::tuple{3, 2}, std::tuple{100, 3}, std::tuple{100, 100'000},
                                         std::tuple{5'000, 4}, std::tuple{5'000, 100'000'000}));

TEST(TotalsTest, HighestOfManyKeysIsExact) {
  // More keys than one node of the third level has below it.
  Totals totals;
  Model model;
  std::mt19937_64 random(3);
  for (int i = 0; i < 300'000; ++i) {
    const Units sum = static_cast<int64_t>(random() % 1'000'000);
    const std::string key = std::to_string(i);
    totals.Add(Of(key, 1, sum));
    model.Add(key, 1, sum);
  }
  // Take away what is highest, so that maxima have to come down.
  for (int round = 0; round < 50; ++round) {
    const Totals::Top top = totals.Highest(20, std::nullopt, 0);
    for (const TotalEntry& entry : top.entries) {
      model.Add(std::string(entry.key), 1, -entry.sum - round);
      totals.Add(Of(entry.key, 1, -entry.sum - round));
    }
  }
  CheckHighest(totals, model, 20, std::nullopt, 0);
  CheckHighest(totals, model, 20, Units{990'000}, 100'000);
}

TEST(TotalsTest, ManyAtOnceAreAddedAsOneByOne) {
  std::mt19937_64 random(3);
  Totals many, one_by_one;
  for (int batch = 0; batch < 50; ++batch) {
    DeltaTable table;
    for (int i = 0; i < 2'000; ++i) {
      const std::string key = std::to_string(random() % 50'000);
      table.Add(key, static_cast<int64_t>(random() % 1'000) - 500);
      table.AddPending();
    }
    const std::vector<Delta> deltas = table.Deltas();
    many.Add(deltas);
    for (const Delta& delta : deltas) one_by_one.Add(delta);
  }
  EXPECT_EQ(many.size(), one_by_one.size());
  EXPECT_TRUE(many.Digest() == one_by_one.Digest());
  const std::vector<TotalEntry> a = many.Highest(100, std::nullopt, 100).entries;
  const std::vector<TotalEntry> b = one_by_one.Highest(100, std::nullopt, 100).entries;
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].key == b[i].key && a[i].sum == b[i].sum) << i;
}

}  // namespace
}  // namespace tenfold
