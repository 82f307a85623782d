// R4's digest of a state: mod 2^128, the sum over rows of h * (c0*count + c1*sum), h = XXH3-128 of the framed (pane, key)
// made odd. Linear, so each delta updates it without the row's old value. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/units.h"

namespace tenfold {

// What a delta (or a whole row) of a key adds to the digest. The frame is the pane, 8 bytes little endian and 0 while a
// job has no windows, then the key's bytes.
Uint128 DigestTerm(std::string_view key, uint64_t count, Units sum);

}  // namespace tenfold
