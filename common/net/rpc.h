// Channels and servers of Tenfold's processes, all configured alike (gRPC 1.51), and how statuses cross the network.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"

namespace tenfold {

// Returns a channel that connects with its first call and reconnects within about a second. While calls are in flight it
// pings the peer, and gives a connection up that is dead for 5 s. It ignores http_proxy.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address);

// Starts a server that listens on HOST:PORT, or on any free port if PORT is 0; `port` receives the port.
// FAILED_PRECONDITION, naming the address, if it is in use or is not this machine's. Two servers never share a port.
absl::StatusOr<std::unique_ptr<grpc::Server>> StartServer(const std::string& address, grpc::Service* service, int* port);

// Refuses further calls and waits for those under way, which are cancelled after half of the time. Those that have not ended
// within `limit` go on until the process ends, and so does their server; then it returns false.
bool StopServer(std::unique_ptr<grpc::Server> server, absl::Duration limit);

// Converts the status of a service's method. It marks the status as the service's own; every method returns through it.
grpc::Status ToGrpc(const absl::Status& status);
// Ends a service's method: moves the result into `reply`, or returns its error.
template <typename Reply>
grpc::Status Answer(absl::StatusOr<Reply> from, Reply* reply) {
  if (!from.ok()) return ToGrpc(from.status());
  *reply = *std::move(from);
  return grpc::Status::OK;
}
// Whether the peer's service made the status; false if gRPC made it, at either end.
bool IsPeersAnswer(const grpc::Status& status);
// Converts a status that a call returned, with `context` ("heartbeat to 127.0.0.1:7070"), unless empty, before its message.
absl::Status FromGrpc(const grpc::Status& status, const std::string& context);

}  // namespace tenfold
