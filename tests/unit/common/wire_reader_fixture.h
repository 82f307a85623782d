// What the tests of common/kafka/wire_reader.h share: brokers with a log whose answers a test spoils, and a reader whose
// every record is compared with that log.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/kafka/wire_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/scripted_broker.h"
#include "tests/unit/common/wire_fixture.h"

namespace tenfold {

inline const std::string kEvents = "events";
inline const TopicId kEventsId = {'i', 'd'};
// A test that takes longer has found a reader that hangs.
inline constexpr absl::Duration kPatience = absl::Seconds(40);

using Records = std::vector<std::pair<int64_t, std::string>>;

// The log of a partition.
struct ScriptedLog {
  struct Batch {
    int64_t begin = 0;
    int64_t end = 0;
    std::string bytes;
  };
  std::vector<Batch> batches;
  // What a reader gets.
  Records records;
  // Where it begins and ends.
  int64_t begin = 0;
  int64_t end = 0;

  // Appends the batch, of whose records a reader gets those, or none.
  void Add(const MadeBatch& batch, bool committed = true) {
    const int64_t last = batch.last_offset_delta.value_or(batch.records.empty() ? 0 : batch.records.back().delta);
    AddBytes(batch.base_offset, batch.base_offset + last + 1, BatchBytes(batch));
    for (const MadeRecord& record : batch.records)
      if (committed) records.emplace_back(batch.base_offset + record.delta, record.value.value_or(""));
  }
  void AddBytes(int64_t from, int64_t to, std::string bytes) {
    if (batches.empty()) begin = from;
    batches.push_back({from, to, std::move(bytes)});
    end = to;
  }
};

// A batch with these offsets, whose values tell their offsets.
inline MadeBatch Batch(int64_t begin, int64_t end, int32_t epoch = 5) {
  MadeBatch batch;
  batch.base_offset = begin;
  batch.leader_epoch = epoch;
  for (int64_t offset = begin; offset < end; ++offset) {
    MadeRecord& record = batch.records.emplace_back();
    record.delta = offset - begin;
    record.value = absl::StrCat("value ", offset);
  }
  return batch;
}

// From offset 10 on, six records in three batches.
inline ScriptedLog SixRecords() {
  ScriptedLog log;
  log.Add(Batch(10, 13));
  log.Add(Batch(13, 14));
  log.Add(Batch(14, 16));
  return log;
}

// Brokers 1, 2, ... which answer as they should but where the script says otherwise. Topic events, of whose partitions
// broker 1 leads all but what the test changes.
class ScriptedCluster {
 public:
  // What to answer in the place of what is right. Scripts, and changes, are called one at a time.
  using Script = std::function<std::optional<ScriptedReply>(int32_t broker, const ScriptedQuestion&)>;

  explicit ScriptedCluster(int brokers = 1) {
    for (int32_t id = 1; id <= brokers; ++id) {
      brokers_.push_back(std::make_unique<ScriptedBroker>([this, id](const ScriptedQuestion& question) {
        const std::lock_guard lock(mutex_);
        asked_.emplace_back(id, question);
        std::optional<ScriptedReply> reply = script_ ? script_(id, question) : std::nullopt;
        return reply ? *std::move(reply) : Well(id, question);
      }));
      metadata.brokers[id] = brokers_.back()->address();
    }
    metadata.topics = {{.name = kEvents, .id = kEventsId, .partitions = {}}};
  }
  // Their threads use the members below.
  ~ScriptedCluster() { brokers_.clear(); }

  // To be set before Start, and then only by scripts and under Change.
  WireMetadata metadata;
  std::map<std::pair<std::string, int32_t>, ScriptedLog> logs;
  WireVersions fetch_versions = {0, 13};
  WireVersions metadata_versions = {0, 12};
  // How many batches come at once of a partition.
  size_t batches_at_once = 2;

  void AddPartition(ScriptedLog log, int32_t leader = 1, const std::string& topic = kEvents) {
    auto& partitions = std::ranges::find(metadata.topics, topic, &WireMetadata::Topic::name)->partitions;
    const auto number = static_cast<int32_t>(partitions.size());
    partitions.push_back({number, WireError::kNone, leader, 5});
    logs[{topic, number}] = std::move(log);
  }

