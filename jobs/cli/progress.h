// Progress of long work: one line on stderr, redrawn a few times a second with count, rate and time left; silent unless
// stderr is a terminal.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace tenfold {

class Progress {
 public:
  // "produced", "records"; `total` 0 if unknown.
  Progress(std::string verb, std::string unit, uint64_t total);
  // Removes the line.
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
