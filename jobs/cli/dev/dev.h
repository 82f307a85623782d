// The job spec of `tenfold dev`.
#pragma once

#include <string_view>

namespace tenfold {

// Returns the YAML text: jobs/popularity.yaml without its sinks.
std::string_view DevSpec();

}  // namespace tenfold
