#include "common/kafka/fetch_machine.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/fetch_machine_fixture.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

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

TEST_F(FetchMachineTest, AsksForNothingThatIsNotWanted) {
  Assign();
  machine_.ReadUpTo({12, 20});
  Settle();
  EXPECT_EQ(AskedOffset(1), 10);
  EXPECT_FALSE(fetches_.contains(2));
  std::vector<FetchMachine::Delivery> deliveries = Answer(1, Records(0, OneRecord(10), 50));
  EXPECT_FALSE(deliveries.at(0).at_end);
  Settle();
  EXPECT_EQ(AskedOffset(1), 11);
  deliveries = Answer(1, Records(0, OneRecord(11) + OneRecord(12), 50));
  EXPECT_TRUE(deliveries.at(0).at_end);
  EXPECT_EQ(deliveries.at(0).next_offset, 13);
  SettleFor(kSecond);
  EXPECT_TRUE(fetches_.empty());
  EXPECT_GT(machine_.NextTimeUs(), now_us_ + 1000 * kSecond);
  machine_.ReadUpTo({14, 20});
  Settle();
  EXPECT_EQ(AskedOffset(1), 13);
}

TEST_F(FetchMachineTest, WhatIsWantedAndWasReadBeforeIsTold) {
  Assign();
  Settle();
  Answer(1, Records(0, OneRecord(10, 4) + OneRecord(11, 4), 50));
  EXPECT_TRUE(machine_.TakeEvents().empty());
  for (int times = 0; times < 2; ++times) machine_.ReadUpTo({11, 19});
  const std::vector<LogReader::Event> events = machine_.TakeEvents();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].kind, LogReader::Event::Kind::kEnd);
  EXPECT_EQ(events[0].position, 0U);
  EXPECT_EQ(events[0].next_offset, 12);
  EXPECT_EQ(events[0].identity.leader_epoch, 4);
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
  EXPECT_EQ(machine_.Stuck(), "events[0] comes slowly: broker one:9092 throttles this client (a quota)");
  now_us_ += 2 * kSecond;
  Settle();
  EXPECT_EQ(AskedOffset(1), 10);
  Answer(1, Records(0, "", 10));
  EXPECT_EQ(machine_.Stuck(), "");
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

// While others are well, nothing else would say why a partition stands still.
TEST_F(FetchMachineTest, WhyALeaderCannotBeReachedIsSaidWhileAPartitionWaitsForIt) {
  refused_["two"] = 1;
  Assign();
  Settle();
  EXPECT_EQ(machine_.Stuck(), "");
  SettleFor(5 * kSecond);
  EXPECT_EQ(machine_.unreachable(), "");
  EXPECT_EQ(machine_.Stuck(), "events[1] cannot be read: its leader, broker two:9092 refuses");
  machine_.ReadUpTo({100, 20});
  EXPECT_EQ(machine_.Stuck(), "");
  machine_.ReadUpTo({100, 100});
  refused_.clear();
  SettleFor(2 * kSecond);
  Answer(2, Records(1, OneRecord(20), 21));
  EXPECT_EQ(machine_.Stuck(), "");
}

// The look-up of a name may take longer than an answer may.
TEST_F(FetchMachineTest, AConnectionThatDoesNotOpenIsGivenMoreTimeTheNextTime) {
  silent_ = {"1=one:9092"};
  Assign();
  Settle();
  const auto times_opened = [&] { return std::ranges::count(opened_, "1=one:9092"); };
  SettleFor(6 * kSecond);
  EXPECT_EQ(times_opened(), 2);
  SettleFor(9 * kSecond);
  EXPECT_EQ(times_opened(), 2);
  SettleFor(3 * kSecond);
  EXPECT_EQ(times_opened(), 3);
}

class PausingMachineTest : public FetchMachineTest {
 protected:
  PausingMachineTest() : FetchMachineTest(10 * kSecond) {}
};

TEST_F(PausingMachineTest, APartitionIsLeftAloneAfterAnErrorForAsLongAsTheJobSays) {
  Assign();
  Settle();
  Answer(1, Error(0, WireError::kStorageError));
  SettleFor(9 * kSecond);
  EXPECT_FALSE(fetches_.contains(1));
  SettleFor(2 * kSecond);
  EXPECT_TRUE(fetches_.contains(1));
}

TEST_F(FetchMachineTest, AnErrorThatStaysIsSaid) {
  const std::string error = WireErrorText(WireError::kStorageError);
  Assign();
  machine_.ReadUpTo({100, 20});
  for (int i = 0; i < 20; ++i) {
    SettleFor(2 * kSecond);
    EXPECT_EQ(machine_.Stuck(), i < 10 ? "" : absl::StrCat("events[0] cannot be read at 10: ", error));
    Answer(1, Error(0, WireError::kStorageError));
  }
  SettleFor(2 * kSecond);
  Answer(1, Records(0, OneRecord(10), 11));
  EXPECT_EQ(machine_.Stuck(), "");
}

// A broker may choose so by other things than the rack. It gives nothing then.
TEST_F(FetchMachineTest, APartitionThatIsToBeReadFromAReplicaIsForAnotherReader) {
  Assign();
  Settle();
  WireFetched::Partition partition = Records(0, "", 100);
  partition.preferred_replica = 2;
  Answer(1, partition);
  EXPECT_EQ(machine_.unsupported(), "events[0] is to be read from broker 2, which does not lead it");
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
