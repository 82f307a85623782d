#include "common/kafka/wire_messages.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/kafka/wire_format.h"

namespace tenfold {
namespace {

constexpr size_t kMostClusterId = 256;

constexpr char kSoftware[] = "tenfold";
constexpr char kSoftwareVersion[] = "1";
constexpr int8_t kReadCommitted = 1;
constexpr int32_t kNoReplica = -1;

absl::Status Nonsense(std::string_view call) {
  return absl::FailedPreconditionError(absl::StrCat("its answer to ", std::string(call), " makes no sense"));
}

TopicId TakeTopicId(WireInput* in) {
  TopicId id;
  for (char& byte : id) byte = in->Take<char>();
  return id;
}

void AddTopicId(const TopicId& id, WireOutput* out) {
  for (const char byte : id) out->Add(byte);
}

WireError TakeError(WireInput* in) { return static_cast<WireError>(in->Take<int16_t>()); }

void SkipNumbers(WireInput* in) {
  for (uint32_t left = in->TakeCompactArray(); left > 0 && !in->failed(); --left) in->Take<int32_t>();
}

}  // namespace

std::string WireErrorText(WireError error) {
  const std::string text = rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(error));
  return absl::StrContains(text, "Err-") ? absl::StrCat("error ", static_cast<int>(error)) : text;
}

// ---- ApiVersions ----

std::string ApiVersionsQuestion() {
  WireOutput out;
  out.AddCompactString(kSoftware);
  out.AddCompactString(kSoftwareVersion);
  out.AddNoTags();
  return out.bytes();
}

absl::StatusOr<std::map<int16_t, WireVersions>> ReadApiVersions(std::string_view answer) {
  WireInput in(answer);
  std::map<int16_t, WireVersions> versions;
  const WireError error = TakeError(&in);
  if (error == WireError::kUnsupportedVersion && !in.failed()) return versions;
  if (error != WireError::kNone)
    return absl::FailedPreconditionError(absl::StrCat("answers ApiVersions with ", WireErrorText(error)));
  for (uint32_t left = in.TakeCompactArray(); left > 0 && !in.failed(); --left) {
    const auto call = in.Take<int16_t>();
    WireVersions& of_call = versions[call];
    of_call.least = in.Take<int16_t>();
    of_call.most = in.Take<int16_t>();
    in.SkipTags();
  }
  if (in.failed()) return Nonsense("ApiVersions");
  return versions;
}

// ---- Metadata ----

std::string MetadataQuestion(int16_t version, const std::vector<std::string>& topics) {
  WireOutput out;
  out.BeginCompactArray(topics.size());
  for (const std::string& topic : topics) {
    if (version >= 10) AddTopicId({}, &out);
    out.AddCompactString(topic);
    out.AddNoTags();
  }
  out.Add(int8_t{0});                     // creates no topic
  if (version <= 10) out.Add(int8_t{0});  // does not ask for rights on the cluster
  out.Add(int8_t{0});                     // nor on topics
  out.AddNoTags();
  return out.bytes();
}

absl::StatusOr<WireMetadata> ReadMetadata(int16_t version, std::string_view answer) {
  WireInput in(answer);
  WireMetadata metadata;
  in.Take<int32_t>();  // throttle time
  for (uint32_t left = in.TakeCompactArray(); left > 0 && !in.failed(); --left) {
    const auto id = in.Take<int32_t>();
    const std::string host(in.TakeCompactString());
    const auto port = in.Take<int32_t>();
    in.TakeCompactString();  // rack
    in.SkipTags();
    metadata.brokers[id] = Address{host, port};
  }
  // A longer one is none that Kafka makes.
  if (const std::string_view cluster = in.TakeCompactString(); cluster.size() <= kMostClusterId) metadata.cluster = cluster;
  in.Take<int32_t>();  // controller
  for (uint32_t topics = in.TakeCompactArray(); topics > 0 && !in.failed(); --topics) {
    WireMetadata::Topic& topic = metadata.topics.emplace_back();
    topic.error = TakeError(&in);
    topic.name = std::string(in.TakeCompactString());
    if (version >= 10) topic.id = TakeTopicId(&in);
    in.Take<int8_t>();  // whether it is internal
    for (uint32_t left = in.TakeCompactArray(); left > 0 && !in.failed(); --left) {
      WireMetadata::Partition& partition = topic.partitions.emplace_back();
      partition.error = TakeError(&in);
      partition.partition = in.Take<int32_t>();
      partition.leader = in.Take<int32_t>();
      partition.leader_epoch = in.Take<int32_t>();
      SkipNumbers(&in);  // replicas
      SkipNumbers(&in);  // those in sync
      SkipNumbers(&in);  // those offline
      in.SkipTags();
    }
    in.Take<int32_t>();  // rights
    in.SkipTags();
  }
  if (version <= 10) in.Take<int32_t>();  // rights on the cluster
  in.SkipTags();
  if (in.failed()) return Nonsense("Metadata");
  return metadata;
}

// ---- Fetch ----

