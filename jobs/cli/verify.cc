// The verb verify: recomputes a published batch from the log, record by record, and compares.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "common/process/process.h"
#include "driver.pb.h"
#include "fmt/format.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/output.h"
#include "jobs/cli/progress.h"
#include "jobs/cli/verbs.h"
#include "jobs/oracle/oracle.h"
#include "jobs/plan/sources.h"
#include "jobs/spec/kafka_properties.h"
#include "jobs/spec/spec_rules.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

constexpr absl::Duration kKafkaTimeout = absl::Seconds(4);
constexpr absl::Duration kPollTimeout = absl::Milliseconds(500);
// How long to wait for a log that is reachable but does not deliver the records that it must have.
constexpr absl::Duration kStallTimeout = absl::Seconds(30);

struct Options {
  std::string job;
  // The batch to verify; 0 for the last committed one.
  uint64_t batch = 0;
  // The brokers to read from; empty for the job's own.
  std::string kafka;
  OutputFormat output = OutputFormat::kText;
};

// The offsets [start, end) of a partition whose records the batch is made of.
struct Range {
  size_t index = 0;
  TopicPartition partition;
  int64_t start = 0;
  int64_t end = 0;
  // The next offset to read.
  int64_t next_offset = 0;
  size_t source = 0;
};

std::string Name(const TopicPartition& partition) { return fmt::format("{}[{}]", partition.topic, partition.partition); }

// Returns the ranges of the batch that are not empty.
std::vector<Range> Ranges(const GetBatchReply& reply) {
  std::vector<Range> ranges;
  for (int i = 0; i < reply.batch().next_offsets_size(); ++i) {
    const Partition& partition = reply.partitions(i);
    const int64_t end = reply.batch().next_offsets(i);
    if (partition.start_offset() >= end) continue;
    ranges.push_back({static_cast<size_t>(i),
                      {partition.topic(), partition.partition()},
                      partition.start_offset(),
                      end,
                      partition.start_offset(),
                      partition.source()});
  }
  return ranges;
}

// Checks that the log still has all the ranges.
absl::Status CheckKept(const LogConfig& config, const std::vector<Range>& ranges) {
  absl::StatusOr<std::unique_ptr<LogClient>> client = LogClient::Create(config);
  if (!client.ok()) return client.status();
  std::vector<TopicPartition> partitions;
  for (const Range& range : ranges) partitions.push_back(range.partition);
  const absl::Time deadline = absl::Now() + kKafkaTimeout;
  const auto begins = (*client)->Offsets(partitions, LogClient::Position::kBegin, deadline - absl::Now());
  if (!begins.ok()) return begins.status();
  const auto ends = (*client)->Offsets(partitions, LogClient::Position::kHighWatermark, deadline - absl::Now());
  if (!ends.ok()) return ends.status();
  for (size_t i = 0; i < ranges.size(); ++i) {
    if ((*begins)[i] > ranges[i].start) {
      return absl::DataLossError(
          fmt::format("the log of {} begins at offset {} now, the job began at {}: retention has dropped records",
                      Name(ranges[i].partition), (*begins)[i], ranges[i].start));
    }
    if ((*ends)[i] < ranges[i].end) {
      return absl::DataLossError(
          fmt::format("the log of {} ends at offset {}, the batch at {}: the topic was created anew or has lost "
                      "records",
                      Name(ranges[i].partition), (*ends)[i], ranges[i].end));
    }
  }
  return absl::OkStatus();
}

// Reads the ranges and feeds every record to the oracle.
class LogPrefix {
 public:
  LogPrefix(std::vector<Range> ranges, Oracle* oracle)
      : ranges_(std::move(ranges)), oracle_(oracle), left_(ranges_.size()), progress_("recomputed", "offsets", Offsets()) {}

