#include "common/text/shown_text.h"

#include <cstddef>

#include "absl/strings/ascii.h"
#include "fmt/format.h"

namespace tenfold {

std::string Shown(std::string_view text) {
  constexpr size_t kMaxShownBytes = 120;
  std::string shown;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool starts_character = (byte & 0xc0) != 0x80;
    if (starts_character && i >= kMaxShownBytes) return shown + "...";
    if (absl::ascii_iscntrl(byte)) {
      shown += fmt::format("\\x{:02x}", byte);
    } else {
      shown += text[i];
    }
  }
  return shown;
}

std::string Quoted(std::string_view text) { return "'" + Shown(text) + "'"; }

}  // namespace tenfold
