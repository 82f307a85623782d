// Text that may hold anything, as terminals and messages show it: the one place that escapes. Pure.
#pragma once

#include <string>
#include <string_view>

namespace tenfold {

// Control characters, also those beyond ASCII, and bytes that are no UTF-8 as \xNN.
std::string Printable(std::string_view text);
// Printable, and cut where it gets long: fit for one line.
std::string Shown(std::string_view text);
// 'Shown text'.
std::string Quoted(std::string_view text);

}  // namespace tenfold
