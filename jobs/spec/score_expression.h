// The score of a job spec: a sum of constant times field, such as `0.8*clicks + 0.8*minutes + like`. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tenfold {

struct ParsedScore {
  struct Term {
    // With its sign; "1" or "-1" where none is written.
    std::string constant;
    std::string field;
    // Where they begin in the text; the constant's sign apart.
    size_t constant_at = 0;
    size_t field_at = 0;
  };
  std::vector<Term> terms;
  // Why the text is refused, and where; empty if it is not.
  std::string error;
  size_t error_at = 0;
};

// Whether fields exist and constants are within limits is not checked here.
ParsedScore ParseScore(std::string_view text);

// [A-Za-z_][A-Za-z0-9_]*: what a score can name.
bool IsFieldName(std::string_view name);

}  // namespace tenfold
