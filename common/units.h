// The one number type of sums: signed 128-bit multiples of 1e-9, and its forms in messages. Thread-safe: plain values.
#pragma once

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

// Sixteen bytes, little endian, two's complement: the form on disk.
void EncodeUnits(Units value, char* out);
Units DecodeUnits(const char* in);

}  // namespace tenfold
