// The whole reader, over real connections, against brokers that follow a script.
#include "common/kafka/wire_reader.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/wire_reader_fixture.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Clock = std::chrono::steady_clock;

// Starts a cluster whose first Fetch, of each broker, is answered with what `spoil` makes of the right answer's partitions.
void StartSpoilt(ScriptedCluster* cluster, const std::function<void(std::vector<WireFetched::Partition>*)>& spoil) {
  cluster->Start([cluster, spoil](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kFetch || question.nth != 0) return std::nullopt;
    std::vector<std::string> bytes(question.fetch.partitions.size());
    std::vector<WireFetched::Partition> partitions;
    for (size_t i = 0; i < bytes.size(); ++i)
      partitions.push_back(cluster->FetchedOf(broker, question.fetch.partitions[i], &bytes[i]));
    spoil(&partitions);
    return ScriptedCluster::Fetched(question, partitions);
  });
}

// A cluster of one broker, with one partition.
class WireReaderTest : public testing::Test {
 protected:
  WireReaderTest() { cluster_.AddPartition(SixRecords()); }

  // Reads all, and expects no failure.
  void ReadAll() {
    Follower reader(cluster_);
    reader.ReadAll();
    for (const Follower::Partition& partition : reader.partitions)
      EXPECT_FALSE(partition.failure.has_value()) << partition.failure->message;
    EXPECT_EQ(reader.unsupported, "");
  }
  // What the only partition fails with.
  std::string ReadToFailure() {
    Follower reader(cluster_);
    reader.PollUntil([&] { return reader.partitions[0].failure.has_value(); });
    return reader.Failure();
  }
  std::vector<int64_t> AskedOffsets() {
    std::vector<int64_t> offsets;
    for (const auto& [broker, question] : cluster_.Asked(WireCall::kFetch))
      offsets.push_back(question.fetch.partitions[0].offset);
    return offsets;
  }

  ScriptedCluster cluster_;
};

TEST_F(WireReaderTest, ReadsToTheEndAndTellsItOnce) {
  cluster_.Start();
  Follower reader(cluster_);
  reader.PollUntil([&] { return !reader.partitions[0].ends.empty(); });
  const size_t asked = cluster_.Asked(WireCall::kFetch).size();
  reader.PollUntil([&] { return cluster_.Asked(WireCall::kFetch).size() > asked + 2; });
  EXPECT_THAT(reader.partitions[0].ends, ElementsAre(16));
  EXPECT_EQ(reader.Read(), std::vector<size_t>{6});
  EXPECT_EQ(reader.reader()->Positions()[0].offset, 16);
}

TEST_F(WireReaderTest, BeginsAtAnyOffset) {
  cluster_.Start();
  for (int64_t from = 10; from <= 16; ++from) {
    Follower reader(cluster_, "reader", from);
    reader.PollUntil([&] { return !reader.partitions[0].ends.empty(); });
    EXPECT_EQ(reader.Read()[0], static_cast<size_t>(16 - from));
  }
}

TEST_F(WireReaderTest, AnswersOfSingleBytesAreRead) {
  cluster_.Start([this](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    ScriptedReply torn;
    for (const char byte : cluster_.Well(broker, question).bytes()) torn.pieces.push_back({std::string(1, byte), {}});
    return torn;
  });
  ReadAll();
}

TEST_F(WireReaderTest, SlowAnswersAreRead) {
  cluster_.Start([this](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    const std::string bytes = cluster_.Well(broker, question).bytes();
    ScriptedReply slow;
    for (size_t at = 0; at < bytes.size(); at += 30)
      slow.pieces.push_back({bytes.substr(at, 30), std::chrono::milliseconds(10)});
    return slow;
  });
  ReadAll();
  EXPECT_THAT(AskedOffsets(), testing::Contains(14)) << "an answer that comes slowly is waited for";
}

