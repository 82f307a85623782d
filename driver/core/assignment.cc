#include "driver/core/assignment.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace tenfold {
namespace {

// Counts a job's shards by the worker that will own them once all moves are done.
class Loads {
 public:
  Loads(const std::map<std::string, size_t>& live, const std::vector<ShardAssignment>& shards) : live_(live) {
    for (const auto& [worker, total] : live_) counts_[worker] = 0;
    for (const ShardAssignment& shard : shards) Add(Holder(shard), 1);
  }

  static const std::string& Holder(const ShardAssignment& shard) {
    return shard.next_owner().empty() ? shard.owner() : shard.next_owner();
  }

  void Add(const std::string& worker, int by) {
    if (const auto it = counts_.find(worker); it != counts_.end()) it->second += by;
  }
  int Count(const std::string& worker) const {
    const auto it = counts_.find(worker);
    return it == counts_.end() ? 0 : it->second;
  }

  const std::string& Least() const { return std::min_element(counts_.begin(), counts_.end(), Before{live_})->first; }
  const std::string& Most() const { return std::max_element(counts_.begin(), counts_.end(), Before{live_})->first; }

 private:
  // Orders workers by their shards of the job, then by their shards of all jobs, then by id.
  struct Before {
    const std::map<std::string, size_t>& live;
    bool operator()(const std::pair<const std::string, int>& a, const std::pair<const std::string, int>& b) const {
      return std::make_tuple(a.second, live.at(a.first), a.first) < std::make_tuple(b.second, live.at(b.first), b.first);
    }
  };

  const std::map<std::string, size_t>& live_;
  std::map<std::string, int> counts_;
};

// Cancels every move that the balance does not need; each cancelled move may make another one needless. If the owner is
// silent, its shards continue to be prepared.
void CallOffMoves(const AssignmentInput& input, std::vector<ShardAssignment>* plan, Loads* loads) {
  for (bool changed = true; std::exchange(changed, false);) {
    for (ShardAssignment& shard : *plan) {
      if (shard.next_owner().empty() || !input.live.contains(shard.owner())) continue;
      if (loads->Count(shard.owner()) + 1 - (loads->Count(shard.next_owner()) - 1) > 1) continue;
      loads->Add(shard.next_owner(), -1);
      loads->Add(shard.owner(), 1);
      shard.clear_next_owner();
      changed = true;
    }
  }
}

}  // namespace

std::vector<ShardAssignment> PlanAssignment(const AssignmentInput& input) {
  std::vector<ShardAssignment> plan = input.current;
  plan.resize(input.shards);
  // A silent worker that may still come back counts as present.
  const auto is_there = [&](const std::string& id) { return input.live.contains(id) || input.awaited.contains(id); };

  for (uint32_t s = 0; s < plan.size(); ++s) {
    ShardAssignment& shard = plan[s];
    if (input.doubtful.contains(s)) shard.Clear();
    if (!shard.next_owner().empty() && !is_there(shard.next_owner())) shard.clear_next_owner();
    if (!input.can_refold && !input.fresh.contains(s) && !shard.owner().empty()) shard.clear_next_owner();
  }
  if (input.live.empty()) return plan;

  Loads loads(input.live, plan);
  CallOffMoves(input, &plan, &loads);
  for (uint32_t s = 0; s < plan.size(); ++s) {
    ShardAssignment& shard = plan[s];
    if (input.doubtful.contains(s) || is_there(shard.owner())) continue;
    if (input.fresh.contains(s)) {
      loads.Add(Loads::Holder(shard), -1);
      shard.clear_next_owner();
      shard.set_owner(loads.Least());
      loads.Add(shard.owner(), 1);
    } else if (shard.next_owner().empty() && (input.can_refold || shard.owner().empty())) {
      shard.set_next_owner(loads.Least());
      loads.Add(shard.next_owner(), 1);
    }
  }

  while (input.balances && input.can_refold && loads.Count(loads.Most()) - loads.Count(loads.Least()) > 1) {
    const std::string from = loads.Most();
    const std::string to = loads.Least();
    // Moves the last shard, so that the first ones, which have the initial scores, move least.
    const auto is_held = [&](const ShardAssignment& s) { return Loads::Holder(s) == from; };
    const auto shard = std::find_if(plan.rbegin(), plan.rend(), is_held);
    if (shard->owner() == to) {
      shard->clear_next_owner();
    } else if (input.fresh.contains(static_cast<uint32_t>(plan.rend() - shard - 1))) {
      shard->set_owner(to);
      shard->clear_next_owner();
    } else {
      shard->set_next_owner(to);
    }
    loads.Add(from, -1);
    loads.Add(to, 1);
  }
  CallOffMoves(input, &plan, &loads);
  return plan;
}

}  // namespace tenfold
