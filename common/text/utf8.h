// Whether text is UTF-8. Pure.
#pragma once

#include <string_view>

namespace tenfold {

// Overlong forms, surrogates and code points beyond U+10FFFF are not.
bool IsUtf8(std::string_view text);

}  // namespace tenfold
