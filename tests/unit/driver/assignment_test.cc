#include "driver/core/assignment.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// "a", "a>b" while a shard moves from a to b, ">b" while nobody owns it and b folds it up, "" for nobody.
ShardAssignment Shard(const std::string& text) {
  const size_t arrow = text.find('>');
  ShardAssignment shard;
  shard.set_owner(text.substr(0, arrow));
  if (arrow != std::string::npos) shard.set_next_owner(text.substr(arrow + 1));
  return shard;
}

std::vector<std::string> Text(const std::vector<ShardAssignment>& shards) {
  std::vector<std::string> text;
  for (const ShardAssignment& shard : shards) {
    text.push_back(shard.next_owner().empty() ? shard.owner() : absl::StrCat(shard.owner(), ">", shard.next_owner()));
  }
  return text;
}

AssignmentInput Input(const std::vector<std::string>& current, const std::vector<std::string>& live) {
  AssignmentInput input;
  for (const std::string& shard : current) input.current.push_back(Shard(shard));
  input.shards = current.size();
  for (const std::string& worker : live) input.live[worker] = 0;
  return input;
}

AssignmentInput FreshInput(size_t shards, const std::vector<std::string>& live) {
  AssignmentInput input = Input({}, live);
  input.shards = shards;
  for (uint32_t s = 0; s < shards; ++s) input.fresh.insert(s);
  return input;
}

std::vector<std::string> Plan(const AssignmentInput& input) { return Text(PlanAssignment(input)); }

TEST(AssignmentTest, WithoutWorkersNobodyOwnsAShard) { EXPECT_THAT(Plan(FreshInput(2, {})), ElementsAre("", "")); }

TEST(AssignmentTest, SpreadsFreshShardsEvenlyAndAtOnce) {
  EXPECT_THAT(Plan(FreshInput(5, {"a", "b"})), ElementsAre("a", "b", "a", "b", "a"));
}

TEST(AssignmentTest, GivesTheFirstShardsToWorkersWithFewestOfOtherJobs) {
  AssignmentInput input = FreshInput(2, {"a", "b", "c"});
  input.live = {{"a", 7}, {"b", 3}, {"c", 5}};
  EXPECT_THAT(Plan(input), ElementsAre("b", "c"));
}

TEST(AssignmentTest, ChangesNothingWhereNothingIsToChange) {
  EXPECT_THAT(Plan(Input({"a", "b", "a"}, {"a", "b"})), ElementsAre("a", "b", "a"));
}

TEST(AssignmentTest, FoldsLostShardsUpAtTheOthersWithoutTakingThemOver) {
  EXPECT_THAT(Plan(Input({"a", "lost", "b", "lost"}, {"a", "b"})), ElementsAre("a", "lost>a", "b", "lost>b"));
}

TEST(AssignmentTest, GivesALostShardOfWhichNothingIsCommittedToAnybodyAtOnce) {
  AssignmentInput input = Input({"a", "lost"}, {"a", "b"});
  input.fresh = {1};
  EXPECT_THAT(Plan(input), ElementsAre("a", "b"));
}

TEST(AssignmentTest, WaitsForAnOwnerThatMayStillComeBack) {
  AssignmentInput input = Input({"a", "silent"}, {"a"});
  input.awaited = {"silent"};
  EXPECT_THAT(Plan(input), ElementsAre("a", "silent"));
  input.awaited.clear();
  EXPECT_THAT(Plan(input), ElementsAre("a", "silent>a"));
}

TEST(AssignmentTest, KeepsAPreparedShardWhereItIsWhileOneOfItsWorkersMayStillComeBack) {
  AssignmentInput input = Input({"a", "silent>a", "a>late"}, {"a"});
  input.awaited = {"silent", "late"};
  EXPECT_THAT(Plan(input), ElementsAre("a", "silent>a", "a>late")) << "else a restart of the driver folds them anew";
}

TEST(AssignmentTest, CallsAMoveOffOnceTheOwnerIsBack) {
  EXPECT_THAT(Plan(Input({"a", "back>a"}, {"a", "back"})), ElementsAre("a", "back"));
}

TEST(AssignmentTest, FoldsUpElsewhereWhenTheNextOwnerIsLostToo) {
  EXPECT_THAT(Plan(Input({"a", "lost>gone"}, {"a"})), ElementsAre("a", "lost>a"));
}

