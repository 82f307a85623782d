// The log, as Tenfold uses it: partitions and their offsets, reading from explicit offsets, appending. common/kafka is the
// only place that uses librdkafka (2.0.2). Errors are sentences that name the broker, topic and partition.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/record_parts.h"

namespace tenfold {

class KafkaHandle;

// What reads a log: librdkafka, or our own implementation of LogReader (common/kafka/wire_reader.h); with kAuto our own
// where that has what the brokers and the properties ask for, and librdkafka elsewhere.
enum class ReaderChoice { kAuto, kWire, kRdkafka };

struct LogConfig {
  // HOST:PORT[,HOST:PORT]
  std::string brokers;
  // The job's librdkafka properties, of those that a job may set; what Tenfold sets itself overrides them. Values may be
  // references (common/kafka/property_value.h).
  std::map<std::string, std::string> properties;
  // About how many bytes of fetched records a reader may hold; 0 for as many as are of use.
  size_t read_ahead_bytes = 0;
  // How long a broker may hold back new records to send more of them at once, in whole milliseconds. Ignored if the
  // properties say how to fetch, and by the wire reader.
  absl::Duration patience = absl::ZeroDuration();
  ReaderChoice reader = ReaderChoice::kRdkafka;
  // The directories that files which properties name lie in; any if it is not set.
  std::optional<std::vector<std::string>> property_dirs = std::nullopt;
};

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
  // As people read it: "clicks[0]".
  std::string Name() const;
};

// A topic's id, which no other topic has, whatever its name; all zeros where it is not known.
using TopicId = std::array<char, 16>;

// Which log it is that has a partition's records up to an offset, as far as brokers and readers tell.
struct LogIdentity {
  // Empty if it is not known. What follows is of no use at another cluster.
  std::string cluster = {};
  TopicId topic_id{};
  // Of the last batch before the offset: the epoch of the leader that took it; -1 if it is not known.
  int32_t leader_epoch = -1;
};

// Reads metadata and offsets. Thread-safe. Every call returns within its timeout: UNAVAILABLE if Kafka could not be reached
// in time, NOT_FOUND naming a topic that does not exist.
class LogClient {
 public:
  enum class Position {
    kBegin,      // the first offset kept
    kStableEnd,  // the last stable offset: what a read_committed reader can reach
    kHighWatermark,
  };

  static absl::StatusOr<std::unique_ptr<LogClient>> Create(const LogConfig& config);
  // Shares its connections with all others that have these brokers and properties at a time.
  static absl::StatusOr<std::unique_ptr<LogClient>> Shared(const LogConfig& config);
  virtual ~LogClient() = default;

  // Returns the names of all topics that this client may see, sorted.
  virtual absl::StatusOr<std::vector<std::string>> Topics(absl::Duration timeout) = 0;

  // Returns the number of partitions of each topic, in the order given, from the brokers and not from a cache; or why it is
  // not known.
  virtual std::vector<absl::StatusOr<int32_t>> EachPartitionCount(const std::vector<std::string>& topics,
                                                                  absl::Duration timeout) = 0;
  // The same, or the first error.
  absl::StatusOr<std::vector<int32_t>> PartitionCounts(const std::vector<std::string>& topics, absl::Duration timeout);

  // Returns the first of the topics that is compacted, by its cleanup policy, or "". FAILED_PRECONDITION if the broker
  // refuses to tell the policy of one, since it cannot or this client has no right to it, and no other is compacted.
  virtual absl::StatusOr<std::string> FindCompacted(const std::vector<std::string>& topics, absl::Duration timeout) = 0;

  // Returns the offset of each partition, in the order given; or why it is not known: it has no leader, its broker does not
  // answer, its topic is gone. With one request as long as all are known; afterwards each broker is asked by itself, so that
  // one that does not answer delays the others little.
  virtual std::vector<absl::StatusOr<int64_t>> EachOffset(const std::vector<TopicPartition>& partitions, Position position,
                                                          absl::Duration timeout) = 0;
  // The same, or the first error.
  absl::StatusOr<std::vector<int64_t>> Offsets(const std::vector<TopicPartition>& partitions, Position position,
                                               absl::Duration timeout);

  // Returns, for each partition, the offset of the first committed record whose timestamp is `time_ms` or later, in
  // milliseconds of Unix time; nullopt where there is none. Or the first error.
  virtual absl::StatusOr<std::vector<std::optional<int64_t>>> OffsetsAt(const std::vector<TopicPartition>& partitions,
                                                                        int64_t time_ms, absl::Duration timeout) = 0;

  // Returns who holds the partition's records back with an open transaction, "producer 4711 (transactional.id payments)", or
  // "" if nobody does. UNIMPLEMENTED where only librdkafka can make the connections, UNAVAILABLE or FAILED_PRECONDITION if
  // its leader does not tell.
  virtual absl::StatusOr<std::string> FindOpenTransaction(const TopicPartition& partition, absl::Duration timeout) = 0;

  // The longest round trip to a broker of late; zero if there was none.
  virtual absl::Duration RoundTrip() const = 0;

  // Creates the topic; OK if it exists with at least that many partitions. An EmbeddedBroker creates topics by itself.
  virtual absl::Status CreateTopic(const std::string& topic, int partitions, int replication, absl::Duration timeout) = 0;
};

// Commits next offsets for a consumer group, so that tools can show its lag; Tenfold never reads them back. Used by one
// thread at a time.
class LogGroup {
 public:
  // Connects to nothing before the first Commit.
  LogGroup(LogConfig config, std::string group);
  ~LogGroup();

  // UNAVAILABLE if Kafka could not be reached in time, PERMISSION_DENIED if it refuses access to the group.
  absl::Status Commit(const std::vector<TopicPartition>& partitions, const std::vector<int64_t>& next_offsets,
                      absl::Duration timeout);

