// Durations as people write them in flags and specs. Pure.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tenfold {

// Parses "250ms", "2s", "1.5h", "1h30m": whole milliseconds, no sign. INVALID_ARGUMENT is a sentence that quotes the text.
absl::StatusOr<absl::Duration> ParseDuration(std::string_view text);

}  // namespace tenfold
