#include "common/kafka/fetch_machine.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/wire_fixture.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr int64_t kSecond = 1'000'000;

std::string OneRecord(int64_t offset, int32_t epoch = 0, size_t bytes = 1) {
  MadeBatch batch;
  batch.base_offset = offset;
  batch.leader_epoch = epoch;
  MadeRecord record;
  record.value = std::string(bytes, 'v');
  batch.records = {record};
  return BatchBytes(batch);
}

// A machine and the brokers around it, all of which do what the test says.
class FetchMachineTest : public testing::Test {
 protected:
  FetchMachineTest() {
    metadata_.brokers = {{1, {"one", 9092}}, {2, {"two", 9092}}};
    WireMetadata::Topic topic;
    topic.name = "events";
    topic.id = {'i', 'd'};
    topic.partitions = {{0, WireError::kNone, 1, 5}, {1, WireError::kNone, 2, 5}};
    metadata_.topics = {topic};
  }

  void Assign(int64_t first = 10, int64_t second = 20) {
    machine_.Assign({{{"events", 0}, first}, {{"events", 1}, second}}, now_us_);
  }

  // Does what is due: connections open at once, and all but Fetches are answered at once.
  void Settle() {
    for (int round = 0; round < 20; ++round) {
      const std::vector<FetchMachine::Action> actions = machine_.Act(now_us_);
      if (actions.empty()) return;
      for (const FetchMachine::Action& action : actions) Do(action);
    }
    ADD_FAILURE() << "it never settles";
  }

  void SettleFor(int64_t us) {
    for (const int64_t until_us = now_us_ + us; now_us_ < until_us; now_us_ += kSecond / 5) Settle();
    Settle();
  }

  void Do(const FetchMachine::Action& action) {
    if (action.kind == FetchMachine::Action::Kind::kOpen) {
      opened_.push_back(absl::StrCat(action.connection, "=", action.address.ToString()));
      if (refused_.contains(action.address.host)) return machine_.OnLost(action.connection, "refuses", now_us_);
      if (silent_.contains(opened_.back())) return;
      return machine_.OnOpen(action.connection);
    }
    if (action.kind == FetchMachine::Action::Kind::kClose) {
      closed_.push_back(action.connection);
      return;
    }
    if (action.call == WireCall::kFetch) {
      fetches_[action.connection] = action;
      return;
    }
    ++asked_[action.call];
    const std::string answer =
        action.call == WireCall::kApiVersions ? VersionsBytes(fetch_versions_) : MetadataBytes(action.version, metadata_);
    const auto taken = machine_.OnAnswer(action.connection, answer, now_us_);
    EXPECT_TRUE(taken.ok()) << taken.status();
  }

  // Answers the Fetch of a broker, of whose partition this is.
  std::vector<FetchMachine::Delivery> Answer(int32_t broker, WireFetched::Partition partition, int32_t throttle_ms = 0) {
    const auto fetch = fetches_.extract(broker);
    if (fetch.empty()) {
      ADD_FAILURE() << "broker " << broker << " was not asked";
      return {};
    }
    partition.topic = "events";
    partition.id = metadata_.topics[0].id;
    if (partition.last_stable_offset < 0) partition.last_stable_offset = partition.high_watermark;
    WireFetched fetched;
    fetched.throttle_ms = throttle_ms;
    fetched.partitions = {std::move(partition)};
    answers_.push_back(FetchedBytes(fetch.mapped().version, fetched));
    auto deliveries = machine_.OnAnswer(broker, answers_.back(), now_us_);
    EXPECT_TRUE(deliveries.ok()) << deliveries.status();
    return deliveries.ok() ? *std::move(deliveries) : std::vector<FetchMachine::Delivery>();
  }

  static WireFetched::Partition Error(int32_t partition, WireError error) {
    WireFetched::Partition of;
    of.partition = partition;
    of.error = error;
    return of;
  }
  // Of records that outlive it.
  static WireFetched::Partition Records(int32_t partition, std::string_view records, int64_t end) {
    WireFetched::Partition of;
    of.partition = partition;
    of.records = records;
    of.high_watermark = end;
    return of;
  }

