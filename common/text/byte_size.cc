#include "common/text/byte_size.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace tenfold {

absl::StatusOr<size_t> ParseByteSize(std::string_view text) {
  constexpr size_t kMaxDigits = 6;
  size_t count = 0;
  size_t digits = 0;
  while (digits < text.size() && digits <= kMaxDigits && text[digits] >= '0' && text[digits] <= '9') {
    count = 10 * count + static_cast<size_t>(text[digits++] - '0');
  }
  if (digits > 0 && digits <= kMaxDigits) {
    const std::string_view unit = text.substr(digits);
    if (unit == "KiB") return count << 10;
    if (unit == "MiB") return count << 20;
    if (unit == "GiB") return count << 30;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "'", std::string(text), "' is no size: write a whole number with KiB, MiB or GiB, such as 256MiB or 2GiB"));
}

}  // namespace tenfold