  void Start(Script script = nullptr) {
    script_ = std::move(script);
    for (const auto& broker : brokers_) broker->Start();
  }
  void Change(const std::function<void()>& change) {
    const std::lock_guard lock(mutex_);
    change();
  }
  // What was asked so far, of which broker.
  std::vector<std::pair<int32_t, ScriptedQuestion>> Asked(WireCall call) {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<int32_t, ScriptedQuestion>> asked;
    std::ranges::copy_if(asked_, std::back_inserter(asked), [&](const auto& one) { return one.second.call == call; });
    return asked;
  }
  std::string Addresses() const {
    return absl::StrJoin(brokers_, ",",
                         [](std::string* out, const auto& broker) { absl::StrAppend(out, broker->address().ToString()); });
  }
  Address address(int32_t broker) const { return brokers_.at(static_cast<size_t>(broker) - 1)->address(); }

  // The right answer, for scripts.
  ScriptedReply Well(int32_t broker, const ScriptedQuestion& question) const {
    switch (question.call) {
      case WireCall::kApiVersions:
        return Answer(question, VersionsBytes(fetch_versions, metadata_versions));
      case WireCall::kMetadata:
        return Answer(question, MetadataBytes(question.version, metadata));
      case WireCall::kListOffsets:
        return Answer(question, FirstOffsetBytes(logs.begin()->second.begin));
      case WireCall::kFetch:
        break;
    }
    std::vector<WireFetched::Partition> partitions;
    std::vector<std::string> bytes(question.fetch.partitions.size());
    for (size_t i = 0; i < bytes.size(); ++i)
      partitions.push_back(FetchedOf(broker, question.fetch.partitions[i], &bytes[i]));
    return Fetched(question, std::move(partitions));
  }
  // What is right of one partition that was asked for; its batches are kept in `bytes`.
  WireFetched::Partition FetchedOf(int32_t broker, const WireFetch::Partition& asked, std::string* bytes) const {
    WireFetched::Partition fetched;
    fetched.topic = asked.topic;
    fetched.id = asked.id;
    fetched.partition = asked.partition;
    const auto topic = std::ranges::find_if(metadata.topics, [&](const WireMetadata::Topic& one) {
      return asked.topic.empty() ? one.id == asked.id : one.name == asked.topic;
    });
    if (topic == metadata.topics.end() || !logs.contains({topic->name, asked.partition})) {
      fetched.error = asked.topic.empty() ? WireError::kUnknownTopicId : WireError::kUnknownTopicOrPartition;
      return fetched;
    }
    const auto placed = std::ranges::find(topic->partitions, asked.partition, &WireMetadata::Partition::partition);
    const ScriptedLog& log = logs.at({topic->name, asked.partition});
    if (placed->leader != broker) fetched.error = WireError::kNotLeader;
    if (asked.offset < log.begin || asked.offset > log.end) fetched.error = WireError::kOffsetOutOfRange;
    if (fetched.error != WireError::kNone) return fetched;
    fetched.high_watermark = fetched.last_stable_offset = log.end;
    size_t count = 0;
    for (const ScriptedLog::Batch& batch : log.batches) {
      if (batch.end <= asked.offset || count == batches_at_once) continue;
      ++count;
      *bytes += batch.bytes;
    }
    fetched.records = *bytes;
    return fetched;
  }
  // With its topic, as the version has it.
  static ScriptedReply Fetched(const ScriptedQuestion& question, std::vector<WireFetched::Partition> partitions,
                               WireError error = WireError::kNone, int32_t throttle_ms = 0) {
    WireFetched fetched;
    fetched.throttle_ms = throttle_ms;
    fetched.error = error;
    fetched.partitions = std::move(partitions);
    ScriptedReply reply = Answer(question, FetchedBytes(question.version, fetched));
    const bool empty = std::ranges::all_of(fetched.partitions, [](const WireFetched::Partition& partition) {
      return partition.records.empty() && partition.error == WireError::kNone;
    });
    if (empty && error == WireError::kNone) reply.pieces[0].delay = std::chrono::milliseconds(question.fetch.max_wait_ms);
    return reply;
  }
  static std::string FirstOffsetBytes(int64_t offset, WireError error = WireError::kNone) {
    WireOutput out;
    out.Add(int32_t{0});
    out.BeginCompactArray(1);
    out.AddCompactString(kEvents);
    out.BeginCompactArray(1);
    out.Add(int32_t{0});
    out.Add(static_cast<int16_t>(error));
    out.Add(int64_t{-1});
    out.Add(offset);
    out.Add(int32_t{5});
    for (int tags = 0; tags < 3; ++tags) out.AddNoTags();
    return out.bytes();
  }

