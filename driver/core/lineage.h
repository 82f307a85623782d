// Lineage tells two journals apart. A batch is published once, so a driver on an older copy of its journal must not give the
// numbers of lost batches to others. Workers and sinks remember the last batch that they were told of, and the job stops
// where its journal has no such batch, or another one under that number. Pure.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "journal.pb.h"
#include "state.pb.h"

namespace tenfold {

// The batch's number, and the XXH3-64 of what it says: offsets, digests and top. Unset for batch 0, which is none.
Lineage LineageOf(const BatchCommitted& batch);

// Why the job stops, as `who` ("worker w1") knows something else than its journal ("knows batch 7, and ..").
std::string ForkFailure(absl::string_view who, absl::string_view knows);

}  // namespace tenfold