 private:
  const LogConfig config_;
  const std::string group_;
  // Whether Kafka refused the group, and took no commit since.
  bool refused_ = false;
  std::unique_ptr<KafkaHandle> handle_;
};

// A record as read. Its views are valid until the next Poll or Assign of its reader.
struct LogRecord {
  // The index of the record's partition among the positions given to Assign.
  uint32_t position = 0;
  // What the reader knows it by, as well as the handle.
  uint32_t batch = 0;
  int64_t offset = 0;
  // The record's value; empty also where it is null.
  std::string_view value;
  // What LogReader::Hash needs to find the record again.
  const void* handle = nullptr;
};

// Reads partitions from explicit offsets, committed records only, prefetching between polls. Used by one thread at a time.
class LogReader {
 public:
  struct Start {
    TopicPartition partition;
    int64_t offset = 0;
    // The log that was read up to this offset or a later one. A reader that can tells when it is another one by now.
    LogIdentity known = {};
  };
  // Something about a partition that a Poll reports besides records.
  struct Event {
    enum class Kind {
      // All committed records below next_offset were delivered, and there are none above it yet, or none that ReadUpTo
      // wants.
      kEnd,
      // The log no longer has next_offset (retention), or not yet. The partition delivers nothing more until Assign.
      kOffsetLost,
      // The log is another than the one of Start, or than was read since: its topic was created again, or a broker lost its
      // end. It has nothing of the log that was read from next_offset on, 0 for another topic; the message is what
      // brokers say. The partition delivers nothing more until Assign.
      kAnotherLog,
      // The topic or partition does not exist or was deleted (noticed within seconds), access is denied, or a record
      // cannot be read. The partition delivers nothing more until Assign.
      kFailed,
    };
    Kind kind;
    uint32_t position;
    int64_t next_offset;
    std::string message;
    // Of kEnd: the log up to next_offset.
    LogIdentity identity = {};
  };

  static absl::StatusOr<std::unique_ptr<LogReader>> Create(const LogConfig& config);
  virtual ~LogReader() = default;

  // Reads these partitions from now on, instead of those assigned before, whose prefetched records are dropped.
  virtual absl::Status Assign(const std::vector<Start>& starts) = 0;

  // Says up to which offset each partition is wanted, in the order of Assign, until that or this is called again. A reader
  // that can asks brokers for nothing from there on, and reports kEnd there. It may deliver more all the same.
  virtual void ReadUpTo(const std::vector<int64_t>& /*ends*/) {}

  // Waits up to `timeout` for a record or an event, then hands over what there is: at most about 10,000 records, those of a
  // partition in offset order. UNAVAILABLE, naming the brokers, while all are down and no prefetched record is left.
  virtual absl::Status Poll(absl::Duration timeout, std::vector<LogRecord>* records, std::vector<Event>* events) = 0;

  // Whether, since the last Assign or the last call, a connection to a broker was made or leaders were asked for. If so,
  // what the last Poll handed over may come from another leader, or from a broker that lost the end of its log, unlike all
  // before.
  virtual bool TakeChanged() = 0;
  // Asks for the first offset that the log has of the partition at this position; UNAVAILABLE if no answer comes in time.
  virtual absl::StatusOr<int64_t> Begin(uint32_t position, absl::Duration timeout) = 0;

  // Fills in what a record has beside its value, names of headers up to their first zero byte.
  virtual void ReadParts(const LogRecord& record, RecordParts* parts) const = 0;

  // Returns the XXH3-64 of the record's framed timestamp, key, value and headers; null and empty differ.
  virtual uint64_t Hash(const LogRecord& record) const = 0;

  // Returns which log has the record, and those before it. As librdkafka does not tell, it is mostly not known.
  virtual LogIdentity Identity(const LogRecord& /*record*/) const { return {}; }

  // Returns how long calls of Poll have waited since the last call of TakeWaited.
  virtual absl::Duration TakeWaited() = 0;

  // Which partition is wanted and cannot be read for now, though Kafka is available, and why; empty if none is known.
  virtual std::string Stuck() const { return ""; }

  // Why librdkafka reads the log; empty if our own reader does.
  virtual std::string WhyRdkafka() const = 0;
};

// Appends records. Used by one thread at a time.
class LogWriter {
 public:
  struct Options {
    // If not empty, records are appended in transactions, and Create waits for Kafka, for at most 10 s. Calls return ABORTED
    // once another writer with the same id was created.
    std::string transactional_id;
  };
  static absl::StatusOr<std::unique_ptr<LogWriter>> Create(const LogConfig& config, const Options& options);
  virtual ~LogWriter() = default;

  // Queues a record for a partition, or for any if -1; waits while the queue is full. Flush reports failed deliveries.
  virtual absl::Status Append(const std::string& topic, int32_t partition, std::string_view value) = 0;
  // Waits until all queued records are delivered, and returns the first failure since the last Flush. Delivery of a record
  // fails after a minute.
  virtual absl::Status Flush(absl::Duration timeout) = 0;

  virtual absl::Status BeginTransaction() = 0;
  virtual absl::Status CommitTransaction(absl::Duration timeout) = 0;
  virtual absl::Status AbortTransaction(absl::Duration timeout) = 0;
};

// librdkafka's mock cluster: a broker inside this process, for the first run and for fast tests. It keeps 5 MiB of each
// partition and silently drops the oldest records, has no usable transactions, and creates every topic it is asked for.
class EmbeddedBroker {
 public:
  static absl::StatusOr<std::unique_ptr<EmbeddedBroker>> Start(const std::string& topic, int partitions);
  virtual ~EmbeddedBroker() = default;
  // HOST:PORT
  virtual std::string brokers() const = 0;
};

}  // namespace tenfold
