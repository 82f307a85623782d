// A job on a cluster of this process's own (jobs/cli/dev/dev_cluster.h), followed until Ctrl-C: what `tenfold dev` and a
// query of `tenfold sql` do alike. What goes wrong is told on stderr; a result of an exit code is that the verb is to end
// with it. Used by one thread, and made before any other one is started.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "driver.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "jobs/cli/batch_client.h"
#include "jobs/cli/dev/dev_cluster.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/verbs.h"

namespace tenfold {

class DevSession {
 public:
  explicit DevSession(const DevCluster::Options& options) : workers_(options.workers), cluster_(options) {}

  // Starts the cluster, and the job once all workers are there.
  std::optional<int> Start(const JobSpec& spec);
  // Waits a moment for a batch of the job, which is in `reply` if there was one.
  std::optional<int> Next(uint64_t batch, bool* found, GetBatchReply* reply);
  // Where the job's topics end now.
  std::optional<int> Ends(GetEndsReply* reply);
  // What is known of the job.
  std::optional<int> Status(JobStatus* status);
  // Ends the processes; at once, without what they do at their end, which nobody needs of what is removed.
  void Stop() { cluster_.Stop(); }
  void Kill() { cluster_.Kill(); }

  DevCluster* cluster() { return &cluster_; }
  // Whether Ctrl-C was pressed.
  bool interrupted() { return interrupt_.raised(); }

 private:
  // Makes one call, which Ctrl-C cancels.
  template <typename Request, typename Reply>
  grpc::Status Call(grpc::Status (DriverService::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                    const Request& request, absl::Duration timeout, Reply* reply) {
    grpc::ClientContext context;
    SetDeadline(&context, timeout);
    context.set_wait_for_ready(true);
    interrupt_.Enter(&context);
    const grpc::Status status = (driver_.get()->*method)(&context, request, reply);
    interrupt_.Leave();
    return status;
  }

  // An exit code after Ctrl-C or the death of a process.
  std::optional<int> Ended();
  std::optional<int> AwaitWorkers();
  // Prints what the job waits for, if there was no batch for long. An exit code if the job has failed.
  std::optional<int> CheckJob();

  const int workers_;
  // The first one with a thread.
  Interrupt interrupt_;
  DevCluster cluster_;
  CliGlobals globals_;
  std::unique_ptr<DriverService::Stub> driver_;
  std::string job_;
  absl::Time progress_at_ = absl::Now();
  std::string told_;
};

}  // namespace tenfold
