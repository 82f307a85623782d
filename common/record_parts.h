// What a record of the log has beside its value, as readers give it and expressions see it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace tenfold {

// Views are valid as long as the record.
struct RecordParts {
  struct Header {
    std::string_view name;
    // Nullopt for null.
    std::optional<std::string_view> value;
  };
  // In milliseconds since 1970; below 0 if the record has none.
  int64_t timestamp_ms = -1;
  // Nullopt for null.
  std::optional<std::string_view> key = std::nullopt;
  // In their order; a name may come again.
  std::vector<Header> headers = {};
};

}  // namespace tenfold
