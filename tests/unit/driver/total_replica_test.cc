#include "driver/merge/total_replica.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TotalReplica::Composition At(int64_t next_offset) {
  TotalReplica::Composition composition;
  composition.Add()->set_next_offset(next_offset);
  return composition;
}

TotalReplica::Entries Entries(const std::map<std::string, int64_t>& sums) {
  TotalReplica::Entries entries;
  for (const auto& [key, sum] : sums) {
    Entry* entry = entries.Add();
    entry->set_key(key);
    *entry->mutable_sum() = ToProto(Units{sum});
  }
  return entries;
}

std::vector<std::string> Lines(const GlobalTopK::Result& result) {
  std::vector<std::string> lines;
  for (const GlobalTopK::Partial& entry : result.top)
    lines.push_back(fmt::format("{} {}", entry.key, static_cast<int64_t>(entry.sum)));
  return lines;
}

class TotalReplicaTest : public testing::Test {
 protected:
  bool AddAll(size_t worker, const std::map<std::string, int64_t>& sums, int64_t next_offset) {
    if (!replica_.Add(worker, Entries(sums))) return false;
    replica_.Complete(worker, At(next_offset));
    return true;
  }

  std::shared_ptr<MergeMemory> memory_ = std::make_shared<MergeMemory>();
  TotalReplica replica_{memory_};
};

TEST_F(TotalReplicaTest, EqualsBruteForceWhateverChanges) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    const auto between = [&](int64_t low, int64_t high) { return std::uniform_int_distribution(low, high)(random); };
    const auto workers = static_cast<size_t>(between(1, 5));
    const auto k = static_cast<size_t>(between(1, 12));
    const int64_t keys = between(1, 60);
    const int64_t low = between(-5, 0);
    const int64_t high = low + between(0, 6);
    replica_.Clear();
    replica_.Begin(std::vector<MergeSource>(workers, {.worker = std::to_string(seed)}));
    std::map<std::string, int64_t> totals;
    for (int64_t batch = 1; batch <= 6; ++batch) {
      for (size_t w = 0; w < workers; ++w) {
        std::map<std::string, int64_t> changes;
        for (int64_t i = between(0, keys); i > 0; --i) changes[fmt::format("k{:02}", between(1, keys))] = between(low, high);
        for (const auto& [key, sum] : changes) totals[key] += sum;
        ASSERT_TRUE(AddAll(w, changes, batch));
        ASSERT_EQ(replica_.PartOf(w)->Get(0).next_offset(), batch);
      }
      std::vector<std::pair<std::string, int64_t>> all(totals.begin(), totals.end());
      std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
      all.resize(std::min(k, all.size()));
      std::vector<std::string> lines;
      for (const auto& [key, sum] : all) lines.push_back(fmt::format("{} {}", key, sum));
      const GlobalTopK::Result result = replica_.Highest(k);
      ASSERT_EQ(Lines(result), lines) << "batch " << batch;
      ASSERT_EQ(result.kth_total.has_value(), all.size() == k);
      if (result.kth_total) {
        ASSERT_EQ(*result.kth_total, all.back().second);
      }
    }
  }
}

TEST_F(TotalReplicaTest, BreaksATieOfVeryManyKeysByKey) {
  replica_.Begin({{"w"}});
  std::map<std::string, int64_t> sums{{"first", 9}};
  for (int i = 20'000; i > 0; --i) sums[fmt::format("k{:05}", i)] = 7;
  ASSERT_TRUE(AddAll(0, sums, 1));
  EXPECT_THAT(Lines(replica_.Highest(3)), ElementsAre("first 9", "k00001 7", "k00002 7"));
  EXPECT_EQ(replica_.Highest(3).kth_total, 7);
  EXPECT_EQ(replica_.Highest(3).unseen_bound, std::nullopt);
  EXPECT_EQ(replica_.Highest(3).entries, 20'001u);
}

TEST_F(TotalReplicaTest, HasNothingOfNoKeys) {
  replica_.Begin({{"w"}});
  ASSERT_TRUE(AddAll(0, {}, 1));
  EXPECT_THAT(replica_.Highest(3).top, IsEmpty());
}

TEST_F(TotalReplicaTest, GivesUpAllPartsWhenOneComesFromElsewhere) {
  replica_.Begin({{"a", 1}, {"b", 1}});
  ASSERT_TRUE(AddAll(0, {{"x", 1}}, 1));
  ASSERT_TRUE(AddAll(1, {{"y", 1}}, 1));
  replica_.Begin({{"a", 1}, {"b", 1}});
  ASSERT_NE(replica_.PartOf(0), nullptr);
  EXPECT_EQ(replica_.Highest(3).entries, 0u) << "of this attempt";
  replica_.Begin({{"a", 1}, {"b", 2}});
  EXPECT_EQ(replica_.PartOf(0), nullptr);
  EXPECT_EQ(replica_.PartOf(1), nullptr);
  ASSERT_TRUE(AddAll(0, {{"x", 1}}, 1));
  ASSERT_TRUE(AddAll(1, {{"z", 2}}, 1));
  EXPECT_THAT(Lines(replica_.Highest(3)), ElementsAre("z 2", "x 1"));
}

TEST_F(TotalReplicaTest, GivesUpAPartThatCameOnlyHalf) {
  replica_.Begin({{"a"}, {"b"}});
  ASSERT_TRUE(AddAll(0, {{"x", 1}}, 1));
  ASSERT_TRUE(AddAll(1, {{"x", 1}}, 1));
  ASSERT_TRUE(replica_.Add(1, Entries({{"x", 5}})));
  replica_.Begin({{"a"}, {"b"}});
  EXPECT_EQ(replica_.PartOf(0), nullptr) << "what came of b cannot be taken out again";
}

TEST_F(TotalReplicaTest, KeepsWholePartsWhileOthersAreMissing) {
  replica_.Begin({{"a"}, {"b"}});
  ASSERT_TRUE(AddAll(0, {{"x", 1}}, 1));
  replica_.Begin({{"a"}, {"b"}});
  EXPECT_NE(replica_.PartOf(0), nullptr);
  EXPECT_EQ(replica_.PartOf(1), nullptr);
}

TEST_F(TotalReplicaTest, HasNoMoreThanItsMemoryTogetherWithOthers) {
  TotalReplica other(memory_);
  other.Begin({{"w"}});
  ASSERT_TRUE(other.Add(0, Entries({{"x", 1}})));
  memory_->limit = 2 * memory_->used;
  replica_.Begin({{"w"}});
  EXPECT_TRUE(AddAll(0, {{"x", 1}}, 1));
  std::map<std::string, int64_t> sums;
  for (int i = 0; i < 1000; ++i) sums[std::to_string(i)] = i;
  EXPECT_FALSE(AddAll(0, sums, 2));
  EXPECT_EQ(replica_.PartOf(0), nullptr);
  EXPECT_EQ(memory_->used, memory_->limit / 2) << "the other's";
}

}  // namespace
}  // namespace tenfold
