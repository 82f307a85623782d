#include "worker/driver_client.h"

#include <chrono>

#include "common/net/rpc.h"
#include "driver.grpc.pb.h"

namespace tenfold {

struct DriverClient::Connection {
  std::unique_ptr<DriverService::Stub> stub;
};

DriverClient::DriverClient(const std::string& address) : address_(address) {}

DriverClient::~DriverClient() = default;

absl::StatusOr<HeartbeatReply> DriverClient::Heartbeat(const HeartbeatRequest& request, absl::Duration timeout,
                                                       const std::stop_token& stop) {
  if (connection_ == nullptr)
    connection_ = std::make_unique<Connection>(Connection{DriverService::NewStub(MakeChannel(address_))});
  grpc::ClientContext context;
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  HeartbeatReply reply;
  const grpc::Status sent = connection_->stub->Heartbeat(&context, request, &reply);
  if (!IsPeersAnswer(sent)) connection_.reset();
  if (!sent.ok()) return FromGrpc(sent, "");
  return reply;
}

}  // namespace tenfold
