// A connection to a broker, over which Kafka's protocol is spoken without librdkafka, for single questions. Used by
// one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/text/address.h"

namespace tenfold {

class WireSocket;
struct WireSession;

class WireConnection {
 public:
  // UNAVAILABLE or PERMISSION_DENIED, naming the broker, if that cannot be reached and logged in to until the deadline.
  static absl::StatusOr<WireConnection> Connect(const Address& broker, const WireSession& session, absl::Time deadline);
  WireConnection(WireConnection&& other) noexcept;
  WireConnection& operator=(WireConnection&&) = delete;
  ~WireConnection();

  // Asks with a call of a flexible version, and returns the answer behind its header. UNAVAILABLE, naming the broker, if
  // there is none until the deadline; then the connection is of no more use.
  absl::StatusOr<std::string> Call(int16_t call, int16_t version, std::string_view question, absl::Time deadline);

 private:
  WireConnection(const Address& broker, const WireSession& session);

  // Waits until there is something to do, and does it; `late` says what the deadline means.
  absl::Status Wait(absl::Time deadline, std::string_view late);
  absl::Status Named(const absl::Status& status) const;

  std::string broker_;
  std::unique_ptr<WireSocket> socket_;
};

}  // namespace tenfold
