// Text from outside, as terminals and messages show it. All of Tenfold escapes it here. Pure.
#pragma once

#include <string>
#include <string_view>

namespace tenfold {

// Returns the text with control characters, ASCII or not, and bytes that are not UTF-8 written as \xNN.
std::string Printable(std::string_view text);
// Returns the Printable text, shortened to fit on one line.
std::string Shown(std::string_view text);
// Returns the Shown text in single quotes.
std::string Quoted(std::string_view text);

}  // namespace tenfold
