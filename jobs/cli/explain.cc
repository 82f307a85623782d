// The verb explain: what a job does, from a record to its result.
#include "jobs/plan/explain.h"

#include <filesystem>
#include <memory>
#include <string>

#include "common/process/process.h"
#include "fmt/format.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/output.h"
#include "jobs/cli/spec_file.h"
#include "jobs/cli/verbs.h"

namespace tenfold {
namespace {

struct Options {
  std::string file;
};

int RunExplain(const CliGlobals& globals, const Options& options) {
  JobSpec spec;
  if (std::filesystem::exists(options.file)) {
    if (const int code = ReadSpecFile(options.file, &spec); code != kExitOk) return code;
  } else {
    const std::unique_ptr<DriverService::Stub> driver = ConnectDriver(globals);
    grpc::ClientContext context;
    SetDeadline(&context, kDriverTimeout);
    GetStatusRequest request;
    request.set_job(options.file);
    JobStatus status;
    if (const grpc::Status asked = driver->GetStatus(&context, request, &status); !asked.ok()) {
      PrintError(fmt::format("there is no file {}, and of a job of that name:", options.file));
      return ReportError(globals, asked);
    }
    spec = status.spec();
  }
  PrintData(Explain(spec));
  return kExitOk;
}

}  // namespace

void AddExplain(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app->add_subcommand("explain", "show what a job does, from a record to its result");
  verb->add_option("FILE|JOB", options->file,
                   "a job spec, in YAML, or in SQL if its name ends with .sql; or the name of a job at the driver")
      ->required();
  verb->callback([=] { *run = [=] { return RunExplain(*globals, *options); }; });
}

}  // namespace tenfold
