#include "common/net/rpc.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/text/address.h"
#include "glog/logging.h"
#include "grpc/support/log.h"
#include "grpcpp/resource_quota.h"

namespace tenfold {
namespace {

// A call that waits keeps its thread; beyond this many, calls are refused as RESOURCE_EXHAUSTED. Services let fewer wait,
// so that the others always find one.
constexpr int kMaxServerThreads = 256;
static_assert(kMaxWaitingCalls <= kMaxServerThreads / 2);

constexpr int kInitialBackoffMs = 100;
constexpr int kMaxBackoffMs = 1000;
// gRPC's "minimum reconnect backoff" is how long one attempt to connect may take.
constexpr int kConnectTimeoutMs = 2000;
// Keepalives give dead connections up: without them one that is forgotten on its way (a NAT, a proxy, a host that
// vanished) stays "ready" for 16 minutes.
constexpr int kKeepaliveMs = 2000;
constexpr int kKeepaliveTimeoutMs = 3000;

// Binds the address to learn why gRPC could not, as gRPC does not report it. Empty if binding succeeds.
std::string WhyNotBound(const Address& address) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) return gai_strerror(error);
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::strerror(errno);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  // Set by gRPC too, so that lingering connections of an earlier process do not matter.
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, 1) == 0) return "";
  return std::strerror(errno);
}

// Writes gRPC's messages to glog; by default gRPC writes to stderr itself.
void LogOfGrpc(gpr_log_func_args* args) {
  // StartServer reports an address that it cannot listen on, in a sentence.
  if (absl::StrContains(args->file, "chttp2_server.cc")) {
    VLOG(1) << "gRPC: " << args->message;
    return;
  }
  const google::LogSeverity severity = args->severity == GPR_LOG_SEVERITY_ERROR ? google::GLOG_WARNING : google::GLOG_INFO;
  google::LogMessage(args->file, args->line, severity).stream() << "gRPC: " << args->message;
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  gpr_set_log_function(&LogOfGrpc);
  grpc::ChannelArguments arguments;
  // gRPC sends even loopback through http_proxy (#9989), and by default backs off for up to two minutes (#11411).
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kInitialBackoffMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxBackoffMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  // Every channel has its own connection and backoff, even if another one of the process has the same address.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

absl::StatusOr<std::unique_ptr<grpc::Server>> StartServer(const std::string& address, grpc::Service* service, int* port) {
  const absl::StatusOr<Address> parsed = ParseAddress(address);
  if (!parsed.ok())
    return absl::FailedPreconditionError(absl::StrCat("cannot listen on ", address, ": ", parsed.status().message()));
  gpr_set_log_function(&LogOfGrpc);
  grpc::ServerBuilder builder;
  // By default two servers would share the port silently (#17298).
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // By default a server ends connections whose client pings as often as ours (too_many_pings, #33661).
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kKeepaliveMs / 2);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  grpc::ResourceQuota quota;
  quota.SetMaxThreads(kMaxServerThreads);
  builder.SetResourceQuota(quota);
  *port = 0;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), port);
  builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || *port == 0) {
    const std::string why = WhyNotBound(*parsed);
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen on ", address, ": ", why.empty() ? "gRPC refused it" : why));
  }
  return server;
}

bool StopServer(std::unique_ptr<grpc::Server> server, absl::Duration limit) {
  const auto now = std::chrono::system_clock::now();
  std::promise<void> stopped;
  std::future<void> done = stopped.get_future();
  grpc::Server* const stopping = server.release();
  std::thread([stopping, until = now + absl::ToChronoMilliseconds(limit / 2), promise = std::move(stopped)]() mutable {
    stopping->Shutdown(until);
    promise.set_value();
  }).detach();
  if (done.wait_until(now + absl::ToChronoMilliseconds(limit)) != std::future_status::ready) return false;
  delete stopping;
  return true;
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // The smallest google.rpc.Status, as other tools expect in the details: field 1, the code. gRPC itself sends none.
  const std::string details = {'\x08', static_cast<char>(status.code())};
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()), details);
}

bool IsPeersAnswer(const grpc::Status& status) { return status.ok() || !status.error_details().empty(); }

absl::Status FromGrpc(const grpc::Status& status, const std::string& context) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(context, context.empty() ? "" : ": ", status.error_message()));
}

}  // namespace tenfold
