#include "worker/fold/delta_table.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "common/table/key_table.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

std::vector<std::string> Keys(DeltaTable& table) {
  std::vector<std::string> keys;
  for (const Delta& delta : table.Deltas()) keys.emplace_back(delta.key);
  return keys;
}

TEST(KeyTableTest, IndexesAreDenseInTheOrderKeysCame) {
  KeyTable table;
  EXPECT_EQ(table.FindOrAdd("b"), 0u);
  EXPECT_EQ(table.FindOrAdd("a"), 1u);
  EXPECT_EQ(table.FindOrAdd("b"), 0u);
  EXPECT_EQ(table.FindOrAdd("c"), 2u);
  EXPECT_EQ(table.size(), 3u);
  EXPECT_EQ(table.key(1), "a");
}

TEST(KeyTableTest, FindAddsNothing) {
  KeyTable table;
  table.FindOrAdd("a");
  EXPECT_EQ(table.Find("b"), std::nullopt);
  EXPECT_EQ(table.Find("a"), 0u);
  EXPECT_EQ(table.size(), 1u);
}

TEST(KeyTableTest, KeysOfAllLengthsStayWhereTheyAreWhileTheTableGrows) {
  KeyTable table;
  std::vector<std::string> keys;
  for (size_t length = 0; length <= kMaxKeyBytes; ++length) {
    keys.emplace_back(length, 'x');
    keys.push_back(std::string(length, 'y') + 'z');
    if (keys.back().size() > kMaxKeyBytes) keys.pop_back();
  }
  std::vector<std::string_view> views;
  for (const std::string& key : keys) views.push_back(table.key(table.FindOrAdd(key)));
  ASSERT_EQ(table.size(), keys.size());
  for (uint32_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(views[i], keys[i]);
    EXPECT_EQ(table.key(i).data(), views[i].data());
    EXPECT_EQ(table.Find(keys[i]), i);
  }
}

