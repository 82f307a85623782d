#include "common/text/duration.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace tenfold {

absl::StatusOr<absl::Duration> ParseDuration(std::string_view text) {
  absl::Duration duration;
  // Abseil also reads signs, "inf", and a 0 without a unit.
  const bool begins = !text.empty() && absl::ascii_isdigit(static_cast<unsigned char>(text.front())) && text != "0";
  const bool whole = begins && absl::ParseDuration({text.data(), text.size()}, &duration) &&
                     duration == absl::Floor(duration, absl::Milliseconds(1)) && duration < absl::InfiniteDuration();
  if (whole) return duration;
  return absl::InvalidArgumentError(absl::StrCat(
      "'", std::string(text), "' is no duration: write numbers with ms, s, m or h, such as 250ms, 2s or 1h30m"));
}

std::string DurationText(absl::Duration duration) {
  for (const auto& [unit, name] : {std::pair{absl::Hours(1), "h"}, {absl::Minutes(1), "m"}, {absl::Seconds(1), "s"}}) {
    if (duration != absl::ZeroDuration() && duration % unit == absl::ZeroDuration())
      return absl::StrCat(duration / unit, name);
  }
  return duration == absl::ZeroDuration() ? "0s" : absl::StrCat(absl::ToInt64Milliseconds(duration), "ms");
}

}  // namespace tenfold
