#include "driver/job_topics.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/limits.h"
#include "common/text/shown_text.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(3);
// How long several calls may take that make up one answer.
constexpr absl::Duration kAnswerTimeout = absl::Seconds(6);
// As a spec has it of a job that commits to no group.
constexpr char kNoGroup[] = "none";
// The timeout of a commit of the group's offsets, for which only the driver's end waits.
constexpr absl::Duration kGroupTimeout = absl::Seconds(1);
constexpr std::chrono::seconds kGroupInterval(1);
// How often high watermarks are asked for, which tell of open transactions.
constexpr absl::Duration kAskWatermarks = absl::Seconds(5);
// Of so many partitions Kafka is asked at a time who holds them back.
constexpr size_t kMostHolders = 4;
// How often topics are looked at for having become compacted.
constexpr absl::Duration kAskCompacted = absl::Minutes(1);
// How long Kafka is not asked again where it did not answer that, since the search waits for the answer.
constexpr absl::Duration kAskCompactedAgain = absl::Seconds(10);

std::vector<TopicPartition> ToTopicPartitions(const std::vector<Partition>& partitions) {
  std::vector<TopicPartition> list;
  list.reserve(partitions.size());
  for (const Partition& partition : partitions) list.push_back({partition.topic(), partition.partition()});
  return list;
}

absl::Status StoppingError() { return absl::UnavailableError("the driver is stopping"); }

}  // namespace

absl::StatusOr<std::unique_ptr<JobTopics>> JobTopics::Create(const JobSpec& spec, const LogConfig& log,
                                                             std::stop_token stop) {
  absl::StatusOr<std::unique_ptr<LogClient>> client = LogClient::Shared(log);
  if (!client.ok()) return client.status();
  return std::unique_ptr<JobTopics>(new JobTopics(spec, log, *std::move(client), std::move(stop)));
}

JobTopics::JobTopics(const JobSpec& spec, const LogConfig& log, std::unique_ptr<LogClient> client, std::stop_token stop)
    : kafka_(spec.source()),
      matcher_(kafka_),
      client_(std::move(client)),
      stop_(std::move(stop)),
      has_group_(spec.source().group() != kNoGroup),
      group_(log, spec.source().group().empty() ? absl::StrCat("tenfold-", spec.name()) : spec.source().group()),
      group_thread_([this] { RunGroup(); }) {}

JobTopics::~JobTopics() {
  closing_.request_stop();
  group_offsets_.Abort();
}

absl::StatusOr<absl::Duration> JobTopics::CallTime(absl::Time deadline) const {
  if (stop_.stop_requested()) return StoppingError();
  if (closing_.stop_requested()) return absl::UnavailableError("the job's topics are others now");
  const absl::Duration left = deadline - absl::Now();
  if (left <= absl::ZeroDuration()) return absl::UnavailableError("Kafka takes too long to answer");
  return std::min(left, Scaled(kTimeout));
}

absl::Duration JobTopics::Scaled(absl::Duration time) const {
  constexpr absl::Duration kMost = absl::Seconds(30);
  // A call on a new connection is about so many: TCP, TLS, versions, SASL, the question.
  constexpr int kRoundTrips = 6;
  return std::max(time, std::min(kMost, kRoundTrips * client_->RoundTrip()));
}

std::vector<int64_t> JobTopics::AskHighWatermarks(const std::vector<TopicPartition>& partitions, absl::Time deadline) {
  {
    MutexLock lock(&mutex_);
    if (absl::Now() < ask_watermarks_at_) return {};
    ask_watermarks_at_ = absl::Now() + kAskWatermarks;
  }
  const absl::StatusOr<absl::Duration> time = CallTime(deadline);
  if (!time.ok()) return {};
  std::vector<int64_t> watermarks;
  for (const auto& offset : client_->EachOffset(partitions, LogClient::Position::kHighWatermark, *time))
    watermarks.push_back(offset.value_or(-1));
  return watermarks;
}

