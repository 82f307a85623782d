// Text from outside, as terminals and messages show it. All of Tenfold escapes it here. Pure.
#pragma once

#include <string>
#include <string_view>

namespace tenfold {

// Returns the text with control characters, ASCII or not, and bytes that are not UTF-8 written as \xNN, and with characters
// that nobody sees (blanks that are no ASCII blank, of width 0, that turn the direction of writing, a byte order mark)
// written as \uNNNN.
std::string Printable(std::string_view text);
// Returns the Printable text, shortened to fit on one line.
std::string Shown(std::string_view text);
// Returns the Shown text in single quotes.
std::string Quoted(std::string_view text);

}  // namespace tenfold