  // The offset that the Fetch under way at the broker asks for, of its only partition.
  int64_t AskedOffset(int32_t broker) {
    const FetchMachine::Action& ask = fetches_.at(broker);
    WireInput in(ask.question);
    for (int i = 0; i < 4; ++i) in.Take<int32_t>();
    in.Take<int8_t>();
    in.Take<int64_t>();
    EXPECT_EQ(in.TakeCompactArray(), 1U);
    if (ask.version >= 13) {
      for (int i = 0; i < 16; ++i) in.Take<int8_t>();
    } else {
      in.TakeCompactString();
    }
    EXPECT_EQ(in.TakeCompactArray(), 1U);
    in.Take<int32_t>();
    asked_epoch_ = in.Take<int32_t>();
    const auto offset = in.Take<int64_t>();
    asked_last_epoch_ = in.Take<int32_t>();
    in.Take<int64_t>();
    asked_bytes_ = in.Take<int32_t>();
    EXPECT_FALSE(in.failed());
    return offset;
  }

  int64_t now_us_ = 1'000 * kSecond;
  FetchMachine machine_{{.bootstrap = {{"boot", 9092}}, .partition_bytes = 1000}};
  WireMetadata metadata_;
  WireVersions fetch_versions_ = {0, 17};
  std::map<std::string, int> refused_;
  // Which connections, to which addresses, never open.
  std::set<std::string> silent_;
  std::vector<std::string> opened_;
  std::vector<int32_t> closed_;
  std::map<WireCall, int> asked_;
  std::map<int32_t, FetchMachine::Action> fetches_;
  // What deliveries are views of.
  std::vector<std::string> answers_;
  int32_t asked_epoch_ = 0;
  int32_t asked_last_epoch_ = 0;
  int32_t asked_bytes_ = 0;
};

TEST_F(FetchMachineTest, AsksEachLeaderForItsPartitions) {
  Assign();
  Settle();
  EXPECT_THAT(opened_, ElementsAre("-1=boot:9092", "1=one:9092", "2=two:9092"));
  EXPECT_THAT(closed_, ElementsAre(kControl));
  EXPECT_EQ(AskedOffset(1), 10);
  EXPECT_EQ(asked_epoch_, 5);
  EXPECT_EQ(asked_last_epoch_, -1);
  EXPECT_EQ(AskedOffset(2), 20);
  EXPECT_EQ(fetches_.at(1).version, 13);
}

TEST_F(FetchMachineTest, GoesOnBehindWhatCame) {
  Assign();
  Settle();
  const std::string batches = OneRecord(10, 3) + OneRecord(11, 4);
  std::vector<FetchMachine::Delivery> deliveries = Answer(1, Records(0, batches, 12));
  ASSERT_THAT(deliveries, SizeIs(1));
  EXPECT_EQ(deliveries[0].batches, batches);
  EXPECT_EQ(deliveries[0].position, 0U);
  EXPECT_EQ(deliveries[0].from, 10);
  EXPECT_EQ(deliveries[0].next_offset, 12);
  EXPECT_TRUE(deliveries[0].at_end);
  Settle();
  EXPECT_EQ(AskedOffset(1), 12);
  EXPECT_EQ(asked_last_epoch_, 4);
  deliveries = Answer(1, Records(0, OneRecord(12), 14));
  EXPECT_FALSE(deliveries.at(0).at_end);
}

TEST_F(FetchMachineTest, AbortedTransactionsAreToldByWhereTheyBegan) {
  Assign();
  Settle();
  const std::string batch = OneRecord(10);
  WireFetched::Partition partition = Records(0, batch, 11);
  partition.aborted = {{.producer_id = 7, .first_offset = 9}, {.producer_id = 8, .first_offset = 4}};
  const std::vector<FetchMachine::Delivery> deliveries = Answer(1, partition);
  ASSERT_THAT(deliveries.at(0).aborted, SizeIs(2));
  EXPECT_EQ(deliveries[0].aborted[0].producer_id, 8);
}