std::map<uint32_t, std::string> JobTopics::AskHolders(const std::vector<TopicPartition>& partitions,
                                                      const std::vector<int64_t>& watermarks, absl::Time deadline) {
  std::vector<uint32_t> held;
  {
    MutexLock lock(&mutex_);
    std::map<TopicPartition, int64_t> held_ends;
    for (uint32_t p = 0; p < watermarks.size(); ++p) {
      const auto end = ends_told_.find(partitions[p]);
      if (end == ends_told_.end() || end->second >= watermarks[p]) continue;
      held_ends.insert(*end);
      const auto before = held_ends_.find(partitions[p]);
      if (before != held_ends_.end() && before->second == end->second && held.size() < kMostHolders) held.push_back(p);
    }
    if (!watermarks.empty()) held_ends_ = std::move(held_ends);
  }
  std::map<uint32_t, std::string> holders;
  for (const uint32_t p : held) {
    const absl::StatusOr<absl::Duration> time = CallTime(deadline);
    if (!time.ok()) break;
    absl::StatusOr<std::string> holder = client_->FindOpenTransaction(partitions[p], *time);
    if (!holder.ok()) break;
    if (!holder->empty()) holders[p] = *std::move(holder);
  }
  return holders;
}

absl::StatusOr<std::vector<JobTopics::Topic>> JobTopics::TopicsOf(const std::vector<Partition>& partitions,
                                                                  absl::Time deadline) {
  std::map<std::string, size_t> sources;
  for (const Partition& partition : partitions) sources[partition.topic()] = partition.source();
  std::vector<Topic> topics;
  for (const auto& [name, source] : sources) topics.push_back({name, source});
  return WithPartitions(std::move(topics), deadline);
}

absl::StatusOr<std::vector<JobTopics::Topic>> JobTopics::WithPartitions(std::vector<Topic> topics, absl::Time deadline) {
  const absl::StatusOr<absl::Duration> time = CallTime(deadline);
  if (!time.ok()) return time.status();
  std::vector<std::string> names;
  for (const Topic& topic : topics) names.push_back(topic.name);
  const std::vector<absl::StatusOr<int32_t>> counts = client_->EachPartitionCount(names, *time);
  for (size_t t = 0; t < topics.size(); ++t) topics[t].partitions = counts[t];
  return topics;
}

absl::StatusOr<std::vector<JobTopics::Topic>> JobTopics::TopicsNow(absl::Time deadline) {
  std::vector<std::string> matched;
  if (matcher_.has_patterns()) {
    const absl::StatusOr<absl::Duration> time = CallTime(deadline);
    if (!time.ok()) return time.status();
    absl::StatusOr<std::vector<std::string>> all = client_->Topics(*time);
    if (!all.ok()) return all.status();
    const std::vector<std::string> named = NamedTopics(kafka_);
    for (std::string& topic : *all) {
      if (std::ranges::find(named, topic) == named.end()) matched.push_back(std::move(topic));
    }
  }
  std::vector<Topic> topics;
  for (size_t source = 0; source <= static_cast<size_t>(kafka_.others_size()); ++source) {
    const SourceTopics of = TopicsOfSource(kafka_, source);
    for (const std::string& topic : of.topics()) topics.push_back({topic, source});
    for (const std::string& topic : matched) {
      if (matcher_.SourceOf(topic) == source) topics.push_back({topic, source});
    }
  }
  if (topics.size() > kMaxTopics) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the job's topics_matching matches more topics than a job has: ", topics.size(), ", and ", kMaxTopics,
                     " are allowed. Narrow the pattern, or delete some"));
  }
  return WithPartitions(std::move(topics), deadline);
}

absl::StatusOr<std::vector<int64_t>> JobTopics::Offsets(const std::vector<TopicPartition>& partitions,
                                                        LogClient::Position position, absl::Time deadline) {
  const absl::StatusOr<absl::Duration> time = CallTime(deadline);
  if (!time.ok()) return time.status();
  return client_->Offsets(partitions, position, *time);
}

absl::StatusOr<std::vector<Partition>> JobTopics::Resolve(absl::Time deadline) {
  const absl::StatusOr<std::vector<Topic>> topics = TopicsNow(deadline);
  if (!topics.ok()) return topics.status();
  std::vector<Partition> partitions;
  std::vector<bool> has_topic(static_cast<size_t>(kafka_.others_size()) + 1);
  for (const Topic& topic : *topics) {
    if (!topic.partitions.ok() && kafka_.wait_for_topics() && absl::IsNotFound(topic.partitions.status())) continue;
    if (!topic.partitions.ok()) return topic.partitions.status();
    has_topic[topic.source] = true;
    for (int32_t p = 0; p < *topic.partitions; ++p) {
      Partition& partition = partitions.emplace_back();
      partition.set_topic(topic.name);
      partition.set_partition(p);
      if (topic.source > 0) partition.set_source(static_cast<uint32_t>(topic.source));
    }
  }
  for (size_t source = 0; source < has_topic.size(); ++source) {
    if (!has_topic[source] && !kafka_.wait_for_topics()) {
      return absl::NotFoundError(absl::StrCat("no topic matches ", Shown(TopicsOfSource(kafka_, source).topics_matching()),
                                              " of ", SourcePath(kafka_, source),
                                              ".kafka.topics_matching; missing_topics: wait waits for one"));
    }
    std::vector<Partition*> of_source;
    for (Partition& partition : partitions) {
      if (partition.source() == source) of_source.push_back(&partition);
    }
    if (absl::Status set = SetRange(source, of_source, deadline); !set.ok()) return set;
  }
  return partitions;
}