TEST(AssignmentTest, KeepsAShardWhereItIsWhenItsNextOwnerIsLost) {
  EXPECT_THAT(Plan(Input({"a", "a>gone"}, {"a"})), ElementsAre("a", "a"));
}

TEST(AssignmentTest, MovesTheLastShardsToAWorkerThatJoins) {
  EXPECT_THAT(Plan(Input({"a", "a", "a", "a"}, {"a", "b"})), ElementsAre("a", "a", "a>b", "a>b"));
}

TEST(AssignmentTest, DoesNotMoveForADifferenceOfOne) {
  EXPECT_THAT(Plan(Input({"a", "a", "b"}, {"a", "b"})), ElementsAre("a", "a", "b"));
  EXPECT_THAT(Plan(Input({"a"}, {"a", "b"})), ElementsAre("a"));
}

TEST(AssignmentTest, MovesAFreshShardWithoutFoldingItUp) {
  EXPECT_THAT(Plan(FreshInput(4, {"a"})), ElementsAre("a", "a", "a", "a"));
  AssignmentInput input = FreshInput(4, {"a", "b"});
  input.current = PlanAssignment(FreshInput(4, {"a"}));
  EXPECT_THAT(Plan(input), ElementsAre("a", "a", "b", "b"));
}

TEST(AssignmentTest, CountsAMoveUnderWayForItsNextOwner) {
  EXPECT_THAT(Plan(Input({"a", "a", "a>b", "a>b"}, {"a", "b"})), ElementsAre("a", "a", "a>b", "a>b"));
}

TEST(AssignmentTest, RedirectsAMoveToAWorkerThatNeedsTheShardMore) {
  EXPECT_THAT(Plan(Input({"a", "a", "a>b", "a>b"}, {"a", "b", "c"})), ElementsAre("a", "a", "a>b", "a>c"));
}

TEST(AssignmentTest, NothingMovesWhereTheLogsStartIsGone) {
  AssignmentInput input = Input({"a", "a", "a>b", "lost"}, {"a", "b"});
  input.can_refold = false;
  EXPECT_THAT(Plan(input), ElementsAre("a", "a", "a", "lost"));
}

TEST(AssignmentTest, ShardsOfAddedPartitionsAreGivenOutEvenWhereTheLogsStartIsGone) {
  AssignmentInput input = Input({"a", "a"}, {"a", "b"});
  input.can_refold = false;
  input.shards = 4;
  input.fresh = {2, 3};
  EXPECT_THAT(Plan(input), ElementsAre("a", "a", "b", "b"));
}

TEST(AssignmentTest, NobodyHasADoubtfulShard) {
  AssignmentInput input = Input({"a", "b>a", "b"}, {"a", "b"});
  input.doubtful = {1};
  EXPECT_THAT(Plan(input), ElementsAre("a", "", "b"));
}

TEST(AssignmentTest, FoldsAShardUpAgainOnceItsDoubtfulStateIsDropped) {
  EXPECT_THAT(Plan(Input({"a", "", "b"}, {"a", "b"})), ElementsAre("a", ">a", "b"));
}

TEST(AssignmentTest, RefoldsADroppedShardAlthoughTheLogsStartIsGone) {
  // Nobody has its state: a fold that then differs from the journal says so, waiting would be for ever.
  AssignmentInput input = Input({"a", ""}, {"a"});
  input.can_refold = false;
  EXPECT_THAT(Plan(input), ElementsAre("a", ">a"));
  input = Input({"a", ">b", "b"}, {"a", "b", "c"});
  input.can_refold = false;
  EXPECT_THAT(Plan(input), ElementsAre("a", ">b", "b")) << "who has begun goes on";
}

// ---- any history of workers that come and go ----

using Random = std::mt19937_64;

bool Flip(Random& random, double probability) { return std::bernoulli_distribution(probability)(random); }

