// Upper and lower case of single letters, by a table of our own: a state must not depend on the version of a library. Pure.
#pragma once

#include <cstdint>

namespace tenfold {

// Return the letter that the code point maps to; itself where it has none, or more than one, as U+00DF has.
uint32_t LowerCase(uint32_t letter);
uint32_t UpperCase(uint32_t letter);

}  // namespace tenfold
