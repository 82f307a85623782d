// The digests of a job's panes in a shard's state: what folding adds to them, and what dropping the rows of final windows
// takes away. The state's digest, which the journal has, is the sum of all panes' and of what was dropped, so that it does
// not depend on what was. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/number/units.h"
#include "common/table/delta.h"
#include "state.pb.h"

namespace tenfold {

// Adds deltas of row keys to the state's digests. Those of no later window than `closed_through`, of which nobody asks any
// more, are taken out, and count as dropped.
void AddToPanes(std::optional<int64_t> closed_through, std::vector<Delta>* deltas, ShardState* state);

// Has the panes of no later window than `closed_through` as dropped. Returns what all row keys that stay are not below;
// empty if there is nothing to drop.
std::string DropPanes(int64_t closed_through, ShardState* state);

}  // namespace tenfold
