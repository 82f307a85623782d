// The verbs validate, submit, pause, resume and cancel.
#include "jobs/cli/submit.h"

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/process/process.h"
#include "common/process/random_id.h"
#include "fmt/format.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/output.h"
#include "jobs/cli/spec_file.h"
#include "jobs/cli/verbs.h"
#include "jobs/spec/job_spec.h"
#include "jobs/spec/spec_writer.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

struct Options {
  std::string file;
  bool update = false;
  bool refold = false;
  std::string job;
  OutputFormat output = OutputFormat::kText;
};

std::string JobIdLine(OutputFormat output, const std::string& job, const std::string& job_id) {
  if (output == OutputFormat::kText) return job_id + "\n";
  return nlohmann::ordered_json{{"job", job}, {"job_id", job_id}}.dump() + "\n";
}

int Validate(const Options& options) {
  JobSpec spec;
  if (const int code = ReadSpecFile(options.file, &spec); code != kExitOk) return code;
  PrintData(options.output == OutputFormat::kJson
                ? nlohmann::ordered_json{{"file", options.file}, {"job", spec.name()}}.dump() + "\n"
                : fmt::format("{} is a valid spec of job {}\n", options.file, spec.name()));
  return kExitOk;
}

int Submit(const CliGlobals& globals, const Options& options) {
  JobSpec spec;
  if (const int code = ReadSpecFile(options.file, &spec); code != kExitOk) return code;
  if (options.refold && !options.update) {
    PrintError("--refold is of a job that runs: add --update");
    return kExitUsage;
  }
  return SubmitSpec(globals, spec,
                    !options.update  ? SubmitKind::kNew
                    : options.refold ? SubmitKind::kRefold
                                     : SubmitKind::kUpdate,
                    options.output);
}

// The id of a job that is there, or what it is called: by its id a request that is sent again means no other job, which the
// name may be by then.
std::string IdOf(DriverService::Stub* driver, const std::string& called) {
  grpc::ClientContext looking;
  SetDeadline(&looking, kDriverTimeout);
  GetStatusRequest look;
  look.set_job(called);
  JobStatus job;
  return driver->GetStatus(&looking, look, &job).ok() && job.state() != JOB_CANCELLED ? job.job_id() : called;
}

// Makes a call that is about the job of the options, and prints its id.
template <typename Reply, typename Request>
int AskOfJob(const CliGlobals& globals, const Options& options, Request request,
             grpc::Status (DriverService::Stub::*call)(grpc::ClientContext*, const Request&, Reply*)) {
  request.set_job(options.job);
  Reply reply;
  const grpc::Status status = AskTwice(globals, kDriverTimeout, [&](DriverService::Stub* driver, auto* context) {
    if (request.job() == options.job) request.set_job(IdOf(driver, options.job));
    return (driver->*call)(context, request, &reply);
  });
  if (!status.ok()) return ReportError(globals, status);
  PrintData(JobIdLine(options.output, options.job, reply.job_id()));
  return kExitOk;
}

int Cancel(const CliGlobals& globals, const Options& options) {
  return AskOfJob(globals, options, CancelRequest(), &DriverService::Stub::Cancel);
}

int SetPaused(const CliGlobals& globals, const Options& options, bool paused) {
  SetPausedRequest request;
  request.set_paused(paused);
  return AskOfJob(globals, options, std::move(request), &DriverService::Stub::SetPaused);
}

// What has become of an update.
enum class Update { kLive, kRefolds, kRefused };

// The keys of a spec with what they are; of its source each key in it, as that may be long.
void AddKeys(const nlohmann::ordered_json& json, const std::string& path, nlohmann::ordered_json* keys) {
  for (const auto& [key, value] : json.items()) {
    const std::string at = path.empty() ? key : path + "." + key;
    if (at.starts_with("source") && value.is_object() && !value.empty()) {
      AddKeys(value, at, keys);
    } else {
      (*keys)[at] = value;
    }
  }
}

// Says what it changes, a sentence for each key of the spec.
void TellChanges(const JobSpec& before, const JobSpec& after, Update update) {
  nlohmann::ordered_json old;
  nlohmann::ordered_json now;
  AddKeys(SpecJson(before), "", &old);
  AddKeys(SpecJson(after), "", &now);
  std::set<std::string> keys;
  for (const auto* json : {&old, &now}) {
    for (const auto& [key, value] : json->items()) keys.insert(key);
  }
  bool same = true;
  for (const std::string& key : keys) {
    const auto shown = [&key](const nlohmann::ordered_json& json) {
      if (!json.contains(key)) return std::string("not said");
      const std::string text = json[key].is_string() ? json[key].get<std::string>() : json[key].dump();
      // A table may have a megabyte.
      constexpr size_t kMost = 1000;
      return text.size() <= kMost ? text : fmt::format("{}.. ({} bytes)", text.substr(0, kMost), text.size());
    };
    if (old.value(key, nlohmann::ordered_json()) == now.value(key, nlohmann::ordered_json())) continue;
    same = false;
    switch (update) {
      case Update::kLive:
        PrintError(
            fmt::format("{} is {} from the next batch on, with the state as it is; it was {}", key, shown(now), shown(old)));
        break;
      case Update::kRefolds:
        PrintError(fmt::format("{} is {} once the state is built anew; it is {}", key, shown(now), shown(old)));
        break;
      case Update::kRefused:
        PrintError(fmt::format("{} would be {}; it is {}", key, shown(now), shown(old)));
        break;
    }
  }
  if (update == Update::kRefused) return;
  if (update == Update::kRefolds && same) {
    PrintError("the state is built anew with the spec as it is, and the registry is asked again for what it did not have");
    same = false;
  }
  if (update == Update::kRefolds)
    PrintError(
        fmt::format("{} goes on as it is until then; tenfold status {} shows how far it is, and an update with the "
                    "spec as it is calls it off",
                    after.name(), after.name()));
  const bool has_secrets = !after.source().properties().empty();
  if (same)
    PrintError(has_secrets ? "nothing that may be shown changes; secrets among the properties are not compared"
                           : "nothing changes: the job has this spec already");
}

}  // namespace