 private:
  std::mutex mutex_;
  Script script_;
  std::vector<std::pair<int32_t, ScriptedQuestion>> asked_;
  std::vector<std::unique_ptr<ScriptedBroker>> brokers_;
};

// Reads partitions of events and compares what comes with what their logs have: each record once, in order. Where the
// brokers need another reader, it goes on with a new one from where the first was, as the reader for both does.
class Follower {
 public:
  struct Partition {
    TopicPartition name;
    Records records;
    // How many of them came.
    size_t read = 0;
    std::optional<LogReader::Event> failure;
    // The ends that were told.
    std::vector<int64_t> ends;

    bool IsOver() const { return read == records.size() || failure.has_value(); }
  };

  Follower(const ScriptedCluster& cluster, const std::string& client = "reader", int64_t from = 10,
           std::map<std::string, std::string> properties = {}) {
    properties["client.id"] = client;
    config_ = {.brokers = cluster.Addresses(), .properties = std::move(properties)};
    for (const auto& [name, log] : cluster.logs) {
      partitions.emplace_back().name = {name.first, name.second};
      for (const auto& record : log.records)
        if (record.first >= from) partitions.back().records.push_back(record);
      starts_.push_back({partitions.back().name, from});
    }
    Begin();
  }

  std::vector<Partition> partitions;
  // What was wrong with what came; nothing is read any more after that.
  std::string wrong;
  // Why the first reader could not go on.
  std::string unsupported;
  absl::Status status;

  WireReader* reader() const { return reader_.get(); }

  bool IsOver() const {
    return !wrong.empty() || std::ranges::all_of(partitions, [](const Partition& partition) { return partition.IsOver(); });
  }
  // Polls once. Returns whether anything came.
  bool Poll(absl::Duration timeout) {
    std::vector<LogRecord> records;
    std::vector<LogReader::Event> events;
    status = reader_->Poll(timeout, &records, &events);
    for (const LogRecord& record : records) Take(record);
    for (const LogReader::Event& event : events) Take(event);
    Compare();
    if (!reader_->Unsupported().empty() && records.empty() && events.empty()) {
      if (unsupported.empty()) unsupported = reader_->Unsupported();
      starts_ = reader_->Positions();
      Begin();
      return true;
    }
    return !records.empty() || !events.empty();
  }
  // Polls, each time for so long, until `enough` or until something is wrong.
  void PollUntil(const std::function<bool()>& enough, absl::Duration timeout = absl::Milliseconds(200)) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (wrong.empty() && !enough() && absl::Now() < deadline) Poll(timeout);
    if (wrong.empty() && !enough()) wrong = absl::StrCat("too long: ", absl::StrJoin(Read(), " "));
    EXPECT_EQ(wrong, "");
  }
  void ReadAll() {
    PollUntil([this] { return IsOver(); });
  }
  // How many records came of each partition.
  std::vector<size_t> Read() const {
    std::vector<size_t> read;
    for (const Partition& partition : partitions) read.push_back(partition.read);
    return read;
  }
  // The only partition's failure, "" if there is none.
  std::string Failure() const { return partitions.at(0).failure ? partitions[0].failure->message : ""; }

 private:
  void Begin() {
    absl::StatusOr<std::unique_ptr<WireReader>> reader = WireReader::Create(config_);
    ASSERT_TRUE(reader.ok()) << reader.status();
    reader_ = *std::move(reader);
    ASSERT_TRUE(reader_->Assign(starts_).ok());
  }

