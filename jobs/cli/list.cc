// The verbs that list what a driver knows: list, workers.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "common/process/process.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/output.h"
#include "jobs/cli/verbs.h"
#include "jobs/show/status_json.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

std::string JobsJson(const ListJobsReply& reply) {
  auto jobs = nlohmann::ordered_json::array();
  for (const JobStatus& job : reply.jobs()) jobs.push_back(JobSummaryJson(job));
  return DumpJson(jobs) + "\n";
}

// The ends of a failed job's partitions are not looked up any more.
std::string LagText(const JobStatus& job) { return job.state() == JOB_FAILED ? "-" : std::to_string(job.lag()); }

std::string JobsTable(const ListJobsReply& reply) {
  std::vector<std::vector<std::string>> rows = {{"NAME", "STATE", "BATCH", "LAG", "REASON"}};
  for (const JobStatus& job : reply.jobs()) {
    rows.push_back({job.job(), StateName(job.state()), std::to_string(job.batch()), LagText(job), ReasonText(job)});
  }
  return FormatTable(rows, {2, 3});
}

int List(const CliGlobals& globals, OutputFormat output) {
  const std::unique_ptr<DriverService::Stub> driver = ConnectDriver(globals);
  grpc::ClientContext context;
  SetDeadline(&context, kDriverTimeout);
  ListJobsReply reply;
  const grpc::Status status = driver->ListJobs(&context, ListJobsRequest(), &reply);
  if (!status.ok()) return ReportError(globals, status);
  PrintData(output == OutputFormat::kJson ? JobsJson(reply) : JobsTable(reply));
  return kExitOk;
}

std::string WorkerStateName(WorkerState state) {
  return absl::AsciiStrToLower(WorkerState_Name(state)).substr(sizeof("WORKER_") - 1);
}

// Returns "unreachable (for 12s)"; of a live worker "live" alone.
std::string WorkerStateText(const WorkerStatus& worker) {
  const std::string name = WorkerStateName(worker.state());
  return worker.state() == WORKER_LIVE ? name : name + ForText(worker.since_us());
}

std::string WorkersJson(const ListWorkersReply& reply) {
  auto workers = nlohmann::ordered_json::array();
  for (const WorkerStatus& worker : reply.workers()) {
    workers.push_back(
        {{"worker", worker.worker()},
         {"address", worker.address()},
         {"state", WorkerStateName(worker.state())},
         {"since", OptionalTime(worker.since_us())},
         {"problem", worker.problem()},
         {"shards", worker.shards()},
         {"jobs", worker.jobs()},
         {"max_jobs", worker.max_jobs() == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(worker.max_jobs())}});
  }
  return DumpJson(workers) + "\n";
}

std::string WorkersTable(const ListWorkersReply& reply) {
  std::vector<std::vector<std::string>> rows = {{"WORKER", "ADDRESS", "STATE", "SHARDS", "JOBS", "PROBLEM"}};
  for (const WorkerStatus& worker : reply.workers()) {
    const bool is_full = worker.state() == WORKER_LIVE && worker.max_jobs() != 0 && worker.jobs() >= worker.max_jobs();
    const std::string full =
        is_full ? absl::StrCat("takes no other job: ", worker.limit(), " allows ", worker.max_jobs()) : "";
    rows.push_back({worker.worker(), worker.address(), WorkerStateText(worker), std::to_string(worker.shards()),
                    std::to_string(worker.jobs()), worker.problem().empty() ? full : worker.problem()});
  }
  DropEmptyLastColumn(&rows);
  return FormatTable(rows, {3, 4});
}

int Workers(const CliGlobals& globals, OutputFormat output) {
  const std::unique_ptr<DriverService::Stub> driver = ConnectDriver(globals);
  grpc::ClientContext context;
  SetDeadline(&context, kDriverTimeout);
  ListWorkersReply reply;
  const grpc::Status status = driver->ListWorkers(&context, ListWorkersRequest(), &reply);
  if (!status.ok()) return ReportError(globals, status);
  PrintData(output == OutputFormat::kJson ? WorkersJson(reply) : WorkersTable(reply));
  return kExitOk;
}

}  // namespace

void AddList(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  auto output = std::make_shared<OutputFormat>(OutputFormat::kText);
  CLI::App* verb = app->add_subcommand("list", "list the jobs with their state and lag");
  AddOutputOption(verb, output.get());
  verb->callback([=] { *run = [=] { return List(*globals, *output); }; });
}

void AddWorkers(CLI::App* app, const CliGlobals* globals, RunVerb* run) {
  auto output = std::make_shared<OutputFormat>(OutputFormat::kText);
  CLI::App* verb = app->add_subcommand("workers", "list the workers with their state and shards");
  AddOutputOption(verb, output.get());
  verb->callback([=] { *run = [=] { return Workers(*globals, *output); }; });
}

}  // namespace tenfold
