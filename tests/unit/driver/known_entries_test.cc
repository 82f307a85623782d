#include "driver/merge/known_entries.h"

#include <limits>
#include <map>
#include <random>
#include <string>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::Pair;
using ::testing::UnorderedElementsAre;

constexpr Units kMinUnits = std::numeric_limits<Units>::min();

using Sums = std::map<std::string, int64_t>;

void Add(const std::string& key, int64_t sum, google::protobuf::RepeatedPtrField<Entry>* entries) {
  Entry* entry = entries->Add();
  entry->set_key(key);
  *entry->mutable_sum() = ToProto(Units{sum});
}

FoldReply ReplyAt(int64_t next_offset) {
  FoldReply reply;
  reply.add_composition()->set_next_offset(next_offset);
  return reply;
}

FoldReply Whole(const Sums& sums, std::optional<int64_t> floor, int64_t next_offset = 1) {
  FoldReply reply = ReplyAt(next_offset);
  Highest* highest = reply.mutable_highest();
  for (const auto& [key, sum] : sums) Add(key, sum, highest->mutable_entries());
  if (floor) *highest->mutable_floor() = ToProto(Units{*floor});
  return reply;
}

FoldReply Changed(const Sums& sums, int64_t next_offset = 2) {
  FoldReply reply = ReplyAt(next_offset);
  for (const auto& [key, sum] : sums) Add(key, sum, reply.mutable_updates()->mutable_entries());
  return reply;
}

Sums ToSums(const std::vector<GlobalTopK::Partial>& entries) {
  Sums sums;
  for (const GlobalTopK::Partial& entry : entries) {
    EXPECT_TRUE(sums.emplace(entry.key, static_cast<int64_t>(entry.sum)).second) << entry.key << " twice";
  }
  return sums;
}

class KnownEntriesTest : public testing::Test {
 protected:
  KnownEntriesTest() { known_.Begin(2); }

  std::shared_ptr<MergeMemory> memory_ = std::make_shared<MergeMemory>();
  KnownEntries known_{memory_};
};

// A worker as it is described in proto/worker.proto, whose replies are lost at times.
TEST_F(KnownEntriesTest, AreAllAboveTheFloorWhateverChanges) {
  int updates = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    const auto between = [&](int64_t low, int64_t high) { return std::uniform_int_distribution(low, high)(random); };
    known_.Clear();
    Sums sums;
    std::map<int64_t, Sums> at;
    for (int64_t offset = 1; offset < 30; ++offset) {
      for (int64_t i = between(0, 20); i > 0; --i) sums["key" + std::to_string(between(0, 60))] += between(-20, 30);
      at[offset] = sums;
      if (between(0, 9) == 0) continue;
      WantUpdates wanted;
      ASSERT_EQ(known_.Quote(0, &wanted), known_.IsKnown(0));
      if (!known_.IsKnown(0)) {
        const int64_t floor = between(-50, 100);
        FoldReply reply = ReplyAt(offset);
        bool all = true;
        for (const auto& [key, sum] : sums) {
          if (sum > floor) {
            Add(key, sum, reply.mutable_highest()->mutable_entries());
          } else {
            all = false;
          }
        }
        if (!all) *reply.mutable_highest()->mutable_floor() = ToProto(Units{floor});
        known_.Learn(0, reply);
        continue;
      }
      const Units least = FromProto(wanted.at_or_above());
      const Sums& before = at[wanted.since(0).next_offset()];
      FoldReply reply = ReplyAt(offset);
      Sums expected;
      for (const auto& [key, sum] : sums) {
        const auto old = before.find(key);
        const bool was_above = old != before.end() && old->second >= least;
        const bool same = old != before.end() && old->second == sum;
        if (!same && (sum >= least || was_above)) Add(key, sum, reply.mutable_updates()->mutable_entries());
        if (sum >= least) expected.emplace(key, sum);
      }
      ASSERT_EQ(ToSums(known_.Update(0, reply)), expected);
      ASSERT_EQ(known_.Floor(0).has_value(), least != kMinUnits);
      if (known_.Floor(0)) {
        ASSERT_TRUE(*known_.Floor(0) == least - 1);
      }
      ++updates;
    }
  }
  EXPECT_GT(updates, 5000);
}

