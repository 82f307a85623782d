// Decides which worker owns which shard of a job, and which worker prepares one to take it over. A pure function of what is
// journalled and of who is live, so that a driver that starts again decides the same.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "journal.pb.h"

namespace tenfold {

struct AssignmentInput {
  // Entry s is shard s; shorter than `shards` if partitions were added since.
  std::vector<ShardAssignment> current;
  size_t shards = 0;
  // Workers within their lease, with the number of shards they own over all jobs (to break ties).
  std::map<std::string, size_t> live;
  // Workers that may still come back, since a driver that has just started has not heard from them yet.
  std::set<std::string> awaited;
  // Shards of which nothing is committed, so that any worker may start their state.
  std::set<uint32_t> fresh;
  // Whether shards can be folded again from the start offsets. If not, no shard moves.
  bool can_refold = true;
  // Whether shards move for the balance alone.
  bool balances = true;
  // Shards whose state disagreed with the journal. They have no owner until the worker has dropped that state.
  std::set<uint32_t> doubtful;
};

// Returns the whole assignment, equal to `current` if nothing changes. Its rules: a fresh shard without a live
// owner gets one; any other shard without a live owner gets a next owner; while two workers' counts of the job's shards
// differ by more than one, the fuller gives one away; a move that is no longer needed is cancelled.
std::vector<ShardAssignment> PlanAssignment(const AssignmentInput& input);

}  // namespace tenfold
