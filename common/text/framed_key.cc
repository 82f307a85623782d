#include "common/text/framed_key.h"

#include <cstddef>

namespace tenfold {

void AppendKeyPart(std::string_view part, std::string* frame) {
  for (size_t zero = part.find('\0'); zero != std::string_view::npos; zero = part.find('\0')) {
    frame->append(part.substr(0, zero + 1));
    *frame += '\xff';
    part.remove_prefix(zero + 1);
  }
  frame->append(part);
  frame->append("\0\1", 2);
}

std::vector<std::string> PartsOfKey(std::string_view frame) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < frame.size(); ++i) {
    const bool ends = frame[i] == '\0' && i + 1 < frame.size() && frame[i + 1] == '\1';
    if (!ends) parts.back() += frame[i];
    if (frame[i] == '\0') ++i;
    if (ends && i + 1 < frame.size()) parts.emplace_back();
  }
  return parts;
}

std::string_view FirstPartOf(std::string_view frame) {
  const size_t end = frame.find(std::string_view("\0\1", 2));
  return end == std::string_view::npos ? frame : frame.substr(0, end + 2);
}

}  // namespace tenfold
