// Brokers die, hang, hold back and lead by turns, and drop what is being read: both readers give the same records, each once
// and in order.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/log.h"
#include "gtest/gtest.h"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/log_content.h"
#include "tests/cluster/mini_cluster.h"
#include "tests/cluster/record_writer.h"

namespace tenfold {
namespace {

constexpr int kPartitions = 3;
constexpr absl::Duration kWait = absl::Seconds(60);

// Reads a topic from its begin in a thread of its own.
class Follower {
 public:
  Follower(ReaderChoice reader, const std::string& topic)
      : ends_(kPartitions), thread_([this, reader, topic](const std::stop_token& stop) { Run(reader, topic, stop); }) {}

  bool Has(const std::vector<int64_t>& ends) const {
    for (size_t p = 0; p < ends.size(); ++p) {
      if (ends_[p] < ends[p]) return false;
    }
    return true;
  }

  // Ends the thread, and returns what it has read.
  std::map<uint32_t, LogContent> Stop() {
    thread_.request_stop();
    thread_.join();
    return std::move(contents_);
  }

 private:
  void Run(ReaderChoice choice, const std::string& topic, const std::stop_token& stop) {
    const absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(ReaderConfig(choice));
    ASSERT_OK(reader.status());
    ASSERT_OK((*reader)->Assign(Begins(topic, kPartitions)));
    std::vector<LogRecord> records;
    std::vector<LogReader::Event> events;
    while (!stop.stop_requested()) {
      // None of the brokers may be reachable for a while.
      (*reader)->Poll(absl::Milliseconds(50), &records, &events).IgnoreError();
      for (const LogRecord& record : records)
        contents_[record.position].records.emplace_back(record.offset, record.value, (*reader)->Hash(record));
      for (const LogReader::Event& event : events) {
        ASSERT_EQ(event.kind, LogReader::Event::Kind::kEnd) << event.message;
        contents_[event.position].end = event.next_offset;
        ends_[event.position] = event.next_offset;
      }
    }
  }

  std::map<uint32_t, LogContent> contents_;
  std::vector<std::atomic<int64_t>> ends_;
  std::jthread thread_;
};

// Appends records of all shapes, alone and in transactions, until stopped.
class RandomLoad {
 public:
  explicit RandomLoad(const std::string& topic)
      : topic_(topic), thread_([this](const std::stop_token& stop) { Run(stop); }) {}

  // Returns when no transaction is open.
  void Stop() {
    thread_.request_stop();
    thread_.join();
  }

 private:
  void Run(const std::stop_token& stop) {
    const std::string id = UniqueName("readers");
    std::unique_ptr<RecordWriter> plain, transactional;
    // librdkafka gives a producer up where brokers die; the next one of the id ends what it has left open.
    const auto renew = [](std::unique_ptr<RecordWriter>* writer, const std::string& of) {
      const absl::Time deadline = absl::Now() + kWait;
      do {
        ASSERT_LT(absl::Now(), deadline) << (*writer)->status();
        writer->reset();
        *writer = std::make_unique<RecordWriter>("lz4", of);
      } while (!(*writer)->status().ok());
    };
    renew(&plain, "");
    renew(&transactional, id);
    while (!stop.stop_requested() && !testing::Test::HasFatalFailure()) {
      if (!Write(plain.get()).ok()) renew(&plain, "");
      absl::Status wrote = transactional->Begin();
      wrote.Update(Write(transactional.get()));
      if (wrote.ok()) wrote = random_() % 3 == 0 ? transactional->Abort() : transactional->Commit();
      if (!wrote.ok()) renew(&transactional, id);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // the rate's pace
    }
  }

  absl::Status Write(RecordWriter* writer) {
    for (size_t i = random_() % 50; i > 0; --i) {
      const auto partition = static_cast<int32_t>(random_() % kPartitions);
      absl::Status appended = writer->Append(topic_, partition, RandomRecord(&random_, 20, 200));
      if (!appended.ok()) return appended;
    }
    return writer->Flush();
  }