int SubmitSpec(const CliGlobals& globals, const JobSpec& spec, SubmitKind kind, OutputFormat output) {
  const bool updates = kind != SubmitKind::kNew;
  bool refolds = false;
  bool ends_refold = false;
  UpdateRequest update;
  update.set_refold(kind == SubmitKind::kRefold);
  SubmitRequest submit;
  *update.mutable_spec() = *submit.mutable_spec() = spec;
  submit.set_job_id(RandomId());
  std::string job_id;
  std::optional<JobSpec> before;
  const grpc::Status status = AskTwice(globals, kKafkaAnswerTimeout, [&](DriverService::Stub* driver, auto* context) {
    if (updates && !before) {
      grpc::ClientContext looking;
      SetDeadline(&looking, kDriverTimeout);
      GetStatusRequest look;
      look.set_job(spec.name());
      JobStatus job;
      if (driver->GetStatus(&looking, look, &job).ok()) before = job.spec();
    }
    UpdateReply updated;
    SubmitReply submitted;
    const grpc::Status asked =
        updates ? driver->Update(context, update, &updated) : driver->Submit(context, submit, &submitted);
    job_id = updates ? updated.job_id() : submitted.job_id();
    refolds = updated.refolds();
    ends_refold |= updated.ends_refold();
    return asked;
  });
  if (!status.ok()) {
    if (before && status.error_code() == grpc::StatusCode::FAILED_PRECONDITION)
      TellChanges(*before, WithoutSecrets(spec), Update::kRefused);
    return ReportError(globals, status);
  }
  PrintData(JobIdLine(output, spec.name(), job_id));
  if (ends_refold && output == OutputFormat::kText)
    PrintError(fmt::format("the refold of {} that was under way is called off", spec.name()));
  // To people it is said on the other stream, as what a script reads is the id.
  if (before && output == OutputFormat::kText)
    TellChanges(*before, WithoutSecrets(spec), refolds ? Update::kRefolds : Update::kLive);
  return kExitOk;
}

void AddValidate(CLI::App* app, const CliGlobals*, RunVerb* run) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app->add_subcommand("validate", "check a job spec; needs no driver");
  verb->add_option("FILE", options->file, "the job spec, in YAML, or in SQL if its name ends with .sql")->required();
  AddOutputOption(verb, &options->output);
  verb->callback([options, run] { *run = [options] { return Validate(*options); }; });
}

void AddSubmit(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app->add_subcommand("submit", "start a job, or change one that runs; prints its job id");
  verb->add_option("FILE", options->file, "the job spec, in YAML, or in SQL if its name ends with .sql")->required();
  verb->add_flag(
      "--update", options->update,
      "give the job of this name the spec from its next batch on: all of it may differ but sources, topics, start, until, "
      "format, fields, time, window, tables, where, let, explode, group, key, score or measures, initial and key_bytes");
  verb->add_flag(
      "--refold", options->refold,
      "with --update: all of it may differ but sources, topics, start and until. The state is built anew from the\n"
      "log while the job goes on as it is; the job then has the new spec from a batch on, and its numbers go on");
  AddOutputOption(verb, &options->output);
  verb->callback([=] { *run = [=] { return Submit(*globals, *options); }; });
}

void AddPause(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app->add_subcommand(
      "pause",
      "have a job make no batches until it is resumed, if it is not paused already; its results and its state stay; prints\n"
      "its job id");
  verb->add_option("JOB", options->job, "the job's name")->required();
  AddOutputOption(verb, &options->output);
  verb->footer(
      "What comes meanwhile is folded once the job is resumed, so the topics have to keep it. A pause lasts whatever is\n"
      "started again. An update of a paused job holds from the resume on.");
  verb->callback([=] { *run = [=] { return SetPaused(*globals, *options, true); }; });
}

void AddResume(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app->add_subcommand("resume", "have a job go on where it was paused, if it is; prints its job id");
  verb->add_option("JOB", options->job, "the job's name")->required();
  AddOutputOption(verb, &options->output);
  verb->callback([=] { *run = [=] { return SetPaused(*globals, *options, false); }; });
}

void AddCancel(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app->add_subcommand("cancel", "end a job, drop its state and free its name; prints its job id");
  verb->add_option("JOB", options->job, "the job's name")->required();
  AddOutputOption(verb, &options->output);
  verb->callback([=] { *run = [=] { return Cancel(*globals, *options); }; });
}

}  // namespace tenfold
