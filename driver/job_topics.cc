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
    : topics_(spec.source().topics().begin(), spec.source().topics().end()),
      start_(spec.source().start()),
      allow_compacted_(spec.source().allow_compacted()),
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

absl::StatusOr<std::vector<TopicPartition>> JobTopics::AllPartitions(absl::Time deadline) {
  const absl::StatusOr<absl::Duration> time = CallTime(deadline);
  if (!time.ok()) return time.status();
  const absl::StatusOr<std::vector<int32_t>> counts = client_->PartitionCounts(topics_, *time);
  if (!counts.ok()) return counts.status();
  std::vector<TopicPartition> partitions;
  for (size_t t = 0; t < topics_.size(); ++t) {
    for (int32_t p = 0; p < (*counts)[t]; ++p) partitions.push_back({topics_[t], p});
  }
  return partitions;
}

absl::StatusOr<std::vector<int64_t>> JobTopics::Offsets(const std::vector<TopicPartition>& partitions,
                                                        LogClient::Position position, absl::Time deadline) {
  const absl::StatusOr<absl::Duration> time = CallTime(deadline);
  if (!time.ok()) return time.status();
  return client_->Offsets(partitions, position, *time);
}

absl::StatusOr<std::vector<Partition>> JobTopics::Resolve(absl::Time deadline) {
  const absl::StatusOr<std::vector<TopicPartition>> all = AllPartitions(deadline);
  if (!all.ok()) return all.status();
  const auto position = start_ == START_LATEST ? LogClient::Position::kStableEnd : LogClient::Position::kBegin;
  const absl::StatusOr<std::vector<int64_t>> offsets = Offsets(*all, position, deadline);
  if (!offsets.ok()) return offsets.status();
  std::vector<Partition> partitions(all->size());
  for (size_t i = 0; i < all->size(); ++i) {
    partitions[i].set_topic((*all)[i].topic);
    partitions[i].set_partition((*all)[i].partition);
    partitions[i].set_start_offset((*offsets)[i]);
  }
  return partitions;
}

absl::StatusOr<std::string> JobTopics::FindCompacted(absl::Time deadline) {
  if (allow_compacted_) return "";
  MutexLock lock(&mutex_);
  if (compacted_ && absl::Now() < ask_compacted_at_) return *compacted_;
  const absl::StatusOr<absl::Duration> time = CallTime(deadline);
  if (!time.ok()) return time.status();
  absl::StatusOr<std::string> compacted = client_->FindCompacted(topics_, *time);
  const bool answered = !absl::IsUnavailable(compacted.status());
  if (!answered && !compacted_) return compacted.status();
  ask_compacted_at_ = absl::Now() + (answered ? kAskCompacted : kAskCompactedAgain);
  if (compacted.ok()) compacted_ = *std::move(compacted);
  if (!compacted_) compacted_ = "";
  return *compacted_;
}

absl::Status JobTopics::CheckCompacted(absl::Time deadline) {
  const absl::StatusOr<std::string> compacted = FindCompacted(deadline);
  if (!compacted.ok()) return compacted.status();
  if (compacted->empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "topic ", *compacted,
      " is compacted (its cleanup.policy): records that a batch counts vanish, so that no batch can be ",
      "verified and no lost state counted again. Read a topic that is not, or accept that with allow_compacted: true in ",
      "source.kafka"));
}

absl::StatusOr<std::vector<std::pair<TopicPartition, int64_t>>> JobTopics::HighWatermarks() {
  const absl::Time deadline = absl::Now() + Scaled(kAnswerTimeout);
  const absl::StatusOr<std::vector<TopicPartition>> all = AllPartitions(deadline);
  if (!all.ok()) return all.status();
  const absl::StatusOr<std::vector<int64_t>> offsets = Offsets(*all, LogClient::Position::kHighWatermark, deadline);
  if (!offsets.ok()) return offsets.status();
  std::vector<std::pair<TopicPartition, int64_t>> watermarks;
  for (size_t i = 0; i < all->size(); ++i) watermarks.emplace_back((*all)[i], (*offsets)[i]);
  return watermarks;
}

absl::StatusOr<FoundPartitions> JobTopics::Find(const std::vector<Partition>& known) {
  const absl::Time deadline = absl::Now() + Scaled(kAnswerTimeout);
  absl::StatusOr<absl::Duration> time = CallTime(deadline);
  if (!time.ok()) return time.status();
  const std::vector<absl::StatusOr<int32_t>> counts = client_->EachPartitionCount(topics_, *time);
  // What is not known of one topic, since it is gone or refused, holds up no other.
  if (std::ranges::none_of(counts, [](const auto& count) { return count.ok(); })) return counts.front().status();
  std::map<std::string, int32_t> count_of;
  for (size_t t = 0; t < topics_.size(); ++t) {
    if (counts[t].ok()) count_of[topics_[t]] = *counts[t];
  }
  FoundPartitions found;
  absl::StatusOr<std::string> compacted = FindCompacted(deadline);
  if (!compacted.ok()) return compacted.status();
  found.compacted = *std::move(compacted);
  const std::vector<TopicPartition> known_partitions = ToTopicPartitions(known);
  std::vector<TopicPartition> asked;
  for (size_t i = 0; i < known.size(); ++i) {
    const auto count = count_of.find(known_partitions[i].topic);
    if (count == count_of.end()) continue;
    if (known_partitions[i].partition < count->second) {
      asked.push_back(known_partitions[i]);
    } else {
      found.gone.push_back(static_cast<uint32_t>(i));
    }
  }
  const std::set<TopicPartition> seen(known_partitions.begin(), known_partitions.end());
  for (const auto& [topic, count] : count_of) {
    for (int32_t p = 0; p < count; ++p) {
      if (!seen.contains({topic, p})) asked.push_back({topic, p});
    }
  }
  time = CallTime(deadline);
  if (!time.ok()) return time.status();
  const std::vector<absl::StatusOr<int64_t>> begins = client_->EachOffset(asked, LogClient::Position::kBegin, *time);
  std::map<TopicPartition, int64_t> begin_of;
  for (size_t i = 0; i < asked.size(); ++i) {
    if (begins[i].ok()) begin_of[asked[i]] = *begins[i];
  }
  for (const TopicPartition& partition : known_partitions) {
    const auto begin = begin_of.find(partition);
    found.begins.push_back(begin == begin_of.end() ? -1 : begin->second);
  }
  for (const auto& [added, begin] : begin_of) {
    if (seen.contains(added)) continue;
    Partition& partition = found.added.emplace_back();
    partition.set_topic(added.topic);
    partition.set_partition(added.partition);
    partition.set_start_offset(begin);
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
