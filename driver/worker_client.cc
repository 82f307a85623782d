#include "driver/worker_client.h"

#include <chrono>
#include <utility>

#include "common/rpc.h"

namespace tenfold {
namespace {

// Beyond the fold's own budget: for the requests before it, and to persist.
constexpr absl::Duration kFoldGrace = absl::Seconds(30);
constexpr absl::Duration kLookUpTimeout = absl::Seconds(15);
// A shard that joins the sums is read whole.
constexpr absl::Duration kAssignTimeout = absl::Minutes(5);

}  // namespace

WorkerClient::~WorkerClient() {
  std::unique_lock lock(mutex_);
  for (grpc::ClientContext* context : under_way_) context->TryCancel();
  idle_.wait(lock, [&] { return under_way_.empty(); });
}

WorkerService::Stub* WorkerClient::StubOf(const std::string& address) {
  std::unique_ptr<WorkerService::Stub>& stub = stubs_[address];
  if (stub == nullptr) stub = WorkerService::NewStub(MakeChannel(address));
  return stub.get();
}

template <typename Request, typename Reply>
void WorkerClient::Call(const std::string& address, const Request& request, absl::Duration timeout,
                        void (Method::*method)(grpc::ClientContext*, const Request*, Reply*,
                                               std::function<void(grpc::Status)>),
                        Done<Reply> done) {
  struct Call {
    grpc::ClientContext context;
    Request request;
    Reply reply;
    Done<Reply> done;
  };
  auto call = std::make_shared<Call>();
  call->request = request;
  call->done = std::move(done);
  call->context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  WorkerService::Stub* stub = nullptr;
  {
    std::lock_guard lock(mutex_);
    stub = StubOf(address);
    under_way_.insert(&call->context);
  }
  const auto finish = [this, call, address](const grpc::Status& status) {
    if (status.ok()) {
      call->done(std::move(call->reply));
    } else {
      call->done(FromGrpc(status, address));
    }
    std::lock_guard lock(mutex_);
    under_way_.erase(&call->context);
    if (under_way_.empty()) idle_.notify_all();
  };
  (stub->async()->*method)(&call->context, &call->request, &call->reply, finish);
}

void WorkerClient::Send(const std::string& address, const SendAssign& sent, Done<AssignReply> done) {
  Call<AssignRequest, AssignReply>(address, sent.request, kAssignTimeout, &Method::Assign, std::move(done));
}

void WorkerClient::Send(const std::string& address, const SendPrepare& sent, Done<PrepareReply> done) {
  const absl::Duration timeout = absl::Milliseconds(sent.request.budget_ms()) + kFoldGrace;
  Call<PrepareRequest, PrepareReply>(address, sent.request, timeout, &Method::Prepare, std::move(done));
}

void WorkerClient::Send(const std::string& address, const SendFold& sent, Done<FoldReply> done) {
  const absl::Duration timeout = absl::Milliseconds(sent.request.budget_ms()) + kFoldGrace;
  Call<FoldRequest, FoldReply>(address, sent.request, timeout, &Method::Fold, std::move(done));
}

void WorkerClient::Send(const std::string& address, const SendLookUp& sent, Done<LookUpReply> done) {
  Call<LookUpRequest, LookUpReply>(address, sent.request, kLookUpTimeout, &Method::LookUp, std::move(done));
}

}  // namespace tenfold
