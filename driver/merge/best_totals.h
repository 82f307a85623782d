// The best of exact totals as they are told one after the other: the k best that may be in the result, or those of each
// group, of which the first ones by name count. Groups are presumed to come only, as keys do: one that was left out for so
// many that come before it is so for good. Pure; used by one thread at a time.
#pragma once

#include <cstddef>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/number/ranking.h"
#include "common/number/units.h"
#include "common/table/totals.h"
#include "driver/merge/partial.h"

namespace tenfold {

// Which keys may be in a result, and by what they are ranked there.
struct ResultRules {
  Ranking ranking = {};
  // Set if only keys for which it holds are ranked.
  RowCondition condition = nullptr;
  // A bound that what ranks is not below where the condition holds, if it is set: then nothing below it has to be looked
  // for.
  std::optional<Units> least = {};
  // How many groups there are at most; 0 for a result without groups. The first part of a key is its group then.
  size_t groups = 0;

  // Whether every total has to be seen, as partials bound nothing of what is asked.
  bool NeedsAll() const { return groups > 0 || ranking.quotient.has_value(); }
  // The order of a result, and whether a key may be in it.
  bool Precedes(const TotalEntry& a, const TotalEntry& b) const;
  bool MayBeIn(const TotalEntry& total) const;
};

// The best of one group.
struct BestOfGroup {
  // The name, framed as in keys; empty without groups.
  std::string group;
  std::vector<Partial> top;
};

class BestTotals {
 public:
  BestTotals(size_t k, std::shared_ptr<const ResultRules> rules) : k_(k), rules_(std::move(rules)) {}

  // Takes the total of a key that was not taken before; where a quotient ranks its `sum` may be any number.
  void Take(TotalEntry total);

  // Of a result without groups: whether there are k, and then the lowest of them.
  bool is_full() const { return rules_->groups == 0 && !best_.empty() && best_.begin()->second.size() == k_; }
  Units lowest() const { return best_.begin()->second.front().sum; }
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (const auto& [group, best] : best_) {
      for (const Partial& partial : best) visit(partial);
    }
  }

  // The groups in their order; without groups one, which may have no keys. Leaves none.
  std::vector<BestOfGroup> TakeAll();
  // Whether there were more groups.
  bool is_cut() const { return is_cut_; }

 private:
  const size_t k_;
  const std::shared_ptr<const ResultRules> rules_;
  // A heap of each group, whose first is the last in the order of the result.
  std::map<std::string, std::vector<Partial>, std::less<>> best_;
  bool is_cut_ = false;
};

// Which of the groups that are told count: the first ones by name. Returns whether this one is among them; then it is in
// `groups`, and the last of them may have gone for it. `*is_cut` is set if any was left out.
template <typename Groups>
bool AdmitGroup(std::string_view name, size_t most, Groups* groups, bool* is_cut) {
  if (groups->contains(name)) return true;
  if (groups->size() == most) {
    *is_cut = true;
    const auto last = std::prev(groups->end());
    if (last->first < name) return false;
    groups->erase(last);
  }
  groups->try_emplace(std::string(name));
  return true;
}

}  // namespace tenfold
