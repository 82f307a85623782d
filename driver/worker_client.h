// Sends the driver's requests to workers, each an asynchronous call whose completion is handed over on a gRPC thread: the
// receiver only posts it. Thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "driver/action.h"
#include "grpcpp/grpcpp.h"
#include "worker.grpc.pb.h"

namespace tenfold {

class WorkerClient {
 public:
  WorkerClient() = default;
  // Cancels what is under way and waits for its completions.
  ~WorkerClient();

  template <typename Reply>
  using Done = std::function<void(absl::StatusOr<Reply>)>;

  void Send(const std::string& address, const SendAssign& sent, Done<AssignReply> done);
  void Send(const std::string& address, const SendPrepare& sent, Done<PrepareReply> done);
  void Send(const std::string& address, const SendFold& sent, Done<FoldReply> done);
  void Send(const std::string& address, const SendLookUp& sent, Done<LookUpReply> done);

 private:
  using Method = WorkerService::Stub::async_interface;
  template <typename Request, typename Reply>
  void Call(const std::string& address, const Request& request, absl::Duration timeout,
            void (Method::*method)(grpc::ClientContext*, const Request*, Reply*, std::function<void(grpc::Status)>),
            Done<Reply> done);
  WorkerService::Stub* StubOf(const std::string& address);

  std::mutex mutex_;
  std::condition_variable idle_;
  std::map<std::string, std::unique_ptr<WorkerService::Stub>> stubs_;  // guarded by mutex_
  std::set<grpc::ClientContext*> under_way_;                           // guarded by mutex_
};

}  // namespace tenfold
