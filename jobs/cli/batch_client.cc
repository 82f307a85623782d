#include "jobs/cli/batch_client.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <utility>

#include "absl/time/clock.h"
#include "common/net/rpc.h"
#include "common/process/process.h"
#include "fmt/format.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/output.h"
#include "jobs/show/status_json.h"

namespace tenfold {
namespace {

constexpr absl::Duration kPauseAfterLoss = absl::Milliseconds(200);
constexpr absl::Duration kRetryTimeout = absl::Seconds(1);

}  // namespace

Interrupt::Interrupt() {
  BlockSignals();
  thread_ = std::thread([this] { AwaitSignal(); });
}

Interrupt::~Interrupt() {
  // Sent to the waiting thread alone, in case no signal has come from outside.
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

void Interrupt::AwaitSignal() {
  WaitForSignal();
  Raise();
}

void Interrupt::RaiseWhenNobodyReads() {
  constexpr int kLookMs = 100;
  output_thread_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd output{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
      if (poll(&output, 1, kLookMs) > 0) return Raise();
    }
  });
}

void Interrupt::Raise() {
  MutexLock lock(&mutex_);
  raised_ = true;
  if (context_ != nullptr) context_->TryCancel();
  changed_.NotifyAll();
}

bool Interrupt::raised() {
  MutexLock lock(&mutex_);
  return raised_;
}

void Interrupt::Sleep(absl::Duration pause) {
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(pause);
  MutexLock lock(&mutex_);
  while (!raised_ && changed_.WaitUntil(&mutex_, deadline)) continue;
}

void Interrupt::Enter(grpc::ClientContext* context) {
  MutexLock lock(&mutex_);
  context_ = context;
  if (raised_) context->TryCancel();
}

void Interrupt::Leave() {
  MutexLock lock(&mutex_);
  context_ = nullptr;
}

BatchClient::BatchClient(const CliGlobals& globals, std::string job, Interrupt* interrupt)
    : globals_(globals), job_(std::move(job)), interrupt_(interrupt), driver_(ConnectDriver(globals)) {}

BatchClient::Outcome BatchClient::Next(uint64_t batch, absl::Duration wait, GetBatchReply* reply) {
  GetBatchRequest request;
  request.set_job(job_);
  request.set_batch(batch);
  // Waits at least 1 ms, since the driver answers NOT_FOUND for a future batch if there is no wait at all.
  request.set_wait_ms(static_cast<uint32_t>(std::max<int64_t>(1, absl::ToInt64Milliseconds(wait))));
  bool waited = false;
  const Outcome outcome = Call(wait + kDriverTimeout, [&](grpc::ClientContext* context) {
    const grpc::Status status = driver_->GetBatch(context, request, reply);
    waited = IsPeersAnswer(status) && status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    return status;
  });
  if (outcome == Outcome::kNone && waited) return CheckJob();
  if (outcome != Outcome::kBatch) return outcome;
  waiting_reason_.clear();
  if (job_id_.empty()) job_id_ = reply->batch().job_id();
  if (job_id_ == reply->batch().job_id()) return Outcome::kBatch;
  PrintError(fmt::format("{} is another job by now: it was cancelled and submitted again", job_));
  exit_code_ = kExitRefused;
  return Outcome::kFailed;
}

BatchClient::Outcome BatchClient::Ends(GetEndsReply* reply, std::string* trouble) {
  GetEndsRequest request;
  request.set_job(job_);
  bool unknown = false;
  const Outcome outcome = Call(kKafkaAnswerTimeout, [&](grpc::ClientContext* context) {
    const grpc::Status status = driver_->GetEnds(context, request, reply);
    // What Kafka does not tell now it may tell in a moment.
    unknown = IsPeersAnswer(status) && status.error_code() == grpc::StatusCode::UNAVAILABLE;
    if (unknown) *trouble = status.error_message();
    return unknown ? grpc::Status::OK : status;
  });
  if (outcome == Outcome::kBatch) return unknown ? Outcome::kNone : outcome;
  if (outcome == Outcome::kNone && !lost_) *trouble = "Kafka does not tell in time where its topics end";
  return outcome;
}

BatchClient::Outcome BatchClient::Call(absl::Duration timeout,
                                       const std::function<grpc::Status(grpc::ClientContext*)>& call) {
  grpc::ClientContext context;
  SetDeadline(&context, lost_ ? kRetryTimeout : timeout);
  context.set_wait_for_ready(reached_);
  if (interrupt_ != nullptr) interrupt_->Enter(&context);
  const grpc::Status status = call(&context);
  if (interrupt_ != nullptr) interrupt_->Leave();
  if (interrupt_ != nullptr && interrupt_->raised()) return Outcome::kInterrupted;
  if (reached_ && (IsDriverLost(status) || status.error_code() == grpc::StatusCode::UNAVAILABLE)) return OnLost();
  reached_ = reached_ || IsPeersAnswer(status);
  if (lost_) PrintError(fmt::format("the driver at {} is back", globals_.driver));
  lost_ = false;
  if (status.ok()) return Outcome::kBatch;
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED && IsPeersAnswer(status)) return Outcome::kNone;
  exit_code_ = ReportError(globals_, status);
  return Outcome::kFailed;
}

BatchClient::Outcome BatchClient::OnLost() {
  if (!lost_) PrintError(fmt::format("lost the driver at {}; waiting for it to come back", globals_.driver));
  lost_ = true;
  if (interrupt_ == nullptr) {
    absl::SleepFor(kPauseAfterLoss);
  } else {
    interrupt_->Sleep(kPauseAfterLoss);
  }
  return Outcome::kNone;
}

BatchClient::Outcome BatchClient::CheckJob() {
  GetStatusRequest request;
  request.set_job(job_);
  JobStatus job;
  const Outcome outcome =
      Call(kDriverTimeout, [&](grpc::ClientContext* context) { return driver_->GetStatus(context, request, &job); });
  if (outcome != Outcome::kBatch) return outcome;
  if (job.state() == JOB_FAILED || job.state() == JOB_CANCELLED) {
    PrintError(Headline(job));
    exit_code_ = kExitRefused;
    return Outcome::kFailed;
  }
  if (job.state() == JOB_FINISHED) {
    PrintError(Headline(job));
    exit_code_ = kExitOk;
    return Outcome::kFailed;
  }
  const bool stands = job.state() == JOB_WAITING || job.state() == JOB_PAUSED;
  const std::string reason = stands ? Headline(job) : "";
  if (!reason.empty() && reason != waiting_reason_) PrintError(reason);
  waiting_reason_ = reason;
  return Outcome::kNone;
}

}  // namespace tenfold
