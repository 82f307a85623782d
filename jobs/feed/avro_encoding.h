// Writes values as Avro encodes them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenfold {

// An int or a long, the symbol of an enum, the branch of a union, or how many items a block has.
inline void AppendAvroLong(int64_t number, std::string* bytes) {
  uint64_t rest = (static_cast<uint64_t>(number) << 1) ^ static_cast<uint64_t>(number >> 63);
  for (; rest >= 0x80; rest >>= 7) *bytes += static_cast<char>((rest & 0x7f) | 0x80);
  *bytes += static_cast<char>(rest);
}

// A string, or bytes.
inline void AppendAvroText(std::string_view text, std::string* bytes) {
  AppendAvroLong(static_cast<int64_t>(text.size()), bytes);
  bytes->append(text);
}

}  // namespace tenfold