absl::Status JobTopics::SetRange(size_t source, const std::vector<Partition*>& partitions, absl::Time deadline) {
  const SourceTopics range = TopicsOfSource(kafka_, source);
  std::vector<TopicPartition> list;
  for (const Partition* const partition : partitions) list.push_back({partition->topic(), partition->partition()});
  const absl::StatusOr<std::vector<int64_t>> begins = Offsets(list, LogClient::Position::kBegin, deadline);
  if (!begins.ok()) return begins.status();
  std::vector<int64_t> starts = *begins;
  if (range.start() == START_LATEST || range.has_start_at() || range.has_until()) {
    const absl::StatusOr<std::vector<int64_t>> ends = Offsets(list, LogClient::Position::kStableEnd, deadline);
    if (!ends.ok()) return ends.status();
    if (range.start() == START_LATEST) starts = *ends;
    if (range.has_start_at()) {
      absl::StatusOr<std::vector<int64_t>> places = Places(range.start_at(), "start", list, *begins, *ends, deadline);
      if (!places.ok()) return places.status();
      starts = *std::move(places);
    }
    if (range.has_until()) {
      const absl::StatusOr<std::vector<int64_t>> places = Places(range.until(), "until", list, *begins, *ends, deadline);
      if (!places.ok()) return places.status();
      for (size_t i = 0; i < list.size(); ++i) partitions[i]->set_end_offset(std::max(starts[i], (*places)[i]));
    }
  }
  for (size_t i = 0; i < list.size(); ++i) partitions[i]->set_start_offset(starts[i]);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> JobTopics::Places(const LogPosition& position, const std::string& what,
                                                       const std::vector<TopicPartition>& partitions,
                                                       const std::vector<int64_t>& begins, const std::vector<int64_t>& ends,
                                                       absl::Time deadline) {
  const bool is_start = what == "start";
  if (position.end()) return ends;
  // Every record is of that time or a later one.
  if (position.has_time_ms() && position.time_ms() == 0) return begins;
  if (position.has_time_ms()) {
    if (absl::FromUnixMillis(position.time_ms()) > absl::Now()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the job's ", what, " lies in the future, and records are yet to come ", "that would be before it"));
    }
    const absl::StatusOr<absl::Duration> time = CallTime(deadline);
    if (!time.ok()) return time.status();
    const auto found = client_->OffsetsAt(partitions, position.time_ms(), *time);
    if (!found.ok()) return found.status();
    std::vector<int64_t> places;
    for (size_t i = 0; i < partitions.size(); ++i) places.push_back(std::min((*found)[i].value_or(ends[i]), ends[i]));
    return places;
  }
  std::map<TopicPartition, int64_t> named;
  for (const NamedOffset& offset : position.offsets().offsets())
    named[{offset.topic(), offset.partition()}] = offset.offset();
  std::vector<int64_t> places;
  for (size_t i = 0; i < partitions.size(); ++i) {
    const auto found = named.find(partitions[i]);
    if (found == named.end()) {
      if (!is_start)
        return absl::InvalidArgumentError(
            absl::StrCat("the job's until names no offset of ", partitions[i].Name(), ", which has no end then"));
      places.push_back(begins[i]);
      continue;
    }
    const int64_t offset = found->second;
    named.erase(found);
    // What is before an end may be gone by now only where the job begins later.
    if (offset > ends[i] || (is_start && offset < begins[i])) {
      return absl::OutOfRangeError(absl::StrCat("the job's ", what, " has offset ", offset, " of ", partitions[i].Name(),
                                                ", which has offsets ", begins[i], " to ", ends[i], " now"));
    }
    places.push_back(offset);
  }
  if (!named.empty())
    return absl::NotFoundError(
        absl::StrCat("the job's ", what, " names ", named.begin()->first.Name(), ", which its topics do not have"));
  return places;
}

absl::StatusOr<std::string> JobTopics::FindCompacted(std::vector<std::string> topics, absl::Time deadline) {
  if (kafka_.allow_compacted() || topics.empty()) return "";
  MutexLock lock(&mutex_);
  if (compacted_ && topics == asked_compacted_ && absl::Now() < ask_compacted_at_) return *compacted_;
  const absl::StatusOr<absl::Duration> time = CallTime(deadline);
  if (!time.ok()) return time.status();
  absl::StatusOr<std::string> compacted = client_->FindCompacted(topics, *time);
  const bool answered = !absl::IsUnavailable(compacted.status());
  if (!answered && (!compacted_ || topics != asked_compacted_)) return compacted.status();
  ask_compacted_at_ = absl::Now() + (answered ? kAskCompacted : kAskCompactedAgain);
  asked_compacted_ = std::move(topics);
  if (compacted.ok()) compacted_ = *std::move(compacted);
  if (!compacted_) compacted_ = "";
  return *compacted_;
}

absl::Status JobTopics::CheckCompacted(absl::Time deadline) {
  const absl::StatusOr<std::vector<Topic>> topics = TopicsNow(deadline);
  if (!topics.ok()) return topics.status();
  const absl::StatusOr<std::string> compacted = FindCompacted(NamesOf(*topics), deadline);
  if (!compacted.ok()) return compacted.status();
  if (compacted->empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "topic ", *compacted,
      " is compacted (its cleanup.policy): records that a batch counts vanish, so that no batch can be ",
      "verified and no lost state counted again. Read a topic that is not, or accept that with allow_compacted: true in ",
      "source.kafka"));
}

