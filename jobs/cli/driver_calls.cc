#include "jobs/cli/driver_calls.h"

#include <chrono>
#include <string>

#include "absl/strings/string_view.h"
#include "common/net/rpc.h"
#include "common/process/process.h"
#include "fmt/format.h"
#include "jobs/cli/output.h"

namespace tenfold {
namespace {

// Returns the last part of a nested message such as "failed to connect to all addresses; last error: ...: Connection
// refused".
std::string LastCause(const std::string& message) {
  const size_t colon = message.rfind(": ");
  return colon == std::string::npos ? message : message.substr(colon + 2);
}

}  // namespace

std::unique_ptr<DriverService::Stub> ConnectDriver(const CliGlobals& globals, bool* connected) {
  const std::shared_ptr<grpc::Channel> channel = MakeChannel(globals.driver);
  const bool done = channel->WaitForConnected(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(kDriverTimeout));
  if (connected != nullptr) *connected = done;
  return DriverService::NewStub(channel);
}

void SetDeadline(grpc::ClientContext* context, absl::Duration timeout) {
  context->set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
}

grpc::Status AskTwice(const CliGlobals& globals, absl::Duration timeout, const DriverCall& call) {
  grpc::Status status;
  bool connected = true;
  for (int times = 0; times < 2 && connected; ++times) {
    const std::unique_ptr<DriverService::Stub> driver = ConnectDriver(globals, &connected);
    grpc::ClientContext context;
    SetDeadline(&context, timeout);
    status = call(driver.get(), &context);
    if (!IsDriverLost(status)) break;
  }
  return status;
}

bool IsDriverLost(const grpc::Status& status) {
  if (IsPeersAnswer(status)) return false;
  // A driver that stops cancels the calls in flight.
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED || status.error_code() == grpc::StatusCode::CANCELLED;
}

int ReportError(const CliGlobals& globals, const grpc::Status& status) {
  if (IsDriverLost(status)) {
    const std::string cause =
        status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED ? "no answer in time" : LastCause(status.error_message());
    PrintError(
        fmt::format("the driver at {} is not reachable ({}); check that tenfold-driver runs there, or name it with "
                    "--driver HOST:PORT",
                    globals.driver, cause));
    return kExitUnavailable;
  }
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    PrintError(fmt::format(
        "what answers at {} is no Tenfold driver of this version; name the driver with --driver HOST:PORT", globals.driver));
    return kExitUnavailable;
  }
  PrintError(status.error_message().empty() ? fmt::format("the driver at {} failed without saying why", globals.driver)
                                            : status.error_message());
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      return kExitUnavailable;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return kExitData;
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNKNOWN:
      return kExitBug;
    default:
      return kExitRefused;
  }
}

}  // namespace tenfold
