// Schemas of a registry that name types of other schemas there. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace tenfold {

// Returns the schema with the definitions of types that it names and does not define, taken from the others, where it names
// them first, so that it stands alone; without defaults, comments and what else readers need not. INVALID_ARGUMENT, with a
// clause on why, for what is no JSON, nests too deep or is too large; a type that is nowhere stays a name.
absl::StatusOr<std::string> WithReferences(std::string_view schema, const std::vector<std::string>& others);

}  // namespace tenfold
