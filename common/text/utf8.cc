#include "common/text/utf8.h"

#include "simdjson.h"

namespace tenfold {

void AppendUtf8(uint32_t code, std::string* text) {
  const auto byte = [text](uint32_t value) { *text += static_cast<char>(value); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xc0 | (code >> 6));
    byte(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    byte(0xe0 | (code >> 12));
    byte(0x80 | ((code >> 6) & 0x3f));
    byte(0x80 | (code & 0x3f));
  } else {
    byte(0xf0 | (code >> 18));
    byte(0x80 | ((code >> 12) & 0x3f));
    byte(0x80 | ((code >> 6) & 0x3f));
    byte(0x80 | (code & 0x3f));
  }
}

bool IsUtf8Beyond(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

}  // namespace tenfold
