// The verb sql: a query as a job at the driver, or answered at once by a cluster of its own.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/process/process.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"
#include "jobs/cli/batch_text.h"
#include "jobs/cli/dev/dev_session.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/output.h"
#include "jobs/cli/progress.h"
#include "jobs/cli/spec_file.h"
#include "jobs/cli/sql/result_csv.h"
#include "jobs/cli/submit.h"
#include "jobs/cli/verbs.h"
#include "jobs/plan/pane_clock.h"
#include "jobs/plan/sources.h"
#include "jobs/show/status_json.h"
#include "jobs/spec/job_spec.h"
#include "jobs/spec/spec_rules.h"
#include "jobs/spec/spec_writer.h"

namespace tenfold {
namespace {

enum class Form { kTable, kJson, kCsv };

struct Options {
  std::string query;
  std::string schema;
  std::string name;
  std::string kafka;
  bool explain = false;
  bool watch = false;
  Form form = Form::kTable;
};

// The longest time from one batch to the next of a query that is waited for.
constexpr uint32_t kQueryIntervalMs = 200;
// How long partitions bring nothing until windows are final without them, and how long is waited for that.
constexpr absl::Duration kIdle = absl::Milliseconds(300);
constexpr absl::Duration kClosing = absl::Seconds(2);

class Query {
 public:
  Query(const Options& options, const JobSpec& spec, SqlNames names)
      : options_(options),
        spec_(spec),
        form_(ResultFormOf(spec)),
        session_(ClusterOptions(options, spec)),
        names_(std::move(names)) {}

  int Run() {
    std::optional<int> exit_code = session_.Start(spec_);
    if (!exit_code) exit_code = session_.Ends(&ends_);
    for (uint64_t batch = 1; !exit_code; batch += found_) exit_code = Take(batch);
    progress_.reset();
    session_.Kill();
    if (!session_.interrupted() || complete_) return *exit_code;
    PrintError("interrupted before all of the topic was in the result");
    return kExitRefused;
  }

 private:
  static DevCluster::Options ClusterOptions(const Options& options, const JobSpec& spec) {
    DevCluster::Options cluster;
    cluster.kafka = options.kafka;
    cluster.topics = NamedTopics(spec.source());
    cluster.partitions = 0;
    cluster.workers = 1;
    return cluster;
  }

  std::optional<int> Take(uint64_t batch) {
    GetBatchReply reply;
    found_ = false;
    if (const std::optional<int> exit_code = session_.Next(batch, &found_, &reply)) return exit_code;
    if (found_) last_.Swap(&reply);
    if (!found_) return !complete_ && reached_ && absl::Now() - *reached_ > kClosing ? Complete() : std::nullopt;
    for (const FinalWindow& final : last_.batch().finals()) *finals_.Add() = final;
    if (complete_) return Print();
    const EndGap gap = GapOf(ends_, last_);
    if (!gap.held_by.empty() || last_.batch().more_finals()) {
      if (!progress_) progress_.emplace("folded", "records", first_gap_ = gap.records);
      progress_->Update(first_gap_ - std::min(first_gap_, gap.records));
      return std::nullopt;
    }
    // Windows that nothing comes for any more are final a moment later.
    if (!reached_) reached_ = absl::Now();
    return AllOver() || absl::Now() - *reached_ > kClosing ? Complete() : std::nullopt;
  }

  // What SELECT calls the key and the group.
  TableHeads Heads() const {
    TableHeads heads;
    const bool named = std::ranges::none_of(names_.key, [](const std::string& name) { return name.empty(); });
    if (!names_.key.empty() && named) heads.key = absl::AsciiStrToUpper(absl::StrJoin(names_.key, ", "));
    if (!names_.group.empty()) heads.group = absl::AsciiStrToUpper(names_.group);
    return heads;
  }

  // Whether all windows of the result are final that were over when all of the topic was in it.
  bool AllOver() const {
    if (!last_.batch().has_window()) return true;
    const int64_t quiet_since_us = absl::ToUnixMicros(*reached_ - kIdle);
    const int64_t over = PaneClock(form_.calendar.get(), quiet_since_us).passed().value_or(last_.batch().window());
    return IsClosed(std::min(over, last_.batch().window()));
  }

