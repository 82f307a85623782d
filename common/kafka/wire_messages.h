// The questions that a reader asks brokers, and their answers: ApiVersions, Metadata, Fetch, ListOffsets, byte by byte
// (https://kafka.apache.org/protocol). An answer that makes no sense is FAILED_PRECONDITION. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/kafka/log.h"
#include "common/text/address.h"

namespace tenfold {

// Kafka's numbers of the calls.
enum class WireCall : int16_t { kFetch = 1, kListOffsets = 2, kMetadata = 3, kApiVersions = 18 };

// Kafka's numbers of the errors that a reader tells apart.
enum class WireError : int16_t {
  kUnknownServerError = -1,
  kNone = 0,
  kOffsetOutOfRange = 1,
  kCorruptMessage = 2,
  kUnknownTopicOrPartition = 3,
  kLeaderNotAvailable = 5,
  kNotLeader = 6,
  kReplicaNotAvailable = 9,
  kInvalidTopic = 17,
  kTopicAuthorizationFailed = 29,
  kUnsupportedSaslMechanism = 33,
  kUnsupportedVersion = 35,
  kStorageError = 56,
  kFencedLeaderEpoch = 74,
  kUnknownLeaderEpoch = 75,
  kUnsupportedCompression = 76,
  kOffsetNotAvailable = 78,
  kUnknownTopicId = 100,
  kInconsistentTopicId = 103,
};
// "Broker: Not leader for partition", or "error 4711" for one that is not known.
std::string WireErrorText(WireError error);

// ---- ApiVersions 3 ----

inline constexpr int16_t kApiVersionsVersion = 3;

// The versions of a call, all between them too.
struct WireVersions {
  int16_t least = 0;
  int16_t most = -1;
  bool Has(int16_t version) const { return least <= version && version <= most; }
};
std::string ApiVersionsQuestion();
// Returns the versions of each call, none for a broker that does not know the question's own version.
absl::StatusOr<std::map<int16_t, WireVersions>> ReadApiVersions(std::string_view answer);

// ---- Metadata 9 to 12 ----

inline constexpr WireVersions kMetadataVersions = {9, 12};

struct WireMetadata {
  struct Partition {
    int32_t partition = 0;
    WireError error = WireError::kNone;
    // -1 if there is none.
    int32_t leader = -1;
    int32_t leader_epoch = -1;
  };
  struct Topic {
    std::string name;
    WireError error = WireError::kNone;
    TopicId id{};
    std::vector<Partition> partitions;
  };
  // The cluster's id; empty if it has none.
  std::string cluster;
  // By id.
  std::map<int32_t, Address> brokers;
  std::vector<Topic> topics;
};
std::string MetadataQuestion(int16_t version, const std::vector<std::string>& topics);
absl::StatusOr<WireMetadata> ReadMetadata(int16_t version, std::string_view answer);

// ---- Fetch 12 and 13 ----

inline constexpr WireVersions kFetchVersions = {12, 13};

struct WireFetch {
  struct Partition {
    std::string topic;
    // Version 13 asks by it.
    TopicId id{};
    int32_t partition = 0;
    int32_t leader_epoch = -1;
    int64_t offset = 0;
    // Of the last record that was read; -1 if that is not known.
    int32_t last_epoch = -1;
    int32_t max_bytes = 0;
  };
  int32_t max_wait_ms = 0;
  int32_t min_bytes = 1;
  int32_t max_bytes = 0;
  // Those of a topic next to each other.
  std::vector<Partition> partitions;
};
std::string FetchQuestion(int16_t version, const WireFetch& fetch);

struct WireFetched {
  struct Aborted {
    int64_t producer_id = 0;
    int64_t first_offset = 0;
  };
  struct Partition {
    // One of the two, as the version has it.
    std::string_view topic;
    TopicId id{};
    int32_t partition = 0;
    WireError error = WireError::kNone;
    int64_t high_watermark = -1;
    int64_t last_stable_offset = -1;
    int64_t log_start = -1;
    std::vector<Aborted> aborted;
    // The broker that it is to be read from instead; -1 if there is none.
    int32_t preferred_replica = -1;
    // Record batches, the last one perhaps cut off. A view of the answer.
    std::string_view records;
    // If the log that was read has another end than this one: what the broker has as the end of the epoch; else -1.
    int32_t diverging_epoch = -1;
    int64_t diverging_end = -1;
    // Who leads it now, if it is another than was asked; else -1.
    int32_t leader = -1;
    int32_t leader_epoch = -1;
  };
  int32_t throttle_ms = 0;
  WireError error = WireError::kNone;
  std::vector<Partition> partitions;
};
absl::StatusOr<WireFetched> ReadFetched(int16_t version, std::string_view answer);

// ---- ListOffsets 6 ----

inline constexpr int16_t kListOffsetsVersion = 6;

// Asks for the first offset that the log has.
std::string FirstOffsetQuestion(const std::string& topic, int32_t partition, int32_t leader_epoch);
// FAILED_PRECONDITION with the broker's error too.
absl::StatusOr<int64_t> ReadFirstOffset(std::string_view answer);

}  // namespace tenfold
