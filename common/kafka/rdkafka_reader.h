// The implementation of LogReader that reads with librdkafka.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/kafka/log.h"

namespace tenfold {

// INVALID_ARGUMENT, naming the address or the property that is wrong.
absl::StatusOr<std::unique_ptr<LogReader>> MakeRdkafkaReader(const LogConfig& config);

}  // namespace tenfold