  bool IsClosed(int64_t window) const {
    return last_.batch().has_closed_through() && window <= last_.batch().closed_through();
  }

  std::optional<int> Complete() {
    progress_.reset();
    complete_ = true;
    if (const std::optional<int> exit_code = TellWhatIsLeftOut()) return exit_code;
    return Print();
  }

  std::optional<int> Print() {
    if (!PrintData(Render())) return kExitOk;
    finals_.Clear();
    return options_.watch ? std::nullopt : std::optional<int>(kExitOk);
  }

  std::optional<int> TellWhatIsLeftOut() {
    const BatchCommitted& batch = last_.batch();
    if (batch.bad_records() > 0) {
      JobStatus status;
      if (const std::optional<int> exit_code = session_.Status(&status)) return exit_code;
      PrintError(fmt::format("{} of {} records are bad: {}", batch.bad_records(), batch.records(), BadText(status)));
    }
    const auto is_cut = [](const FinalWindow& final) { return final.groups_cut(); };
    // A table says so itself, and so do lines of JSON.
    if (options_.form == Form::kCsv && (batch.groups_cut() || std::ranges::any_of(finals_, is_cut)))
      PrintError(
          fmt::format("there are more groups; the result has the first {} by name, and groups = '200' in the table's "
                      "WITH allows more",
                      spec_.groups()));
    if (batch.late_records() > 0)
      PrintError(fmt::format("{} of {} records are late", batch.late_records(), batch.records()));
    if (batch.has_window() && !IsClosed(batch.window() - 1)) {
      PrintError(fmt::format("windows before {} are open, too, if they wait for late records, and are not shown",
                             WindowText(batch.window(), *form_.calendar)));
    }
    return std::nullopt;
  }

  // How many records are bad for which reason, and where the first one is.
  static std::string BadText(const JobStatus& status) {
    std::map<std::string, uint64_t> counts;
    std::string first;
    for (const PartitionStatus& partition : status.partitions()) {
      for (const BadCount& bad : partition.counters().bad())
        counts[BadReasonText(bad.reason(), bad.subject())] += bad.count();
      if (partition.counters().samples().empty() || !first.empty()) continue;
      const BadSample& sample = partition.counters().samples(0);
      first = fmt::format("; {}[{}] at offset {}: {}", partition.topic(), partition.partition(), sample.offset(),
                          Quoted(sample.excerpt()));
    }
    std::vector<std::string> parts;
    for (const auto& [reason, count] : counts) parts.push_back(fmt::format("{} {}", count, reason));
    return fmt::format("{}{}", fmt::join(parts, ", "), first);
  }

  // The batch, and what became final since the last one that was printed.
  std::string Render() {
    last_.mutable_batch()->mutable_finals()->CopyFrom(finals_);
    // The last window of all may be final as well, and stands with those that are.
    const bool over = last_.batch().has_window() && !finals_.empty() &&
                      (IsClosed(last_.batch().window()) || (last_.batch().top().empty() && last_.batch().groups().empty()));
    if (over) {
      last_.mutable_batch()->clear_top();
      last_.mutable_batch()->clear_groups();
    }
    const BatchCommitted& batch = last_.batch();
    std::string text;
    if (options_.form == Form::kJson && over) {
      const std::vector<Partition> partitions(last_.partitions().begin(), last_.partitions().end());
      return fmt::format("{}\n", fmt::join(FinalLines(last_.job(), partitions, batch, form_), "\n"));
    }
    if (options_.form == Form::kJson) return RenderBatch(OutputFormat::kJson, last_);
    if (options_.form == Form::kCsv) {
      if (!std::exchange(has_head_, true)) text = CsvHead(form_, names_.key, names_.group);
      return text + CsvRows(batch, form_);
    }
    if (options_.watch && isatty(STDOUT_FILENO) == 1) text = "\x1b[H\x1b[J";
    for (const FinalWindow& final : finals_)
      text += fmt::format("{}, final\n{}\n", WindowText(final.window(), *form_.calendar), TableOf(final, form_, Heads()));
    const bool windows = form_.calendar != nullptr && batch.has_window();
    if (over) return text;
    if (windows) text += fmt::format("{}, so far\n", WindowText(batch.window(), *form_.calendar));
    return text + TableOf(batch, form_, Heads());
  }

