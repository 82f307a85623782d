// Sample events: `pageID|clicks|minutes|like`, as the sample program of the original article makes them. Pure, with
// seeded random numbers: equal seeds give equal events. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace tenfold {

class SampleEvents {
 public:
  // The pages are page1 to page<pages>.
  SampleEvents(uint64_t seed, uint32_t pages);

  // Returns an event such as "page37|5|1.5119122|-1": clicks 0 to 9, minutes below 10 as a JVM prints a float, like 1, 0 or
  // -1.
  std::string Next();
  // Returns the size of the next burst, in [low, high].
  uint32_t Burst(uint32_t low, uint32_t high);

 private:
  std::mt19937_64 random_;
  const uint32_t pages_;
};

}  // namespace tenfold
