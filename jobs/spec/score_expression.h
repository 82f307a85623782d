// The score of a job spec: a sum of constant times field, such as `0.8*clicks + 0.8*minutes + like`. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tenfold {

struct ParsedScore {
  struct Term {
    // The constant with its sign; "1" or "-1" where none is written.
    std::string constant;
    std::string field;
    // The byte offsets in the text; that of the constant does not include its sign.
    size_t constant_at = 0;
    size_t field_at = 0;
  };
  std::vector<Term> terms;
  // Why the text is refused, and at which byte; empty if it is valid.
  std::string error;
  size_t error_at = 0;
};

// Parses a score. It checks neither whether the fields exist nor whether the constants are within their limits.
ParsedScore ParseScore(std::string_view text);

// Whether the name has the form [A-Za-z_][A-Za-z0-9_]*, which a score can name.
bool IsFieldName(std::string_view name);

}  // namespace tenfold
