// How Tenfold's processes talk: channels and servers set up the one safe way (gRPC 1.51), and statuses across the wire.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/grpcpp.h"

namespace tenfold {

// Connects lazily and reconnects within about a second; ignores http_proxy.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address);

// Listens on HOST:PORT (port 0: any) and serves. FAILED_PRECONDITION, naming the address, if it is taken or not ours;
// `port` receives the port. Two servers never share one.
absl::StatusOr<std::unique_ptr<grpc::Server>> StartServer(const std::string& address, grpc::Service* service, int* port);

// Services answer through this and nothing else: it marks the status as the peer's own.
grpc::Status ToGrpc(const absl::Status& status);
// How a service's method ends: fills `reply`, or tells the error.
template <typename Reply>
grpc::Status Answer(absl::StatusOr<Reply> from, Reply* reply) {
  if (!from.ok()) return ToGrpc(from.status());
  *reply = *std::move(from);
  return grpc::Status::OK;
}
// Whether the peer's service made the status; false if gRPC did, on either side or on the way.
bool IsPeersAnswer(const grpc::Status& status);
// Adds `context` ("heartbeat to 127.0.0.1:7070") in front of the message; "" adds nothing.
absl::Status FromGrpc(const grpc::Status& status, const std::string& context);

}  // namespace tenfold
