#include "driver/merge/partial.h"

namespace tenfold {

Units RankedSum(const Entry& entry, const Ranking& ranking) {
  const bool first = ranking.by == 0 || static_cast<size_t>(entry.others_size()) < ranking.by;
  return ranking.Turned(FromProto(first ? entry.sum() : entry.others(static_cast<int>(ranking.by) - 1)));
}

Partial ToPartial(const Entry& entry, const Ranking& ranking) {
  Partial partial{.key = entry.key(), .sum = RankedSum(entry, ranking)};
  if (ranking.sums == 1) return partial;
  partial.sums.reserve(ranking.sums);
  partial.sums.push_back(FromProto(entry.sum()));
  for (const Int128& other : entry.others()) partial.sums.push_back(FromProto(other));
  return partial;
}

Entry ToEntry(const Partial& partial, const Ranking& ranking) {
  Entry entry;
  entry.set_key(partial.key);
  *entry.mutable_sum() = ToProto(partial.sums.empty() ? ranking.Turned(partial.sum) : partial.sums[0]);
  for (size_t m = 1; m < partial.sums.size(); ++m) *entry.add_others() = ToProto(partial.sums[m]);
  return entry;
}

TotalEntry ViewOf(const Partial& partial) { return {.key = partial.key, .sum = partial.sum, .sums = partial.sums}; }

Partial ToPartial(const TotalEntry& total) {
  return {.key = std::string(total.key), .sum = total.sum, .sums = {total.sums.begin(), total.sums.end()}};
}

void JoinSums(const std::vector<Units>& added, const Ranking& ranking, std::vector<Units>* sums) {
  if (sums->size() < added.size()) sums->resize(added.size());
  for (size_t m = 0; m < added.size(); ++m) (*sums)[m] = ranking.Join(m, (*sums)[m], added[m]);
}

}  // namespace tenfold