  const Options options_;
  const JobSpec spec_;
  const ResultForm form_;
  DevSession session_;
  const SqlNames names_;
  GetEndsReply ends_;
  // The last batch, and since when it has all that there was.
  GetBatchReply last_;
  std::optional<absl::Time> reached_;
  google::protobuf::RepeatedPtrField<FinalWindow> finals_;
  std::optional<Progress> progress_;
  uint64_t first_gap_ = 0;
  bool found_ = false;
  bool complete_ = false;
  bool has_head_ = false;
};

int Run(const CliGlobals& globals, Options options) {
  std::string text = options.query;
  std::string shown_as = "sql";
  if (text == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else if (text.ends_with(".sql")) {
    shown_as = text;
    if (const int code = ReadSpecText(shown_as, "query", &text); code != kExitOk) return code;
  }
  const bool submits = options.kafka.empty() && !options.explain;
  if (options.name.empty() && submits) {
    PrintError("a job has a name: add --name NAME, or --kafka HOST:PORT for an answer without a driver");
    return kExitUsage;
  }
  if (options.watch && options.kafka.empty()) {
    PrintError("--watch follows a query that runs here, by --kafka; a job at the driver is followed by top --watch");
    return kExitUsage;
  }
  JobSpec spec;
  const std::string name = options.name.empty() ? "query" : options.name;
  SqlNames names;
  if (const int code = ReadSql(options.schema, text, shown_as, name, &spec, &names); code != kExitOk) return code;
  if (options.explain) {
    PrintData(WriteJobSpec(WithoutSecrets(spec)));
    return kExitOk;
  }
  if (submits)
    return SubmitSpec(globals, spec, SubmitKind::kNew,
                      options.form == Form::kJson ? OutputFormat::kJson : OutputFormat::kText);
  // Nothing of the query stays behind.
  spec.clear_sinks();
  spec.mutable_source()->set_group("none");
  spec.set_batch_interval_ms(std::min(spec.batch_interval_ms(), kQueryIntervalMs));
  if (spec.fold().general().has_window()) spec.set_idle_us(absl::ToInt64Microseconds(kIdle));
  return Query(options, spec, std::move(names)).Run();
}

}  // namespace

void AddSql(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  static const std::map<std::string, Form> kForms = {{"table", Form::kTable}, {"json", Form::kJson}, {"csv", Form::kCsv}};
  auto options = std::make_shared<Options>();
  CLI::App* const verb = app->add_subcommand(
      "sql",
      "run a query in SQL: with --kafka at once, by a driver and a worker of its own, until all that is in the topic now\n"
      "is in the result; else as a job at the driver. jobs/README.md says which SQL");
  verb->add_option("QUERY", options->query, "tables and a SELECT; FILE.sql; or - for standard input")->required();
  verb->add_option("--schema", options->schema, "a file of CREATE TABLE that come before the query")->type_name("FILE");
  verb->add_option("--name", options->name, "the job's name at the driver");
  CLI::Option* const kafka =
      verb->add_option("--kafka", options->kafka, "answer it here, from these brokers, without a driver")
          ->type_name("HOST:PORT[,HOST:PORT]")
          ->check([](const std::string& text) { return CheckBrokers(text); });
  verb->add_flag("--explain", options->explain, "print the job spec that it is, in YAML, and run nothing")->excludes(kafka);
  verb->add_flag("--watch", options->watch, "go on with every batch until Ctrl-C; needs --kafka");
  verb->add_option_function<std::string>(
          "-o,--output", [options](const std::string& form) { options->form = kForms.at(form); },
          "a table for people, csv, or json with a line for each window")
      ->check([](const std::string& form) {
        return kForms.contains(form) ? "" : "'" + form + "' is none of table, json and csv";
      })
      ->default_str("table")
      ->type_name("FORMAT");
  verb->callback([=] { *run = [=] { return Run(*globals, *options); }; });
}

}  // namespace tenfold
