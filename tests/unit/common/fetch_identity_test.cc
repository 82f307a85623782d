// What brokers tell of the log that they have, and which of them is believed: ids, epochs, clusters.
#include <string>
#include <utility>
#include <vector>

#include "common/kafka/fetch_machine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/fetch_machine_fixture.h"

namespace tenfold {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

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

TEST_F(FetchMachineTest, BrokersOfAnotherClusterHaveIdsOfTheirOwn) {
  machine_.Assign({{{"events", 0}, 10, {.cluster = "other", .topic_id = {'o', 'l', 'd'}, .leader_epoch = 7}}}, now_us_);
  SettleFor(5 * kSecond);
  EXPECT_THAT(machine_.TakeEvents(), IsEmpty());
  EXPECT_EQ(AskedOffset(1), 10);
  EXPECT_EQ(asked_last_epoch_, -1);
  EXPECT_EQ(machine_.IdentityOf(0, 5).cluster, "cluster");
}

// As where compaction has emptied an epoch, and a new replica has never heard of it.
TEST_F(FetchMachineTest, EpochsThatDifferBehindTheOffsetLeaveItToTheRecords) {
  machine_.Assign({{{"events", 0}, 10, {.topic_id = metadata_.topics[0].id, .leader_epoch = 4}}}, now_us_);
  Settle();
  WireFetched::Partition diverging = Records(0, "", 40);
  diverging.diverging_epoch = 3;
  diverging.diverging_end = 12;
  EXPECT_THAT(Answer(1, diverging), IsEmpty());
  SettleFor(2 * kSecond);
  EXPECT_THAT(machine_.TakeEvents(), IsEmpty());
  EXPECT_EQ(AskedOffset(1), 10);
  EXPECT_EQ(asked_last_epoch_, -1);
}

// A leader that does not know the epoch says so with the same error as one without the offset.
TEST_F(FetchMachineTest, AnOffsetIsLostOnlyIfItIsWithoutTheEpochToo) {
  machine_.Assign({{{"events", 0}, 10, {.topic_id = metadata_.topics[0].id, .leader_epoch = 4}}}, now_us_);
  Settle();
  Answer(1, Error(0, WireError::kOffsetOutOfRange));
  SettleFor(2 * kSecond);
  EXPECT_THAT(machine_.TakeEvents(), IsEmpty());
  AskedOffset(1);
  EXPECT_EQ(asked_last_epoch_, -1);
  Answer(1, Error(0, WireError::kOffsetOutOfRange));
  EXPECT_THAT(machine_.TakeEvents(), SizeIs(1));
}

TEST_F(FetchMachineTest, ALogThatWasReadInALaterEpochIsNotAskedOfAnOlderLeader) {
  machine_.Assign({{{"events", 0}, 10, {.topic_id = metadata_.topics[0].id, .leader_epoch = 5}}}, now_us_);
  Settle();
  Answer(1, Error(0, WireError::kNotLeader));
  for (WireMetadata::Partition& partition : metadata_.topics[0].partitions) partition.leader_epoch = 4;
  SettleFor(20 * kSecond);
  EXPECT_FALSE(fetches_.contains(1));
  EXPECT_EQ(machine_.Stuck(),
            "events[0] cannot be read at 10: brokers name a leader of epoch 4, and records of epoch 5 were read");
}

}  // namespace
}  // namespace tenfold