TEST_F(FetchMachineTest, ABatchThatIsCutOffIsAskedForAgainWithRoom) {
  Assign();
  Settle();
  const std::string large = OneRecord(11, 0, 5'000);
  std::vector<FetchMachine::Delivery> deliveries = Answer(1, Records(0, OneRecord(10) + large.substr(0, 300), 12));
  EXPECT_EQ(deliveries.at(0).next_offset, 11);
  EXPECT_EQ(deliveries.at(0).batches, OneRecord(10));
  Settle();
  EXPECT_EQ(AskedOffset(1), 11);
  EXPECT_EQ(asked_bytes_, 1'000);
  deliveries = Answer(1, Records(0, large.substr(0, 1'000), 12));
  EXPECT_THAT(deliveries.at(0).batches, IsEmpty());
  EXPECT_FALSE(deliveries.at(0).at_end);
  Settle();
  EXPECT_EQ(AskedOffset(1), 11);
  EXPECT_EQ(asked_bytes_, static_cast<int32_t>(large.size()));
}

TEST_F(FetchMachineTest, FollowsALeaderThatMoves) {
  Assign();
  Settle();
  Answer(1, Error(0, WireError::kNotLeader));
  metadata_.topics[0].partitions[0] = {0, WireError::kNone, 2, 6};
  now_us_ += kSecond;
  Answer(2, Records(1, "", 20));
  Settle();
  EXPECT_EQ(asked_[WireCall::kMetadata], 2);
  EXPECT_FALSE(fetches_.contains(1));
  EXPECT_TRUE(fetches_.contains(2));
}

TEST_F(FetchMachineTest, BelievesNoLeaderOfAnOlderEpoch) {
  Assign();
  Settle();
  WireFetched::Partition moved = Error(0, WireError::kNotLeader);
  moved.leader = 2;
  moved.leader_epoch = 7;
  Answer(1, moved);
  // A broker that is behind still names the former one.
  now_us_ += kSecond;
  Answer(2, Records(1, "", 20));
  Settle();
  EXPECT_EQ(asked_[WireCall::kMetadata], 2);
  EXPECT_FALSE(fetches_.contains(1));
  metadata_.topics[0].partitions[0] = {0, WireError::kNone, 1, 8};
  Answer(2, Error(0, WireError::kFencedLeaderEpoch));
  now_us_ += kSecond;
  Settle();
  EXPECT_EQ(AskedOffset(1), 10);
  EXPECT_EQ(asked_epoch_, 8);
}

// As where a topic was created again and there are no ids.
TEST_F(FetchMachineTest, ALeaderOfAnOlderEpochIsBelievedIfBrokersInsist) {
  Assign();
  Settle();
  Answer(1, Error(0, WireError::kUnknownLeaderEpoch));
  for (WireMetadata::Partition& partition : metadata_.topics[0].partitions) partition.leader_epoch = 0;
  SettleFor(5 * kSecond);
  AskedOffset(1);
  EXPECT_EQ(asked_epoch_, 5);
  for (int i = 0; i < 5; ++i, SettleFor(2 * kSecond)) Answer(1, Error(0, WireError::kUnknownLeaderEpoch));
  AskedOffset(1);
  EXPECT_EQ(asked_epoch_, 0);
}

TEST_F(FetchMachineTest, ABrokerThatHasNothingAndDoesNotHoldItBackIsAskedLessOften) {
  Assign();
  Settle();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(fetches_.contains(1)) << "in round " << i;
    Answer(1, Records(0, "", 10));
    Settle();
  }
  EXPECT_FALSE(fetches_.contains(1));
  now_us_ += kSecond;
  Settle();
  EXPECT_TRUE(fetches_.contains(1));
}

TEST_F(FetchMachineTest, AnOffsetThatIsNotThereIsLost) {
  Assign();
  Settle();
  EXPECT_THAT(Answer(1, Error(0, WireError::kOffsetOutOfRange)), IsEmpty());
  const std::vector<LogReader::Event> events = machine_.TakeEvents();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].kind, LogReader::Event::Kind::kOffsetLost);
  EXPECT_EQ(events[0].next_offset, 10);
  Settle();
  EXPECT_FALSE(fetches_.contains(1)) << "nothing is asked of it before Assign";
  Assign();
  now_us_ += kSecond;
  Settle();
  EXPECT_EQ(AskedOffset(1), 10);
}

TEST_F(FetchMachineTest, ATopicCountsAsMissingAfterThreeSeconds) {
  metadata_.topics[0].error = WireError::kUnknownTopicOrPartition;
  Assign();
  Settle();
  EXPECT_THAT(machine_.TakeEvents(), IsEmpty());
  SettleFor(5 * kSecond);
  const std::vector<LogReader::Event> events = machine_.TakeEvents();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0].kind, LogReader::Event::Kind::kFailed);
  EXPECT_EQ(events[0].message, "read events[0] at 10: topic events does not exist (any more)");
}

