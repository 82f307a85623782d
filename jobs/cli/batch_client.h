// Follows a job's batches in order until Ctrl-C, while the driver may go away and come back.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "common/thread/mutex.h"
#include "driver.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "jobs/cli/verbs.h"

namespace tenfold {

// While an Interrupt exists, SIGINT and SIGTERM cancel the call in flight instead of ending the process. Created before
// any other thread.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();

  // From now on it is raised as well when nobody reads standard output any more, as at the end of `| head`.
  void RaiseWhenNobodyReads();

  bool raised();
  // Sleeps for `pause`, but no longer than until a signal comes.
  void Sleep(absl::Duration pause);

  // Between Enter and Leave a signal cancels the call of `context`, at once if the signal has come already.
  void Enter(grpc::ClientContext* context);
  void Leave();

 private:
  void AwaitSignal();
  void Raise();

  Mutex mutex_;
  CondVar changed_;
  bool raised_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::thread thread_;
  std::jthread output_thread_;
};

class BatchClient {
 public:
  enum class Outcome {
    kBatch,
    // There was none within the wait, or the driver is lost, which stderr says.
    kNone,
    kInterrupted,
    // The call failed, as stderr says; exit_code() is the exit code of the verb.
    kFailed,
  };

  // `globals` and `interrupt` outlive it; without an interrupt a signal ends the process as usual.
  BatchClient(const CliGlobals& globals, std::string job, Interrupt* interrupt);

  // Gets a batch of the job, 0 for the last committed one, and waits for its commit for about `wait`.
  Outcome Next(uint64_t batch, absl::Duration wait, GetBatchReply* reply);

  // Gets the high watermarks of the job's partitions; kNone if they are not known now, and `trouble` receives why.
  Outcome Ends(GetEndsReply* reply, std::string* trouble);

  int exit_code() const { return exit_code_; }
  // Whether the last call did not reach the driver.
  bool lost() const { return lost_; }

 private:
  // Makes one call, which a signal cancels. kNone if the driver is lost or has waited in vain.
  Outcome Call(absl::Duration timeout, const std::function<grpc::Status(grpc::ClientContext*)>& call);
  Outcome OnLost();
  // Checks, after a wait without a batch, whether the job still runs.
  Outcome CheckJob();

  const CliGlobals& globals_;
  const std::string job_;
  Interrupt* const interrupt_;
  const std::unique_ptr<DriverService::Stub> driver_;
  std::string job_id_;
  std::string waiting_reason_;
  bool reached_ = false;
  bool lost_ = false;
  int exit_code_ = 0;
};

}  // namespace tenfold
