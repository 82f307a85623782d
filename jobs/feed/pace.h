// Tells how many events are due at a steady rate. Used by one thread at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tenfold {

class Pace {
 public:
  // `rate` is in events per second, at least 1.
  explicit Pace(uint64_t rate) : rate_(static_cast<double>(rate)), since_(absl::Now()) {}

  // Returns the number of events due since the last call. The first is due at once; a stall is made up for by at most 1 s.
  uint64_t Due() {
    const absl::Time now = absl::Now();
    const double arrears = Scheduled(now) - static_cast<double>(taken_);
    const double most = std::max(1.0, rate_ * absl::ToDoubleSeconds(kMaxArrears));
    if (arrears > most) since_ += absl::Seconds((arrears - most) / rate_);
    return static_cast<uint64_t>(std::max(0.0, std::floor(std::min(arrears, most))));
  }
  void Take(uint64_t events) { taken_ += events; }
  // Returns the time until the next event is due, but at least a few milliseconds.
  absl::Duration UntilNext() const {
    const double missing = static_cast<double>(taken_) + 1 - Scheduled(absl::Now());
    return std::max(kShortestSleep, absl::Seconds(missing / rate_));
  }

 private:
  static constexpr absl::Duration kMaxArrears = absl::Seconds(1);
  static constexpr absl::Duration kShortestSleep = absl::Milliseconds(5);

  double Scheduled(absl::Time now) const { return 1 + rate_ * absl::ToDoubleSeconds(now - since_); }

  const double rate_;
  absl::Time since_;
  uint64_t taken_ = 0;
};

}  // namespace tenfold