AssignmentInput RandomInput(Random& random) {
  const std::vector<std::string> workers = {"a", "b", "c", "d", "e"};
  const auto anybody = [&] { return workers[random() % workers.size()]; };
  AssignmentInput input;
  input.shards = 1 + random() % 12;
  const size_t known = Flip(random, 0.2) ? random() % (input.shards + 1) : input.shards;
  for (uint32_t s = 0; s < input.shards; ++s) {
    if (s >= known || Flip(random, 0.2)) input.fresh.insert(s);
    if (Flip(random, 0.05)) input.doubtful.insert(s);
    if (s >= known) continue;
    ShardAssignment& shard = input.current.emplace_back();
    if (Flip(random, 0.9)) shard.set_owner(anybody());
    if (Flip(random, 0.3)) shard.set_next_owner(anybody());
    if (shard.owner() == shard.next_owner()) shard.clear_next_owner();
  }
  for (const std::string& worker : workers) {
    if (Flip(random, 0.6)) {
      input.live[worker] = random() % 3;
    } else if (Flip(random, 0.3)) {
      input.awaited.insert(worker);
    }
  }
  input.can_refold = Flip(random, 0.8);
  return input;
}

std::string Describe(const AssignmentInput& input) {
  std::string live;
  for (const auto& [worker, total] : input.live) absl::StrAppend(&live, worker, ":", total, " ");
  return absl::StrCat("current ", absl::StrJoin(Text(input.current), ","), " shards ", input.shards, " live ", live,
                      "awaited ", absl::StrJoin(input.awaited, ","), " fresh ", absl::StrJoin(input.fresh, ","),
                      " doubtful ", absl::StrJoin(input.doubtful, ","), input.can_refold ? "" : " cannot refold");
}

// What may not happen to a shard, whatever the rest is; empty if all is well.
std::string WrongWithShard(const AssignmentInput& input, uint32_t s, const ShardAssignment& after) {
  const ShardAssignment before = s < input.current.size() ? input.current[s] : ShardAssignment();
  const bool fresh = input.fresh.contains(s);
  const auto here = [&](const std::string& worker) { return input.live.contains(worker) || input.awaited.contains(worker); };
  if (input.doubtful.contains(s)) return after.owner() + after.next_owner() == "" ? "" : "somebody has a doubtful shard";
  if (!after.next_owner().empty() && !here(after.next_owner())) return "a lost worker prepares it";
  if (!after.next_owner().empty() && after.next_owner() == after.owner()) return "it moves to its owner";
  if (!fresh && after.owner() != before.owner()) return "it is taken over without being folded up";
  if (input.live.empty()) return "";
  if (fresh && !here(after.owner())) return "it is fresh and nobody has it";
  const bool waits = !input.can_refold && !fresh && !before.owner().empty();
  if (waits && !after.next_owner().empty()) return "it is to be folded up from a start that is gone";
  if (!waits && !here(after.owner()) && after.next_owner().empty()) return "nobody folds it up";
  return "";
}

size_t Unevenness(const AssignmentInput& input, const std::vector<ShardAssignment>& plan) {
  std::map<std::string, size_t> counts;
  for (const auto& [worker, total] : input.live) counts[worker] = 0;
  for (const ShardAssignment& shard : plan) {
    const auto it = counts.find(shard.next_owner().empty() ? shard.owner() : shard.next_owner());
    if (it != counts.end()) ++it->second;
  }
  if (counts.empty()) return 0;
  const auto fewer = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end(), fewer);
  return most->second - least->second;
}

TEST(AssignmentTest, KeepsItsRulesWhateverWasBefore) {
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    Random random(seed);
    const AssignmentInput input = RandomInput(random);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ": ", Describe(input)));
    const std::vector<ShardAssignment> plan = PlanAssignment(input);
    ASSERT_THAT(plan, SizeIs(input.shards));
    for (uint32_t s = 0; s < plan.size(); ++s) {
      ASSERT_EQ(WrongWithShard(input, s, plan[s]), "") << "shard " << s << ": " << Text(plan)[s];
    }
    if (input.can_refold) {
      ASSERT_LE(Unevenness(input, plan), 1u) << absl::StrJoin(Text(plan), ",");
    }
  }
}

TEST(AssignmentTest, IsStableAtOnce) {
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    Random random(seed);
    AssignmentInput input = RandomInput(random);
    SCOPED_TRACE(absl::StrCat("seed ", seed, ": ", Describe(input)));
    input.current = PlanAssignment(input);
    ASSERT_EQ(Plan(input), Text(input.current));
  }
}

}  // namespace
}  // namespace tenfold
