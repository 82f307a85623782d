// A worker's partial sums over a real store, held to memory and not. What they answer has to be exact in both cases.
#include "worker/totals/partial_sums.h"

#include <stdlib.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/store/state_store.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class PartialSumsTest : public ::testing::Test {
 protected:
  PartialSumsTest() {
    std::string name = ::testing::TempDir() + "/partial_sums_XXXXXX";
    directory_ = mkdtemp(name.data());
    store_ = *StateStore::Open(directory_);
    state_.mutable_id()->set_job_id("job");
    EXPECT_TRUE(store_->Create(std::vector<ShardStore::NewShard>{{state_, {}}}).ok());
    sums_ = std::make_unique<PartialSums>(PartialSums::Options{.store = store_.get()});
    EXPECT_TRUE(sums_->SetShards({{"job", 0}}).ok());
  }
  ~PartialSumsTest() override {
    sums_.reset();
    store_.reset();
    fs::remove_all(directory_);
  }

  static PartialSums::Composition At(int64_t next_offset) {
    PartialSums::Composition composition;
    composition.Add()->set_next_offset(next_offset);
    return composition;
  }
  // The driver has every entry at or above 10 at `since`.
  static FoldRequest Updates(int64_t since) {
    FoldRequest request;
    *request.mutable_updates()->mutable_since() = At(since);
    *request.mutable_updates()->mutable_at_or_above() = ToProto(Units{10});
    request.mutable_updates()->mutable_otherwise()->set_depth(2);
    return request;
  }
  // Folds the deltas on from offset `from`.
  FoldReply Fold(const FoldRequest& request, int64_t from, const std::vector<Delta>& deltas, size_t memory = 0) {
    sums_->Quote(request, At(from));
    EXPECT_TRUE(store_->Commit(std::vector<ShardStore::Update>{{&state_, deltas}}, WAL_OFF).ok());
    sums_->SetLimit(memory);
    const std::span<const Delta> shard = deltas;
    EXPECT_TRUE(sums_->Add(std::span(&shard, 1)).ok());
    FoldReply reply;
    EXPECT_TRUE(sums_->Answer(request, &reply).ok());
    return reply;
  }
  static std::map<std::string, int> Sums(const google::protobuf::RepeatedPtrField<Entry>& entries) {
    std::map<std::string, int> sums;
    for (const Entry& entry : entries) sums.emplace(entry.key(), static_cast<int>(FromProto(entry.sum())));
    return sums;
  }

  std::string directory_;
  std::unique_ptr<StateStore> store_;
  ShardState state_;
  std::unique_ptr<PartialSums> sums_;
};

TEST_F(PartialSumsTest, TellsTheEntriesThatChanged) {
  FoldRequest highest;
  highest.mutable_highest()->set_depth(2);
  Fold(highest, 0,
       {{.key = "a", .count = 1, .sum = 50}, {.key = "b", .count = 1, .sum = 20}, {.key = "c", .count = 1, .sum = 5}});
  const FoldReply reply = Fold(Updates(1), 1, {{.key = "b", .count = 1, .sum = 1}, {.key = "c", .count = 1, .sum = 1}});
  ASSERT_TRUE(reply.has_updates());
  EXPECT_THAT(Sums(reply.updates().entries()), UnorderedElementsAre(Pair("b", 21)));
}

TEST_F(PartialSumsTest, ReadsItsRowsAnewForAnotherRanking) {
  FoldRequest highest;
  highest.mutable_highest()->set_depth(1);
  Fold(highest, 0, {{.key = "a", .count = 1, .sum = 5}, {.key = "b", .count = 1, .sum = 9}});
  sums_->SetRanking({.sums = 1, .by = 0, .ascending = true, .quotient = {}});
  ASSERT_TRUE(sums_->SetShards({{"job", 0}}).ok());
  const FoldReply reply = Fold(highest, 1, {{.key = "c", .count = 1, .sum = 7}});
  EXPECT_THAT(Sums(reply.highest().entries()), UnorderedElementsAre(Pair("a", 5)));
  EXPECT_TRUE(FromProto(reply.highest().floor()) == -7) << "what ranks is negated where the lowest come first";
}

// The schedule: the driver has all entries at or above 10; then the worker's memory gets short, so that keys leave it and
// the floor rises above 10; then one that left changes. Saying what is in memory would leave it out.
TEST_F(PartialSumsTest, TellsTheHighestWhereAnEntryThatTheDriverKnowsLeftMemory) {
  FoldRequest highest;
  highest.mutable_highest()->set_depth(2);
  std::vector<std::string> names;
  for (int i = 0; i < 5'000; ++i) names.push_back(fmt::format("key{:04}", i));
  std::vector<Delta> all;
  for (int i = 0; i < 5'000; ++i) all.push_back({.key = names[static_cast<size_t>(i)], .count = 1, .sum = Units{20 + i}});
  Fold(highest, 0, all);
  const FoldReply before = Fold(Updates(1), 1, {{.key = names[7], .count = 1, .sum = 1}});
  ASSERT_TRUE(before.has_updates()) << "while there is memory it knows what changed";
  EXPECT_THAT(Sums(before.updates().entries()), UnorderedElementsAre(Pair(names[7], 28)));

  const FoldReply after = Fold(Updates(2), 2, {{.key = names[7], .count = 1, .sum = 1}}, /*memory=*/64 << 10);
  EXPECT_FALSE(after.has_updates()) << "key0007 changed, is above 10 and no longer in memory";
  ASSERT_TRUE(after.has_highest());
  EXPECT_EQ(Sums(after.highest().entries()).begin()->first, names[4'998]);

  LookUpRequest look_up;
  look_up.mutable_keys()->add_keys(names[7]);
  const absl::StatusOr<LookUpReply> found = sums_->LookUp(look_up);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(Sums(found->entries()), UnorderedElementsAre(Pair(names[7], 29)));
}

}  // namespace
}  // namespace tenfold
