// Suggests the known name that a mistyped one probably stands for. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenfold {

// Returns " (did you mean NAME?)" with the candidate closest to `name`, or "" if none is close.
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace tenfold
