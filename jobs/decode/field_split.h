// Cuts a record into its fields at every separator byte, eight bytes at a time, which for short records is faster than a
// call of memchr for each field. Pure.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace tenfold {

// Fills in `split`, of the size that it has. Returns false if the value has another number of fields.
[[gnu::always_inline]] inline bool SplitFields(std::string_view value, char separator,
                                               std::vector<std::string_view>* split) {
  std::vector<std::string_view>& fields = *split;
  static_assert(std::endian::native == std::endian::little);
  constexpr uint64_t kLowBits = 0x7F7F'7F7F'7F7F'7F7F;
  constexpr size_t kWord = sizeof(uint64_t);
  const char* const data = value.data();
  const size_t size = value.size();
  const size_t last = fields.size() - 1;
  size_t field = 0;
  size_t begin = 0;
  const auto cut = [&](size_t at) {
    if (field == last) return false;
    fields[field++] = {data + begin, at - begin};
    begin = at + 1;
    return true;
  };
  if (size < kWord) {
    for (size_t at = 0; at < size; ++at) {
      if (data[at] == separator && !cut(at)) return false;
    }
  } else {
    const uint64_t separators = uint64_t{static_cast<uint8_t>(separator)} * 0x0101'0101'0101'0101;
    for (size_t at = 0; at < size; at += kWord) {
      // The last word overlaps the previous one; the bytes that were seen are shifted out.
      const size_t seen = at + kWord <= size ? 0 : at + kWord - size;
      uint64_t word;
      std::memcpy(&word, data + at - seen, kWord);
      word ^= separators;
      // The highest bit of each byte that is a separator, and no other bit.
      uint64_t found = ~(((word & kLowBits) + kLowBits) | word | kLowBits) >> (8 * seen);
      for (; found != 0; found &= found - 1) {
        if (!cut(at + static_cast<size_t>(std::countr_zero(found)) / 8)) return false;
      }
    }
  }
  if (field != last) return false;
  fields[last] = {data + begin, size - begin};
  return true;
}

}  // namespace tenfold
