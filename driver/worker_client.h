// Sends the driver's requests to workers, each an asynchronous call whose completion is handed over on a gRPC thread: the
// receiver only posts it. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
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

  // Sends the request and calls `done` with the reply, or with the error, which names the address; UNAVAILABLE if nobody
  // answered.
  template <typename Request>
  void Call(const std::string& address, const Request& request, Done<ReplyOf<Request>> done);

 private:
  // A connection to an address.
  struct Peer {
    std::unique_ptr<WorkerService::Stub> stub;
    std::shared_ptr<grpc::Channel> channel;
    int calls = 0;
    absl::Time retired_at = absl::InfiniteFuture();
  };
  Peer* PeerAt(const std::string& address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  CondVar idle_;
  // By address.
  std::map<std::string, std::unique_ptr<Peer>> peers_ ABSL_GUARDED_BY(mutex_);
  // Addresses at which a ping failed: the connection may be dead, or lead to another process, so the next call makes a new
  // one.
  std::set<std::string> doubtful_ ABSL_GUARDED_BY(mutex_);
  // Kept until their calls are long over: gRPC 1.51 aborts ("prior > 0") if the last reference to a channel goes where one
  // of its calls ends.
  std::vector<std::unique_ptr<Peer>> retired_ ABSL_GUARDED_BY(mutex_);
  std::set<grpc::ClientContext*> under_way_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tenfold