TEST_F(FetchMachineTest, APartitionThatCameLateIsRead) {
  const WireMetadata::Partition late = metadata_.topics[0].partitions[1];
  metadata_.topics[0].partitions.pop_back();
  Assign();
  Settle();
  EXPECT_FALSE(fetches_.contains(2));
  metadata_.topics[0].partitions.push_back(late);
  now_us_ += kSecond;
  Settle();
  EXPECT_EQ(AskedOffset(2), 20);
  EXPECT_THAT(machine_.TakeEvents(), IsEmpty());
}

TEST_F(FetchMachineTest, ATopicThatWasCreatedAgainIsNotReadOn) {
  Assign();
  Settle();
  Answer(1, Error(0, WireError::kUnknownTopicId));
  metadata_.topics[0].id = {'o', 't', 'h', 'e', 'r'};
  SettleFor(5 * kSecond);
  const std::vector<LogReader::Event> events = machine_.TakeEvents();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0].kind, LogReader::Event::Kind::kFailed);
  EXPECT_THAT(events[0].message, HasSubstr("events[0] at 10: topic events was created again"));
  // Whose first leader has a lower epoch than the former topic's last one.
  for (WireMetadata::Partition& partition : metadata_.topics[0].partitions) partition.leader_epoch = 0;
  Assign();
  now_us_ += kSecond;
  Settle();
  EXPECT_EQ(AskedOffset(1), 10);
}

TEST_F(FetchMachineTest, ATopicWithAnotherIdThanWasReadIsAnotherLog) {
  machine_.Assign({{{"events", 0}, 10, {.topic_id = {'b', 'e', 'f', 'o', 'r', 'e'}, .leader_epoch = 5}}}, now_us_);
  SettleFor(kSecond);
  // A broker that is behind may still tell of a former topic.
  EXPECT_THAT(machine_.TakeEvents(), IsEmpty());
  EXPECT_THAT(fetches_, IsEmpty());
  SettleFor(4 * kSecond);
  const std::vector<LogReader::Event> events = machine_.TakeEvents();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].kind, LogReader::Event::Kind::kAnotherLog);
  EXPECT_EQ(events[0].next_offset, 0);
  EXPECT_EQ(events[0].message,
            "topic events was created again: its id is aWQAAAAAAAAAAAAAAAAAAA, and was YmVmb3JlAAAAAAAAAAAAAA");
}

TEST_F(FetchMachineTest, ABrokerIsAskedWhetherItsLogIsTheOneThatWasRead) {
  machine_.Assign({{{"events", 0}, 10, {.topic_id = metadata_.topics[0].id, .leader_epoch = 3}}}, now_us_);
  Settle();
  EXPECT_EQ(AskedOffset(1), 10);
  EXPECT_EQ(asked_last_epoch_, 3);
  const std::string record = OneRecord(10, 4);
  const std::vector<FetchMachine::Delivery> deliveries = Answer(1, Records(0, record, 11));
  ASSERT_THAT(deliveries, SizeIs(1));
  EXPECT_EQ(deliveries[0].identity.leader_epoch, 4);
  EXPECT_EQ(deliveries[0].identity.topic_id, metadata_.topics[0].id);
  Settle();
  EXPECT_EQ(AskedOffset(1), 11);
  EXPECT_EQ(asked_last_epoch_, 4);
}

TEST_F(FetchMachineTest, APartitionThatGotALeaderAnewIsOfAnotherSource) {
  Assign();
  Settle();
  const std::string first = OneRecord(10), second = OneRecord(11);
  const std::vector<FetchMachine::Delivery> before = Answer(1, Records(0, first, 12));
  Settle();
  Answer(1, Error(0, WireError::kUnknownTopicOrPartition));
  SettleFor(2 * kSecond);
  const std::vector<FetchMachine::Delivery> after = Answer(1, Records(0, second, 12));
  ASSERT_THAT(before, SizeIs(1));
  ASSERT_THAT(after, SizeIs(1));
  EXPECT_FALSE(before[0].source == after[0].source);
}