  const std::string topic_;
  std::minstd_rand random_{std::random_device()()};
  std::jthread thread_;
};

class ReadersFaultTest : public testing::Test {
 protected:
  std::vector<int64_t> Ends(const std::string& topic) {
    std::vector<TopicPartition> partitions;
    for (int32_t p = 0; p < kPartitions; ++p) partitions.push_back({topic, p});
    const absl::Time deadline = absl::Now() + kWait;
    absl::StatusOr<std::vector<int64_t>> ends;
    do {
      const absl::StatusOr<std::unique_ptr<LogClient>> client = LogClient::Create(ReaderConfig(ReaderChoice::kAuto));
      EXPECT_OK(client.status());
      ends = (*client)->Offsets(partitions, LogClient::Position::kStableEnd, absl::Seconds(5));
    } while (!ends.ok() && absl::Now() < deadline);
    EXPECT_OK(ends.status());
    return ends.ok() ? *ends : std::vector<int64_t>();
  }
};

TEST_F(ReadersFaultTest, GiveTheSameWhileBrokersDieHangLeadByTurnsAndHoldBack) {
  const OwnKafka kafka(3);
  const absl::StatusOr<std::string> topic = CreateTopic(kPartitions, 3);
  ASSERT_OK(topic.status());
  Follower wire(ReaderChoice::kWire, *topic), rdkafka(ReaderChoice::kRdkafka, *topic);
  RandomLoad load(*topic);
  // Both have what was written by now, of all partitions.
  const auto expect_both_go_on = [&](const char* during) {
    SCOPED_TRACE(during);
    const std::vector<int64_t> ends = Ends(*topic);
    EXPECT_OK(WaitUntil("the wire reader", kWait, [&] { return wire.Has(ends); }));
    EXPECT_OK(WaitUntil("librdkafka", kWait, [&] { return rdkafka.Has(ends); }));
  };
  expect_both_go_on("the first records");
  ASSERT_OK(kafka.Kill(1));
  expect_both_go_on("the death of broker 1");
  kafka.Start(1);
  ElectPreferredLeaders();
  expect_both_go_on("an election");
  ASSERT_OK(kafka.Pause(2));
  expect_both_go_on("the silence of broker 2");
  ASSERT_OK(kafka.Resume(2));
  LimitFetching("ANONYMOUS", 50'000);
  expect_both_go_on("a quota");
  LimitFetching("ANONYMOUS", 50'000'000);
  ASSERT_OK(kafka.Kill(3));
  expect_both_go_on("the death of broker 3");
  kafka.Start(3);
  load.Stop();
  expect_both_go_on("the end");
  const std::map<uint32_t, LogContent> all = ReadAll(ReaderConfig(ReaderChoice::kRdkafka), Begins(*topic, kPartitions));
  EXPECT_EQ(Difference(rdkafka.Stop(), all), "");
  EXPECT_EQ(Difference(wire.Stop(), all), "");
}

class RetentionTest : public ReadersFaultTest, public testing::WithParamInterface<ReaderChoice> {};

INSTANTIATE_TEST_SUITE_P(Readers, RetentionTest, testing::Values(ReaderChoice::kWire, ReaderChoice::kRdkafka),
                         [](const auto& test) { return test.param == ReaderChoice::kWire ? "wire" : "librdkafka"; });

// Whoever reads it has some of what is dropped, and not all.
TEST_P(RetentionTest, WhatIsDroppedWhileItIsReadIsMissedAtOnceAndByItsOffset) {
  const absl::StatusOr<std::string> topic = CreateTopic(1);
  ASSERT_OK(topic.status());
  constexpr int64_t kRecords = 30'000;
  constexpr int64_t kKept = 29'000;
  ASSERT_OK(Produce(*topic, 0, std::vector<std::string>(kRecords, std::string(1000, 'x'))));
  const absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(ReaderConfig(GetParam(), 1 << 20));
  ASSERT_OK(reader.status());
  ASSERT_OK((*reader)->Assign({{{*topic, 0}, 0}}));
  std::vector<LogRecord> records;
  std::vector<LogReader::Event> events;
  int64_t next = 0;
  bool dropped = false;
  const absl::Time deadline = absl::Now() + kWait;
  while (events.empty() && absl::Now() < deadline) {
    ASSERT_OK((*reader)->Poll(absl::Milliseconds(100), &records, &events));
    for (const LogRecord& record : records) ASSERT_EQ(record.offset, next++);
    if (next > 0 && !std::exchange(dropped, true)) DropRecords(*topic, 0, kKept);
  }
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].kind, LogReader::Event::Kind::kOffsetLost) << events[0].message;
  EXPECT_EQ(events[0].next_offset, next);
  EXPECT_LT(next, kKept);
  const absl::StatusOr<int64_t> begin = (*reader)->Begin(0, absl::Seconds(10));
  ASSERT_OK(begin.status());
  EXPECT_EQ(*begin, kKept);
}

}  // namespace
}  // namespace tenfold
