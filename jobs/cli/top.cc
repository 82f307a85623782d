// The verb top: the result of one batch, of every batch as it is published, or of the first one that has caught up with the
// log.
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "common/process/process.h"
#include "common/text/duration.h"
#include "fmt/format.h"
#include "jobs/cli/batch_client.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/output.h"
#include "jobs/cli/progress.h"
#include "jobs/cli/verbs.h"
#include "jobs/show/result_json.h"

namespace tenfold {
namespace {

// How long the driver waits for a batch within one call.
constexpr absl::Duration kPollWait = absl::Seconds(5);
// How long --caught-up waits before it asks again where topics end.
constexpr absl::Duration kAskAgainAfter = absl::Milliseconds(200);

struct Options {
  std::string job;
  // The batch to show; 0 for the last committed one.
  uint64_t batch = 0;
  bool watch = false;
  bool caught_up = false;
  std::string timeout = "60s";
  OutputFormat output = OutputFormat::kText;
};

template <typename Entries>
std::string TableOf(const Entries& top, const ResultForm& form) {
  std::vector<std::vector<std::string>> rows = {{"RANK", "KEY"}};
  std::ranges::move(MeasureHeads(form), std::back_inserter(rows[0]));
  std::vector<size_t> numbers = {0};
  for (size_t column = 2; column < rows[0].size(); ++column) numbers.push_back(column);
  for (const Entry& entry : top) {
    std::vector<std::string>& row = rows.emplace_back();
    row = {std::to_string(rows.size() - 1), KeyText(entry.key(), form)};
    std::ranges::move(MeasureTexts(entry, form), std::back_inserter(row));
  }
  return FormatTable(rows, numbers);
}

std::string TopText(const GetBatchReply& reply) {
  const BatchCommitted& batch = reply.batch();
  const ResultForm form = ResultFormOf(reply.spec());
  std::string text = fmt::format("{}, batch {} of {}: {} records, {} bad{}{}, {} in this batch, lag {}\n", reply.job(),
                                 batch.batch(), FormatTime(batch.published_at_us()), batch.records(), batch.bad_records(),
                                 form.general ? fmt::format(", {} filtered", batch.filtered_records()) : "",
                                 form.calendar != nullptr ? fmt::format(", {} late", batch.late_records()) : "",
                                 batch.batch_records(), reply.lag());
  for (const PartitionStatus& stuck : reply.stuck()) {
    text += Printable(fmt::format("{}[{}] gives nothing{}: {}", stuck.topic(), stuck.partition(), ForText(stuck.since_us()),
                                  stuck.problem())) +
            "\n";
  }
  for (const FinalWindow& final : batch.finals())
    text += fmt::format("final: {}\n{}", WindowText(final.window(), *form.calendar), TableOf(final.top(), form));
  if (form.calendar != nullptr) {
    text += batch.has_window() ? fmt::format("now: {}\n", WindowText(batch.window(), *form.calendar))
                               : "no record had a time yet, so that there is no window\n";
  }
  return text + TableOf(batch.top(), form);
}

std::string Render(OutputFormat output, const GetBatchReply& reply) {
  if (output == OutputFormat::kText) return TopText(reply);
  const std::vector<Partition> partitions(reply.partitions().begin(), reply.partitions().end());
  const ResultForm form = ResultFormOf(reply.spec());
  std::vector<std::string> lines = FinalLines(reply.job(), partitions, reply.batch(), form);
  lines.push_back(TopLine(reply.job(), partitions, reply.batch(), form));
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

int ShowOne(const CliGlobals& globals, const Options& options) {
  const std::unique_ptr<DriverService::Stub> driver = ConnectDriver(globals);
  grpc::ClientContext context;
  SetDeadline(&context, kDriverTimeout);
  GetBatchRequest request;
  request.set_job(options.job);
  request.set_batch(options.batch);
  GetBatchReply reply;
  const grpc::Status status = driver->GetBatch(&context, request, &reply);
  if (!status.ok()) return ReportError(globals, status);
  PrintData(Render(options.output, reply));
  return kExitOk;
}

int Watch(const CliGlobals& globals, const Options& options) {
  const bool redraw = options.output == OutputFormat::kText && isatty(STDOUT_FILENO) == 1;
  Interrupt interrupt;
  interrupt.RaiseWhenNobodyReads();
  BatchClient client(globals, options.job, &interrupt);
  GetBatchReply reply;
  for (uint64_t batch = options.batch;;) {
    switch (client.Next(batch, kPollWait, &reply)) {
      case BatchClient::Outcome::kBatch:
        if (!PrintData((redraw ? "\x1b[H\x1b[J" : "") + Render(options.output, reply))) return kExitOk;
        batch = reply.batch().batch() + 1;
        break;
      case BatchClient::Outcome::kNone:
        break;
      case BatchClient::Outcome::kInterrupted:
        return kExitOk;
      case BatchClient::Outcome::kFailed:
        return client.exit_code();
    }
  }
}

// How far a batch is from the ends of the partitions.
struct Gap {
  uint64_t records = 0;
  // The partition that is farthest from its end, and by how much; empty if the batch has reached all ends.
  std::string held_by;
};

Gap Measure(const GetEndsReply& ends, const GetBatchReply& reply) {
  std::map<std::pair<std::string, int32_t>, int64_t> next_offsets;
  for (int i = 0; i < std::min(reply.partitions_size(), reply.batch().next_offsets_size()); ++i) {
    next_offsets[{reply.partitions(i).topic(), reply.partitions(i).partition()}] = reply.batch().next_offsets(i);
  }
  Gap gap;
  int64_t farthest = 0;
  for (const EndOffset& end : ends.ends()) {
    const auto found = next_offsets.find({end.topic(), end.partition()});
    // A new and empty partition is missing from the batch, but there is nothing of it to be reached.
    const int64_t missing = end.end_offset() - (found == next_offsets.end() ? 0 : found->second);
    if (missing <= 0) continue;
    gap.records += static_cast<uint64_t>(missing);
    if (missing <= farthest) continue;
    farthest = missing;
    const std::string partition = fmt::format("{}[{}]", end.topic(), end.partition());
    gap.held_by = found == next_offsets.end()
                      ? fmt::format("{}, which ends at {}, is not yet in the job", partition, end.end_offset())
                      : fmt::format("{} is at {} of {}", partition, found->second, end.end_offset());
  }
  return gap;
}

int TimedOut(const CliGlobals& globals, const Options& options, const BatchClient& client, const std::string& held_by,
             ExitCode code) {
  if (client.lost()) {
    PrintError(fmt::format("{} did not catch up within {}: the driver at {} is not reachable", options.job, options.timeout,
                           globals.driver));
    return kExitUnavailable;
  }
  PrintError(fmt::format("{} did not catch up within {}: {}", options.job, options.timeout, held_by));
  return code;
}

// Prints the last batch if that has reached the ends, else the first one that does.
int ShowCaughtUp(const CliGlobals& globals, const Options& options) {
  const absl::Time deadline = absl::Now() + ParseDuration(options.timeout).value_or(absl::ZeroDuration());
  BatchClient client(globals, options.job, nullptr);
  GetEndsReply ends;
  std::string trouble;
  std::string told;
  for (BatchClient::Outcome asked; (asked = client.Ends(&ends, &trouble)) != BatchClient::Outcome::kBatch;) {
    if (asked != BatchClient::Outcome::kNone) return client.exit_code();
    if (absl::Now() >= deadline) return TimedOut(globals, options, client, trouble, kExitUnavailable);
    if (!client.lost() && trouble != told) PrintError(told = trouble);
    absl::SleepFor(std::min(kAskAgainAfter, deadline - absl::Now()));
  }
  std::optional<Progress> progress;
  uint64_t first_gap = 0;
  std::string held_by = "it has no batch yet";
  for (uint64_t batch = 0;;) {
    const absl::Duration left = std::max(deadline - absl::Now(), absl::ZeroDuration());
    GetBatchReply reply;
    const BatchClient::Outcome outcome = client.Next(batch, std::min(left, kPollWait), &reply);
    if (outcome == BatchClient::Outcome::kFailed) return client.exit_code();
    if (outcome == BatchClient::Outcome::kBatch) {
      const Gap gap = Measure(ends, reply);
      if (gap.held_by.empty()) {
        progress.reset();
        PrintData(Render(options.output, reply));
        return kExitOk;
      }
      if (!progress) progress.emplace("folded", "records", first_gap = gap.records);
      progress->Update(first_gap - std::min(first_gap, gap.records));
      held_by = fmt::format("in batch {} {}", reply.batch().batch(), gap.held_by);
      batch = reply.batch().batch() + 1;
    }
    if (left == absl::ZeroDuration()) break;
  }
  progress.reset();
  return TimedOut(globals, options, client, held_by, kExitRefused);
}

std::string CheckDuration(const std::string& text) {
  const absl::StatusOr<absl::Duration> duration = ParseDuration(text);
  return duration.ok() ? "" : std::string(duration.status().message());
}

int Top(const CliGlobals& globals, const Options& options) {
  if (options.watch) return Watch(globals, options);
  if (options.caught_up) return ShowCaughtUp(globals, options);
  return ShowOne(globals, options);
}

}  // namespace

void AddTop(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app->add_subcommand("top", "show the result of a job's last batch");
  verb->add_option("JOB", options->job, "the job's name")->required();
  CLI::Option* batch = verb->add_option_function<uint64_t>(
                               "--batch", [options](uint64_t number) { options->batch = number; },
                               "this batch instead of the last; with --watch, from it on")
                           ->check([](const std::string& text) { return text == "0" ? "batches are numbered from 1" : ""; });
  CLI::Option* watch =
      verb->add_flag("--watch", options->watch, "every batch from the last on, until Ctrl-C; redrawn on a terminal");
  verb->add_flag("--caught-up", options->caught_up,
                 "wait for a batch with every record that the topics have now;\nexits with 1 if none comes in time")
      ->excludes(batch)
      ->excludes(watch);
  verb->add_option("--timeout", options->timeout, "how long --caught-up waits: a number with ms, s, m or h")
      ->type_name("DURATION")
      ->check(CheckDuration);
  AddOutputOption(verb, &options->output);
  verb->callback([=] { *run = [=] { return Top(*globals, *options); }; });
}

}  // namespace tenfold
