// The decimals that floats and doubles are taken for: of the shortest ones that read back as the number, the nearest to it.
// Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace tenfold {

// The decimal as a text, with an exponent below 1e-6 and from 1e21 on, as JavaScript writes numbers; "nan" or "inf" for what
// is none.
std::string ShortestDecimal(float value);
std::string ShortestDecimal(double value);

// The same as mantissa / 10^decimals, for most that have few digits: tries this many decimals first, and then 0 to 9, or 7
// of a float. False without a result for the others.
bool ReadShortDecimal(float value, int* decimals, int64_t* mantissa);
bool ReadShortDecimal(double value, int* decimals, int64_t* mantissa);

}  // namespace tenfold
