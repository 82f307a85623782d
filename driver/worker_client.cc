#include "driver/worker_client.h"

#include <chrono>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/net/rpc.h"

namespace tenfold {
namespace {

// Added to a fold's budget for the requests queued before it, and for persisting.
constexpr absl::Duration kFoldGrace = absl::Seconds(30);
// How long after its last call a connection that was replaced is kept.
constexpr absl::Duration kRetire = absl::Seconds(10);
constexpr absl::Duration kLookUpTimeout = absl::Seconds(15);
// The timeout of an Assign, which reads every shard that joins the sums.
constexpr absl::Duration kAssignTimeout = absl::Minutes(5);

using Async = WorkerService::Stub::async_interface;
using Finish = std::function<void(grpc::Status)>;

absl::Duration TimeoutOf(const PingRequest& request) { return absl::Milliseconds(request.within_ms()); }
absl::Duration TimeoutOf(const AssignRequest&) { return kAssignTimeout; }
absl::Duration TimeoutOf(const PrepareRequest& request) { return absl::Milliseconds(request.budget_ms()) + kFoldGrace; }
absl::Duration TimeoutOf(const FoldRequest& request) { return absl::Milliseconds(request.budget_ms()) + kFoldGrace; }
absl::Duration TimeoutOf(const LookUpRequest&) { return kLookUpTimeout; }

void Begin(Async* async, grpc::ClientContext* context, const PingRequest& request, PingReply* reply, Finish finish) {
  async->Ping(context, &request, reply, std::move(finish));
}
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

WorkerClient::Peer* WorkerClient::PeerAt(const std::string& address) {
  const absl::Time now = absl::Now();
  std::erase_if(retired_, [&](const auto& peer) { return peer->calls == 0 && now - peer->retired_at > kRetire; });
  std::unique_ptr<Peer>& peer = peers_[address];
  // A connection that is being made, which may take long, is not begun anew.
  if (doubtful_.erase(address) > 0 && peer != nullptr && peer->channel->GetState(false) == GRPC_CHANNEL_READY) {
    peer->retired_at = now;
    retired_.push_back(std::move(peer));
  }
  if (peer == nullptr) {
    peer = std::make_unique<Peer>();
    peer->channel = MakeChannel(address);
    peer->stub = WorkerService::NewStub(peer->channel);
  }
  return peer.get();
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
  Peer* peer = nullptr;
  {
    MutexLock lock(&mutex_);
    peer = PeerAt(address);
    ++peer->calls;
    under_way_.insert(&call->context);
  }
  const auto finish = [this, call, peer, address](const grpc::Status& status) {
    if (status.ok()) {
      call->done(std::move(call->reply));
    } else if (IsPeersAnswer(status)) {
      call->done(FromGrpc(status, address));
    } else {
      const bool late = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
      const std::string reason = status.error_message().empty() ? "no worker answers there" : status.error_message();
      call->done(absl::UnavailableError(absl::StrCat(address, ": ", late ? "no answer in time" : reason)));
    }
    MutexLock lock(&mutex_);
    if (std::is_same_v<Request, PingRequest> && !status.ok()) doubtful_.insert(address);
    --peer->calls;
    if (peer->retired_at != absl::InfiniteFuture()) peer->retired_at = absl::Now();
    under_way_.erase(&call->context);
    if (under_way_.empty()) idle_.NotifyAll();
  };
  Begin(peer->stub->async(), &call->context, call->request, &call->reply, finish);
}

template void WorkerClient::Call(const std::string&, const PingRequest&, Done<PingReply>);
template void WorkerClient::Call(const std::string&, const AssignRequest&, Done<AssignReply>);
template void WorkerClient::Call(const std::string&, const PrepareRequest&, Done<PrepareReply>);
template void WorkerClient::Call(const std::string&, const FoldRequest&, Done<FoldReply>);
template void WorkerClient::Call(const std::string&, const LookUpRequest&, Done<LookUpReply>);

}  // namespace tenfold
