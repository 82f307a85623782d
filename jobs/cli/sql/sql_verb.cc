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

#include "common/process/process.h"
#include "common/process/random_id.h"
#include "fmt/format.h"
#include "jobs/cli/batch_text.h"
#include "jobs/cli/dev/dev_session.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/output.h"
#include "jobs/cli/progress.h"
#include "jobs/cli/spec_file.h"
#include "jobs/cli/sql/result_csv.h"
#include "jobs/cli/verbs.h"
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
constexpr uint32_t kQueryIntervalMs = 500;

int Submit(const CliGlobals& globals, const JobSpec& spec) {
  SubmitRequest request;
  *request.mutable_spec() = spec;
  request.set_job_id(RandomId());
  SubmitReply reply;
  const grpc::Status status = AskTwice(globals, kKafkaAnswerTimeout, [&](DriverService::Stub* driver, auto* context) {
    return driver->Submit(context, request, &reply);
  });
  if (!status.ok()) return ReportError(globals, status);
  PrintData(reply.job_id() + "\n");
  return kExitOk;
}

class Query {
 public:
  Query(const Options& options, const JobSpec& spec)
      : options_(options), spec_(spec), form_(ResultFormOf(spec)), session_(ClusterOptions(options, spec)) {}

  int Run() {
    std::optional<int> exit_code = session_.Start(spec_);
    if (!exit_code) exit_code = session_.Ends(&ends_);
    for (uint64_t batch = 1; !exit_code; batch += found_) exit_code = Take(batch);
    progress_.reset();
    session_.Stop();
    // Whoever ends a query that has no result yet has none.
    return session_.interrupted() && !complete_ ? kExitRefused : *exit_code;
  }

 private:
  static DevCluster::Options ClusterOptions(const Options& options, const JobSpec& spec) {
    DevCluster::Options cluster;
    cluster.kafka = options.kafka;
    cluster.topics.assign(spec.source().topics().begin(), spec.source().topics().end());
    cluster.partitions = 0;
    cluster.workers = 1;
    return cluster;
  }

  std::optional<int> Take(uint64_t batch) {
    GetBatchReply reply;
    found_ = false;
    if (const std::optional<int> exit_code = session_.Next(batch, &found_, &reply)) return exit_code;
    if (!found_) return std::nullopt;
    for (const FinalWindow& final : reply.batch().finals()) *finals_.Add() = final;
    const EndGap gap = GapOf(ends_, reply);
    if (!complete_ && (!gap.held_by.empty() || reply.batch().more_finals())) {
      if (!progress_) progress_.emplace("folded", "records", first_gap_ = gap.records);
      progress_->Update(first_gap_ - std::min(first_gap_, gap.records));
      return std::nullopt;
    }
    progress_.reset();
    const BatchCommitted& had = reply.batch();
    const bool tells = !std::exchange(complete_, true);
    if (tells && had.bad_records() > 0)
      PrintError(fmt::format("{} of {} records are bad", had.bad_records(), had.records()));
    if (tells && had.late_records() > 0)
      PrintError(fmt::format("{} of {} records are late", had.late_records(), had.records()));
    if (!PrintData(Render(&reply))) return kExitOk;
    finals_.Clear();
    return options_.watch ? std::nullopt : std::optional<int>(kExitOk);
  }

  // The batch, and what became final since the last one that was printed.
  std::string Render(GetBatchReply* reply) {
    reply->mutable_batch()->mutable_finals()->CopyFrom(finals_);
    std::string text;
    if (options_.form == Form::kJson) return RenderBatch(OutputFormat::kJson, *reply);
    if (options_.form == Form::kCsv) {
      if (!std::exchange(has_head_, true)) text = CsvHead(form_);
      return text + CsvRows(reply->batch(), form_);
    }
    if (options_.watch && isatty(STDOUT_FILENO) == 1) text = "\x1b[H\x1b[J";
    for (const FinalWindow& final : finals_)
      text += fmt::format("{}, final\n{}\n", WindowText(final.window(), *form_.calendar), TableOf(final.top(), form_));
    if (form_.calendar != nullptr && reply->batch().has_window())
      text += fmt::format("{}, so far\n", WindowText(reply->batch().window(), *form_.calendar));
    return text + TableOf(reply->batch().top(), form_);
  }

  const Options options_;
  const JobSpec spec_;
  const ResultForm form_;
  DevSession session_;
  GetEndsReply ends_;
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
  if (const int code = ReadSql(options.schema, text, shown_as, name, &spec); code != kExitOk) return code;
  if (options.explain) {
    PrintData(WriteJobSpec(WithoutSecrets(spec)));
    return kExitOk;
  }
  if (submits) return Submit(globals, spec);
  // Nothing of the query stays behind.
  spec.clear_sinks();
  spec.mutable_source()->set_group("none");
  spec.set_batch_interval_ms(std::min(spec.batch_interval_ms(), kQueryIntervalMs));
  return Query(options, spec).Run();
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
