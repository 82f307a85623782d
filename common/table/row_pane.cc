#include "common/table/row_pane.h"

namespace tenfold {

void RowPane::Append(std::string* text) const {
  for (int shift = 56; shift >= 0; shift -= 8) *text += static_cast<char>(number_ >> shift);
}

RowPane RowPane::Of(std::string_view row_key) {
  uint64_t number = 0;
  for (size_t i = 0; i < kBytes; ++i) number = number << 8 | static_cast<unsigned char>(row_key[i]);
  return RowPane(number);
}

}  // namespace tenfold
