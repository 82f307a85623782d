#include "common/text/duration.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace tenfold {

absl::StatusOr<absl::Duration> ParseDuration(std::string_view text) {
  constexpr size_t kMaxDigits = 9;
  int64_t count = 0;
  size_t digits = 0;
  while (digits < text.size() && digits <= kMaxDigits && text[digits] >= '0' && text[digits] <= '9') {
    count = 10 * count + (text[digits++] - '0');
  }
  if (digits > 0 && digits <= kMaxDigits) {
    const std::string_view unit = text.substr(digits);
    if (unit == "ms") return absl::Milliseconds(count);
    if (unit == "s") return absl::Seconds(count);
    if (unit == "m") return absl::Minutes(count);
    if (unit == "h") return absl::Hours(count);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "'", std::string(text), "' is no duration: write a whole number with ms, s, m or h, such as 250ms or 2s"));
}

}  // namespace tenfold
