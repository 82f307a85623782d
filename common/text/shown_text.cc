#include "common/text/shown_text.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "common/text/utf8.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

// Whether a character is one that nobody sees, or takes for an ASCII blank. The joiners of scripts and of emoji are none.
bool IsUnseen(uint32_t character) {
  constexpr std::array<std::pair<uint32_t, uint32_t>, 9> kUnseen = {{{0xa0, 0xa0},
                                                                     {0xad, 0xad},
                                                                     {0x1680, 0x1680},
                                                                     {0x180e, 0x180e},
                                                                     {0x2000, 0x200b},
                                                                     {0x200e, 0x200f},
                                                                     {0x2028, 0x202f},
                                                                     {0x205f, 0x206f},
                                                                     {0xfeff, 0xfeff}}};
  return std::ranges::any_of(
      kUnseen, [character](const auto& range) { return range.first <= character && character <= range.second; });
}

// The code point of a character of UTF-8 with two or three bytes; 0 of others, which are all seen.
uint32_t CodePoint(std::string_view character) {
  const auto bits = [character](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(character[i]) & 0x3f); };
  const auto first = static_cast<uint32_t>(static_cast<unsigned char>(character[0]));
  if (character.size() == 2) return (first & 0x1f) << 6 | bits(1);
  return character.size() == 3 ? (first & 0x0f) << 12 | bits(1) << 6 | bits(2) : 0;
}

// Returns the length of the first character of `text`, or 0 if it is a control character or not UTF-8.
size_t PrintableLength(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::string_view character = text.substr(0, first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4);
  // U+0080 to U+009f are controls too.
  return IsUtf8(character) && character >= "\xc2\xa0" ? character.size() : 0;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string printable;
  while (!text.empty()) {
    const size_t length = PrintableLength(text);
    if (const uint32_t point = length == 0 ? 0 : CodePoint(text.substr(0, length)); IsUnseen(point)) {
      printable += fmt::format("\\u{:04x}", point);
    } else if (length == 0) {
      printable += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
    } else {
      printable += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return printable;
}

std::string Shown(std::string_view text) {
  constexpr size_t kMaxShownBytes = 120;
  if (text.size() <= kMaxShownBytes) return Printable(text);
  size_t end = kMaxShownBytes;
  while (end < text.size() && (text[end] & 0xc0) == 0x80) ++end;
  return Printable(text.substr(0, end)) + (end < text.size() ? "..." : "");
}

std::string Quoted(std::string_view text) { return "'" + Shown(text) + "'"; }

}  // namespace tenfold
