// The verb status: one job in a sentence, then in full.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/number/units.h"
#include "common/process/process.h"
#include "fmt/format.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/output.h"
#include "jobs/cli/verbs.h"
#include "jobs/plan/measures.h"
#include "jobs/show/result_json.h"
#include "jobs/show/status_json.h"
#include "jobs/spec/batch_spec.h"
#include "jobs/spec/spec_writer.h"

namespace tenfold {
namespace {

using Rows = std::vector<std::vector<std::string>>;

struct Options {
  std::string job;
  OutputFormat output = OutputFormat::kText;
};

std::string Milliseconds(uint64_t us) { return fmt::format("{:.1f} ms", static_cast<double>(us) / 1000); }

// Returns "5: 3 wrong_field_count, 2 malformed_number", or "0".
std::string BadText(const std::map<std::pair<BadReason, std::string>, uint64_t>& bad) {
  uint64_t total = 0;
  std::vector<std::string> parts;
  for (const auto& [reason, count] : bad) {
    total += count;
    parts.push_back(fmt::format("{} {}", count, BadReasonText(reason.first, reason.second)));
  }
  return parts.empty() ? "0" : fmt::format("{}: {}", total, absl::StrJoin(parts, ", "));
}

// `all_seen`: every total was, so that there is nothing to prove.
std::string ProofText(const TopKProof& proof, const JobMeasures& of, bool all_seen) {
  if (all_seen) return fmt::format("the totals of all keys were seen; {} entries came for it", proof.entries());
  const auto text = [&](const Int128& total) { return FormatUnits(of.RankedNumber(FromProto(total))); };
  const std::string kth = proof.has_kth_total() ? text(proof.kth_total()) : "none, as fewer keys are ranked";
  const std::string bound = proof.has_unseen_bound() ? (of.ascending ? "at least " : "at most ") + text(proof.unseen_bound())
                                                     : "none, as every entry was seen";
  return fmt::format("last rank's score {}; unseen scores {}; {} round{}, {} entries", kth, bound, proof.rounds(),
                     proof.rounds() == 1 ? "" : "s", proof.entries());
}

// Returns "wire", or "librdkafka, since REASON (WORKER, ..)" for each reason that there is.
std::string ReaderText(const JobStatus& status) {
  std::map<std::string, std::vector<std::string>> workers;
  for (const ReaderStatus& reader : status.readers()) {
    const bool wire = reader.reader().kind() == READER_WIRE;
    workers[wire ? "wire" : "librdkafka, since " + reader.reader().reason()].push_back(reader.worker());
  }
  std::vector<std::string> texts;
  for (const auto& [reader, of] : workers)
    texts.push_back(workers.size() == 1 ? reader : fmt::format("{} ({})", reader, absl::StrJoin(of, ", ")));
  return absl::StrJoin(texts, "; ");
}

// "3 known (1, 2, 4), and 7: the registry has no schema by this id"; "" for a job without a registry.
std::string SchemasText(const JobStatus& status) {
  constexpr size_t kMost = 8;
  std::vector<std::string> known;
  std::map<std::string, std::vector<std::string>> unknown;
  for (const LearnedSchema& schema : status.schemas())
    (schema.problem().empty() ? known : unknown[schema.problem()]).push_back(std::to_string(schema.id()));
  const auto list = [kMost](const std::vector<std::string>& ids) {
    const size_t shown = std::min(ids.size(), kMost);
    return fmt::format("{}{}", fmt::join(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                       ids.size() > shown ? fmt::format(" and {} more", ids.size() - shown) : "");
  };
  if (!status.spec().has_registry()) return "";
  std::string text = known.empty() ? "none known yet" : fmt::format("{} known: {}", known.size(), list(known));
  constexpr size_t kMostProblems = 3;
  size_t told = 0;
  for (const auto& [problem, ids] : unknown) {
    if (++told > kMostProblems) return text + fmt::format("; {} other problems", unknown.size() - kMostProblems);
    text += fmt::format("; {}: {}", list(ids), Printable(problem));
  }
  return text;
}

std::string FactsText(const JobStatus& status) {
  const BatchCommitted& batch = status.last_batch();
  const BatchTimings& timings = batch.timings();
  Rows rows = {{"job id", fmt::format("{}, submitted {}", status.job_id(), FormatTime(status.submitted_at_us()))},
               {"state", StateName(status.state())}};
  // A failed job's partitions are not looked up any more.
  if (status.state() != JOB_FAILED) {
    rows.push_back({"lag", fmt::format("{} records", status.lag())});
  }
  if (status.state() != JOB_FAILED && status.state() != JOB_FINISHED && status.state() != JOB_PAUSED) {
    rows.push_back({"rate", fmt::format("{:.0f} records/s", status.records_per_second())});
  }
  if (const std::string refold = RefoldStatusText(status); !refold.empty())
    rows.push_back({"refold", status.has_refold()
                                  ? fmt::format("began {}, {}", FormatTime(status.refold().since_us()), refold)
                                  : refold});
  if (status.refolded_at_batch() != 0) {
    rows.push_back(
        {"refolded", status.refolded_at_batch() <= status.batch()
                         ? fmt::format("batches from {} on fold as the present spec does", status.refolded_at_batch())
                         : "the next batch folds by another spec"});
  }
  if (const std::string schemas = SchemasText(status); !schemas.empty()) rows.push_back({"schemas", schemas});
  if (status.spec().source().allow_compacted()) {
    rows.push_back({"compacted",
                    "topics may be: batches count what was there when it was folded; they may not be verified any more, and "
                    "lost state cannot be counted again"});
  }
  if (status.batch() == 0) {
    rows.push_back({"batch", "none yet"});
    return FormatTable(rows, {});
  }
  rows.push_back({"batch", fmt::format("{}, published {}, {} records", status.batch(), FormatTime(batch.published_at_us()),
                                       batch.batch_records())});
  rows.push_back({"processing", fmt::format("{} of an interval of {} ms (fold {}, persist {}, merge {})",
                                            Milliseconds(timings.processing_us()), status.spec().batch_interval_ms(),
                                            Milliseconds(timings.fold_us()), Milliseconds(timings.persist_us()),
                                            Milliseconds(timings.merge_us()))});
  // A driver that has just started, or has cancelled the job, knows their number only, not their reasons.
  const auto bad = BadRecords(status);
  if (const std::string reader = ReaderText(status); !reader.empty()) rows.push_back({"reader", reader});
  rows.push_back({"records", fmt::format("{}, bad ones among them {}", batch.records(),
                                         bad.empty() ? std::to_string(batch.bad_records()) : BadText(bad))});
  const GeneralFold& general = status.spec().fold().general();
  const bool filters =
      general.format().regex().filter_unmatched() || std::ranges::any_of(general.others(), [](const SourceRecords& other) {
        return other.format().regex().filter_unmatched();
      });
  if (!general.where().empty() || filters)
    rows.push_back({"filtered", fmt::format("{} of the records", batch.filtered_records())});
  if (general.has_window()) {
    const PaneCalendar calendar(general.window());
    rows.push_back(
        {"window", batch.has_window() ? WindowText(batch.window(), calendar) : "none yet, as no record had a time"});
    rows.push_back(
        {"final", batch.has_closed_through() ? "up to " + WindowText(batch.closed_through(), calendar) : "none yet"});
    rows.push_back({"late", fmt::format("{} of the records", batch.late_records())});
  }
  const JobSpec spec = SpecOfBatch(status.spec(), batch);
  const JobMeasures of = MeasuresOf(spec);
  const bool all_seen = of.ranking.quotient.has_value() || !spec.fold().general().group().empty();
  rows.push_back({"proof", ProofText(batch.proof(), of, all_seen)});
  return FormatTable(rows, {});
}

std::string ProblemText(const PartitionStatus& partition) {
  if (!partition.problem().empty() || partition.held_back() == 0) return partition.problem() + ForText(partition.since_us());
  return fmt::format(
      "{} records wait for an open transaction{}{}{}", partition.held_back(),
      partition.held_back_by().empty() ? "" : " of " + partition.held_back_by(), ForText(partition.held_back_since_us()),
      partition.held_back_by().empty() ? "; kafka-transactions.sh describe-producers names its producer"
                                       : "; it ends when that commits or aborts, or at its transaction.timeout.ms");
}

std::string PartitionsText(const JobStatus& status) {
  Rows rows = {{"TOPIC", "PARTITION", "NEXT OFFSET", "END", "LAG", "RECORDS", "BAD", "PROBLEM"}};
  for (const PartitionStatus& partition : status.partitions()) {
    const bool seen = partition.end_offset() >= 0;
    std::map<std::pair<BadReason, std::string>, uint64_t> bad;
    for (const BadCount& count : partition.counters().bad()) bad[{count.reason(), count.subject()}] = count.count();
    rows.push_back({partition.topic(), std::to_string(partition.partition()), std::to_string(partition.next_offset()),
                    seen ? std::to_string(partition.end_offset()) : "?",
                    seen ? std::to_string(std::max<int64_t>(0, partition.end_offset() - partition.next_offset())) : "?",
                    std::to_string(partition.counters().records()), BadText(bad), ProblemText(partition)});
  }
  DropEmptyLastColumn(&rows);
  return FormatTable(rows, {1, 2, 3, 4, 5});
}

// Returns the samples of bad records of each partition; empty if there are none.
std::string SamplesText(const JobStatus& status) {
  Rows rows = {{"BAD RECORD", "OFFSET", "REASON", "BEGINS"}};
  for (const PartitionStatus& partition : status.partitions()) {
    for (const BadSample& sample : partition.counters().samples()) {
      rows.push_back({fmt::format("{}[{}]", partition.topic(), partition.partition()), std::to_string(sample.offset()),
                      BadReasonText(sample.reason(), sample.subject()), sample.excerpt()});
    }
  }
  return rows.size() == 1 ? "" : "\n" + FormatTable(rows, {1});
}

// Returns ascending numbers as "0-5, 7".
std::string Ranges(const std::vector<uint32_t>& sorted) {
  std::vector<std::string> ranges;
  for (size_t begin = 0, end = 0; begin < sorted.size(); begin = end) {
    end = begin + 1;
    while (end < sorted.size() && sorted[end] == sorted[end - 1] + 1) ++end;
    ranges.push_back(end - begin == 1 ? std::to_string(sorted[begin])
                                      : fmt::format("{}-{}", sorted[begin], sorted[end - 1]));
  }
  return absl::StrJoin(ranges, ", ");
}

std::string ShardsText(const JobStatus& status) {
  std::map<std::string, std::vector<uint32_t>> owned;
  std::vector<std::string> moves;
  for (const ShardStatus& shard : status.shards()) {
    owned[shard.owner()].push_back(shard.shard());
    if (shard.next_owner().empty()) continue;
    moves.push_back(Printable(fmt::format("shard {} moves from {} to {}", shard.shard(),
                                          shard.owner().empty() ? "nobody" : shard.owner(), shard.next_owner())) +
                    "\n");
  }
  Rows rows = {{"WORKER", "SHARDS"}};
  for (auto& [owner, shards] : owned) {
    std::sort(shards.begin(), shards.end());
    rows.push_back({owner.empty() ? "(none)" : owner, Ranges(shards)});
  }
  return FormatTable(rows, {}) + absl::StrJoin(moves, "");
}

std::string SinksText(const JobStatus& status) {
  Rows rows = {{"BEHIND", "SINK", "DELIVERED", "PROBLEM"}};
  for (const SinkStatus& sink : status.sinks()) {
    rows.push_back({std::to_string(status.batch() - std::min(status.batch(), sink.delivered_batch())), sink.sink(),
                    fmt::format("batch {}", sink.delivered_batch()), sink.problem()});
  }
  return FormatTable(rows, {0});
}

std::string StatusText(const JobStatus& status) {
  std::string text = Printable(Headline(status)) + ForText(status.waiting().since_us()) + "\n\n" + FactsText(status);
  if (!status.partitions().empty()) text += "\n" + PartitionsText(status) + SamplesText(status);
  if (!status.shards().empty()) text += "\n" + ShardsText(status);
  if (!status.sinks().empty()) text += "\n" + SinksText(status);
  return text + "\nSPEC\n" + WriteJobSpec(status.spec());
}

int Status(const CliGlobals& globals, const Options& options) {
  const std::unique_ptr<DriverService::Stub> driver = ConnectDriver(globals);
  grpc::ClientContext context;
  SetDeadline(&context, kDriverTimeout);
  GetStatusRequest request;
  request.set_job(options.job);
  JobStatus reply;
  const grpc::Status status = driver->GetStatus(&context, request, &reply);
  if (!status.ok()) return ReportError(globals, status);
  PrintData(options.output == OutputFormat::kJson ? DumpJson(JobStatusJson(reply)) + "\n" : StatusText(reply));
  return kExitOk;
}

}  // namespace

void AddStatus(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app->add_subcommand("status", "say how a job is doing, in a sentence and in full");
  verb->add_option("JOB", options->job, "the job's name")->required();
  AddOutputOption(verb, &options->output);
  verb->callback([=] { *run = [=] { return Status(*globals, *options); }; });
}

}  // namespace tenfold
