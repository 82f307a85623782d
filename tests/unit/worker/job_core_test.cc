#include "worker/core/job_core.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Property;

constexpr uint64_t kIncarnation = 77;
constexpr char kCluster[] = "cluster";

using Shards = std::vector<uint32_t>;
// Partition and next offset.
using Offsets = std::vector<std::pair<uint32_t, int64_t>>;

struct Order {
  uint64_t epoch = 1;
  uint64_t attempt = 1;
  uint64_t assignment = 1;
};

class JobCoreTest : public testing::Test {
 protected:
  static RequestId Id(const Order& order) {
    RequestId id;
    id.set_cluster_id(kCluster);
    id.set_job_id("job");
    id.set_epoch(order.epoch);
    id.set_attempt(order.attempt);
    id.set_assignment(order.assignment);
    id.set_incarnation(kIncarnation);
    return id;
  }

  // Partition i starts at offset 10 * i.
  AssignRequest MakeAssign(const Order& order, const Shards& owned, const Shards& prepared) const {
    AssignRequest request;
    *request.mutable_id() = Id(order);
    request.mutable_spec()->mutable_fold()->set_key("page");
    for (int p = 0; p < partitions_; ++p) {
      Partition* partition = request.add_partitions();
      partition->set_topic("events");
      partition->set_partition(p);
      partition->set_start_offset(10 * p);
    }
    for (const std::string& schema : schemas_) request.add_schemas()->set_avro(schema);
    request.mutable_owned()->Add(owned.begin(), owned.end());
    request.mutable_prepared()->Add(prepared.begin(), prepared.end());
    return request;
  }

  // What the worker does with an assignment.
  JobCore::AssignPlan Assign(const Order& order, const Shards& owned, const Shards& prepared = {}) {
    const AssignRequest request = MakeAssign(order, owned, prepared);
    EXPECT_EQ(core_.AdmitAssign(request.id(), kCluster), absl::OkStatus());
    const JobCore::AssignPlan plan = core_.PlanAssign(request);
    core_.Assigned(request, plan);
    return plan;
  }

  // A state as it was on disk when the worker started, made by a core like this one.
  ShardState StateOf(uint32_t shard) const {
    JobCore core("job", kIncarnation);
    return core.PlanAssign(MakeAssign({}, {shard}, {})).create.front();
  }

  template <typename Request>
  static Request Targets(const Order& order, const Offsets& targets) {
    Request request;
    *request.mutable_id() = Id(order);
    for (const auto& [partition, next_offset] : targets) {
      PartitionOffset* target = request.add_targets();
      target->set_partition(partition);
      target->set_next_offset(next_offset);
    }
    return request;
  }

  LookUpRequest LookUpOf(const Order& order, const Offsets& composition) const {
    LookUpRequest request;
    *request.mutable_composition() = Targets<FoldRequest>(order, composition).targets();
    *request.mutable_id() = Id(order);
    return request;
  }

  void AdvanceTo(uint32_t shard, int64_t next_offset) {
    ShardState state = core_.state(shard);
    for (PartitionState& partition : *state.mutable_partitions()) partition.set_next_offset(next_offset);
    core_.Persisted(state);
  }

  absl::Status AdmitFold(const Order& order) { return core_.AdmitFold(Id(order), kCluster); }
  absl::Status AdmitAssign(const Order& order) { return core_.AdmitAssign(Id(order), kCluster); }
  absl::Status AdmitPrepare(const Order& order) { return core_.AdmitPrepare(Id(order), kCluster); }
  absl::Status AdmitLookUp(const Order& order) { return core_.AdmitLookUp(LookUpOf(order, {}), kCluster); }

  int partitions_ = 3;
  // What the job has learned of schemas, by what they are.
  std::vector<std::string> schemas_;
  JobCore core_{"job", kIncarnation};
};

testing::Matcher<const ShardState&> StateAt(uint32_t shard) {
  return Property("id", &ShardState::id, Property("shard", &StateId::shard, shard));
}

// ---- which requests count ----

