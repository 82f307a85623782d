// The patterns of expressions. They match by rules that no new version of a library or of Unicode changes. Pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "re2/re2.h"

namespace tenfold {

// Returns nullptr and the reason for a text that is no regular expression of RE2's, or one with classes of Unicode (\p{..}),
// single bytes (\C), or letters beyond ASCII whose case is to be ignored.
std::shared_ptr<const RE2> CompilePattern(std::string_view text, std::string* error);

// The same for a pattern of LIKE, where "%" is any characters, "_" is any one, and a backslash has the next one stand for
// itself. It matches only whole texts.
std::shared_ptr<const RE2> CompileLike(std::string_view text, std::string* error);

}  // namespace tenfold
