// One kind of sink, to which lines are delivered. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tenfold {

class SinkTarget {
 public:
  virtual ~SinkTarget() = default;
  // Makes the sink ready; called before each line. Returns the last batch that the sink has, or 0 if that is not known.
  virtual absl::StatusOr<uint64_t> Prepare() = 0;
  // Appends the line and a newline. After an error the line may be there or not, and is appended again. CANCELLED once
  // `stop` is asked for, within a second.
  virtual absl::Status Append(const std::string& line, const std::stop_token& stop) = 0;
};

}  // namespace tenfold