TEST_F(WireReaderTest, ManyRecordsOfEachCodecComeOverManyPolls) {
  // More than a poll hands out, in answers of several MiB.
  ScriptedLog log;
  for (int64_t begin = 10; begin < 40'010; begin += 1'000) {
    MadeBatch batch = Batch(begin, begin + 1'000);
    batch.codec = static_cast<BatchCodec>(begin / 1'000 % 5);
    for (MadeRecord& record : batch.records) record.value = absl::StrCat(*record.value, std::string(100, '.'));
    log.Add(batch);
  }
  cluster_.AddPartition(log);
  cluster_.AddPartition(log);
  cluster_.batches_at_once = 25;
  cluster_.Start();
  ReadAll();
}

TEST_F(WireReaderTest, AnAssignAmidAnAnswerBeginsAnew) {
  // The Fetch of the first Assign is answered after the second one.
  cluster_.Start([this](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kFetch || question.nth != 0) return std::nullopt;
    ScriptedReply late = cluster_.Well(broker, question);
    late.pieces[0].delay = std::chrono::milliseconds(200);
    return late;
  });
  Follower reader(cluster_, "reader", 13);
  reader.PollUntil([&] { return !cluster_.Asked(WireCall::kFetch).empty(); }, absl::Milliseconds(1));
  reader.partitions[0].records = cluster_.logs.begin()->second.records;
  reader.partitions[0].read = 0;
  ASSERT_TRUE(reader.reader()->Assign({{{kEvents, 0}, 10}}).ok());
  reader.ReadAll();
  EXPECT_EQ(AskedOffsets()[0], 13);
}

TEST_F(WireReaderTest, AConnectionThatEndsBetweenAnswersIsMadeAgain) {
  cluster_.Start([this](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    ScriptedReply last = cluster_.Well(broker, question);
    last.closes = question.call == WireCall::kFetch;
    return last;
  });
  Follower reader(cluster_);
  reader.ReadAll();
  EXPECT_TRUE(reader.reader()->TakeChanged());
  EXPECT_FALSE(reader.reader()->TakeChanged());
}

// ---- what a Fetch brings ----

TEST_F(WireReaderTest, PartitionsThatNobodyAskedForAreIgnored) {
  const std::string wrong = BatchBytes(Batch(10, 50));
  StartSpoilt(&cluster_, [&](std::vector<WireFetched::Partition>* partitions) {
    WireFetched::Partition other = (*partitions)[0];
    other.records = wrong;
    other.high_watermark = 50;
    for (const int32_t number : {7, -1, std::numeric_limits<int32_t>::max()}) {
      other.partition = number;
      partitions->insert(partitions->begin(), other);
      partitions->push_back(other);
    }
    other.partition = 0;
    other.id = {'o', 't', 'h', 'e', 'r'};
    partitions->insert(partitions->begin(), other);
    other.error = WireError::kOffsetOutOfRange;
    partitions->push_back(other);
  });
  ReadAll();
}

TEST_F(WireReaderTest, ATopicWithoutANameIsNotTheOneThatWasAskedFor) {
  cluster_.fetch_versions = {0, 12};
  cluster_.metadata_versions = {0, 9};
  const std::string wrong = BatchBytes(Batch(10, 50));
  StartSpoilt(&cluster_, [&](std::vector<WireFetched::Partition>* partitions) {
    (*partitions)[0].topic = {};
    (*partitions)[0].records = wrong;
  });
  ReadAll();
}

TEST_F(WireReaderTest, APartitionOfAnotherBrokerIsIgnored) {
  ScriptedCluster cluster(2);
  cluster.AddPartition(SixRecords(), 1);
  cluster.AddPartition(SixRecords(), 2);
  const std::string wrong = BatchBytes(Batch(10, 50));
  StartSpoilt(&cluster, [&](std::vector<WireFetched::Partition>* partitions) {
    WireFetched::Partition other = (*partitions)[0];
    other.partition = 1 - other.partition;
    other.records = wrong;
    partitions->push_back(other);
  });
  Follower reader(cluster);
  reader.ReadAll();
}

TEST_F(WireReaderTest, APartitionThatComesTwiceInAnAnswerCountsOnce) {
  StartSpoilt(&cluster_, [](std::vector<WireFetched::Partition>* partitions) {
    for (int copy = 0; copy < 3; ++copy) partitions->push_back((*partitions)[0]);
  });
  ReadAll();
}

TEST_F(WireReaderTest, BatchesThatGoBackAreLeftOut) {
  const std::vector<ScriptedLog::Batch>& batches = cluster_.logs.begin()->second.batches;
  const std::string back = BatchBytes(Batch(2, 5)) + batches[0].bytes + BatchBytes(Batch(0, 1)) + batches[0].bytes +
                           BatchBytes(Batch(3, 12)) + batches[1].bytes + batches[0].bytes;
  StartSpoilt(&cluster_, [&](std::vector<WireFetched::Partition>* partitions) { (*partitions)[0].records = back; });
  ReadAll();
}

TEST_F(WireReaderTest, BatchesBelowTheOffsetAreAskedForAgain) {
  const std::string below = BatchBytes(Batch(2, 5)) + BatchBytes(Batch(5, 10));
  StartSpoilt(&cluster_, [&](std::vector<WireFetched::Partition>* partitions) { (*partitions)[0].records = below; });
  ReadAll();
  EXPECT_EQ(AskedOffsets()[1], 10);
}

TEST_F(WireReaderTest, GapsArePassed) {
  ScriptedLog& log = cluster_.logs.begin()->second;
  MadeBatch compacted = Batch(40, 44);
  compacted.records.erase(compacted.records.begin() + 1);
  compacted.last_offset_delta = 20;
  log.Add(compacted);
  MadeBatch empty = Batch(70, 70);
  empty.last_offset_delta = 9;
  log.Add(empty);
  log.Add(Batch(90, 91));
  cluster_.Start();
  ReadAll();
}

TEST_F(WireReaderTest, ABatchThatIsCutOffComesWholeTheNextTime) {
  const ScriptedLog log = cluster_.logs.begin()->second;
  const std::string& last = log.batches[1].bytes;
  for (size_t size = 0; size < last.size(); size += 7) {
    ScriptedCluster cluster;
    cluster.AddPartition(log);
    const std::string cut = log.batches[0].bytes + last.substr(0, size);
    StartSpoilt(&cluster, [&](std::vector<WireFetched::Partition>* partitions) { (*partitions)[0].records = cut; });
    Follower reader(cluster);
    reader.ReadAll();
  }
}

TEST_F(WireReaderTest, ABatchBeyondTheLimitIsAskedForWithItsSize) {
  MadeBatch large = Batch(16, 17);
  large.records[0].value = std::string(5'000, 'v');
  ScriptedLog& log = cluster_.logs.begin()->second;
  log.Add(large);
  log.Add(Batch(17, 18));
  // As brokers before KIP-74 did.
  cluster_.Start([this](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kFetch) return std::nullopt;
    std::string bytes;
    const WireFetch::Partition& asked = question.fetch.partitions[0];
    WireFetched::Partition fetched = cluster_.FetchedOf(broker, asked, &bytes);
    fetched.records = fetched.records.substr(0, static_cast<size_t>(asked.max_bytes));
    return ScriptedCluster::Fetched(question, {fetched});
  });
  Follower reader(cluster_, "reader", 10, {{"max.partition.fetch.bytes", "300"}});
  reader.ReadAll();
  std::vector<std::pair<int64_t, int32_t>> limits;
  for (const auto& [broker, question] : cluster_.Asked(WireCall::kFetch)) {
    const WireFetch::Partition& asked = question.fetch.partitions[0];
    if (limits.empty() || limits.back() != std::pair(asked.offset, asked.max_bytes))
      limits.emplace_back(asked.offset, asked.max_bytes);
    EXPECT_GE(question.fetch.max_bytes, asked.max_bytes);
  }
  const auto size = static_cast<int32_t>(log.batches[3].bytes.size());
  EXPECT_THAT(limits, testing::IsSupersetOf({std::pair(int64_t{16}, 300), std::pair(int64_t{16}, size)}));
}

TEST_F(WireReaderTest, ABatchThatNoAnswerCanHoldFails) {
  std::string large = cluster_.logs.begin()->second.batches[0].bytes;
  WireOutput length;
  length.Add(std::numeric_limits<int32_t>::max());
  large.replace(8, 4, length.bytes());
  StartSpoilt(&cluster_, [&](std::vector<WireFetched::Partition>* partitions) { (*partitions)[0].records = large; });
  EXPECT_THAT(ReadToFailure(), HasSubstr("read events[0] at 10: it has a batch of 2147483659 bytes"));
}

TEST_F(WireReaderTest, ADamagedBatchStopsItsPartitionAlone) {
  cluster_.AddPartition(SixRecords());
  const ScriptedLog log = cluster_.logs.begin()->second;
  std::string damaged = log.batches[0].bytes + log.batches[1].bytes;
  damaged.back() = '!';
  StartSpoilt(&cluster_, [&](std::vector<WireFetched::Partition>* partitions) { (*partitions)[0].records = damaged; });
  Follower reader(cluster_);
  reader.ReadAll();
  EXPECT_THAT(reader.Read(), ElementsAre(3, 6)) << "what is before the damage counts";
  EXPECT_EQ(reader.Failure(), "read events[0] at 13: its batch is damaged: its checksum is another");
}

TEST_F(WireReaderTest, WhatComesBehindADamagedBatchInItsAnswerDoesNotHideIt) {
  std::string damaged = cluster_.logs.begin()->second.batches[0].bytes;
  damaged.back() = '!';
  StartSpoilt(&cluster_, [&](std::vector<WireFetched::Partition>* partitions) {
    (*partitions)[0].records = damaged;
    partitions->push_back((*partitions)[0]);
    partitions->back().records = {};
    partitions->back().error = WireError::kOffsetOutOfRange;
  });
  EXPECT_THAT(ReadToFailure(), HasSubstr("events[0] at 10: its batch is damaged"));
}

// A batch that is for another reader takes back what came behind it, of which that reads all.
TEST_F(WireReaderTest, NoEndIsToldOfWhatIsLeftToAnotherReader) {
  constexpr int64_t kAtOnePoll = 10'000;
  ScriptedCluster cluster;
  ScriptedLog old;
  old.Add(Batch(10, 10 + kAtOnePoll));
  MadeBatch last = Batch(10 + kAtOnePoll, 11 + kAtOnePoll);
  std::string bytes = BatchBytes(last);
  constexpr size_t kFormat = 16;
  bytes[kFormat] = 1;
  old.AddBytes(10 + kAtOnePoll, 11 + kAtOnePoll, bytes);
  cluster.AddPartition(old);
  cluster.AddPartition(SixRecords());
  cluster.Start();
  Follower reader(cluster);
  reader.PollUntil([&] { return reader.Read()[0] == kAtOnePoll; });
  ASSERT_EQ(reader.Read()[1], 0U);
  // Four records of it have come.
  reader.reader()->ReadUpTo({20'000, 14});
  reader.PollUntil([&] { return !reader.unsupported.empty(); });
}

TEST_F(WireReaderTest, ABrokerThatThrottlesIsLeftAlone) {
  constexpr auto kThrottle = std::chrono::milliseconds(300);
  std::vector<Clock::time_point> asked;
  cluster_.Start([&](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kFetch) return std::nullopt;
    asked.push_back(Clock::now());
    std::string bytes;
    const WireFetched::Partition fetched = cluster_.FetchedOf(broker, question.fetch.partitions[0], &bytes);
    return ScriptedCluster::Fetched(question, {fetched}, WireError::kNone, question.nth == 0 ? kThrottle.count() : -1);
  });
  ReadAll();
  cluster_.Change([&] { EXPECT_GE(asked.at(1) - asked.at(0), kThrottle); });
}

// ---- transactions ----

MadeBatch Transactional(MadeBatch batch, int64_t producer) {
  batch.attributes = 0x10;
  batch.producer_id = producer;
  return batch;
}

// From offset 10 on, of producers 7, whose second transaction is aborted, and 8, whose first one is.
ScriptedLog Transactions() {
  ScriptedLog log;
  log.Add(Transactional(Batch(10, 12), 7));
  log.Add(Transactional(Batch(12, 13), 8), false);
  log.AddBytes(13, 14, MarkerBytes(13, 7, false));
  log.Add(Transactional(Batch(14, 17), 7), false);
  log.AddBytes(17, 18, MarkerBytes(17, 8, true));
  log.Add(Batch(18, 19));
  log.Add(Transactional(Batch(19, 21), 8));
  log.AddBytes(21, 22, MarkerBytes(21, 7, true));
  log.Add(Transactional(Batch(22, 23), 7));
  log.AddBytes(23, 24, MarkerBytes(23, 8, false));
  log.AddBytes(24, 25, MarkerBytes(24, 7, false));
  log.Add(Batch(25, 26));
  return log;
}

TEST_F(WireReaderTest, OnlyCommittedRecordsComeWhateverElseTheIndexSays) {
  using Aborted = std::vector<WireFetched::Aborted>;
  const Aborted right = {{7, 14}, {8, 12}};
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  std::vector<Aborted> lies = {{{9, 10}}, {{-1, 0}}, {{9, -1}, {10, kMost}, {11, -kMost}}, {{7, 26}, {8, kMost}}, {}};
  lies.emplace_back(10'000, WireFetched::Aborted{12, 11});
  for (const Aborted& lie : lies) {
    for (size_t at_once = 1; at_once < 13; at_once += 3) {
      ScriptedCluster cluster;
      cluster.AddPartition(Transactions());
      cluster.batches_at_once = at_once;
      cluster.Start([&](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
        if (question.call != WireCall::kFetch) return std::nullopt;
        std::string bytes;
        WireFetched::Partition fetched = cluster.FetchedOf(broker, question.fetch.partitions[0], &bytes);
        const int64_t offset = question.fetch.partitions[0].offset;
        // What had ended before the offset that is asked for is not in it. The rest may be in it twice.
        if (offset <= 21) fetched.aborted = {right[0], right[0]};
        if (offset <= 17) fetched.aborted.push_back(right[1]);
        fetched.aborted.insert(fetched.aborted.end(), lie.begin(), lie.end());
        return ScriptedCluster::Fetched(question, {fetched});
      });
      Follower reader(cluster);
      reader.ReadAll();
      EXPECT_EQ(reader.Failure(), "");
    }
  }
}

TEST_F(WireReaderTest, ControlBatchesAreNoRecordsAndWhatIsNoneIsDamage) {
  ScriptedLog& log = cluster_.logs.begin()->second;
  MadeBatch emptied = Batch(16, 16);
  emptied.attributes = 0x30;
  log.Add(emptied);
  // Of a kind that is not known.
  MadeBatch unknown = Batch(17, 18);
  unknown.attributes = 0x20;
  unknown.records[0].key = std::string("\0\0\0\7", 4);
  log.Add(unknown, false);
  log.Add(Batch(18, 19));
  MadeBatch wrong = Batch(19, 20);
  wrong.attributes = 0x30;
  log.Add(wrong, false);
  cluster_.Start();
  Follower reader(cluster_);
  reader.PollUntil([&] { return reader.partitions[0].failure.has_value(); });
  EXPECT_EQ(reader.Read()[0], 7U);
  EXPECT_THAT(reader.Failure(), HasSubstr("read events[0] at 19: its batch is damaged"));
}

}  // namespace
}  // namespace tenfold
