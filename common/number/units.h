// The number type of all sums, signed 128-bit multiples of 1e-9, and its text, protobuf and disk forms. Pure.
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

// Returns R1's text form of a sum, without exponent, trailing zeros or -0: "2.2", "-0.5", "17".
std::string FormatUnits(Units units);

// Parses a valid number (R1) that is an exact multiple of 1e-9 and whose absolute value is below 2^kInitialScoreBits units.
// INVALID_ARGUMENT says which of these conditions fails.
absl::StatusOr<Units> ParseUnits(std::string_view text);

Units FromProto(const Int128& value);
Int128 ToProto(Units value);
Uint128 FromProto(const Digest& value);
Digest ToProto(Uint128 value);

// The form on disk, a zigzag varint: values in the order 0, -1, 1, -2, ..., seven bits in each byte, low bits first; every
// byte but the last has its high bit set.
inline constexpr size_t kMaxEncodedUnits = 19;
// Writes at most kMaxEncodedUnits bytes to `out` and returns how many.
size_t EncodeUnits(Units value, char* out);
// Removes a value from the front of `in`; false if there is no whole one.
bool DecodeUnits(std::string_view* in, Units* value);

}  // namespace tenfold
