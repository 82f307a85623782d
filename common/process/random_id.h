// Ids that are unique for all practical purposes: of clusters, jobs, workers and processes. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenfold {

// Returns 64 bits from the operating system's random number generator.
uint64_t RandomNumber();
// Returns a RandomNumber as 16 hexadecimal digits.
std::string RandomId();
// Whether the text has the form of one.
bool IsRandomId(std::string_view text);

}  // namespace tenfold
