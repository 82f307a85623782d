// The places of fields in records of JSON and of formats with schemas: m.clicks, items[0].name, headers["x-id"], tags[*].
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenfold {

struct JsonPath {
  struct Step {
    // A member's name; or, if `index` is set, an item of an array.
    std::string name;
    std::optional<uint32_t> index;
    friend bool operator==(const Step&, const Step&) = default;
  };
  std::vector<Step> steps;
  // The path ends with [*]: all items of an array.
  bool each = false;
  friend bool operator==(const JsonPath&, const JsonPath&) = default;
};

// Returns nullopt and the reason for a text that is no path. A name without quotes is of letters, digits, _ and -, and $.
std::optional<JsonPath> ParseJsonPath(std::string_view text, std::string* error);

}  // namespace tenfold