TEST_F(JobCoreTest, RefusesAnotherClustersRequests) {
  Assign({}, {0});
  EXPECT_EQ(core_.AdmitAssign(Id({}), "other").code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(core_.AdmitFold(Id({}), "other").code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(core_.AdmitPrepare(Id({}), "other").code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(core_.AdmitLookUp(LookUpOf({}, {}), "other").code(), StatusCode::kPermissionDenied);
}

TEST_F(JobCoreTest, RefusesRequestsMeantForAnEarlierProcess) {
  Assign({}, {0});
  RequestId id = Id({});
  id.set_incarnation(kIncarnation - 1);
  LookUpRequest look_up;
  *look_up.mutable_id() = id;
  EXPECT_EQ(core_.AdmitAssign(id, kCluster).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(core_.AdmitFold(id, kCluster).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(core_.AdmitPrepare(id, kCluster).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(core_.AdmitLookUp(look_up, kCluster).code(), StatusCode::kFailedPrecondition);
}

TEST_F(JobCoreTest, IgnoresALowerAttemptThanSeen) {
  Assign({.attempt = 5}, {});
  ASSERT_EQ(AdmitFold({.attempt = 6}), absl::OkStatus());
  core_.Answered(Id({.attempt = 5}));
  EXPECT_EQ(AdmitAssign({.attempt = 5}).code(), StatusCode::kAborted);
  EXPECT_EQ(AdmitFold({.attempt = 5}).code(), StatusCode::kAborted);
  EXPECT_EQ(AdmitLookUp({.attempt = 5}).code(), StatusCode::kAborted);
}

TEST_F(JobCoreTest, IgnoresALowerEpochHoweverHighItsAttempt) {
  Assign({.epoch = 2, .attempt = 1}, {});
  EXPECT_EQ(AdmitAssign({.epoch = 1, .attempt = 9}).code(), StatusCode::kAborted);
  EXPECT_EQ(AdmitFold({.epoch = 1, .attempt = 9}).code(), StatusCode::kAborted);
  EXPECT_EQ(AdmitPrepare({.epoch = 1, .attempt = 9}).code(), StatusCode::kAborted);
  EXPECT_EQ(AdmitLookUp({.epoch = 1, .attempt = 9}).code(), StatusCode::kAborted);
}

TEST_F(JobCoreTest, AdmitsTheSameAttemptAgain) {
  Assign({.attempt = 3}, {0});
  EXPECT_EQ(AdmitFold({.attempt = 3}), absl::OkStatus());
  EXPECT_EQ(AdmitFold({.attempt = 3}), absl::OkStatus());
  EXPECT_EQ(AdmitAssign({.attempt = 3}), absl::OkStatus());
}

TEST_F(JobCoreTest, IgnoresALowerAssignmentHoweverHighItsAttempt) {
  Assign({.attempt = 1, .assignment = 2}, {0});
  EXPECT_EQ(AdmitAssign({.attempt = 9, .assignment = 1}).code(), StatusCode::kAborted);
}

TEST_F(JobCoreTest, AStateThatIsMadeAnewIsOfTheLogThatIsKnown) {
  partitions_ = 2;
  AssignRequest request = MakeAssign({}, {0, 1}, {});
  request.add_logs()->set_topic_id("0123456789abcdef");
  request.mutable_logs(0)->set_kafka_cluster("there");
  request.add_logs();
  const JobCore::AssignPlan plan = core_.PlanAssign(request);
  ASSERT_EQ(plan.create.size(), 2U);
  EXPECT_EQ(plan.create[0].partitions(0).topic_id(), "0123456789abcdef");
  EXPECT_EQ(plan.create[0].partitions(0).kafka_cluster(), "there");
  EXPECT_EQ(plan.create[1].partitions(0).topic_id(), "");
}

TEST_F(JobCoreTest, FoldsOnlyUnderTheAssignmentItHas) {
  EXPECT_EQ(AdmitFold({.assignment = 1}).code(), StatusCode::kFailedPrecondition) << "it has none yet";
  Assign({.assignment = 2}, {0});
  EXPECT_EQ(AdmitFold({.assignment = 1}).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(AdmitFold({.assignment = 3}).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(AdmitPrepare({.assignment = 3}).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(AdmitLookUp({.assignment = 3}).code(), StatusCode::kFailedPrecondition);
}

TEST_F(JobCoreTest, WhatItRefusesDoesNotCountAsSeen) {
  Assign({.attempt = 1, .assignment = 2}, {0});
  ASSERT_FALSE(AdmitFold({.attempt = 9, .assignment = 3}).ok());
  ASSERT_FALSE(AdmitAssign({.attempt = 9, .assignment = 1}).ok());
  ASSERT_FALSE(core_.AdmitFold(Id({.epoch = 9, .assignment = 2}), "other").ok());
  EXPECT_EQ(AdmitFold({.attempt = 2, .assignment = 2}), absl::OkStatus());
}

TEST_F(JobCoreTest, AdmitsAPrepareOfAnyAttempt) {
  Assign({.attempt = 5}, {}, {0});
  EXPECT_EQ(AdmitPrepare({.attempt = 2}), absl::OkStatus());
  EXPECT_EQ(AdmitPrepare({.attempt = 9}), absl::OkStatus());
  EXPECT_EQ(AdmitFold({.attempt = 5}), absl::OkStatus()) << "a Prepare touches no sum, so it ends no attempt";
}

TEST_F(JobCoreTest, ALaterRequestSupersedes) {
  Assign({.attempt = 1}, {0});
  EXPECT_FALSE(core_.IsSuperseded(Id({.attempt = 1})));
  ASSERT_EQ(AdmitFold({.attempt = 2}), absl::OkStatus());
  EXPECT_TRUE(core_.IsSuperseded(Id({.attempt = 1})));
  EXPECT_FALSE(core_.IsSuperseded(Id({.attempt = 2})));
}

// ---- look-ups ----

TEST_F(JobCoreTest, LooksUpExactlyAtTheComposition) {
  partitions_ = 65;
  Assign({}, {0, 1}, {2});
  AdvanceTo(0, 700);
  AdvanceTo(1, 800);
  core_.Answered(Id({}));
  const auto admit = [&](const Offsets& composition) {
    return core_.AdmitLookUp(LookUpOf({}, composition), kCluster).code();
  };
  EXPECT_EQ(admit({{0, 700}, {64, 700}, {1, 800}}), StatusCode::kOk);
  EXPECT_EQ(admit({{0, 700}, {64, 701}, {1, 800}}), StatusCode::kFailedPrecondition);
  EXPECT_EQ(admit({{0, 700}, {64, 700}, {1, 799}}), StatusCode::kFailedPrecondition);
  EXPECT_EQ(admit({{0, 700}, {64, 700}}), StatusCode::kFailedPrecondition);
  EXPECT_EQ(admit({{0, 700}, {64, 700}, {1, 800}, {2, 20}}), StatusCode::kFailedPrecondition)
      << "a prepared shard is in no sum";
}

TEST_F(JobCoreTest, LooksUpOnlyForTheAttemptItAnswered) {
  Assign({.attempt = 1}, {0});
  EXPECT_EQ(core_.AdmitLookUp(LookUpOf({.attempt = 1}, {{0, 0}}), kCluster).code(), StatusCode::kFailedPrecondition);
  core_.Answered(Id({.attempt = 1}));
  EXPECT_EQ(core_.AdmitLookUp(LookUpOf({.attempt = 1}, {{0, 0}}), kCluster), absl::OkStatus());
  EXPECT_EQ(core_.AdmitLookUp(LookUpOf({.attempt = 2}, {{0, 0}}), kCluster).code(), StatusCode::kFailedPrecondition);
}

// ---- assignments ----

TEST_F(JobCoreTest, MakesFirstStatesAtTheStartOffsets) {
  partitions_ = 70;
  const JobCore::AssignPlan plan = core_.PlanAssign(MakeAssign({}, {5}, {}));
  ASSERT_THAT(plan.create, ElementsAre(StateAt(5)));
  const ShardState& state = plan.create[0];
  EXPECT_EQ(state.id().cluster_id(), kCluster);
  EXPECT_EQ(state.id().job_id(), "job");
  EXPECT_EQ(state.id().fold_hash(), FoldHash(MakeAssign({}, {}, {}).spec()));
  ASSERT_EQ(state.id().partitions_size(), 2);
  EXPECT_EQ(state.id().partitions(0).partition(), 5);
  EXPECT_EQ(state.id().partitions(1).partition(), 69);
  ASSERT_EQ(state.partitions_size(), 2);
  EXPECT_EQ(state.partitions(0).partition(), 5u);
  EXPECT_EQ(state.partitions(0).next_offset(), 50);
  EXPECT_EQ(state.partitions(1).partition(), 69u);
  EXPECT_EQ(state.partitions(1).next_offset(), 690);
  EXPECT_EQ(state.partitions(1).last_offset(), -1);
}

TEST_F(JobCoreTest, OnlyOwnedShardsJoinTheSums) {
  const JobCore::AssignPlan plan = Assign({}, {0, 2}, {1});
  EXPECT_THAT(plan.create, ElementsAre(StateAt(0), StateAt(2), StateAt(1)));
  EXPECT_THAT(plan.join, ElementsAre(0u, 2u));
  EXPECT_THAT(plan.leave, IsEmpty());
  EXPECT_THAT(core_.owned(), ElementsAre(0u, 2u));
}

TEST_F(JobCoreTest, TheSameAssignmentAgainChangesNothing) {
  Assign({.attempt = 1}, {0}, {1});
  AdvanceTo(0, 40);
  const JobCore::AssignPlan plan = Assign({.attempt = 2}, {0}, {1});
  EXPECT_THAT(plan.create, IsEmpty());
  EXPECT_THAT(plan.drop, IsEmpty());
  EXPECT_THAT(plan.verify, IsEmpty());
  EXPECT_THAT(plan.join, IsEmpty());
  EXPECT_THAT(plan.leave, IsEmpty());
  EXPECT_EQ(core_.state(0).partitions(0).next_offset(), 40);
}

TEST_F(JobCoreTest, AStateGoesOnWhereMoreSchemasWereLearned) {
  schemas_ = {"a"};
  Assign({.attempt = 1}, {0});
  AdvanceTo(0, 40);
  schemas_ = {"a", "b"};
  EXPECT_THAT(Assign({.attempt = 2}, {0}).create, IsEmpty());
  EXPECT_EQ(core_.state(0).partitions(0).next_offset(), 40);
  EXPECT_EQ(core_.state(0).id().schemas_size(), 2);
}

// The driver's journal is an older one, which it has gone on from otherwise.
TEST_F(JobCoreTest, AStateThatWasFoldedByOtherSchemasIsDropped) {
  for (const std::vector<std::string>& others : std::vector<std::vector<std::string>>{{"a", "c"}, {"a"}, {}, {"b", "a"}}) {
    schemas_ = {"a", "b"};
    Assign({.attempt = 1}, {0});
    AdvanceTo(0, 40);
    schemas_ = others;
    const JobCore::AssignPlan plan = core_.PlanAssign(MakeAssign({.attempt = 2}, {0}, {}));
    EXPECT_THAT(plan.drop, ElementsAre(0u));
    EXPECT_THAT(plan.create, ElementsAre(StateAt(0)));
  }
}

TEST_F(JobCoreTest, ATakenOverShardJoinsAsItIs) {
  Assign({.assignment = 1}, {0}, {1});
  AdvanceTo(1, 90);
  const JobCore::AssignPlan plan = Assign({.assignment = 2}, {0, 1});
  EXPECT_THAT(plan.join, ElementsAre(1u));
  EXPECT_THAT(plan.create, IsEmpty());
  EXPECT_THAT(plan.verify, IsEmpty());
  EXPECT_EQ(core_.state(1).partitions(0).next_offset(), 90);
}

TEST_F(JobCoreTest, AGivenAwayShardLeavesTheSumsAndIsDropped) {
  Assign({.assignment = 1}, {0, 1});
  const JobCore::AssignPlan plan = Assign({.assignment = 2}, {0});
  EXPECT_THAT(plan.leave, ElementsAre(1u));
  EXPECT_THAT(plan.drop, ElementsAre(1u));
  EXPECT_THAT(core_.owned(), ElementsAre(0u));
}

TEST_F(JobCoreTest, AnOwnedShardThatIsOnlyPreparedFromNowLeavesTheSumsAndStays) {
  Assign({.assignment = 1}, {0, 1});
  const JobCore::AssignPlan plan = Assign({.assignment = 2}, {0}, {1});
  EXPECT_THAT(plan.leave, ElementsAre(1u));
  EXPECT_THAT(plan.drop, IsEmpty());
  EXPECT_THAT(core_.owned(), ElementsAre(0u));
}

TEST_F(JobCoreTest, AJobThatIsAssignedNothingIsGone) {
  Assign({.assignment = 1}, {0}, {1});
  EXPECT_THAT(Assign({.assignment = 2}, {}).drop, ElementsAre(0u, 1u));
  EXPECT_TRUE(core_.empty());
}

TEST_F(JobCoreTest, AddedPartitionsAreAppendedAtTheirStart) {
  Assign({.attempt = 1}, {1});
  AdvanceTo(1, 33);
  partitions_ = 66;
  const JobCore::AssignPlan plan = Assign({.attempt = 2}, {1});
  EXPECT_THAT(plan.drop, IsEmpty());
  EXPECT_THAT(plan.create, IsEmpty());
  const ShardState& state = core_.state(1);
  EXPECT_EQ(state.id().partitions_size(), 2);
  ASSERT_EQ(state.partitions_size(), 2);
  EXPECT_EQ(state.partitions(0).next_offset(), 33);
  EXPECT_EQ(state.partitions(1).partition(), 65u);
  EXPECT_EQ(state.partitions(1).next_offset(), 650);
}

// ---- states found on disk ----

TEST_F(JobCoreTest, AStateFoundOnDiskIsScannedOnceAndKept) {
  core_.Restore(StateOf(0));
  const JobCore::AssignPlan plan = Assign({.attempt = 1}, {0});
  EXPECT_THAT(plan.verify, ElementsAre(0u));
  EXPECT_THAT(plan.join, ElementsAre(0u));
  EXPECT_THAT(plan.create, IsEmpty());
  EXPECT_THAT(plan.drop, IsEmpty());
  EXPECT_THAT(Assign({.attempt = 2}, {0}).verify, IsEmpty());
}

TEST_F(JobCoreTest, AStateFoundOnDiskIsInNoSumBeforeItIsAssigned) {
  core_.Restore(StateOf(0));
  EXPECT_THAT(core_.owned(), IsEmpty());
  EXPECT_FALSE(core_.empty());
}

TEST_F(JobCoreTest, AStateFoundOnDiskBeforePartitionsWereAddedIsKept) {
  core_.Restore(StateOf(1));
  partitions_ = 66;
  const JobCore::AssignPlan plan = Assign({}, {1});
  EXPECT_THAT(plan.drop, IsEmpty());
  EXPECT_EQ(core_.state(1).partitions_size(), 2);
}

TEST_F(JobCoreTest, AStateWithAnotherIdentityIsNeverSummed) {
  const std::pair<const char*, std::function<void(StateId*)>> differences[] = {
      {"cluster", [](StateId* id) { id->set_cluster_id("other"); }},
      {"job", [](StateId* id) { id->set_job_id("other"); }},
      {"fold hash", [](StateId* id) { id->set_fold_hash(id->fold_hash() + 1); }},
      {"start offset", [](StateId* id) { id->mutable_partitions(0)->set_start_offset(1); }},
      {"topic", [](StateId* id) { id->mutable_partitions(0)->set_topic("other"); }},
      {"more partitions than the job", [](StateId* id) { id->add_partitions()->set_topic("events"); }}};
  for (const auto& [what, differ] : differences) {
    SCOPED_TRACE(what);
    ShardState state = StateOf(0);
    differ(state.mutable_id());
    JobCore core("job", kIncarnation);
    core.Restore(state);
    const JobCore::AssignPlan plan = core.PlanAssign(MakeAssign({}, {0}, {}));
    EXPECT_THAT(plan.drop, ElementsAre(0u));
    EXPECT_THAT(plan.create, ElementsAre(StateAt(0)));
    EXPECT_THAT(plan.verify, IsEmpty());
  }
}

TEST_F(JobCoreTest, AStateThatIsNoLongerAssignedIsDroppedUnread) {
  core_.Restore(StateOf(0));
  const JobCore::AssignPlan plan = Assign({}, {1});
  EXPECT_THAT(plan.drop, ElementsAre(0u));
  EXPECT_THAT(plan.verify, IsEmpty());
  EXPECT_THAT(plan.leave, IsEmpty());
}

TEST_F(JobCoreTest, AForgottenStateIsMadeAnew) {
  core_.Restore(StateOf(0));
  core_.Forget(0);
  const JobCore::AssignPlan plan = core_.PlanAssign(MakeAssign({}, {0}, {}));
  EXPECT_THAT(plan.create, ElementsAre(StateAt(0)));
  EXPECT_THAT(plan.drop, IsEmpty());
}

TEST_F(JobCoreTest, EveryOwnedShardJoinsAgainOnceTheSumsAreVoid) {
  Assign({.attempt = 1}, {0, 1}, {2});
  core_.ForgetRoles();
  const JobCore::AssignPlan plan = Assign({.attempt = 2}, {0, 1}, {2});
  EXPECT_THAT(plan.join, ElementsAre(0u, 1u));
  EXPECT_THAT(plan.leave, IsEmpty());
}

// ---- folds ----

TEST_F(JobCoreTest, FoldsEveryOwnedShardToItsTargets) {
  partitions_ = 65;
  Assign({}, {0, 2}, {1});
  const auto ranges = core_.PlanFold(Targets<FoldRequest>({}, {{2, 120}, {64, 700}, {0, 100}}));
  ASSERT_EQ(ranges.status(), absl::OkStatus());
  ASSERT_EQ(ranges->size(), 2u);
  EXPECT_THAT((*ranges)[0].state, StateAt(0));
  EXPECT_THAT((*ranges)[0].ends, ElementsAre(100, 700));
  EXPECT_THAT((*ranges)[1].state, StateAt(2));
  EXPECT_THAT((*ranges)[1].ends, ElementsAre(120));
}

TEST_F(JobCoreTest, RefusesTargetsThatAreNotThoseOfItsShards) {
  Assign({}, {0, 2}, {1});
  const auto plan = [&](const Offsets& targets) {
    return core_.PlanFold(Targets<FoldRequest>({}, targets)).status().code();
  };
  EXPECT_EQ(plan({{0, 5}, {2, 5}}), StatusCode::kOk);
  EXPECT_EQ(plan({{0, 5}}), StatusCode::kFailedPrecondition);
  EXPECT_EQ(plan({{0, 5}, {1, 5}}), StatusCode::kFailedPrecondition);
  EXPECT_EQ(plan({{0, 5}, {1, 5}, {2, 5}}), StatusCode::kFailedPrecondition);
}

TEST_F(JobCoreTest, ChangesNothingAfterItsAnswerUntilTheNextAttempt) {
  Assign({.attempt = 1}, {0});
  core_.Answered(Id({.attempt = 1}));
  const auto again = core_.PlanFold(Targets<FoldRequest>({.attempt = 1}, {{0, 50}}));
  ASSERT_EQ(again.status(), absl::OkStatus());
  EXPECT_TRUE(again->empty());
  const auto next = core_.PlanFold(Targets<FoldRequest>({.attempt = 2}, {{0, 50}}));
  ASSERT_EQ(next.status(), absl::OkStatus());
  EXPECT_EQ(next->size(), 1u);
}

TEST_F(JobCoreTest, FoldsOnFromWhatIsPersisted) {
  Assign({}, {0});
  AdvanceTo(0, 30);
  const auto ranges = core_.PlanFold(Targets<FoldRequest>({}, {{0, 50}}));
  ASSERT_EQ(ranges.status(), absl::OkStatus());
  EXPECT_EQ(ranges->at(0).state.partitions(0).next_offset(), 30);
}

TEST_F(JobCoreTest, PreparesOnlyWhatItIsToTakeOver) {
  Assign({}, {0}, {1, 2});
  const auto ranges = core_.PlanPrepare(Targets<PrepareRequest>({}, {{2, 60}}));
  ASSERT_EQ(ranges.status(), absl::OkStatus());
  ASSERT_EQ(ranges->size(), 1u);
  EXPECT_THAT(ranges->at(0).state, StateAt(2));
  EXPECT_THAT(ranges->at(0).ends, ElementsAre(60));
  const auto refusal = [&](uint32_t partition) {
    return core_.PlanPrepare(Targets<PrepareRequest>({}, {{partition, 60}})).status().code();
  };
  EXPECT_EQ(refusal(0), StatusCode::kFailedPrecondition) << "an owned shard";
  EXPECT_EQ(refusal(3), StatusCode::kFailedPrecondition) << "another worker's shard";
  EXPECT_EQ(refusal(66), StatusCode::kFailedPrecondition) << "a partition it was not told of";
}

TEST_F(JobCoreTest, TheTargetsOfAPreparedShardAreAllItsPartitions) {
  partitions_ = 65;
  Assign({}, {}, {0});
  EXPECT_EQ(core_.PlanPrepare(Targets<PrepareRequest>({}, {{64, 900}})).status().code(), StatusCode::kFailedPrecondition);
  const auto ranges = core_.PlanPrepare(Targets<PrepareRequest>({}, {{0, 800}, {64, 900}}));
  ASSERT_EQ(ranges.status(), absl::OkStatus());
  EXPECT_THAT(ranges->at(0).ends, ElementsAre(800, 900));
}

class LineageTest : public JobCoreTest {
 protected:
  static RequestId IdAt(uint64_t attempt, uint64_t batch, uint64_t hash) {
    RequestId id = Id({.attempt = attempt});
    id.mutable_lineage()->set_batch(batch);
    id.mutable_lineage()->set_hash(hash);
    return id;
  }
};

TEST_F(LineageTest, ADriverWhoseJournalLacksABatchIsRefused) {
  Assign({}, {0});
  ASSERT_EQ(core_.AdmitFold(IdAt(2, 7, 70), kCluster), absl::OkStatus());
  EXPECT_EQ(core_.lineage().batch(), 7u);
  EXPECT_EQ(core_.AdmitFold(IdAt(3, 6, 60), kCluster).code(), StatusCode::kOutOfRange) << "an earlier one";
  EXPECT_EQ(core_.AdmitAssign(IdAt(3, 7, 71), kCluster).code(), StatusCode::kOutOfRange) << "another one";
  EXPECT_EQ(core_.AdmitAssign(Id({.attempt = 3}), kCluster).code(), StatusCode::kOutOfRange) << "none";
  EXPECT_EQ(core_.AdmitFold(IdAt(3, 7, 70), kCluster), absl::OkStatus()) << "the same";
  EXPECT_EQ(core_.AdmitFold(IdAt(4, 8, 80), kCluster), absl::OkStatus()) << "the next";
}

TEST_F(LineageTest, TheLatestOfTheStatesOnDiskCounts) {
  for (const uint32_t shard : {0U, 1U, 2U}) {
    ShardState state = StateOf(shard);
    state.mutable_lineage()->set_batch(shard == 1 ? 9 : 4);
    state.mutable_lineage()->set_hash(shard == 1 ? 90 : 40);
    core_.Restore(state);
  }
  EXPECT_EQ(core_.AdmitAssign(IdAt(1, 8, 80), kCluster).code(), StatusCode::kOutOfRange);
  EXPECT_EQ(core_.AdmitAssign(IdAt(1, 9, 90), kCluster), absl::OkStatus());
  EXPECT_EQ(core_.AdmitAssign(IdAt(1, 12, 120), kCluster), absl::OkStatus());
  EXPECT_EQ(core_.lineage().batch(), 9u) << "an Assign alone tells nothing, the driver compares first";
}

// A request that is late is no sign of another journal.
TEST_F(LineageTest, ALateRequestIsSuperseded) {
  Assign({}, {0});
  ASSERT_EQ(core_.AdmitFold(IdAt(5, 7, 70), kCluster), absl::OkStatus());
  EXPECT_EQ(core_.AdmitFold(IdAt(4, 6, 60), kCluster).code(), StatusCode::kAborted);
  EXPECT_EQ(core_.AdmitPrepare(IdAt(4, 6, 60), kCluster), absl::OkStatus());
}

TEST_F(JobCoreTest, TellsWhereAShardIs) {
  partitions_ = 65;
  Assign({}, {0});
  ShardState state = core_.state(0);
  state.mutable_partitions(0)->set_next_offset(12);
  state.mutable_digest()->set_low(9);
  core_.Persisted(state);
  const ShardPosition position = core_.Position(0);
  EXPECT_EQ(position.shard(), 0u);
  EXPECT_THAT(position.offsets(),
              ElementsAre(AllOf(Property(&PartitionOffset::partition, 0u), Property(&PartitionOffset::next_offset, 12)),
                          AllOf(Property(&PartitionOffset::partition, 64u), Property(&PartitionOffset::next_offset, 640))));
  EXPECT_EQ(position.digest().low(), 9u);
}

}  // namespace
}  // namespace tenfold
