// A progress line on stderr with count, rate and time left, redrawn a few times a second. Prints nothing unless
// stderr is a terminal.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace tenfold {

class Progress {
 public:
  // For example "produced" and "records". `total` is 0 if it is not known.
  Progress(std::string verb, std::string unit, uint64_t total);
  // Erases the line.
  ~Progress();
  void Update(uint64_t done);

 private:
  const std::string verb_;
  const std::string unit_;
  const uint64_t total_;
  const bool terminal_;
  const absl::Time start_;
  absl::Time drawn_;
};

}  // namespace tenfold
