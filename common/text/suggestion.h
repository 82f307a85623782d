// "Did you mean": the known name that somebody probably meant. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenfold {

// " (did you mean NAME?)" for the candidate closest to `name`, or "" if none is close.
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace tenfold
