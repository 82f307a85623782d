#include "common/text/shown_text.h"

#include <algorithm>
#include <cstddef>

#include "common/text/utf8.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

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
    if (length == 0) {
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