std::string FetchQuestion(int16_t version, const WireFetch& fetch) {
  WireOutput out;
  out.Add(kNoReplica);
  out.Add(fetch.max_wait_ms);
  out.Add(fetch.min_bytes);
  out.Add(fetch.max_bytes);
  out.Add(kReadCommitted);
  out.Add(int32_t{0});   // no session
  out.Add(int32_t{-1});  // nor a new one
  const auto ends_topic = [&](size_t i) {
    return i == fetch.partitions.size() || (i > 0 && fetch.partitions[i].topic != fetch.partitions[i - 1].topic);
  };
  size_t topics = 0;
  for (size_t i = 1; i <= fetch.partitions.size(); ++i) topics += ends_topic(i) ? 1 : 0;
  out.BeginCompactArray(topics);
  for (size_t begin = 0; begin < fetch.partitions.size();) {
    size_t end = begin + 1;
    while (!ends_topic(end)) ++end;
    if (version >= 13) {
      AddTopicId(fetch.partitions[begin].id, &out);
    } else {
      out.AddCompactString(fetch.partitions[begin].topic);
    }
    out.BeginCompactArray(end - begin);
    for (; begin < end; ++begin) {
      const WireFetch::Partition& partition = fetch.partitions[begin];
      out.Add(partition.partition);
      out.Add(partition.leader_epoch);
      out.Add(partition.offset);
      out.Add(partition.last_epoch);
      out.Add(int64_t{-1});  // only replicas tell where their log starts
      out.Add(partition.max_bytes);
      out.AddNoTags();
    }
    out.AddNoTags();
  }
  out.BeginCompactArray(0);  // without a session, there is nothing to forget
  out.AddCompactString("");  // no rack
  out.AddNoTags();
  return out.bytes();
}

absl::StatusOr<WireFetched> ReadFetched(int16_t version, std::string_view answer) {
  WireInput in(answer);
  WireFetched fetched;
  fetched.throttle_ms = in.Take<int32_t>();
  fetched.error = TakeError(&in);
  in.Take<int32_t>();  // session
  for (uint32_t topics = in.TakeCompactArray(); topics > 0 && !in.failed(); --topics) {
    std::string_view topic;
    TopicId id{};
    if (version >= 13) {
      id = TakeTopicId(&in);
    } else {
      topic = in.TakeCompactString();
    }
    for (uint32_t left = in.TakeCompactArray(); left > 0 && !in.failed(); --left) {
      WireFetched::Partition& partition = fetched.partitions.emplace_back();
      partition.topic = topic;
      partition.id = id;
      partition.partition = in.Take<int32_t>();
      partition.error = TakeError(&in);
      partition.high_watermark = in.Take<int64_t>();
      partition.last_stable_offset = in.Take<int64_t>();
      partition.log_start = in.Take<int64_t>();
      for (uint32_t aborted = in.TakeCompactArray(); aborted > 0 && !in.failed(); --aborted) {
        WireFetched::Aborted& transaction = partition.aborted.emplace_back();
        transaction.producer_id = in.Take<int64_t>();
        transaction.first_offset = in.Take<int64_t>();
        in.SkipTags();
      }
      partition.preferred_replica = in.Take<int32_t>();
      partition.records = in.TakeCompactString();
      in.ReadTags([&](uint32_t tag, WireInput tagged) {
        if (tag == 0) {
          partition.diverging_epoch = tagged.Take<int32_t>();
          partition.diverging_end = tagged.Take<int64_t>();
        } else if (tag == 1) {
          partition.leader = tagged.Take<int32_t>();
          partition.leader_epoch = tagged.Take<int32_t>();
        }
      });
    }
    in.SkipTags();
  }
  in.SkipTags();
  if (in.failed()) return Nonsense("Fetch");
  return fetched;
}

// ---- ListOffsets ----

std::string FirstOffsetQuestion(const std::string& topic, int32_t partition, int32_t leader_epoch) {
  WireOutput out;
  out.Add(kNoReplica);
  out.Add(kReadCommitted);
  out.BeginCompactArray(1);
  out.AddCompactString(topic);
  out.BeginCompactArray(1);
  out.Add(partition);
  out.Add(leader_epoch);
  out.Add(int64_t{-2});  // the earliest
  out.AddNoTags();
  out.AddNoTags();
  out.AddNoTags();
  return out.bytes();
}

absl::StatusOr<int64_t> ReadFirstOffset(std::string_view answer) {
  WireInput in(answer);
  in.Take<int32_t>();  // throttle time
  if (in.TakeCompactArray() != 1) return Nonsense("ListOffsets");
  in.TakeCompactString();
  if (in.TakeCompactArray() != 1) return Nonsense("ListOffsets");
  in.Take<int32_t>();
  const WireError error = TakeError(&in);
  in.Take<int64_t>();  // timestamp
  const auto offset = in.Take<int64_t>();
  if (in.failed()) return Nonsense("ListOffsets");
  if (error != WireError::kNone) return absl::FailedPreconditionError(WireErrorText(error));
  return offset < 0 ? absl::StatusOr<int64_t>(Nonsense("ListOffsets")) : offset;
}

}  // namespace tenfold