TEST_F(FetchMachineTest, ALogThatDivergesIsNotReadOn) {
  machine_.Assign({{{"events", 0}, 10, {.topic_id = {}, .leader_epoch = 4}}}, now_us_);
  Settle();
  WireFetched::Partition diverging = Records(0, "", 40);
  diverging.diverging_epoch = 3;
  diverging.diverging_end = 8;
  EXPECT_THAT(Answer(1, diverging), IsEmpty());
  const std::vector<LogReader::Event> events = machine_.TakeEvents();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].kind, LogReader::Event::Kind::kAnotherLog);
  EXPECT_EQ(events[0].next_offset, 8);
  EXPECT_THAT(events[0].message,
              HasSubstr("offset 10 was reached in leader epoch 4, which the log has not: its epoch 3 ended at 8"));
}

TEST_F(FetchMachineTest, AnswersToWhatWasAskedBeforeAssignAreDropped) {
  Assign();
  Settle();
  Assign(5, 6);
  EXPECT_THAT(Answer(1, Records(0, OneRecord(10), 11)), IsEmpty());
  Settle();
  EXPECT_EQ(AskedOffset(1), 5);
}

TEST_F(FetchMachineTest, ABrokerThatIsSilentIsConnectedAnew) {
  Assign();
  Settle();
  fetches_.clear();
  now_us_ += 4 * kSecond;
  Settle();
  EXPECT_THAT(closed_, ElementsAre(kControl));
  now_us_ += 2 * kSecond;
  Settle();
  EXPECT_THAT(closed_, testing::IsSupersetOf({1, 2}));
  now_us_ += kSecond;
  Settle();
  EXPECT_EQ(AskedOffset(1), 10);
  EXPECT_EQ(AskedOffset(2), 20);
}

TEST_F(FetchMachineTest, ABrokerThatMovedIsNotWaitedForWhereItWas) {
  silent_ = {"1=one:9092"};
  Assign();
  Settle();
  EXPECT_THAT(opened_, ElementsAre("-1=boot:9092", "1=one:9092", "2=two:9092"));
  metadata_.brokers[1] = {"three", 9092};
  // Anything that has the leaders asked for.
  Answer(2, Error(1, WireError::kLeaderNotAvailable));
  now_us_ += kSecond;
  Settle();
  EXPECT_THAT(opened_, testing::Contains("1=three:9092"));
  EXPECT_THAT(closed_, testing::Contains(1));
  EXPECT_EQ(AskedOffset(1), 10);
}

TEST_F(FetchMachineTest, WhatKeepsComingIsWaitedFor) {
  Assign();
  Settle();
  for (int i = 0; i < 10; ++i) {
    now_us_ += 3 * kSecond;
    machine_.OnProgress(1, now_us_);
    machine_.OnProgress(2, now_us_);
    Settle();
  }
  EXPECT_THAT(closed_, ElementsAre(kControl));
}

TEST_F(FetchMachineTest, DeadlinesMoveWhileNobodyLooks) {
  Assign();
  Settle();
  now_us_ += 60 * kSecond;
  machine_.OnPaused(60 * kSecond);
  Settle();
  EXPECT_THAT(closed_, ElementsAre(kControl));
}

TEST_F(FetchMachineTest, WhatCannotBeReadIsToldInThePlaceOfWhatWasFoundBehindIt) {
  Assign();
  Settle();
  Answer(1, Records(0, OneRecord(10), 11));
  Settle();
  Answer(1, Error(0, WireError::kOffsetOutOfRange));
  machine_.OnUnreadable(0, 10, "is damaged");
  const std::vector<LogReader::Event> events = machine_.TakeEvents();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].next_offset, 10);
  EXPECT_EQ(events[0].message, "read events[0] at 10: its batch is damaged");
}

TEST_F(FetchMachineTest, BatchesThatLeadNowhereAreNotAskedForAtOnce) {
  Assign();
  Settle();
  Answer(1, Records(0, OneRecord(4), 11));
  Settle();
  EXPECT_FALSE(fetches_.contains(1));
  now_us_ += kSecond;
  Settle();
  EXPECT_EQ(AskedOffset(1), 10);
}

TEST_F(FetchMachineTest, AWrongBrokersNumberIsIgnored) {
  metadata_.brokers[-1] = {"nobody", 1};
  metadata_.topics[0].partitions[0].leader = -1;
  Assign();
  Settle();
  now_us_ += kSecond;
  Settle();
  EXPECT_THAT(opened_, testing::Not(testing::Contains("-1=nobody:1")));
}

