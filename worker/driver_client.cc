#include "worker/driver_client.h"

#include <chrono>

#include "common/net/rpc.h"
#include "driver.grpc.pb.h"

namespace tenfold {

struct DriverClient::Connection {
  std::unique_ptr<DriverService::Stub> stub;
};

DriverClient::DriverClient(const std::string& address)
    : connection_(std::make_unique<Connection>(Connection{DriverService::NewStub(MakeChannel(address))})) {}

DriverClient::~DriverClient() = default;

absl::StatusOr<HeartbeatReply> DriverClient::Heartbeat(const HeartbeatRequest& request, absl::Duration timeout,
                                                       const std::stop_token& stop) {
  grpc::ClientContext context;
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  HeartbeatReply reply;
  const absl::Status sent = FromGrpc(connection_->stub->Heartbeat(&context, request, &reply), "");
  if (!sent.ok()) return sent;
  return reply;
}

}  // namespace tenfold
