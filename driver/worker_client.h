// Sends the driver's requests to workers, each an asynchronous call whose completion is handed over on a gRPC thread: the
// receiver only posts it. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "common/thread/mutex.h"
#include "driver/core/action.h"
#include "grpcpp/grpcpp.h"
#include "worker.grpc.pb.h"

namespace tenfold {

class WorkerClient {
 public:
  WorkerClient() = default;
  // Cancels the calls in flight and waits for their completions.
  ~WorkerClient();

  template <typename Reply>
  using Done = std::function<void(absl::StatusOr<Reply>)>;

  // Sends the request and calls `done` with the reply, or with the error, which names the address.
  template <typename Request>
  void Call(const std::string& address, const Request& request, Done<ReplyOf<Request>> done);

 private:
  WorkerService::Stub* StubOf(const std::string& address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  CondVar idle_;
  // By address.
  std::map<std::string, std::unique_ptr<WorkerService::Stub>> stubs_ ABSL_GUARDED_BY(mutex_);
  std::set<grpc::ClientContext*> under_way_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tenfold
