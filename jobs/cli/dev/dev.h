// The job that `tenfold dev` runs.
#pragma once

#include <string_view>

namespace tenfold {

// jobs/popularity.yaml without its sinks.
std::string_view DevSpec();

}  // namespace tenfold
