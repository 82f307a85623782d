// Durations as people write them in flags and specs. Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tenfold {

// Parses "250ms", "2s", "1.5h", "1h30m": whole milliseconds, no sign. INVALID_ARGUMENT is a sentence that quotes the text.
absl::StatusOr<absl::Duration> ParseDuration(std::string_view text);

// "90s", "2h", "250ms": a duration from 0 on, in whole milliseconds, so that ParseDuration reads it.
std::string DurationText(absl::Duration duration);

}  // namespace tenfold
