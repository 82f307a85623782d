#include "common/text/utf8.h"

#include "simdjson.h"

namespace tenfold {

bool IsUtf8Beyond(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

}  // namespace tenfold