std::vector<std::string> JobTopics::NamesOf(const std::vector<Topic>& topics) {
  std::vector<std::string> names;
  for (const Topic& topic : topics) {
    if (topic.partitions.ok()) names.push_back(topic.name);
  }
  return names;
}

absl::StatusOr<std::vector<std::pair<TopicPartition, int64_t>>> JobTopics::HighWatermarks() {
  const absl::Time deadline = absl::Now() + Scaled(kAnswerTimeout);
  const absl::StatusOr<std::vector<Topic>> topics = TopicsNow(deadline);
  if (!topics.ok()) return topics.status();
  std::vector<TopicPartition> all;
  for (const Topic& topic : *topics) {
    if (!topic.partitions.ok() && !absl::IsNotFound(topic.partitions.status())) return topic.partitions.status();
    for (int32_t p = 0; p < topic.partitions.value_or(0); ++p) all.push_back({topic.name, p});
  }
  const absl::StatusOr<std::vector<int64_t>> offsets = Offsets(all, LogClient::Position::kHighWatermark, deadline);
  if (!offsets.ok()) return offsets.status();
  std::vector<std::pair<TopicPartition, int64_t>> watermarks;
  for (size_t i = 0; i < all.size(); ++i) watermarks.emplace_back(all[i], (*offsets)[i]);
  return watermarks;
}