TEST_F(FetchMachineTest, AConnectionThatLeadsNothingIsClosed) {
  Assign();
  Settle();
  metadata_.topics[0].partitions[0] = {0, WireError::kNone, 2, 6};
  Answer(1, Error(0, WireError::kNotLeader));
  now_us_ += kSecond;
  Settle();
  EXPECT_THAT(closed_, testing::Contains(1));
}

TEST_F(FetchMachineTest, AThrottledBrokerIsLeftAlone) {
  Assign();
  Settle();
  Answer(1, Records(0, "", 10), /*throttle_ms=*/2'000);
  Settle();
  EXPECT_FALSE(fetches_.contains(1));
  EXPECT_LE(machine_.NextTimeUs(), now_us_ + 2 * kSecond);
  now_us_ += 2 * kSecond;
  Settle();
  EXPECT_EQ(AskedOffset(1), 10);
}

TEST_F(FetchMachineTest, BrokersWithoutTheVersionsAreForAnotherReader) {
  fetch_versions_ = {0, 11};
  Assign();
  Settle();
  EXPECT_EQ(machine_.unsupported(), "broker boot:9092 knows no Fetch of version 12 or 13");
  EXPECT_THAT(machine_.Act(now_us_ + kSecond), IsEmpty());
}

TEST_F(FetchMachineTest, WithoutTopicIdsTheNameIsAsked) {
  fetch_versions_ = {0, 12};
  Assign();
  Settle();
  EXPECT_EQ(fetches_.at(1).version, 12);
  EXPECT_EQ(AskedOffset(1), 10);
  EXPECT_THAT(Answer(1, Records(0, OneRecord(10), 11)), SizeIs(1));
}

TEST_F(FetchMachineTest, WhereNobodyAnswersIsSaidUntilSomebodyDoes) {
  refused_ = {{"boot", 1}};
  Assign();
  Settle();
  EXPECT_EQ(machine_.unreachable(), "broker boot:9092 refuses");
  refused_.clear();
  now_us_ += kSecond;
  Settle();
  EXPECT_EQ(machine_.unreachable(), "");
}

TEST_F(FetchMachineTest, OneDeadBrokerLeavesTheOthers) {
  refused_ = {{"one", 1}};
  Assign();
  Settle();
  EXPECT_EQ(machine_.unreachable(), "");
  EXPECT_FALSE(fetches_.contains(1));
  for (int64_t offset = 20; offset < 25; ++offset) {
    EXPECT_THAT(Answer(2, Records(1, OneRecord(offset), offset + 1)), SizeIs(1));
    now_us_ += kSecond;
    Settle();
  }
  EXPECT_EQ(machine_.unreachable(), "");
}

TEST_F(FetchMachineTest, PartitionsThatWereLeftOutComeFirst) {
  metadata_.topics[0].partitions[1].leader = 1;
  Assign();
  Settle();
  const auto first_asked = [&] {
    const FetchMachine::Action& ask = fetches_.at(1);
    WireInput in(ask.question);
    for (int i = 0; i < 4; ++i) in.Take<int32_t>();
    in.Take<int8_t>();
    in.Take<int64_t>();
    in.TakeCompactArray();
    for (int i = 0; i < 16; ++i) in.Take<int8_t>();
    in.TakeCompactArray();
    return in.Take<int32_t>();
  };
  EXPECT_EQ(first_asked(), 0);
  Answer(1, Records(0, OneRecord(10), 50));
  Settle();
  EXPECT_EQ(first_asked(), 1);
}

TEST_F(FetchMachineTest, AnswersThatAreCutOffOrLieAreRefused) {
  Assign();
  Settle();
  const std::string batch = OneRecord(10);
  WireFetched::Partition partition = Records(0, batch, 11);
  partition.id = metadata_.topics[0].id;
  WireFetched fetched;
  fetched.partitions = {partition};
  const std::string whole = FetchedBytes(13, fetched);
  for (size_t size = 0; size < whole.size(); ++size) {
    FetchMachine copy = machine_;
    EXPECT_FALSE(copy.OnAnswer(1, whole.substr(0, size), now_us_).ok()) << size;
  }
}

}  // namespace
}  // namespace tenfold
