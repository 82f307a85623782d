#include "common/number/units.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/number/decimal.h"

namespace tenfold {
namespace {

constexpr int kUnitDigits = 9;
// A number of more digits is at least 10^37, which is over 2^kInitialScoreBits; one of as many fits 128 bits.
constexpr size_t kMaxUnitsDigits = 37;
static_assert(kInitialScoreBits <= 122);

absl::Status BadUnits(std::string_view text, const char* what) {
  return absl::InvalidArgumentError(absl::StrCat(QuoteNumber(text), " ", what));
}

uint64_t HighBits(Uint128 value) { return static_cast<uint64_t>(value >> 64); }
uint64_t LowBits(Uint128 value) { return static_cast<uint64_t>(value); }
Uint128 Join(uint64_t high, uint64_t low) { return (Uint128{high} << 64) | low; }

}  // namespace

std::string FormatUnits(Units units) {
  Uint128 left = static_cast<Uint128>(units);
  if (units < 0) left = 0 - left;
  // Written backwards: the decimals without their trailing zeros, then the whole part.
  std::string text;
  for (int i = 0; i < kUnitDigits; ++i, left /= 10) {
    const char digit = static_cast<char>('0' + static_cast<int>(left % 10));
    if (digit != '0' || !text.empty()) text.push_back(digit);
  }
  if (!text.empty()) text.push_back('.');
  do {
    text.push_back(static_cast<char>('0' + static_cast<int>(left % 10)));
    left /= 10;
  } while (left != 0);
  if (units < 0) text.push_back('-');
  std::reverse(text.begin(), text.end());
  return text;
}

absl::StatusOr<Units> ParseUnits(std::string_view text) {
  Number number;
  const NumberError error = ParseNumber(text, &number);
  if (error != NumberError::kNone) return absl::InvalidArgumentError(DescribeNumberError(text, error));
  std::string digits;
  for (const char c : text.substr(0, text.find_first_of("eE"))) {
    if (c >= '0' && c <= '9' && (c != '0' || !digits.empty())) digits.push_back(c);
  }
  if (digits.empty()) return Units{0};
  int exponent = number.exponent + kUnitDigits;
  for (; digits.back() == '0'; ++exponent) digits.pop_back();
  if (exponent < 0) return BadUnits(text, "is not a multiple of 0.000000001");

  constexpr const char* kTooLarge = "is too large; it must be below 2^120 * 1e-9, about 1.3e27, in size";
  if (digits.size() + static_cast<size_t>(exponent) > kMaxUnitsDigits) return BadUnits(text, kTooLarge);
  digits.append(static_cast<size_t>(exponent), '0');
  Units units = 0;
  for (const char c : digits) units = units * 10 + (c - '0');
  if (units >> kInitialScoreBits != 0) return BadUnits(text, kTooLarge);
  return number.negative ? -units : units;
}

Units FromProto(const Int128& value) { return static_cast<Units>(Join(static_cast<uint64_t>(value.high()), value.low())); }

Int128 ToProto(Units value) {
  Int128 message;
  message.set_high(static_cast<int64_t>(HighBits(static_cast<Uint128>(value))));
  message.set_low(LowBits(static_cast<Uint128>(value)));
  return message;
}

Uint128 FromProto(const Digest& value) { return Join(value.high(), value.low()); }

Digest ToProto(Uint128 value) {
  Digest message;
  message.set_high(HighBits(value));
  message.set_low(LowBits(value));
  return message;
}

size_t EncodeUnits(Units value, char* out) {
  Uint128 bits = (static_cast<Uint128>(value) << 1) ^ static_cast<Uint128>(value < 0 ? -1 : 0);
  size_t size = 0;
  for (; bits >= 0x80; bits >>= 7) out[size++] = static_cast<char>(0x80 | static_cast<uint8_t>(bits));
  out[size++] = static_cast<char>(bits);
  return size;
}

bool DecodeUnits(std::string_view* in, Units* value) {
  Uint128 bits = 0;
  const size_t max = std::min(in->size(), kMaxEncodedUnits);
  for (size_t i = 0; i < max; ++i) {
    const auto byte = static_cast<uint8_t>((*in)[i]);
    // Only two bits of the value are left for the last byte.
    if (i + 1 == kMaxEncodedUnits && byte > 3) return false;
    bits |= Uint128{byte & 0x7FU} << (7 * i);
    if (byte >= 0x80) continue;
    in->remove_prefix(i + 1);
    *value = static_cast<Units>((bits >> 1) ^ (~(bits & 1) + 1));
    return true;
  }
  return false;
}

}  // namespace tenfold
