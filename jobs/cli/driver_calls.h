// The CLI's side of the driver: reaching it, and what its answers mean to the user and to the exit code.
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "driver.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "jobs/cli/verbs.h"

namespace tenfold {

// How long the CLI tries to reach the driver, and waits for an answer that needs nothing but the driver.
inline constexpr absl::Duration kDriverTimeout = absl::Seconds(5);
// For answers that need Kafka, on which the driver gives up earlier than this.
inline constexpr absl::Duration kKafkaAnswerTimeout = absl::Seconds(10);

// Connects to --driver, trying for kDriverTimeout. Returns a stub in any case: if the driver could not be reached, the
// next call fails at once and says why.
std::unique_ptr<DriverService::Stub> ConnectDriver(const CliGlobals& globals);

// Every call has a deadline; a call that waits on the driver's side adds that wait to kDriverTimeout.
void SetDeadline(grpc::ClientContext* context, absl::Duration timeout);

// Whether the call failed between here and the driver: no answer of the driver's.
bool IsDriverLost(const grpc::Status& status);

// Says one sentence on stderr and returns the exit code of a failed call.
int ReportError(const CliGlobals& globals, const grpc::Status& status);

}  // namespace tenfold
