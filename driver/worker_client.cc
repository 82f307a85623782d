#include "driver/worker_client.h"

#include <chrono>
#include <utility>

#include "absl/time/time.h"
#include "common/net/rpc.h"

namespace tenfold {
namespace {

// Added to a fold's budget for the requests queued before it, and for persisting.
constexpr absl::Duration kFoldGrace = absl::Seconds(30);
constexpr absl::Duration kLookUpTimeout = absl::Seconds(15);
// The timeout of an Assign, which reads every shard that joins the sums.
constexpr absl::Duration kAssignTimeout = absl::Minutes(5);

using Async = WorkerService::Stub::async_interface;
using Finish = std::function<void(grpc::Status)>;

absl::Duration TimeoutOf(const AssignRequest&) { return kAssignTimeout; }
absl::Duration TimeoutOf(const PrepareRequest& request) { return absl::Milliseconds(request.budget_ms()) + kFoldGrace; }
absl::Duration TimeoutOf(const FoldRequest& request) { return absl::Milliseconds(request.budget_ms()) + kFoldGrace; }
absl::Duration TimeoutOf(const LookUpRequest&) { return kLookUpTimeout; }

void Begin(Async* async, grpc::ClientContext* context, const AssignRequest& request, AssignReply* reply, Finish finish) {
  async->Assign(context, &request, reply, std::move(finish));
}
void Begin(Async* async, grpc::ClientContext* context, const PrepareRequest& request, PrepareReply* reply, Finish finish) {
  async->Prepare(context, &request, reply, std::move(finish));
}
void Begin(Async* async, grpc::ClientContext* context, const FoldRequest& request, FoldReply* reply, Finish finish) {
  async->Fold(context, &request, reply, std::move(finish));
}
void Begin(Async* async, grpc::ClientContext* context, const LookUpRequest& request, LookUpReply* reply, Finish finish) {
  async->LookUp(context, &request, reply, std::move(finish));
}

}  // namespace

WorkerClient::~WorkerClient() {
  MutexLock lock(&mutex_);
  for (grpc::ClientContext* context : under_way_) context->TryCancel();
  while (!under_way_.empty()) idle_.Wait(&mutex_);
}

WorkerService::Stub* WorkerClient::StubOf(const std::string& address) {
  std::unique_ptr<WorkerService::Stub>& stub = stubs_[address];
  if (stub == nullptr) stub = WorkerService::NewStub(MakeChannel(address));
  return stub.get();
}

template <typename Request>
void WorkerClient::Call(const std::string& address, const Request& request, Done<ReplyOf<Request>> done) {
  struct Call {
    grpc::ClientContext context;
    Request request;
    ReplyOf<Request> reply;
    Done<ReplyOf<Request>> done;
  };
  auto call = std::make_shared<Call>();
  call->request = request;
  call->done = std::move(done);
  call->context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(TimeoutOf(request)));
  WorkerService::Stub* stub = nullptr;
  {
    MutexLock lock(&mutex_);
    stub = StubOf(address);
    under_way_.insert(&call->context);
  }
  const auto finish = [this, call, address](const grpc::Status& status) {
    if (status.ok()) {
      call->done(std::move(call->reply));
    } else {
      call->done(FromGrpc(status, address));
    }
    MutexLock lock(&mutex_);
    under_way_.erase(&call->context);
    if (under_way_.empty()) idle_.NotifyAll();
  };
  Begin(stub->async(), &call->context, call->request, &call->reply, finish);
}

template void WorkerClient::Call(const std::string&, const AssignRequest&, Done<AssignReply>);
template void WorkerClient::Call(const std::string&, const PrepareRequest&, Done<PrepareReply>);
template void WorkerClient::Call(const std::string&, const FoldRequest&, Done<FoldReply>);
template void WorkerClient::Call(const std::string&, const LookUpRequest&, Done<LookUpReply>);

}  // namespace tenfold
