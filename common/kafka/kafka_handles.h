// What the implementations of common/kafka/log.h share: librdkafka's objects as owning C++ types, and the one place that
// creates and configures a client. No other file includes this header.
#pragma once

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "common/thread/mutex.h"

namespace tenfold {

template <auto destroy>
struct KafkaDeleter {
  template <typename T>
  void operator()(T* object) const {
    destroy(object);
  }
};

template <typename T, auto destroy>
using KafkaPtr = std::unique_ptr<T, KafkaDeleter<destroy>>;

using KafkaConf = KafkaPtr<rd_kafka_conf_t, rd_kafka_conf_destroy>;
using KafkaError = KafkaPtr<rd_kafka_error_t, rd_kafka_error_destroy>;
using KafkaEvent = KafkaPtr<rd_kafka_event_t, rd_kafka_event_destroy>;
using KafkaMetadata = KafkaPtr<const rd_kafka_metadata_t, rd_kafka_metadata_destroy>;
using KafkaPartitions = KafkaPtr<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;
using KafkaQueue = KafkaPtr<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using KafkaTopic = KafkaPtr<rd_kafka_topic_t, rd_kafka_topic_destroy>;

using KafkaSettings = std::vector<std::pair<std::string, std::string>>;

// Counted on librdkafka's threads.
struct KafkaChanges {
  std::atomic<uint64_t> connections = 0;
  std::atomic<uint64_t> leader_answers = 0;
  // The longest that an answer took of late.
  std::atomic<int64_t> round_trip_us = 0;
};

// A librdkafka client and what it last reported about its brokers. Its log messages go to glog, repeated ones at a limited
// rate. Everything made from the client must be destroyed before it; its destructor takes a bounded time. Thread-safe.
class KafkaHandle {
 public:
  struct Options {
    rd_kafka_type_t type = RD_KAFKA_CONSUMER;
    // Settings that are applied last, so that the job's properties cannot change them.
    KafkaSettings required;
    // Settings that are applied first, so that the job's properties may change them.
    KafkaSettings defaults;
    // Called on the thread that polls the client, with every error that does not concern a single broker.
    std::function<void(rd_kafka_resp_err_t error, const std::string& message)> on_error;
    // Called on the thread that polls the client, with every record that was not delivered.
    std::function<void(const rd_kafka_message_t& record)> on_undelivered;
  };

  // Returns INVALID_ARGUMENT, naming the address or property that is wrong.
  static absl::StatusOr<std::unique_ptr<KafkaHandle>> Create(const LogConfig& config, Options options);
  ~KafkaHandle();

  KafkaHandle(const KafkaHandle&) = delete;
  KafkaHandle& operator=(const KafkaHandle&) = delete;

  rd_kafka_t* get() const { return handle_; }

  // How many connections were made, and how often brokers told who leads which partition. What is taken from the client
  // before one of them rises has nothing to do with the connection, or the leaders, that it counts.
  uint64_t connections() const { return changes_->connections; }
  uint64_t leader_answers() const { return changes_->leader_answers; }

  // The longest round trip to a broker of late; zero if there was none.
  absl::Duration round_trip() const { return absl::Microseconds(changes_->round_trip_us.load()); }

  // Runs the callbacks of a client whose event queue nothing else polls.
  void Serve(int timeout_ms) { rd_kafka_poll(handle_, timeout_ms); }

  // Whether librdkafka has reported that all brokers are down, and MarkUp was not called since.
  bool AllDown() const;
  void MarkUp();
  // Whether a broker's answer was larger than receive.message.max.bytes, and MarkUp was not called since.
  bool RefusesAnswers() const;

  // UNAVAILABLE: "Kafka at 127.0.0.1:9092 is not reachable: Connect to ... failed: Connection refused", or "does not
  // answer in time" where not all brokers are down.
  absl::Status Unreachable() const;

 private:
  KafkaHandle(std::string brokers, Options options) : brokers_(std::move(brokers)), options_(std::move(options)) {}

  static void OnError(rd_kafka_t* handle, int error, const char* message, void* self);
  static void OnLog(const rd_kafka_t* handle, int level, const char* facility, const char* message);
  static void OnDelivery(rd_kafka_t* handle, const rd_kafka_message_t* record, void* self);

  // HOST:PORT[,HOST:PORT] of the bootstrap brokers.
  const std::string brokers_;
  const Options options_;
  rd_kafka_t* handle_ = nullptr;
  // Also held by a thread that waits for a client that does not end.
  const std::shared_ptr<KafkaChanges> changes_ = std::make_shared<KafkaChanges>();

  mutable Mutex mutex_;
  bool all_down_ ABSL_GUARDED_BY(mutex_) = false;
  bool refuses_answers_ ABSL_GUARDED_BY(mutex_) = false;
  std::string last_failure_ ABSL_GUARDED_BY(mutex_);
};

// The timeout in milliseconds, rounded up, as librdkafka's calls take it.
int KafkaMilliseconds(absl::Duration timeout);

// Whether a retry may succeed, since brokers come and go and leaders move.
bool IsTransient(rd_kafka_resp_err_t error);

}  // namespace tenfold
