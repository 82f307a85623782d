// Follows a job's batches in order through a driver that may go away and come back, until Ctrl-C.
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

// While it lives, SIGINT and SIGTERM cancel the call under way instead of ending the process. Made before any other
// thread is.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();

  bool raised();
  // Ends at the signal or after `pause`.
  void Sleep(absl::Duration pause);

  // Between these a signal cancels `context`, at once if it has come already.
  void Enter(grpc::ClientContext* context);
  void Leave();

 private:
  void AwaitSignal();

  Mutex mutex_;
  CondVar changed_;
  bool raised_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::thread thread_;
};

class BatchClient {
 public:
  enum class Outcome {
    kBatch,
    // Not within the wait; or the driver is lost, which has been said.
    kNone,
    kInterrupted,
    // Told on stderr; exit_code() says how to end.
    kFailed,
  };

  // `globals` and `interrupt` outlive it; without an interrupt a signal ends the process as usual.
  BatchClient(const CliGlobals& globals, std::string job, Interrupt* interrupt);

  // The job's batch, 0 for the last committed one, waiting for its commit for about `wait`.
  Outcome Next(uint64_t batch, absl::Duration wait, GetBatchReply* reply);

  // The high watermarks of the job's partitions.
  Outcome Ends(GetEndsReply* reply);

  int exit_code() const { return exit_code_; }
  // The driver has not answered since it was last reached.
  bool lost() const { return lost_; }

 private:
  // Makes one call, which a signal cancels; kNone if the driver is lost, or answers that it waited in vain.
  Outcome Call(absl::Duration timeout, const std::function<grpc::Status(grpc::ClientContext*)>& call);
  Outcome OnLost();
  // After a wait without a batch: whether the job still goes on.
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
