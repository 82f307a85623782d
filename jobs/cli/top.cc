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
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "jobs/cli/batch_client.h"
#include "jobs/cli/batch_text.h"
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
  // A time in the window to show; empty for the current one.
  std::string window;
  // The group to show; unset for all.
  std::optional<std::string> group;
  bool watch = false;
  bool caught_up = false;
  std::string timeout = "60s";
  OutputFormat output = OutputFormat::kText;
};

// Prints the batch, or what it has of the group that is asked for. False if that cannot be printed.
bool Print(const Options& options, const std::string& before, const GetBatchReply& reply) {
  return PrintData(before + RenderBatch(options.output, reply, options.group));
}

// Says that the batch has no such group; nullopt if it has it, or none is asked for.
std::optional<int> RefuseGroup(const Options& options, const GetBatchReply& reply) {
  if (!options.group) return std::nullopt;
  if (!ResultFormOf(reply.spec()).has_group) {
    PrintError(fmt::format("{} has no group, so that --group names none", options.job));
    return kExitRefused;
  }
  const std::vector<std::string> names = GroupNames(reply);
  if (std::ranges::find(names, *options.group) != names.end()) return std::nullopt;
  const bool cut = reply.batch().groups_cut() || std::ranges::any_of(reply.batch().finals(), &FinalWindow::groups_cut);
  PrintError(fmt::format("{} has no group {} in batch {}{}", options.job, Quoted(*options.group), reply.batch().batch(),
                         cut ? fmt::format(", which has the first {} by name, and there are more", reply.spec().groups())
                             : DidYouMean(*options.group, names)));
  return kExitRefused;
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
  if (const std::optional<int> exit_code = RefuseGroup(options, reply)) return *exit_code;
  Print(options, "", reply);
  return kExitOk;
}

// The instant that a text is, of the zone where it does not say which.
std::optional<int64_t> ReadInstant(const std::string& text, const PaneCalendar& calendar) {
  const absl::TimeZone zone = ZoneOf(calendar);
  absl::Time time;
  for (const char* format :
       {absl::RFC3339_full, "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%E*S", "%Y-%m-%d %H:%M:%E*S"}) {
    if (absl::ParseTime(format, text, zone, &time, nullptr)) return absl::ToUnixMicros(time);
  }
  return std::nullopt;
}

// The time until which windows are final by the batch, of its fold or one before; nullopt if none is.
std::optional<int64_t> ClosedUntil(const GetBatchReply& reply) {
  std::optional<int64_t> until;
  if (reply.batch().has_closed_until_us()) until = reply.batch().closed_until_us();
  const ResultForm form = ResultFormOf(reply.spec());
  if (form.calendar == nullptr || !reply.batch().has_closed_through()) return until;
  return std::max(until, std::optional(form.calendar->TimesOf(reply.batch().closed_through()).end_us));
}

