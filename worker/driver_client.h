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
  // Connects with the first heartbeat, and again whenever the connection is lost, or an answer does not come: nobody says
  // so where a connection is forgotten on its way, or the driver's name leads to another address now.
  explicit DriverClient(const std::string& address);
  ~DriverClient();

  // PERMISSION_DENIED if the driver will never admit the worker, ABORTED if a younger process has its id; UNAVAILABLE or
  // DEADLINE_EXCEEDED if it is not reached; CANCELLED once `stop` is asked for.
  absl::StatusOr<HeartbeatReply> Heartbeat(const HeartbeatRequest& request, absl::Duration timeout,
                                           const std::stop_token& stop);

 private:
  const std::string address_;
  struct Connection;
  // Null before the first heartbeat.
  std::unique_ptr<Connection> connection_;
  // The last heartbeat had no answer, so the connection may be dead.
  bool doubtful_ = false;
};

}  // namespace tenfold
