// The second implementation of LogReader, which speaks Kafka's protocol itself (Fetch of version 12 or 13) and hands out
// views of what brokers sent.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/kafka/log.h"

namespace tenfold {

class WireReader : public LogReader {
 public:
  // Returns why the wire reader cannot serve this configuration, "" if it can.
  static std::string Unfit(const LogConfig& config);
  // INVALID_ARGUMENT, naming the address or the property that is wrong.
  static absl::StatusOr<std::unique_ptr<WireReader>> Create(const LogConfig& config);

  // Why a broker, or what it holds, has to be read by another reader; "" as long as nothing does. Then Poll delivers nothing
  // more.
  virtual std::string Unsupported() const = 0;
  // Where each partition goes on behind what was delivered.
  virtual std::vector<Start> Positions() const = 0;
};

}  // namespace tenfold