// The result of the window that begins at the time, or in whose first pane it is.
int ShowWindow(const CliGlobals& globals, const Options& options) {
  const std::unique_ptr<DriverService::Stub> driver = ConnectDriver(globals);
  GetBatchReply reply;
  const auto get = [&](uint64_t batch) {
    grpc::ClientContext context;
    SetDeadline(&context, kDriverTimeout);
    GetBatchRequest request;
    request.set_job(options.job);
    request.set_batch(batch);
    return driver->GetBatch(&context, request, &reply);
  };
  if (const grpc::Status status = get(0); !status.ok()) return ReportError(globals, status);
  ResultForm form = ResultFormOf(reply.spec());
  if (form.calendar == nullptr) {
    PrintError(fmt::format("{} has no windows, so that --window names none", options.job));
    return kExitRefused;
  }
  const std::optional<int64_t> time = ReadInstant(options.window, *form.calendar);
  if (!time) {
    PrintError(fmt::format("--window: {} is no time; write it like 2026-11-28, 2026-11-28T14:30 or 2026-11-28T14:30:00Z",
                           Quoted(options.window)));
    return kExitUsage;
  }
  int64_t window = form.calendar->PaneOf(*time) + form.calendar->window().panes();
  std::string name = WindowText(window, *form.calendar);
  const auto is_closed = [&] { return ClosedUntil(reply) >= form.calendar->TimesOf(window).end_us; };
  if (!is_closed()) {
    if (reply.batch().has_window() && reply.batch().window() == window) {
      reply.mutable_batch()->clear_finals();
      if (const std::optional<int> exit_code = RefuseGroup(options, reply)) return *exit_code;
      Print(options, "", reply);
      return kExitOk;
    }
    const std::string now = reply.batch().has_window() ? WindowText(reply.batch().window(), *form.calendar) : "none yet";
    PrintError(fmt::format("the window {} of {} is neither final nor the current one, which is {}", name, options.job, now));
    return kExitRefused;
  }
  bool kept = true;
  const uint64_t newest = reply.batch().batch();
  uint32_t fold = reply.batch().fold();
  while (true) {
    // The first batch behind which it is closed has its result.
    uint64_t first = 1;
    uint64_t last = newest;
    kept = true;
    while (first < last) {
      const uint64_t middle = first + (last - first) / 2;
      const grpc::Status status = get(middle);
      if (!status.ok() && status.error_code() != grpc::StatusCode::OUT_OF_RANGE) return ReportError(globals, status);
      if (!status.ok()) kept = false;
      if (status.ok() && is_closed()) {
        last = middle;
      } else {
        if (status.ok()) kept = true;
        first = middle + 1;
      }
    }
    if (const grpc::Status status = get(last); !status.ok()) return ReportError(globals, status);
    // Before a refold the job may have had other windows: then it is the one of those that the time is in.
    if (reply.batch().fold() >= fold) break;
    form = ResultFormOf(reply.spec());
    if (form.calendar == nullptr) break;
    fold = reply.batch().fold();
    window = form.calendar->PaneOf(*time) + form.calendar->window().panes();
    name = WindowText(window, *form.calendar);
  }
  for (const FinalWindow& final : reply.batch().finals()) {
    if (final.window() != window || reply.batch().fold() != fold) continue;
    const FinalWindow shown = final;
    reply.mutable_batch()->clear_finals();
    *reply.mutable_batch()->add_finals() = shown;
    // What is asked for is in this window.
    reply.mutable_batch()->clear_groups();
    reply.mutable_batch()->set_groups_cut(false);
    // An update may have changed what the result is, since.
    const ResultForm as_made = ResultFormOf(reply.spec());
    if (const std::optional<int> exit_code = RefuseGroup(options, reply)) return *exit_code;
    if (options.output == OutputFormat::kJson) {
      const std::vector<Partition> partitions(reply.partitions().begin(), reply.partitions().end());
      const std::vector<std::string> lines = FinalLines(reply.job(), partitions, reply.batch(), as_made);
      PrintData(fmt::format("{}\n", fmt::join(options.group ? LinesOfGroup(*options.group, lines) : lines, "\n")));
    } else {
      if (options.group) KeepGroup(*options.group, &reply);
      PrintData(fmt::format("{}, final with batch {} of {}{}: {}\n{}", reply.job(), reply.batch().batch(),
                            FormatTime(reply.batch().published_at_us()), shown.decreed() ? ", by decree" : "", name,
                            TableOf(reply.batch().finals(0), as_made)));
    }
    return kExitOk;
  }
  if (reply.batch().fold() != fold) {
    PrintError(fmt::format("the window {} of {} was never final: the job was refolded before, for other windows", name,
                           options.job));
    return kExitRefused;
  }
  PrintError(kept ? fmt::format("the window {} of {} has no records", name, options.job)
                  : fmt::format("the window {} of {} is final, and its batch is no longer kept; sinks have its result", name,
                                options.job));
  return kExitRefused;
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
        if (options.group && !ResultFormOf(reply.spec()).has_group) return *RefuseGroup(options, reply);
        if (!Print(options, redraw ? "\x1b[H\x1b[J" : "", reply)) return kExitOk;
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
      const EndGap gap = GapOf(ends, reply);
      if (gap.held_by.empty()) {
        progress.reset();
        if (const std::optional<int> exit_code = RefuseGroup(options, reply)) return *exit_code;
        Print(options, "", reply);
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
  return options.window.empty() ? ShowOne(globals, options) : ShowWindow(globals, options);
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
  CLI::Option* window =
      verb->add_option(
              "--window", options->window,
              "the window that begins at this time, final or current; of the job's zone\nunless it says which, like "
              "2026-11-28, 2026-11-28T14:30 or 2026-11-28T14:30:00Z")
          ->type_name("TIME")
          ->check([](const std::string& text) { return text.empty() ? "it is empty" : ""; })
          ->excludes(batch)
          ->excludes(watch);
  verb->add_option_function<std::string>(
          "--group", [options](const std::string& group) { options->group = group; },
          "this group of a job that has groups; all of them without")
      ->type_name("NAME");
  verb->add_flag("--caught-up", options->caught_up,
                 "wait for a batch with every record that the topics have now;\nexits with 1 if none comes in time")
      ->excludes(batch)
      ->excludes(watch)
      ->excludes(window);
  verb->add_option("--timeout", options->timeout, "how long --caught-up waits: a number with ms, s, m or h")
      ->type_name("DURATION")
      ->check(CheckDuration);
  AddOutputOption(verb, &options->output);
  verb->callback([=] { *run = [=] { return Top(*globals, *options); }; });
}

}  // namespace tenfold
