#include "driver/merge/best_totals.h"

#include <algorithm>
#include <utility>

#include "common/text/framed_key.h"

namespace tenfold {

bool ResultRules::Precedes(const TotalEntry& a, const TotalEntry& b) const {
  if (a.sum != b.sum) return a.sum > b.sum;
  const std::strong_ordering exactly = ranking.Compare(a.sums, b.sums);
  return exactly == 0 ? a.key < b.key : exactly < 0;
}

bool ResultRules::MayBeIn(const TotalEntry& total) const {
  if (condition == nullptr) return true;
  const Units only = ranking.Turned(total.sum);
  return condition(total.sums.empty() ? std::span(&only, 1) : total.sums);
}

void BestTotals::Take(TotalEntry total) {
  const std::string_view group = rules_->groups == 0 ? "" : FirstPartOf(total.key);
  // A group is there with its first key, whether that is ranked or not.
  if (!AdmitGroup(group, rules_->groups == 0 ? 1 : rules_->groups, &best_, &is_cut_)) return;
  if (!rules_->MayBeIn(total)) return;
  if (rules_->ranking.quotient) total.sum = rules_->ranking.OfTotal(total.sums);
  std::vector<Partial>& best = best_.find(group)->second;
  const auto precedes = [this](const Partial& a, const Partial& b) { return rules_->Precedes(ViewOf(a), ViewOf(b)); };
  if (best.size() == k_) {
    if (!rules_->Precedes(total, ViewOf(best.front()))) return;
    std::pop_heap(best.begin(), best.end(), precedes);
    best.pop_back();
  }
  best.push_back(ToPartial(total));
  std::push_heap(best.begin(), best.end(), precedes);
}

std::vector<BestOfGroup> BestTotals::TakeAll() {
  std::vector<BestOfGroup> all;
  for (auto& [group, best] : best_) {
    std::sort_heap(best.begin(), best.end(),
                   [this](const Partial& a, const Partial& b) { return rules_->Precedes(ViewOf(a), ViewOf(b)); });
    all.push_back({group, std::move(best)});
  }
  if (all.empty() && rules_->groups == 0) all.emplace_back();
  best_.clear();
  return all;
}

}  // namespace tenfold
