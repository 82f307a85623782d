// Keys of several parts: a frame has each part with its zero bytes as 0x00 0xff and 0x00 0x01 at its end, so that frames of
// different parts differ, and sort as their parts do. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenfold {

void AppendKeyPart(std::string_view part, std::string* frame);

// The parts of a frame. Of other bytes some texts.
std::vector<std::string> PartsOfKey(std::string_view frame);

// The bytes of a frame's first part with its end; all of what has no end.
std::string_view FirstPartOf(std::string_view frame);

}  // namespace tenfold
