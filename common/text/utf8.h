// Checks whether text is UTF-8. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace tenfold {

// Whether every byte is below 0x80. Reads eight bytes at a time, since nearly all keys are short and ASCII.
inline bool IsAscii(std::string_view text) {
  constexpr uint64_t kHighBits = 0x8080'8080'8080'8080;
  const char* const p = text.data();
  const size_t size = text.size();
  uint64_t seen = 0;
  if (size < sizeof(seen)) {
    for (const char c : text) seen |= static_cast<uint8_t>(c);
    return (seen & kHighBits) == 0;
  }
  const auto eight_bytes = [p](size_t at) {
    uint64_t word;
    std::memcpy(&word, p + at, sizeof(word));
    return word;
  };
  for (size_t at = 0; at + sizeof(seen) <= size; at += sizeof(seen)) seen |= eight_bytes(at);
  return ((seen | eight_bytes(size - sizeof(seen))) & kHighBits) == 0;
}

// The general path of IsUtf8, by simdjson.
bool IsUtf8Beyond(std::string_view text);
// Whether the text is UTF-8 by RFC 3629: overlong forms, surrogates and code points beyond U+10FFFF are not.
inline bool IsUtf8(std::string_view text) { return IsAscii(text) || IsUtf8Beyond(text); }

// Appends a code point that is no surrogate.
void AppendUtf8(uint32_t code, std::string* text);

}  // namespace tenfold
