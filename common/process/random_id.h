// Names for what must never be mistaken for another: clusters, jobs, workers, processes. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace tenfold {

// From the operating system's random numbers.
uint64_t RandomNumber();
// 16 hexadecimal digits: short enough to read out, and with 64 bits unique in any cluster's life.
std::string RandomId();

}  // namespace tenfold
