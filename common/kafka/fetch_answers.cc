// FetchMachine: what brokers say of partitions, in Metadata and in Fetch.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/kafka/fetch_machine.h"
#include "common/kafka/record_batch.h"
#include "common/text/topic_id_text.h"

namespace tenfold {
namespace {

// How long brokers may say that a partition is not there, since they learn of a new one after each other.
constexpr int64_t kMissingForUs = 3'000'000;
// A larger batch than this is refused, as the largest that a broker may be told to take is not much larger.
constexpr int32_t kMostBatchBytes = 1 << 30;

constexpr LogReader::Event::Kind kFailed = LogReader::Event::Kind::kFailed;

std::string IdText(const TopicId& id) { return TopicIdText({id.data(), id.size()}); }

// How a sentence begins on why the partition is not read on from there.
std::string Reading(const TopicPartition& partition, int64_t offset) {
  return absl::StrCat("read ", partition.Name(), " at ", offset, ": ");
}

}  // namespace

void FetchMachine::OnMetadata(const WireMetadata& metadata, int64_t now_us) {
  for (const auto& [id, address] : metadata.brokers) {
    // Brokers have no such numbers, and kControl is one.
    if (id < 0) continue;
    Broker& broker = brokers_[id];
    // One that is connected goes on as it is, until it is lost. One that is not yet may hang for good where it was looked
    // for.
    if (broker.state != Broker::State::kReady) broker.address = address;
  }
  cluster_ = metadata.cluster;
  for (uint32_t position = 0; position < partitions_.size(); ++position) {
    Partition& partition = partitions_[position];
    if (partition.stopped) continue;
    if (!partition.known_cluster.empty() && partition.known_cluster != cluster_) ForgetLog(&partition);
    const auto topic = std::ranges::find(metadata.topics, partition.name.topic, &WireMetadata::Topic::name);
    if (topic == metadata.topics.end()) continue;
    OnTopic(position, *topic, now_us);
  }
  const bool unled = std::ranges::any_of(
      partitions_, [](const Partition& partition) { return !partition.stopped && partition.leader < 0; });
  leaderless_ = unled ? leaderless_ + 1 : 0;
  control_.retry_us = now_us + Pause(1 + leaderless_);
}

// These are brokers of another cluster, whose topic may be a copy. What was known of the log is of no use there.
void FetchMachine::ForgetLog(Partition* partition) {
  partition->known_cluster.clear();
  partition->id = {};
  partition->id_is_read = false;
  partition->last_epoch = -1;
}

void FetchMachine::OnTopic(uint32_t position, const WireMetadata::Topic& topic, int64_t now_us) {
  Partition& partition = partitions_[position];
  switch (topic.error) {
    case WireError::kNone:
      break;
    case WireError::kUnknownTopicOrPartition:
      return OnMissing(position, kFailed, absl::StrCat("topic ", topic.name, " does not exist (any more)"), now_us);
    case WireError::kTopicAuthorizationFailed:
    case WireError::kInvalidTopic:
      return Stop(position, absl::StrCat(Reading(partition.name, partition.next_offset), WireErrorText(topic.error)));
    default:
      partition.leader = -1;
      ++partition.failures;
      partition.trouble = WireErrorText(topic.error);
      return;
  }
  // A broker that is not yet, or no more, as new as others gives none, or that of a topic that is gone.
  if (partition.id != TopicId{} && topic.id != TopicId{} && topic.id != partition.id)
    return OnMissing(position, partition.id_is_read ? LogReader::Event::Kind::kAnotherLog : kFailed,
                     absl::StrCat("topic ", topic.name, " was created again: its id is ", IdText(topic.id), ", and was ",
                                  IdText(partition.id)),
                     now_us);
  if (topic.id != TopicId{}) partition.id = topic.id;
  partition.asks_by_name = topic.id == TopicId{};
  const auto found = std::ranges::find(topic.partitions, partition.name.partition, &WireMetadata::Partition::partition);
  if (found == topic.partitions.end())
    return OnMissing(position, kFailed, absl::StrCat("topic ", topic.name, " has ", topic.partitions.size(), " partitions"),
                     now_us);
  partition.missing_since_us = 0;
  // A broker that is behind names a leader of an older epoch than is known. One that insists on it is right: the topic was
  // created again where there are no ids, or who named the epoch was wrong. But a log that was read does not get younger.
  if (found->leader_epoch >= 0 && found->leader_epoch < partition.leader_epoch) {
    if (partition.older_since_us == 0) partition.older_since_us = now_us;
    if (partition.id != TopicId{} && found->leader_epoch < partition.last_epoch) {
      ++partition.failures;
      partition.trouble = absl::StrCat("brokers name a leader of epoch ", found->leader_epoch, ", and records of epoch ",
                                       partition.last_epoch, " were read");
      return;
    }
    if (now_us - partition.older_since_us < kMissingForUs) return;
  }
  partition.older_since_us = 0;
  const bool was_led = partition.leader >= 0;
  partition.leader = found->error == WireError::kNone && brokers_.contains(found->leader) ? found->leader : -1;
  if (!was_led && partition.leader >= 0) ++partition.times_led;
  partition.leader_epoch = found->leader_epoch;
}

// Brokers learn of a new partition, and of a new topic, one after the other.
void FetchMachine::OnMissing(uint32_t position, LogReader::Event::Kind kind, std::string_view why, int64_t now_us) {
  Partition& partition = partitions_[position];
  // If it comes, it may be another one, whose epochs begin anew.
  partition.leader = -1;
  partition.leader_epoch = -1;
  if (partition.missing_since_us == 0) partition.missing_since_us = now_us;
  if (now_us - partition.missing_since_us < kMissingForUs) return;
  const bool other = kind == LogReader::Event::Kind::kAnotherLog;
  Stop(position, absl::StrCat(other ? "" : Reading(partition.name, partition.next_offset), std::string(why)), kind,
       other ? 0 : partition.next_offset);
}

void FetchMachine::Stop(uint32_t position, std::string message) {
  Stop(position, std::move(message), kFailed, partitions_[position].next_offset);
}

void FetchMachine::Stop(uint32_t position, std::string message, LogReader::Event::Kind kind, int64_t next_offset) {
  partitions_[position].stopped = true;
  events_.push_back({kind, position, next_offset, std::move(message)});
}

// ---- what was fetched ----

std::vector<FetchMachine::Delivery> FetchMachine::OnFetched(int32_t id, const WireFetched& fetched, int64_t now_us) {
  Broker& broker = At(id);
  std::vector<Delivery> deliveries;
  // The answer to a question from before the last Assign is of no more use.
  if (broker.assignment != assignment_) return deliveries;
  const bool by_id = broker.asked_version > kFetchVersions.least;
  bool first = true;
  // Answers come in the order of the question.
  auto next = broker.asked.begin();
  for (const WireFetched::Partition& of_partition : fetched.partitions) {
    const auto is_it = [&](uint32_t position) {
      const Partition& partition = partitions_[position];
      return partition.name.partition == of_partition.partition &&
             (by_id ? partition.id == of_partition.id : partition.name.topic == of_partition.topic);
    };
    auto asked = std::find_if(next, broker.asked.end(), is_it);
    if (asked == broker.asked.end()) asked = std::find_if(broker.asked.begin(), next, is_it);
    if (asked == broker.asked.end() || !is_it(*asked)) continue;
    next = asked + 1;
    if (partitions_[*asked].stopped) continue;
    std::optional<Delivery> delivery = OnPartition(id, *asked, of_partition, first, now_us);
    first &= of_partition.records.empty();
    if (!delivery) continue;
    // Those that brought nothing, as others had used up the limit, come first the next time.
    if (!delivery->batches.empty()) broker.turn = *asked + 1;
    deliveries.push_back(*std::move(delivery));
  }
  return deliveries;
}

std::optional<FetchMachine::Delivery> FetchMachine::OnPartition(int32_t id, uint32_t position,
                                                                const WireFetched::Partition& fetched, bool first,
                                                                int64_t now_us) {
  Partition& partition = partitions_[position];
  Delivery delivery;
  delivery.source = {At(id).source, partition.leader_epoch, partition.times_led};
  const bool is_told = fetched.leader_epoch > partition.leader_epoch;
  if (is_told) {
    partition.leader = brokers_.contains(fetched.leader) ? fetched.leader : -1;
    partition.leader_epoch = fetched.leader_epoch;
  }
  if (fetched.error != WireError::kNone) {
    OnError(position, fetched.error, is_told, now_us);
    return std::nullopt;
  }
  if (fetched.preferred_replica >= 0 && fetched.preferred_replica != id) {
    unsupported_ = absl::StrCat(partition.name.Name(), " is to be read from broker ", fetched.preferred_replica,
                                ", which does not lead it");
    return std::nullopt;
  }
  // Its epochs differ, but not before the offset: compaction may have emptied one, and who compares records finds the rest.
  if (fetched.diverging_epoch >= 0 && fetched.diverging_end >= partition.next_offset) {
    partition.last_epoch = -1;
    partition.trouble = "its leader knows other epochs of it";
    PauseAfterError(&partition, now_us);
    return std::nullopt;
  }
  if (fetched.diverging_epoch >= 0) {
    const std::string reached =
        absl::StrCat("offset ", partition.next_offset, " was reached in leader epoch ", partition.last_epoch);
    Stop(position,
         fetched.diverging_epoch < partition.last_epoch
             ? absl::StrCat(reached, ", which the log has not: its epoch ", fetched.diverging_epoch, " ended at ",
                            fetched.diverging_end)
             : absl::StrCat(reached, ", of which the log has records only below ", fetched.diverging_end),
         LogReader::Event::Kind::kAnotherLog, std::max<int64_t>(0, fetched.diverging_end));
    return std::nullopt;
  }
  const BatchExtent extent = FindExtent(fetched.records);
  const int32_t asked_bytes = partition.max_bytes;
  if (extent.whole_bytes == 0 && extent.cut_bytes > partition.max_bytes) {
    if (extent.cut_bytes > kMostBatchBytes) {
      Stop(position, absl::StrCat(Reading(partition.name, partition.next_offset), "it has a batch of ", extent.cut_bytes,
                                  " bytes, and at most ", kMostBatchBytes, " can be read"));
      return std::nullopt;
    }
    partition.max_bytes = static_cast<int32_t>(extent.cut_bytes);
  } else if (extent.whole_bytes == 0 && first && !fetched.records.empty()) {
    partition.max_bytes = static_cast<int32_t>(std::min<int64_t>(kMostBatchBytes, int64_t{2} * partition.max_bytes));
  }
  if (extent.whole_bytes > 0) partition.max_bytes = options_.partition_bytes;
  // A question whose answer leads nowhere is not asked again at the speed of the network. A batch that is cut off behind
  // what came of other partitions is whole the next time.
  const bool leads_on =
      fetched.records.empty() || !first || extent.next_offset > partition.next_offset || partition.max_bytes > asked_bytes;
  partition.failures = leads_on ? 0 : partition.failures + 1;
  if (!leads_on) {
    partition.retry_us = now_us + Pause(partition.failures);
    partition.trouble = "what its leader answers leads nowhere";
  }
  delivery.position = position;
  delivery.batches = fetched.records.substr(0, extent.whole_bytes);
  delivery.from = partition.next_offset;
  // Brokers have them in the order in which they ended.
  delivery.aborted = fetched.aborted;
  std::ranges::sort(delivery.aborted, {}, &WireFetched::Aborted::first_offset);
  // A batch that was compacted away may have left its place behind; an answer never leads back.
  if (extent.whole_bytes > 0 && extent.next_offset >= partition.next_offset) {
    partition.next_offset = extent.next_offset;
    partition.last_epoch = std::max(extent.epoch, -1);
    partition.older_since_us = 0;
  }
  delivery.next_offset = partition.next_offset;
  delivery.identity = IdentityOf(position, partition.last_epoch);
  const int64_t end = fetched.last_stable_offset >= 0 ? fetched.last_stable_offset : fetched.high_watermark;
  // A broker that led the partition before may know of an earlier end.
  const bool is_end = (partition.next_offset == end && partition.leader == id) || partition.next_offset >= partition.up_to;
  delivery.at_end = is_end && partition.TellEnd();
  return delivery;
}

void FetchMachine::OnError(uint32_t position, WireError error, bool knows_leader, int64_t now_us) {
  Partition& partition = partitions_[position];
  switch (error) {
    case WireError::kOffsetOutOfRange:
      // The epoch may be what it does not know; then its records are to be compared.
      if (std::exchange(partition.last_epoch, -1) >= 0) break;
      return Stop(position,
                  absl::StrCat(partition.name.Name(), ": offset ", partition.next_offset, " is not in the log (any more)"),
                  LogReader::Event::Kind::kOffsetLost, partition.next_offset);
    case WireError::kNotLeader:
    case WireError::kFencedLeaderEpoch:
    case WireError::kUnknownTopicOrPartition:
    case WireError::kUnknownTopicId:
    case WireError::kInconsistentTopicId:
      // Metadata tells who leads it now, or that it is gone.
      if (!knows_leader) partition.leader = -1;
      break;
    case WireError::kTopicAuthorizationFailed:
    case WireError::kInvalidTopic:
    case WireError::kCorruptMessage:
    case WireError::kUnsupportedCompression:
      return Stop(position, absl::StrCat(Reading(partition.name, partition.next_offset), WireErrorText(error)));
    default:
      // It is about to move, or will be back: whoever leads it then is asked.
      break;
  }
  leaders_wanted_ = true;
  if (partition.older_since_us == 0) partition.trouble = WireErrorText(error);
  PauseAfterError(&partition, now_us);
}

void FetchMachine::OnUnreadable(uint32_t position, int64_t offset, std::string_view why) {
  Partition& partition = partitions_[position];
  partition.next_offset = offset;
  // Whatever stopped it since was found behind what could not be read.
  std::erase_if(events_, [&](const LogReader::Event& event) { return event.position == position; });
  Stop(position, absl::StrCat(Reading(partition.name, offset), "its batch ", std::string(why)));
}

}  // namespace tenfold
