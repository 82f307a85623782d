// Text that a user wrote, as messages show it. Pure.
#pragma once

#include <string>
#include <string_view>

namespace tenfold {

// Fit for one line: control characters escaped, cut where it gets long.
std::string Shown(std::string_view text);
// 'Shown text'.
std::string Quoted(std::string_view text);

}  // namespace tenfold
