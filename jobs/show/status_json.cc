#include "jobs/show/status_json.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "common/number/units.h"
#include "common/text/shown_text.h"
#include "common/text/topic_id_text.h"
#include "fmt/format.h"
#include "jobs/show/result_json.h"
#include "jobs/show/waiting_text.h"
#include "jobs/spec/batch_spec.h"
#include "jobs/spec/spec_writer.h"

namespace tenfold {
namespace {

using Json = nlohmann::ordered_json;

// Whether the lag is no more than what arrives while a batch is made and the next one is due.
bool KeepsUp(const JobStatus& status) {
  const double interval_s = status.spec().batch_interval_ms() / 1000.0;
  const double usual_batch =
      std::max(status.records_per_second() * interval_s, static_cast<double>(status.last_batch().batch_records()));
  return static_cast<double>(status.lag()) <= 2 * usual_batch;
}

std::string RunningText(const JobStatus& status) {
  if (status.waiting().kind() == WAITING_STUCK) {
    return fmt::format("{} goes on without {} of {} partitions: {}", status.job(), status.waiting().partitions(),
                       status.partitions_size(), WaitingText(status.waiting()));
  }
  return KeepsUp(status) ? fmt::format("{} is keeping up", status.job())
                         : fmt::format("{} is behind by {} records", status.job(), status.lag());
}

// What the headline says of bad records: "; 3 of 50 records are bad, mostly malformed_number".
std::string BadRecordsText(const JobStatus& status) {
  uint64_t bad = 0;
  uint64_t records = 0;
  std::pair<uint64_t, std::string> most;
  for (const auto& [reason, count] : BadRecords(status)) {
    bad += count;
    if (count >= most.first) most = {count, BadReasonText(reason.first, reason.second)};
  }
  for (const PartitionStatus& partition : status.partitions()) records += partition.counters().records();
  if (bad == 0) return "";
  return fmt::format("; {} of {} records are bad, mostly {}", bad == records ? "all" : std::to_string(bad), records,
                     most.second);
}

// What it says of sinks that take nothing.
std::string SinksText(const JobStatus& status) {
  std::string text;
  for (const SinkStatus& sink : status.sinks()) {
    if (!sink.problem().empty()) text += fmt::format("; sink {} takes nothing: {}", sink.sink(), sink.problem());
  }
  return text;
}

// What it says of open transactions.
std::string HeldBackText(const JobStatus& status) {
  const PartitionStatus* first = nullptr;
  uint64_t records = 0;
  for (const PartitionStatus& partition : status.partitions()) {
    if (partition.held_back() == 0) continue;
    records += partition.held_back();
    if (first == nullptr || partition.held_back_since_us() < first->held_back_since_us()) first = &partition;
  }
  if (first == nullptr) return "";
  return fmt::format("; {} record{} wait{} for an open transaction{}, in {}[{}] since {}", records, records == 1 ? "" : "s",
                     records == 1 ? "s" : "", first->held_back_by().empty() ? "" : " of " + first->held_back_by(),
                     first->topic(), first->partition(), FormatTime(first->held_back_since_us()));
}

// What it says of another spec's states.
std::string RefoldText(const JobStatus& status, std::string_view before = "; ") {
  const std::string text = RefoldStatusText(status);
  return text.empty() ? "" : fmt::format("{}the refold for another spec {}", before, text);
}

Json RefoldJson(const RefoldStatus& refold) {
  return {{"since", FormatTime(refold.since_us())},
          {"folded", refold.progress().folded()},
          {"total", refold.progress().total()},
          {"offsets_per_second", refold.progress().offsets_per_second()},
          {"problem", refold.problem()},
          {"spec", SpecJson(refold.spec())}};
}

Json PartitionJson(const PartitionStatus& partition) {
  Json bad = Json::object();
  for (const BadCount& count : partition.counters().bad()) {
    Json& of_reason = bad[ReasonName(count.reason())];
    of_reason = (of_reason.is_null() ? 0 : of_reason.get<uint64_t>()) + count.count();
  }
  const bool seen = partition.end_offset() >= 0;
  return {
      {"topic", partition.topic()},
      {"partition", partition.partition()},
      {"next_offset", partition.next_offset()},
      {"end_offset", seen ? Json(partition.end_offset()) : Json()},
      {"lag", seen ? Json(std::max<int64_t>(0, partition.end_offset() - partition.next_offset())) : Json()},
      {"records", partition.counters().records()},
      {"bad_records", bad},
      {"filtered_records", partition.counters().filtered()},
      {"late_records", partition.counters().late()},
      {"max_time", partition.counters().has_max_time_us() ? Json(FormatTime(partition.counters().max_time_us())) : Json()},
      {"topic_id", TopicIdText(partition.counters().topic_id())},
      {"leader_epoch", partition.counters().has_leader_epoch() ? Json(partition.counters().leader_epoch()) : Json()},
      {"problem", partition.problem()},
      {"since", OptionalTime(partition.since_us())},
      {"held_back", partition.held_back()},
      {"held_back_since", OptionalTime(partition.held_back_since_us())},
      {"held_back_by", partition.held_back_by()}};
}

Json SamplesJson(const JobStatus& status) {
  Json samples = Json::array();
  for (const PartitionStatus& partition : status.partitions()) {
    for (const BadSample& sample : partition.counters().samples()) {
      samples.push_back({{"topic", partition.topic()},
                         {"partition", partition.partition()},
                         {"offset", sample.offset()},
                         {"reason", ReasonName(sample.reason())},
                         {"subject", sample.subject()},
                         {"excerpt", Printable(sample.excerpt())}});
    }
  }
  return samples;
}

Json TimingsJson(const BatchTimings& timings) {
  return {{"ends_us", timings.ends_us()},
          {"fold_us", timings.fold_us()},
          {"persist_us", timings.persist_us()},
          {"merge_us", timings.merge_us()},
          {"processing_us", timings.processing_us()}};
}

}  // namespace

Json OptionalTime(int64_t time_us) { return time_us == 0 ? Json() : Json(FormatTime(time_us)); }

std::string DumpJson(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string StateName(JobState state) { return absl::AsciiStrToLower(JobState_Name(state)).substr(sizeof("JOB_") - 1); }

std::string ReasonName(BadReason reason) { return absl::AsciiStrToLower(BadReason_Name(reason)).substr(sizeof("BAD_") - 1); }

std::string BadReasonText(BadReason reason, const std::string& subject) {
  return subject.empty() ? ReasonName(reason) : fmt::format("{} of {}", ReasonName(reason), subject);
}

std::map<std::pair<BadReason, std::string>, uint64_t> BadRecords(const JobStatus& status) {
  std::map<std::pair<BadReason, std::string>, uint64_t> bad;
  for (const PartitionStatus& partition : status.partitions()) {
    for (const BadCount& count : partition.counters().bad()) bad[{count.reason(), count.subject()}] += count.count();
  }
  return bad;
}

std::string RefoldStatusText(const JobStatus& status) {
  if (!status.refold_failure().empty()) return "came to nothing: " + status.refold_failure();
  if (!status.has_refold()) return "";
  const RefoldProgress& refold = status.refold().progress();
  const std::string progress = ProgressText(refold);
  std::string at = progress.empty() ? "has nothing to fold yet" : "is at " + progress;
  if (refold.total() > 0 && refold.folded() >= refold.total())
    at = status.state() == JOB_PAUSED ? "is built, and takes over once the job is resumed" : "is built up to the last batch";
  return status.refold().problem().empty() ? at : fmt::format("{}, and {}", at, status.refold().problem());
}

std::string Headline(const JobStatus& status) {
  switch (status.state()) {
    case JOB_WAITING:
      return fmt::format("{} is waiting{}", status.job(), WaitingClause(status.waiting())) + RefoldText(status);
    case JOB_FAILED:
      return fmt::format("{} failed because {}", status.job(), status.failure());
    case JOB_CANCELLED:
      return fmt::format("{} is cancelled", status.job());
    case JOB_PAUSED:
      return fmt::format("{} is paused since {}{}; tenfold resume {} has it go on", status.job(),
                         FormatTime(status.paused_at_us()),
                         status.batch() == 0 ? ", before its first batch" : fmt::format(", after batch {}", status.batch()),
                         status.job()) +
             RefoldText(status) + BadRecordsText(status) + SinksText(status);
    case JOB_FINISHED:
      return fmt::format("{} is finished: {} records, up to where its spec ends it, are in batch {}", status.job(),
                         status.last_batch().records(), status.batch()) +
             BadRecordsText(status) + SinksText(status);
    default:
      return RunningText(status) + RefoldText(status) + HeldBackText(status) + BadRecordsText(status) + SinksText(status);
  }
}

std::string ReasonText(const JobStatus& status) {
  if (status.state() == JOB_PAUSED) return "since " + FormatTime(status.paused_at_us());
  if (status.state() == JOB_FAILED) return status.failure();
  const std::string waiting = WaitingText(status.waiting());
  return waiting.empty() && status.has_refold() ? RefoldText(status, "") : waiting;
}

Json JobSummaryJson(const JobStatus& status) {
  // The ends of a failed job's partitions are not looked up any more.
  const Json lag = status.state() == JOB_FAILED ? Json() : Json(status.lag());
  return {
      {"job", status.job()}, {"job_id", status.job_id()},   {"state", StateName(status.state())}, {"batch", status.batch()},
      {"lag", lag},          {"reason", ReasonText(status)}};
}

Json JobStatusJson(const JobStatus& status) {
  Json json = JobSummaryJson(status);
  json["summary"] = Headline(status);
  json["submitted_at"] = OptionalTime(status.submitted_at_us());
  json["published_at"] = OptionalTime(status.last_batch().published_at_us());
  json["records"] = status.last_batch().records();
  json["batch_records"] = status.last_batch().batch_records();
  json["records_per_second"] = status.records_per_second();
  json["interval_ms"] = status.spec().batch_interval_ms();
  json["timings"] = TimingsJson(status.last_batch().timings());
  json["partitions"] = Json::array();
  for (const PartitionStatus& partition : status.partitions()) json["partitions"].push_back(PartitionJson(partition));
  json["bad_records"] = Json::object();
  json["bad_subjects"] = Json::array();
  for (const auto& [bad, count] : BadRecords(status)) {
    const auto& [reason, subject] = bad;
    Json& of_reason = json["bad_records"][ReasonName(reason)];
    of_reason = (of_reason.is_null() ? 0 : of_reason.get<uint64_t>()) + count;
    if (!subject.empty())
      json["bad_subjects"].push_back({{"subject", subject}, {"reason", ReasonName(reason)}, {"count", count}});
  }
  json["filtered_records"] = status.last_batch().filtered_records();
  json["late_records"] = status.last_batch().late_records();
  json["samples"] = SamplesJson(status);
  json["shards"] = Json::array();
  for (const ShardStatus& shard : status.shards()) {
    json["shards"].push_back({{"shard", shard.shard()}, {"owner", shard.owner()}, {"next_owner", shard.next_owner()}});
  }
  json["schemas"] = Json::array();
  for (const LearnedSchema& schema : status.schemas())
    json["schemas"].push_back({{"id", schema.id()}, {"problem", schema.problem()}, {"registry", schema.registry()}});
  json["readers"] = Json::array();
  for (const ReaderStatus& reader : status.readers()) {
    json["readers"].push_back({{"worker", reader.worker()},
                               {"reader", reader.reader().kind() == READER_WIRE ? "wire" : "librdkafka"},
                               {"reason", reader.reader().reason()}});
  }
  json["sinks"] = Json::array();
  for (const SinkStatus& sink : status.sinks()) {
    json["sinks"].push_back(
        {{"sink", sink.sink()}, {"delivered_batch", sink.delivered_batch()}, {"problem", sink.problem()}});
  }
  json["proof"] = status.batch() == 0
                      ? Json()
                      : ProofJson(status.last_batch().proof(), MeasuresOf(SpecOfBatch(status.spec(), status.last_batch())));
  json["refold"] = status.has_refold() ? RefoldJson(status.refold()) : Json();
  json["refold_failure"] = status.refold_failure();
  json["refolded_at_batch"] = status.refolded_at_batch() == 0 ? Json() : Json(status.refolded_at_batch());
  json["spec"] = SpecJson(status.spec());
  return json;
}

}  // namespace tenfold
