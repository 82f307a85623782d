// Appends records of every shape to the Kafka of local_kafka.h: with keys, null values, headers and times, as LogWriter does
// not.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace tenfold {

struct RecordToWrite {
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  // Milliseconds since 1970; 0 for the present.
  int64_t timestamp_ms = 0;
};

// A record whose key is null or one of `keys`, with a value of at most `most_bytes` letters and everything else at random.
RecordToWrite RandomRecord(std::minstd_rand* random, int keys, size_t most_bytes);

// Used by one thread at a time. Calls wait for a minute at most.
class RecordWriter {
 public:
  // With an id it writes in transactions, and begins when no other writer of that id can go on.
  explicit RecordWriter(const std::string& codec, const std::string& transactional_id = "");

  // OK if the writer could be made.
  const absl::Status& status() const { return status_; }
  absl::Status Append(const std::string& topic, int32_t partition, const RecordToWrite& record);
  // Until all are delivered; the first failure since the last call.
  absl::Status Flush();
  absl::Status Begin();
  absl::Status Commit();
  absl::Status Abort();

 private:
  struct Destroy {
    void operator()(rd_kafka_t* kafka) const { rd_kafka_destroy(kafka); }
  };

  absl::Status status_;
  // The first failure since the last Flush.
  absl::Status failure_;
  std::unique_ptr<rd_kafka_t, Destroy> kafka_;
};

}  // namespace tenfold
