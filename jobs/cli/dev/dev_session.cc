#include "jobs/cli/dev/dev_session.h"

#include <utility>

#include "common/net/rpc.h"
#include "common/process/process.h"
#include "fmt/format.h"
#include "jobs/cli/output.h"
#include "jobs/show/status_json.h"

namespace tenfold {
namespace {

// How long a call waits for a batch that the driver does not have yet; between calls the processes are checked.
constexpr absl::Duration kWait = absl::Milliseconds(500);
constexpr absl::Duration kAnswerTimeout = absl::Seconds(1);
constexpr absl::Duration kStartTimeout = absl::Seconds(60);
// If there is no batch for this long, the job's status is asked for.
constexpr absl::Duration kPatience = absl::Seconds(5);

}  // namespace

std::optional<int> DevSession::Start(const JobSpec& spec) {
  job_ = spec.name();
  if (const absl::Status status = cluster_.Start(); !status.ok()) {
    PrintError(std::string(status.message()));
    return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ? kExitUnavailable : kExitRefused;
  }
  globals_.driver = cluster_.address();
  driver_ = DriverService::NewStub(MakeChannel(globals_.driver));
  if (const std::optional<int> exit_code = AwaitWorkers()) return exit_code;
  SubmitRequest request;
  *request.mutable_spec() = spec;
  SubmitReply reply;
  const grpc::Status status = Call(&DriverService::Stub::Submit, request, kKafkaAnswerTimeout, &reply);
  if (const std::optional<int> exit_code = Ended()) return exit_code;
  progress_at_ = absl::Now();
  return status.ok() ? std::nullopt : std::optional(ReportError(globals_, status));
}

std::optional<int> DevSession::Ended() {
  if (interrupt_.raised()) return kExitOk;
  const std::string failure = cluster_.Failure();
  if (failure.empty()) return std::nullopt;
  PrintError(failure);
  return kExitRefused;
}

std::optional<int> DevSession::AwaitWorkers() {
  const absl::Time deadline = absl::Now() + kStartTimeout;
  while (absl::Now() < deadline) {
    ListWorkersReply reply;
    const grpc::Status status = Call(&DriverService::Stub::ListWorkers, ListWorkersRequest(), kWait, &reply);
    if (const std::optional<int> exit_code = Ended()) return exit_code;
    if (status.ok() && reply.workers_size() >= workers_) return std::nullopt;
    interrupt_.Sleep(absl::Milliseconds(20));
  }
  PrintError(fmt::format("the driver and its workers were not ready within {}", absl::FormatDuration(kStartTimeout)));
  return kExitRefused;
}

std::optional<int> DevSession::Next(uint64_t batch, bool* found, GetBatchReply* reply) {
  GetBatchRequest request;
  request.set_job(job_);
  request.set_batch(batch);
  request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(kWait)));
  const grpc::Status status = Call(&DriverService::Stub::GetBatch, request, kWait + kAnswerTimeout, reply);
  *found = status.ok();
  if (const std::optional<int> exit_code = Ended()) return exit_code;
  if (status.ok()) {
    progress_at_ = absl::Now();
    told_.clear();
    return std::nullopt;
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return CheckJob();
  if (!IsDriverLost(status)) return ReportError(globals_, status);
  // Gives the end of a process time to be seen, so that it is reported at once.
  interrupt_.Sleep(absl::Milliseconds(20));
  return std::nullopt;
}

std::optional<int> DevSession::Ends(GetEndsReply* reply) {
  GetEndsRequest request;
  request.set_job(job_);
  const grpc::Status status = Call(&DriverService::Stub::GetEnds, request, kKafkaAnswerTimeout, reply);
  if (const std::optional<int> exit_code = Ended()) return exit_code;
  return status.ok() ? std::nullopt : std::optional(ReportError(globals_, status));
}

std::optional<int> DevSession::Status(JobStatus* status) {
  GetStatusRequest request;
  request.set_job(job_);
  const grpc::Status asked = Call(&DriverService::Stub::GetStatus, request, kKafkaAnswerTimeout, status);
  if (const std::optional<int> exit_code = Ended()) return exit_code;
  return asked.ok() ? std::nullopt : std::optional(ReportError(globals_, asked));
}

std::optional<int> DevSession::CheckJob() {
  if (absl::Now() - progress_at_ < kPatience) return std::nullopt;
  GetStatusRequest request;
  request.set_job(job_);
  JobStatus job;
  const grpc::Status status = Call(&DriverService::Stub::GetStatus, request, kAnswerTimeout, &job);
  if (status.ok() && job.state() == JOB_FINISHED) {
    PrintError(Headline(job));
    return kExitOk;
  }
  const std::string reason = ReasonText(job);
  if (!status.ok() || reason.empty()) return std::nullopt;
  if (std::exchange(told_, reason) != reason) PrintError(Headline(job));
  return job.state() == JOB_FAILED || job.state() == JOB_CANCELLED ? std::optional<int>(kExitRefused) : std::nullopt;
}

}  // namespace tenfold
