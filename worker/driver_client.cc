#include "worker/driver_client.h"

#include <chrono>

#include "common/net/rpc.h"
#include "driver.grpc.pb.h"

namespace tenfold {

struct DriverClient::Connection {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<DriverService::Stub> stub;
};

DriverClient::DriverClient(const std::string& address) : address_(address) {}

DriverClient::~DriverClient() = default;

absl::StatusOr<HeartbeatReply> DriverClient::Heartbeat(const HeartbeatRequest& request, absl::Duration timeout,
                                                       const std::stop_token& stop) {
  // A connection that is being made, which may take long, is not begun anew. It goes here and not where its call ends:
  // gRPC 1.51 may abort ("prior > 0") if the last reference to a channel goes there.
  if (doubtful_ && connection_->channel->GetState(false) == GRPC_CHANNEL_READY) connection_.reset();
  if (connection_ == nullptr) {
    connection_ = std::make_unique<Connection>();
    connection_->channel = MakeChannel(address_);
    connection_->stub = DriverService::NewStub(connection_->channel);
  }
  grpc::ClientContext context;
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  HeartbeatReply reply;
  const grpc::Status sent = connection_->stub->Heartbeat(&context, request, &reply);
  doubtful_ = !IsPeersAnswer(sent);
  if (!sent.ok()) return FromGrpc(sent, "");
  return reply;
}

}  // namespace tenfold