  void Take(const LogRecord& record) {
    Partition& partition = partitions.at(record.position);
    const std::string what = absl::StrCat(record.position, " at ", record.offset, ": '", std::string(record.value), "'");
    if (partition.failure) return Complain(absl::StrCat("a record of a partition that failed: ", what));
    if (partition.read == partition.records.size()) return Complain(absl::StrCat("one record more: ", what));
    const auto& [offset, value] = partition.records[partition.read++];
    if (record.offset != offset || record.value != value)
      Complain(absl::StrCat("expected ", offset, ": '", value, "', and not ", what));
    reader_->Hash(record);
  }
  void Take(const LogReader::Event& event) {
    Partition& partition = partitions.at(event.position);
    const auto below = [&](const auto& record) { return record.first < event.next_offset; };
    if (partition.read < partition.records.size() && below(partition.records[partition.read]))
      Complain(absl::StrCat("an event passes over a record: ", event.next_offset, " ", event.message));
    if (event.kind == LogReader::Event::Kind::kEnd) return partition.ends.push_back(event.next_offset);
    if (partition.failure) Complain(absl::StrCat("failed twice: ", event.message));
    partition.failure = event;
    // Who asked with what it knew of the log names itself.
    if (event.kind == LogReader::Event::Kind::kAnotherLog) return;
    if (!absl::StrContains(event.message, absl::StrCat(partition.name.topic, "[", partition.name.partition, "]")))
      Complain(absl::StrCat("no partition is named: ", event.message));
    if (!absl::StrContains(event.message, absl::StrCat(event.next_offset)))
      Complain(absl::StrCat("no offset is named: ", event.message));
  }
  // No position is beyond a record that did not come.
  void Compare() {
    const std::vector<LogReader::Start> positions = reader_->Positions();
    for (size_t i = 0; i < partitions.size(); ++i) {
      const Partition& partition = partitions[i];
      const bool over = partition.read == partition.records.size();
      if (!over && positions.at(i).offset > partition.records[partition.read].first)
        Complain(absl::StrCat("its position ", positions[i].offset, " is beyond a record"));
      if (partition.read > 0 && positions.at(i).offset <= partition.records[partition.read - 1].first)
        Complain(absl::StrCat("its position ", positions[i].offset, " is not behind what came"));
    }
  }
  void Complain(const std::string& what) {
    if (wrong.empty()) wrong = what;
  }

  LogConfig config_;
  std::vector<LogReader::Start> starts_;
  std::unique_ptr<WireReader> reader_;
};

// Which of EachReader's readers asks.
inline size_t CaseOf(const ScriptedQuestion& question) {
  size_t number = 0;
  EXPECT_TRUE(absl::SimpleAtoi(question.client, &number)) << question.client;
  return number;
}

// Has each of so many readers, named "0", "1" and so on, read all there is, many at a time; `check` is called when one is
// done. The cluster has started.
inline void EachReader(const ScriptedCluster& cluster, size_t count,
                       const std::function<void(size_t, const Follower&)>& check = nullptr) {
  constexpr size_t kAtOnce = 250;
  const absl::Time deadline = absl::Now() + kPatience;
  std::map<size_t, Follower> readers;
  for (size_t next = 0; next < count || !readers.empty();) {
    for (; next < count && readers.size() < kAtOnce; ++next) readers.try_emplace(next, cluster, absl::StrCat(next));
    bool idle = true;
    for (auto it = readers.begin(); it != readers.end();) {
      idle &= !it->second.Poll(absl::ZeroDuration());
      if (!it->second.IsOver()) {
        ++it;
        continue;
      }
      EXPECT_EQ(it->second.wrong, "") << "case " << it->first;
      if (check) check(it->first, it->second);
      it = readers.erase(it);
    }
    if (absl::Now() > deadline) {
      for (const auto& [number, reader] : readers) ADD_FAILURE() << "case " << number << " hangs: " << reader.status;
      return;
    }
    // A reader's deadlines move on only while it waits.
    if (idle && readers.size() < 10)
      for (auto& [number, reader] : readers) reader.Poll(absl::Milliseconds(10));
    else if (idle)
      readers.begin()->second.Poll(absl::Milliseconds(1));
  }
}

}  // namespace tenfold
