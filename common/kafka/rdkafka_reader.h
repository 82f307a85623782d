// The implementation of LogReader that reads with librdkafka.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/kafka/log.h"

namespace tenfold {

// `why` is why it reads and not the wire reader. INVALID_ARGUMENT, naming the address or the property that is wrong.
absl::StatusOr<std::unique_ptr<LogReader>> MakeRdkafkaReader(const LogConfig& config, std::string why);

}  // namespace tenfold