TEST(KeyTableTest, ClearedTableIsAsNew) {
  KeyTable table;
  for (int use = 0; use < 3; ++use) {
    for (uint32_t i = 0; i < 50'000; ++i) {
      ASSERT_EQ(table.FindOrAdd(std::to_string(use) + "/" + std::to_string(i)), i);
    }
    ASSERT_EQ(table.key(49'999), std::to_string(use) + "/49999");
    table.Clear();
    ASSERT_EQ(table.size(), 0u);
    ASSERT_EQ(table.Find(std::to_string(use) + "/7"), std::nullopt);
  }
}

TEST(KeyTableTest, ClearedTableKeepsItsMemory) {
  KeyTable table;
  const char* const place = table.key(table.FindOrAdd("a")).data();
  table.Clear();
  EXPECT_EQ(table.key(table.FindOrAdd("b")).data(), place);
}

TEST(KeyTableTest, KeysOfEqualTagsAreToldApart) {
  // Among so many keys about ten pairs agree in 32 bits of hash.
  KeyTable table;
  for (uint32_t i = 0; i < 300'000; ++i) ASSERT_EQ(table.FindOrAdd(std::to_string(i)), i);
  for (uint32_t i = 0; i < 300'000; ++i) ASSERT_EQ(table.Find(std::to_string(i)), i);
}

TEST(KeyTableTest, ManyAtOnceAreFoundOrAddedAsOneByOne) {
  std::mt19937_64 random(11);
  KeyTable table, one_by_one;
  for (int block = 0; block < 5'000; ++block) {
    std::vector<std::string> keys(random() % (KeyTable::kBlock + 1));
    for (std::string& key : keys) key = std::to_string(random() % 100'000);
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    std::vector<uint32_t> indexes(keys.size());
    table.FindOrAdd(views, indexes.data());
    for (size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(indexes[i], one_by_one.FindOrAdd(keys[i])) << keys[i];
  }
  ASSERT_EQ(table.size(), one_by_one.size());
  for (uint32_t i = 0; i < table.size(); ++i) ASSERT_EQ(table.key(i), one_by_one.key(i));
}

TEST(DeltaTableTest, AddsUpEachKeysRecords) {
  DeltaTable table;
  table.Add("a", 5);
  table.Add("b", -1);
  table.Add("a", -7);
  const std::vector<Delta> deltas = table.Deltas();
  ASSERT_EQ(deltas.size(), 2u);
  EXPECT_EQ(deltas[0].count, 2u);
  EXPECT_TRUE(deltas[0].sum == -2);
  EXPECT_EQ(deltas[1].count, 1u);
  EXPECT_TRUE(deltas[1].sum == -1);
}

TEST(DeltaTableTest, SumsGoBeyond64Bits) {
  DeltaTable table;
  for (int i = 0; i < 3; ++i) table.Add("high", std::numeric_limits<int64_t>::max());
  for (int i = 0; i < 3; ++i) table.Add("low", std::numeric_limits<int64_t>::min());
  const std::vector<Delta> deltas = table.Deltas();
  EXPECT_TRUE(deltas[0].sum == Units{std::numeric_limits<int64_t>::max()} * 3);
  EXPECT_TRUE(deltas[1].sum == Units{std::numeric_limits<int64_t>::min()} * 3);
}

TEST(DeltaTableTest, SumOfZeroKeepsItsCount) {
  DeltaTable table;
  table.Add("a", 3);
  table.Add("a", -3);
  ASSERT_EQ(table.Deltas().size(), 1u);
  EXPECT_EQ(table.Deltas()[0].count, 2u);
}

TEST(DeltaTableTest, TellsKeysOfAnyBytesApart) {
  DeltaTable table;
  const std::vector<std::string> keys = {"",        std::string(1, '\0'), "a", std::string("a\0", 2), "ab", "b", "\x7f",
                                         "\xc3\xa9"};
  for (const std::string& key : keys) table.Add(key, 1);
  EXPECT_EQ(Keys(table), keys);
}

TEST(DeltaTableTest, CopiesTheKey) {
  DeltaTable table;
  std::string key = "first";
  table.Add(key, 1);
  table.AddPending();
  key = "other";
  EXPECT_EQ(Keys(table), std::vector<std::string>{"first"});
}

TEST(DeltaTableTest, AddsUpSeveralSumsOfAKey) {
  DeltaTable table;
  for (int64_t i = 0; i < 1000; ++i) {
    const std::array<int64_t, 3> units = {i, -i, 1};
    table.AddCopy(i % 2 == 0 ? "even" : "odd", units, {});
  }
  const std::vector<Delta> deltas = table.Deltas();
  ASSERT_EQ(deltas.size(), 2u);
  EXPECT_EQ(deltas[0].key, "even");
  EXPECT_EQ(deltas[0].count, 500u);
  EXPECT_TRUE(deltas[0].sum == 249'500);
  ASSERT_EQ(deltas[0].others.size(), 2u);
  EXPECT_TRUE(deltas[0].others[0] == -249'500);
  EXPECT_TRUE(deltas[0].others[1] == 500);
  EXPECT_TRUE(deltas[1].others[0] == -250'000);
}

TEST(DeltaTableTest, ClearedTableStartsFromZero) {
  DeltaTable table;
  table.Add("a", 1);
  table.Add("b", 1);
  table.Clear();
  EXPECT_TRUE(table.Deltas().empty());
  table.Add("b", 9);
  ASSERT_EQ(table.Deltas().size(), 1u);
  EXPECT_EQ(table.Deltas()[0].count, 1u);
  EXPECT_TRUE(table.Deltas()[0].sum == 9);
}

TEST(DeltaTableTest, EqualsAnOrderedMapOnRandomRecords) {
  std::mt19937_64 random(7);
  DeltaTable table;
  for (int use = 0; use < 3; ++use) {
    std::map<std::string, std::pair<uint64_t, Units>> expected;
    std::deque<std::string> keys;
    for (int i = 0; i < 100'000; ++i) {
      const std::string& key = keys.emplace_back("page" + std::to_string(random() % 20'000));
      const auto units = static_cast<int64_t>(random());
      table.Add(key, units);
      ++expected[key].first;
      expected[key].second += units;
      if (random() % 300 != 0) continue;
      table.AddPending();
      keys.clear();
    }
    std::vector<Delta> deltas = table.Deltas();
    std::ranges::sort(deltas, {}, &Delta::key);
    ASSERT_EQ(deltas.size(), expected.size());
    size_t i = 0;
    for (const auto& [key, amount] : expected) {
      ASSERT_EQ(deltas[i].key, key);
      ASSERT_EQ(deltas[i].count, amount.first);
      ASSERT_TRUE(deltas[i].sum == amount.second) << key;
      ++i;
    }
    table.Clear();
  }
}

TEST(DeltaTableTest, KeepsTheHighestOfAHeightWhicheverWayRecordsCome) {
  // The height comes first, the sum of the same numbers behind it.
  const HeightSet heights(1);
  DeltaTable alone;
  DeltaTable blocks;
  DeltaTable::KeyBlock keys;
  std::vector<DeltaTable::UnitBlock> units(2);
  const std::array<int64_t, 4> numbers = {-7, kNoContribution, -3, -9};
  for (size_t i = 0; i < numbers.size(); ++i) {
    const int64_t summed = numbers[i] == kNoContribution ? 0 : numbers[i];
    const std::array<int64_t, 2> contribution = {numbers[i], summed};
    alone.AddCopy(i == 1 ? "null" : "key", contribution, heights);
    keys[i] = i == 1 ? "null" : "key";
    units[0][i] = numbers[i];
    units[1][i] = summed;
  }
  blocks.AddBlock(0b1111, keys, units, heights);
  for (DeltaTable* table : {&alone, &blocks}) {
    const std::vector<Delta> deltas = table->Deltas();
    ASSERT_EQ(deltas.size(), 2u);
    EXPECT_EQ(deltas[0].key, "key");
    EXPECT_TRUE(deltas[0].heights == heights);
    EXPECT_TRUE(ContributionOf(deltas[0].sum) == -3);
    EXPECT_TRUE(deltas[0].others[0] == -19);
    EXPECT_TRUE(deltas[1].sum == 0) << "the height of no number";
  }
}

}  // namespace
}  // namespace tenfold
