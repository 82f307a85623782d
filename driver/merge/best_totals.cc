#include "driver/merge/best_totals.h"

#include <algorithm>
#include <utility>

#include "common/text/framed_key.h"

namespace tenfold {

bool ResultRules::Precedes(const Partial& a, const Partial& b) const {
  if (a.sum != b.sum) return a.sum > b.sum;
  const std::strong_ordering exactly = ranking.Compare(a.sums, b.sums);
  return exactly == 0 ? a.key < b.key : exactly < 0;
}

void BestTotals::Take(std::string_view key, Units sum, std::span<const Units> sums) {
  const std::string_view group = rules_->groups == 0 ? "" : FirstPartOf(key);
  // A group is there with its first key, whether that is ranked or not.
  if (!AdmitGroup(group, rules_->groups == 0 ? 1 : rules_->groups, &best_, &is_cut_)) return;
  if (rules_->condition != nullptr) {
    const Units only = rules_->ranking.Turned(sum);
    if (!rules_->condition(sums.empty() ? std::span(&only, 1) : sums)) return;
  }
  if (rules_->ranking.quotient) sum = rules_->ranking.OfTotal(sums);
  std::vector<Partial>& best = best_.find(group)->second;
  const auto precedes = [this](const Partial& a, const Partial& b) { return rules_->Precedes(a, b); };
  if (best.size() == k_) {
    // Most are below all of them, and need no copy.
    if (sum < best.front().sum) return;
    if (!precedes({std::string(key), sum, {sums.begin(), sums.end()}}, best.front())) return;
    std::pop_heap(best.begin(), best.end(), precedes);
    best.pop_back();
  }
  best.push_back({std::string(key), sum, {sums.begin(), sums.end()}});
  std::push_heap(best.begin(), best.end(), precedes);
}

std::vector<BestOfGroup> BestTotals::TakeAll() {
  std::vector<BestOfGroup> all;
  for (auto& [group, best] : best_) {
    std::sort_heap(best.begin(), best.end(), [this](const Partial& a, const Partial& b) { return rules_->Precedes(a, b); });
    all.push_back({group, std::move(best)});
  }
  if (all.empty() && rules_->groups == 0) all.emplace_back();
  best_.clear();
  return all;
}

}  // namespace tenfold
