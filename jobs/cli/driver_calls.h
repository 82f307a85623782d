// The CLI's calls of the driver: connecting, deadlines, and the message and exit code of a failed call.
#pragma once

#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "driver.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "jobs/cli/verbs.h"

namespace tenfold {

// How long the CLI tries to reach the driver, and waits for an answer that needs nothing but the driver.
inline constexpr absl::Duration kDriverTimeout = absl::Seconds(5);
// The timeout of calls that need Kafka, for which the driver waits less than this.
inline constexpr absl::Duration kKafkaAnswerTimeout = absl::Seconds(10);

// Connects to --driver within kDriverTimeout. Returns a stub in any case: if the driver could not be reached, the
// next call fails at once and says why, and `connected`, if given, is false.
std::unique_ptr<DriverService::Stub> ConnectDriver(const CliGlobals& globals, bool* connected = nullptr);

// Sets the call's deadline. A call that lets the driver wait adds that time to kDriverTimeout.
void SetDeadline(grpc::ClientContext* context, absl::Duration timeout);

// Asks the driver, and once more if it is lost before it has answered: for requests that do no more when they are sent
// again.
using DriverCall = std::function<grpc::Status(DriverService::Stub* driver, grpc::ClientContext* context)>;
grpc::Status AskTwice(const CliGlobals& globals, absl::Duration timeout, const DriverCall& call);

// Whether the call failed without an answer of the driver.
bool IsDriverLost(const grpc::Status& status);

// Prints a sentence about a failed call on stderr and returns the exit code.
int ReportError(const CliGlobals& globals, const grpc::Status& status);

}  // namespace tenfold
