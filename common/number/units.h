// The one number type of sums: signed 128-bit multiples of 1e-9, and its forms in messages. Thread-safe: plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "state.pb.h"

namespace tenfold {

__extension__ typedef __int128 Units;
__extension__ typedef unsigned __int128 Uint128;

inline constexpr int64_t kUnitsPerOne = 1'000'000'000;

// R1's one text form: no exponent, no trailing zeros, no -0; e.g. "2.2", "-0.5", "17".
std::string FormatUnits(Units units);

// Reads any valid number (R1) that is exactly a multiple of 1e-9 and below 2^kInitialScoreBits units in size.
// INVALID_ARGUMENT says which of these it is not.
absl::StatusOr<Units> ParseUnits(std::string_view text);

Units FromProto(const Int128& value);
Int128 ToProto(Units value);
Uint128 FromProto(const Digest& value);
Digest ToProto(Uint128 value);

// The form on disk, short for small values: zigzag (0, -1, 1, -2, ...), then seven bits a byte, low ones first; all but the
// last byte have the high bit set.
inline constexpr size_t kMaxEncodedUnits = 19;
// Returns how many of `out`'s bytes it took.
size_t EncodeUnits(Units value, char* out);
// Takes a value from the front of `in`; false if there is none.
bool DecodeUnits(std::string_view* in, Units* value);

}  // namespace tenfold