absl::StatusOr<FoundPartitions> JobTopics::Find(const std::vector<Partition>& known) {
  const absl::Time deadline = absl::Now() + Scaled(kAnswerTimeout);
  // What became of topics after it was submitted is nothing to a job that ends.
  const absl::StatusOr<std::vector<Topic>> topics = kafka_.has_until() ? TopicsOf(known, deadline) : TopicsNow(deadline);
  if (!topics.ok()) return topics.status();
  const auto is_known = [](const Topic& topic) { return topic.partitions.ok(); };
  const bool waits = kafka_.wait_for_topics() && known.empty() && std::ranges::all_of(*topics, [](const Topic& topic) {
                       return topic.partitions.ok() || absl::IsNotFound(topic.partitions.status());
                     });
  // What is not known of one topic, since it is gone or refused, holds up no other.
  if (std::ranges::none_of(*topics, is_known) && !waits && !topics->empty()) return topics->front().partitions.status();
  std::map<std::string, const Topic*> topic_of;
  for (const Topic& topic : *topics) {
    if (topic.partitions.ok()) topic_of[topic.name] = &topic;
  }
  FoundPartitions found;
  absl::StatusOr<std::string> compacted = FindCompacted(NamesOf(*topics), deadline);
  if (!compacted.ok()) return compacted.status();
  found.compacted = *std::move(compacted);
  const std::vector<TopicPartition> known_partitions = ToTopicPartitions(known);
  std::vector<TopicPartition> asked;
  for (size_t i = 0; i < known.size(); ++i) {
    const auto topic = topic_of.find(known_partitions[i].topic);
    if (topic == topic_of.end()) continue;
    if (known_partitions[i].partition < *topic->second->partitions) {
      asked.push_back(known_partitions[i]);
    } else {
      found.gone.push_back(static_cast<uint32_t>(i));
    }
  }
  // A job that ends has the partitions that there were when it was submitted.
  if (!kafka_.has_until()) {
    const std::set<TopicPartition> seen(known_partitions.begin(), known_partitions.end());
    for (const auto& [name, topic] : topic_of) {
      for (int32_t p = 0; p < *topic->partitions; ++p) {
        if (!seen.contains({name, p})) asked.push_back({name, p});
      }
    }
  }
  const absl::StatusOr<absl::Duration> time = CallTime(deadline);
  if (!time.ok()) return time.status();
  const std::vector<absl::StatusOr<int64_t>> begins = client_->EachOffset(asked, LogClient::Position::kBegin, *time);
  std::map<TopicPartition, int64_t> begin_of;
  for (size_t i = 0; i < asked.size(); ++i) {
    if (begins[i].ok()) begin_of[asked[i]] = *begins[i];
  }
  for (const TopicPartition& partition : known_partitions) {
    const auto begin = begin_of.find(partition);
    found.begins.push_back(begin == begin_of.end() ? -1 : begin->second);
    if (begin != begin_of.end()) begin_of.erase(begin);
  }
  for (const auto& [added, begin] : begin_of) {
    Partition& partition = found.added.emplace_back();
    partition.set_topic(added.topic);
    partition.set_partition(added.partition);
    partition.set_start_offset(begin);
    if (const size_t source = topic_of.at(added.topic)->source; source > 0)
      partition.set_source(static_cast<uint32_t>(source));
  }
  found.high_watermarks = AskHighWatermarks(known_partitions, deadline);
  found.holders = AskHolders(known_partitions, found.high_watermarks, deadline);
  return found;
}

void JobTopics::QueryEnds(const std::vector<Partition>& partitions, EndsDone done) {
  ends_.Post([this, list = ToTopicPartitions(partitions), done = std::move(done)] {
    const absl::StatusOr<absl::Duration> time = CallTime(absl::InfiniteFuture());
    Ends ends =
        time.ok() ? client_->EachOffset(list, LogClient::Position::kStableEnd, *time) : Ends(list.size(), time.status());
    {
      MutexLock lock(&mutex_);
      for (size_t p = 0; p < list.size(); ++p)
        if (ends[p].ok()) ends_told_[list[p]] = *ends[p];
    }
    done(std::move(ends));
  });
}

void JobTopics::FindPartitions(const std::vector<Partition>& known, FoundDone done) {
  metadata_.Post([this, known, done = std::move(done)] { done(Find(known)); });
}

void JobTopics::SetGroupOffsets(const std::vector<Partition>& partitions, std::vector<int64_t> next_offsets) {
  if (!has_group_) return;
  std::vector<TopicPartition> list = ToTopicPartitions(partitions);
  // Partitions that were added after the batch are the last of the list.
  list.resize(next_offsets.size());
  group_offsets_.PostLatest({std::move(list), std::move(next_offsets)});
}

void JobTopics::RunGroup() {
  std::string complaint;
  std::optional<GroupOffsets> latest;
  do {
    std::deque<GroupOffsets> posted =
        latest ? group_offsets_.TakeAll(std::chrono::steady_clock::now()) : group_offsets_.TakeAll();
    if (group_offsets_.IsClosed() || stop_.stop_requested()) return;
    if (!posted.empty()) latest = std::move(posted.back());
    const absl::Status committed = group_.Commit(latest->partitions, latest->next_offsets, kGroupTimeout);
    if (!committed.ok() && committed.message() != complaint) {
      LOG(WARNING) << "lag tools do not see how far the job is: " << committed.message();
    }
    complaint = std::string(committed.message());
    if (!absl::IsUnavailable(committed)) latest.reset();
  } while (group_offsets_.Sleep(kGroupInterval));
}

}  // namespace tenfold
