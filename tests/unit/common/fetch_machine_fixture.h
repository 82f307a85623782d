// What the tests of common/kafka/fetch_machine.h share.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/kafka/fetch_machine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/wire_fixture.h"

namespace tenfold {

inline constexpr int64_t kSecond = 1'000'000;

inline std::string OneRecord(int64_t offset, int32_t epoch = 0, size_t bytes = 1) {
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
  explicit FetchMachineTest(int64_t error_pause_us = 0)
      : machine_({.bootstrap = {{"boot", 9092}}, .partition_bytes = 1000, .error_pause_us = error_pause_us}) {
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
  FetchMachine machine_;
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

}  // namespace tenfold