TEST_F(KnownEntriesTest, QuoteTheCompositionOfTheLastReply) {
  known_.Learn(0, Whole({{"x", 9}}, 4));
  known_.Update(0, Changed({{"y", 8}}, 7));
  WantUpdates wanted;
  ASSERT_TRUE(known_.Quote(0, &wanted));
  ASSERT_EQ(wanted.since_size(), 1);
  EXPECT_EQ(wanted.since(0).next_offset(), 7);
  EXPECT_TRUE(FromProto(wanted.at_or_above()) == 5);
  EXPECT_FALSE(known_.Quote(1, &wanted));
}

TEST_F(KnownEntriesTest, AreThoseAboveTheFloor) {
  known_.Learn(0, Whole({{"x", 9}, {"y", 4}}, 4));
  EXPECT_THAT(ToSums(known_.Update(0, Changed({}))), UnorderedElementsAre(Pair("x", 9)));
}

TEST_F(KnownEntriesTest, AreNotKeptWhereMostTieWithTheFloor) {
  known_.Learn(0, Whole({{"x", 9}, {"y", 4}, {"z", 4}}, 4));
  EXPECT_FALSE(known_.IsKnown(0));
}

TEST_F(KnownEntriesTest, AreForgottenOnceTheyAreTwiceAsMany) {
  Sums sums;
  for (int i = 0; i < 100; ++i) sums["first" + std::to_string(i)] = 10;
  known_.Learn(0, Whole(sums, 4));
  sums.clear();
  for (int i = 0; i < 100; ++i) sums["then" + std::to_string(i)] = 10;
  known_.Update(0, Changed(sums));
  EXPECT_TRUE(known_.IsKnown(0));
  EXPECT_EQ(known_.Update(0, Changed({{"one more", 10}}, 3)).size(), 201) << "this batch has them";
  EXPECT_FALSE(known_.IsKnown(0));
}

TEST_F(KnownEntriesTest, AreNotKeptIfVeryMany) {
  Sums sums;
  for (int i = 0; i < KnownEntries::kMaxEntries; ++i) sums[std::to_string(i)] = 10;
  known_.Learn(0, Whole(sums, 4));
  EXPECT_TRUE(known_.IsKnown(0));
  sums["more"] = 10;
  known_.Learn(0, Whole(sums, 4));
  EXPECT_FALSE(known_.IsKnown(0));
}

TEST_F(KnownEntriesTest, AreForgottenWhereSoManyKeysChange) {
  FoldReply reply = Whole({{"x", 9}}, 4);
  reply.set_changed_keys(KnownEntries::kMaxChangedKeys + 1);
  known_.Learn(0, reply);
  EXPECT_FALSE(known_.IsKnown(0));
}

TEST_F(KnownEntriesTest, KeepToAQuarterOfTheMemoryAndGiveItBack) {
  memory_->limit = 1000;
  known_.Learn(0, Whole({{"x", 9}, {"y", 8}}, 4));
  EXPECT_TRUE(known_.IsKnown(0));
  const uint64_t used = memory_->used;
  EXPECT_GT(used, 100);
  known_.Learn(1, Whole({{"x", 9}}, 4));
  EXPECT_FALSE(known_.IsKnown(1));
  EXPECT_EQ(memory_->used, used);
  known_.Clear();
  EXPECT_EQ(memory_->used, 0);
}

TEST_F(KnownEntriesTest, AreForgottenWhereTheWorkersAreMoreOrFewer) {
  known_.Learn(0, Whole({{"x", 9}}, 4));
  known_.Begin(2);
  EXPECT_TRUE(known_.IsKnown(0));
  known_.Begin(3);
  EXPECT_FALSE(known_.IsKnown(0));
  EXPECT_EQ(memory_->used, 0);
}

TEST_F(KnownEntriesTest, LoseWhatFellBelowTheFloor) {
  known_.Learn(0, Whole({{"x", 9}, {"y", 8}}, 4));
  EXPECT_THAT(ToSums(known_.Update(0, Changed({{"y", 4}, {"z", 5}}))), UnorderedElementsAre(Pair("x", 9), Pair("z", 5)));
}

}  // namespace
}  // namespace tenfold
