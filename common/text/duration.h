// Durations as people write them in flags and specs: an integer with ms, s, m or h. Pure.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tenfold {

// "250ms", "2s", "5m", "1h"; at most nine digits, no sign, no blanks. INVALID_ARGUMENT is a sentence that quotes the text.
absl::StatusOr<absl::Duration> ParseDuration(std::string_view text);

}  // namespace tenfold
