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
  // The last batch of the job that a sink has; 0 if that is not known.
  struct Last {
    uint64_t batch = 0;
    // Its line, without the newline.
    std::string line;
  };
  // Makes the sink ready; called before each line. Returns the last batch that the sink has if it looked for that anew.
  virtual absl::StatusOr<Last> Prepare() = 0;
  // Appends the line and a newline. After an error the line may be there or not, and is appended again. CANCELLED once
  // `stop` is asked for, within a second.
  virtual absl::Status Append(const std::string& line, const std::stop_token& stop) = 0;
};

}  // namespace tenfold
