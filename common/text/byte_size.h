// Sizes as people write them in flags: an integer with KiB, MiB or GiB. Pure.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"

namespace tenfold {

// Parses "64MiB", "2GiB": at most six digits, no sign, no blanks. INVALID_ARGUMENT is a sentence that quotes the text.
absl::StatusOr<size_t> ParseByteSize(std::string_view text);

}  // namespace tenfold
