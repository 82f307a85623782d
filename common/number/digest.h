// R4's digest of a state: the sum over its rows of h * (c0*count + c1*sum + c2*second sum + ...), mod 2^128. It is linear in
// count and sums, so a delta updates the digest without the row's old value. Heights among the sums are left out, as what a
// delta adds to one depends on it; the row has the sum of the same numbers beside it. Pure.
//
// The frame of a row is its pane, 8 bytes little endian and 0, then the key's bytes.
// h = high64 * 2^64 + low64 of the frame's XXH3-128 (seed 0, default secret), with its lowest bit set. count is
// unsigned; sum, in units of 1e-9, is two's complement: a negative one counts as 2^128 + sum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/number/height.h"
#include "common/number/units.h"

namespace tenfold {

// c0 and c1: the XXH3-128 of the ASCII texts "tenfold digest count" and "tenfold digest sum", which are both odd.
inline constexpr Uint128 kDigestCountFactor = (Uint128{0x958164a6c69e15ce} << 64) | 0x20f365737a1c32ab;
inline constexpr Uint128 kDigestSumFactor = (Uint128{0xd803c6197732d00c} << 64) | 0x200b05be043c9889;

// Returns c_m, for m >= 2: the XXH3-128 of the text "tenfold digest sum M" with its lowest bit set. A row has at most
// kMaxSums sums.
Uint128 DigestFactor(size_t m);

// Returns what a delta of a key, or its whole row, adds to the digest. `others` are the sums behind the first.
Uint128 DigestTerm(std::string_view key, uint64_t count, Units sum, std::span<const Units> others = {},
                   HeightSet heights = {});

}  // namespace tenfold
