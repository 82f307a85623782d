// The log, as Tenfold uses it: partitions and their offsets, reading from explicit offsets, appending. This room
// alone knows librdkafka (2.0.2); errors are sentences that name broker, topic and partition.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tenfold {

struct LogConfig {
  // HOST:PORT[,HOST:PORT]
  std::string brokers;
  // Allowed librdkafka properties of the job; applied before what Tenfold sets itself.
  std::map<std::string, std::string> properties;
  // About what a reader may take for records fetched ahead; 0: as much as helps.
  size_t read_ahead_bytes = 0;
  // How late a reader may be told of new records, so that a broker is not asked for each few of them. Whole milliseconds.
  // Not heeded if the properties say how to fetch.
  absl::Duration patience = absl::ZeroDuration();
};

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};

// Metadata and offsets. Thread-safe. Every call ends by its timeout: UNAVAILABLE if Kafka could not be reached in time,
// NOT_FOUND naming a missing topic.
class LogClient {
 public:
  enum class Position {
    kBegin,      // the first offset kept
    kStableEnd,  // the last stable offset: what a read_committed reader can reach
    kHighWatermark,
  };

  static absl::StatusOr<std::unique_ptr<LogClient>> Create(const LogConfig& config);
  virtual ~LogClient() = default;

  // Partition count of each topic, in the order given, from the brokers and not from a cache.
  virtual absl::StatusOr<std::vector<int32_t>> PartitionCounts(const std::vector<std::string>& topics,
                                                               absl::Duration timeout) = 0;

  // One offset each, in the order given, all in one call.
  virtual absl::StatusOr<std::vector<int64_t>> Offsets(const std::vector<TopicPartition>& partitions, Position position,
                                                       absl::Duration timeout) = 0;

  // Commits next offsets for a group, for lag tools only.
  virtual absl::Status CommitOffsets(const std::string& group, const std::vector<TopicPartition>& partitions,
                                     const std::vector<int64_t>& next_offsets, absl::Duration timeout) = 0;

  // NOT an error if the topic exists with at least that many partitions. An EmbeddedBroker creates none.
  virtual absl::Status CreateTopic(const std::string& topic, int partitions, int replication, absl::Duration timeout) = 0;
};

// A record as read; views live until the next Poll or Assign of its reader.
struct LogRecord {
  // Index into the positions given to Assign.
  uint32_t position = 0;
  int64_t offset = 0;
  // Empty for a null value too.
  std::string_view value;
  // For LogReader::Hash.
  const void* handle = nullptr;
};

// Reads partitions from explicit offsets, committed records only, prefetching between polls. Used by one thread at a time.
class LogReader {
 public:
  struct Start {
    TopicPartition partition;
    int64_t offset = 0;
  };
  // What a Poll found besides records.
  struct Event {
    enum class Kind {
      // Nothing readable before next_offset is left: committed records below it were all delivered.
      kEnd,
      // The log has next_offset no more (retention) or not yet. Nothing else comes of this partition until Assign.
      kOffsetLost,
      // The topic or partition is not there (any more; found out within some seconds), access is refused, or a record
      // cannot be read. Nothing else comes of this partition until Assign.
      kFailed,
    };
    Kind kind;
    uint32_t position;
    int64_t next_offset;
    std::string message;
  };

  static absl::StatusOr<std::unique_ptr<LogReader>> Create(const LogConfig& config);
  virtual ~LogReader() = default;

  // Reads these partitions from here on, in place of what was assigned before; nothing prefetched before is delivered.
  virtual absl::Status Assign(const std::vector<Start>& starts) = 0;

  // Waits up to `timeout` for anything, then hands over what is there: records of a partition in offset order, at most
  // about 10,000. UNAVAILABLE, naming the brokers, while all of them are down (prefetched records come first).
  virtual absl::Status Poll(absl::Duration timeout, std::vector<LogRecord>* records, std::vector<Event>* events) = 0;

  // XXH3-64 of the record's framed timestamp, key, value and headers (null and empty differ).
  virtual uint64_t Hash(const LogRecord& record) const = 0;

  // How long Polls have waited for something to be there since the last call of this.
  virtual absl::Duration TakeWaited() = 0;
};

// Appends records; used by one thread at a time.
class LogWriter {
 public:
  struct Options {
    // Set: records go in transactions, and Create waits for Kafka, 10 s at most. ABORTED where a later writer of the same
    // id has taken over.
    std::string transactional_id;
  };
  static absl::StatusOr<std::unique_ptr<LogWriter>> Create(const LogConfig& config, const Options& options);
  virtual ~LogWriter() = default;

  // Queues a record, partition -1 for any; waits while the queue is full. A failed delivery is reported by Flush.
  virtual absl::Status Append(const std::string& topic, int32_t partition, std::string_view value) = 0;
  // Waits until all are delivered; the first failure since the last Flush. A record that is not delivered within a minute
  // has failed.
  virtual absl::Status Flush(absl::Duration timeout) = 0;

  virtual absl::Status BeginTransaction() = 0;
  virtual absl::Status CommitTransaction(absl::Duration timeout) = 0;
  virtual absl::Status AbortTransaction(absl::Duration timeout) = 0;
};

// librdkafka's mock cluster: a broker inside this process, for the first run and for fast tests. Keeps 5 MiB a partition
// and drops the oldest silently; has no transactions worth the name; makes any topic it is asked for.
class EmbeddedBroker {
 public:
  static absl::StatusOr<std::unique_ptr<EmbeddedBroker>> Start(const std::string& topic, int partitions);
  virtual ~EmbeddedBroker() = default;
  // HOST:PORT
  virtual std::string brokers() const = 0;
};

}  // namespace tenfold