  absl::Status Read(const LogConfig& config) {
    absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(config);
    if (!reader.ok()) return reader.status();
    std::vector<LogReader::Start> starts;
    for (const Range& range : ranges_) starts.push_back({range.partition, range.start});
    if (absl::Status status = (*reader)->Assign(starts); !status.ok()) return status;

    absl::Time moved = absl::Now();
    while (left_ > 0) {
      std::vector<LogRecord> records;
      std::vector<LogReader::Event> events;
      const int64_t before = done_;
      const absl::Status polled = (*reader)->Poll(kPollTimeout, &records, &events);
      for (const LogRecord& record : records) Take(**reader, record);
      for (const LogReader::Event& event : events) {
        if (absl::Status status = Take(event); !status.ok()) return status;
      }
      progress_.Update(static_cast<uint64_t>(done_));
      if (done_ > before) moved = absl::Now();
      if (absl::Status status = CheckMoves(polled, absl::Now() - moved); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  uint64_t Offsets() const {
    uint64_t offsets = 0;
    for (const Range& range : ranges_) offsets += static_cast<uint64_t>(range.end - range.start);
    return offsets;
  }

  void Take(const LogReader& reader, const LogRecord& record) {
    Range& range = ranges_[record.position];
    if (record.offset < range.end) {
      RecordParts parts;
      reader.ReadParts(record, &parts);
      oracle_->Add(range.index, record.value,
                   {.topic = range.partition.topic,
                    .partition = range.partition.partition,
                    .offset = record.offset,
                    .parts = &parts,
                    .source = range.source});
    }
    Advance(&range, record.offset + 1);
  }

  absl::Status Take(const LogReader::Event& event) {
    Range& range = ranges_[event.position];
    // Records beyond the range are ignored.
    if (range.next_offset >= range.end) return absl::OkStatus();
    switch (event.kind) {
      case LogReader::Event::Kind::kEnd:
        Advance(&range, event.next_offset);
        return absl::OkStatus();
      case LogReader::Event::Kind::kOffsetLost:
        return absl::DataLossError(event.message);
      case LogReader::Event::Kind::kAnotherLog:
      case LogReader::Event::Kind::kFailed:
        return absl::FailedPreconditionError(event.message);
    }
    return absl::OkStatus();
  }

  void Advance(Range* range, int64_t next_offset) {
    next_offset = std::min(next_offset, range->end);
    if (next_offset <= range->next_offset) return;
    done_ += next_offset - range->next_offset;
    range->next_offset = next_offset;
    if (next_offset == range->end) --left_;
  }

  // Returns an error if nothing has come for too long.
  absl::Status CheckMoves(const absl::Status& polled, absl::Duration still) const {
    if (!polled.ok() && !absl::IsUnavailable(polled)) return polled;
    if (!polled.ok()) {
      if (still >= kKafkaTimeout) return polled;
      absl::SleepFor(absl::Milliseconds(50));
    }
    if (still < kStallTimeout || left_ == 0) return absl::OkStatus();
    const auto waiting =
        std::find_if(ranges_.begin(), ranges_.end(), [](const Range& range) { return range.next_offset < range.end; });
    return absl::UnavailableError(fmt::format("Kafka has delivered nothing for {}: {} is read to offset {} of {}",
                                              absl::FormatDuration(kStallTimeout), Name(waiting->partition),
                                              waiting->next_offset, waiting->end));
  }

  std::vector<Range> ranges_;
  Oracle* const oracle_;
  size_t left_;
  int64_t done_ = 0;
  Progress progress_;
};

// Returns an error if one of the topics is compacted.
absl::Status CheckNotCompacted(const LogConfig& config, const GetBatchReply& reply) {
  absl::StatusOr<std::unique_ptr<LogClient>> client = LogClient::Create(config);
  if (!client.ok()) return client.status();
  std::set<std::string> of_partitions;
  for (const Partition& partition : reply.partitions()) of_partitions.insert(partition.topic());
  const std::vector<std::string> topics(of_partitions.begin(), of_partitions.end());
  const absl::StatusOr<std::string> compacted = (*client)->FindCompacted(topics, kKafkaTimeout);
  if (absl::IsUnavailable(compacted.status())) return compacted.status();
  if (!compacted.ok() || compacted->empty()) return absl::OkStatus();
  return absl::DataLossError(
      fmt::format("topic {} is compacted, so that its log no longer has every record that the batch counts", *compacted));
}

absl::Status ReadIntoOracle(const LogConfig& config, const GetBatchReply& reply, Oracle* oracle) {
  std::vector<Range> ranges = Ranges(reply);
  if (ranges.empty()) return absl::OkStatus();
  if (absl::Status status = CheckKept(config, ranges); !status.ok()) return status;
  return LogPrefix(std::move(ranges), oracle).Read(config);
}

int ReportUnverifiable(const GetBatchReply& reply, const absl::Status& status) {
  const bool unreachable = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
  PrintError(fmt::format("batch {} of {} cannot be verified: {}", reply.batch().batch(), reply.job(),
                         std::string(status.message())));
  return unreachable ? kExitUnavailable : kExitRefused;
}

void PrintVerdict(const Options& options, const GetBatchReply& reply, const std::string& difference) {
  const BatchCommitted& batch = reply.batch();
  if (options.output == OutputFormat::kJson) {
    nlohmann::ordered_json verdict = {{"job", reply.job()}, {"batch", batch.batch()}, {"equal", difference.empty()}};
    verdict["difference"] = difference.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(difference);
    verdict["records"] = batch.records();
    // A difference may quote the bytes of a key, which need not be UTF-8.
    PrintData(verdict.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  } else if (difference.empty()) {
    PrintData(fmt::format("batch {} of {} equals its recomputation: {} records, {} partitions\n", batch.batch(), reply.job(),
                          batch.records(), batch.next_offsets_size()));
  } else {
    PrintData(fmt::format("batch {} of {} differs from its recomputation: {}\n", batch.batch(), reply.job(),
                          Printable(difference)));
    PrintError(
        "a topic that was created again, or whose log has lost its end, has other records than were folded; "
        "`tenfold status` says if that was seen");
  }
}

int Verify(const CliGlobals& globals, const Options& options) {
  const std::unique_ptr<DriverService::Stub> driver = ConnectDriver(globals);
  grpc::ClientContext context;
  SetDeadline(&context, kDriverTimeout);
  GetBatchRequest request;
  request.set_job(options.job);
  request.set_batch(options.batch);
  request.set_with_schemas(true);
  GetBatchReply reply;
  if (const grpc::Status status = driver->GetBatch(&context, request, &reply); !status.ok())
    return ReportError(globals, status);
  if (reply.partitions_size() < reply.batch().next_offsets_size()) {
    PrintError(fmt::format("the driver at {} names {} partitions for {} offsets of batch {}", globals.driver,
                           reply.partitions_size(), reply.batch().next_offsets_size(), reply.batch().batch()));
    return kExitBug;
  }

  const auto is_strange = [&](const Partition& partition) {
    return partition.source() >= SourceCount(reply.spec().fold().general());
  };
  if (std::ranges::any_of(reply.partitions(), is_strange)) {
    PrintError(fmt::format("the driver at {} names a source of a partition that its job does not have", globals.driver));
    return kExitBug;
  }

  LogConfig config;
  config.brokers = options.kafka.empty() ? reply.brokers() : options.kafka;
  for (const auto& [name, value] : reply.spec().source().properties()) {
    if (value == kMaskedSecret) {
      return ReportUnverifiable(
          reply, absl::FailedPreconditionError(
                     fmt::format("reading its topics needs the secret {}, which the driver does not give away", name)));
    }
    config.properties[name] = value;
  }
  Oracle oracle(reply.spec(), static_cast<size_t>(reply.partitions_size()));
  for (const LearnedSchema& schema : reply.schemas()) oracle.Learn(schema);
  if (const absl::Status status = ReadIntoOracle(config, reply, &oracle); !status.ok())
    return ReportUnverifiable(reply, status);
  for (int p = 0; p < reply.batch().next_offsets_size(); ++p) {
    const Partition& partition = reply.partitions(p);
    if (partition.has_end_offset() && reply.batch().next_offsets(p) >= partition.end_offset())
      oracle.End(static_cast<size_t>(p));
  }
  const std::string difference = oracle.Difference(reply.batch());
  if (!difference.empty()) {
    if (const absl::Status kept = CheckNotCompacted(config, reply); !kept.ok()) return ReportUnverifiable(reply, kept);
  }
  PrintVerdict(options, reply, difference);
  return difference.empty() ? kExitOk : kExitRefused;
}

}  // namespace

void AddVerify(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  CLI::App* const verb = app->add_subcommand(
      "verify", "recompute a published batch from the log, by other code than the job's, and compare result and digests");
  const auto options = std::make_shared<Options>();
  verb->add_option("JOB", options->job, "the job's name")->required();
  verb->add_option_function<uint64_t>(
          "--batch", [options](uint64_t number) { options->batch = number; }, "this batch instead of the last")
      ->check([](const std::string& text) { return text == "0" ? "batches are numbered from 1" : ""; });
  verb->add_option("--kafka", options->kafka, "read from these brokers in place of the job's")
      ->type_name("HOST:PORT[,HOST:PORT]")
      ->check([](const std::string& text) { return CheckBrokers(text); });
  AddOutputOption(verb, &options->output);
  verb->callback([globals, options, run] { *run = [globals, options] { return Verify(*globals, *options); }; });
}

}  // namespace tenfold
