// Which driver a worker obeys: one whose epoch is no lower than the highest that it has obeyed, which it keeps on disk
// before it does what that driver asks (driver/core/epoch.h). Pure.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tenfold {

// FAILED_PRECONDITION, saying what to do, if a driver of this epoch is not obeyed any more.
inline absl::Status CheckEpoch(uint64_t highest, uint64_t epoch) {
  if (epoch >= highest) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "it has obeyed a later driver of this cluster (epoch ", highest, ", and this one's is ", epoch,
      "): this one has an older copy of the journal, or another one runs, or one on an older copy ran meanwhile. Stop "
      "this one; if it has the latest journal and no other runs, start it with --restored"));
}

}  // namespace tenfold
