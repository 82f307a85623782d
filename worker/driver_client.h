// The worker's heartbeat to the driver. Used by one thread.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "driver.pb.h"

namespace tenfold {

class DriverClient {
 public:
  // Connects with the first heartbeat, and again whenever the connection is lost.
  explicit DriverClient(const std::string& address);
  ~DriverClient();

  // PERMISSION_DENIED if the driver will never admit the worker; UNAVAILABLE or DEADLINE_EXCEEDED if it is not reached;
  // CANCELLED once `stop` is asked for.
  absl::StatusOr<HeartbeatReply> Heartbeat(const HeartbeatRequest& request, absl::Duration timeout,
                                           const std::stop_token& stop);

 private:
  struct Connection;
  const std::unique_ptr<Connection> connection_;
};

}  // namespace tenfold
