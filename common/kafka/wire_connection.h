// A plain connection to a broker, over which Kafka's protocol is spoken without librdkafka. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/text/address.h"

namespace tenfold {

class WireConnection {
 public:
  // UNAVAILABLE, naming the broker, if that cannot be reached until the deadline.
  static absl::StatusOr<WireConnection> Connect(const Address& broker, absl::Time deadline);
  ~WireConnection();
  WireConnection(WireConnection&& other) noexcept
      : broker_(std::move(other.broker_)), fd_(std::exchange(other.fd_, -1)), last_(other.last_) {}
  WireConnection& operator=(WireConnection&&) = delete;

  // Asks with a call of a flexible version, and returns the answer behind its header; 16 MiB at most. UNAVAILABLE if there
  // is none until the deadline; then the connection is of no more use.
  absl::StatusOr<std::string> Call(int16_t call, int16_t version, std::string_view question, absl::Time deadline);

 private:
  WireConnection(std::string broker, int fd) : broker_(std::move(broker)), fd_(fd) {}

  absl::Status Write(std::string_view bytes, absl::Time deadline) const;
  absl::StatusOr<std::string> Read(size_t size, absl::Time deadline) const;

  std::string broker_;
  int fd_;
  // The number of the last question.
  int32_t last_ = 0;
};

}  // namespace tenfold
