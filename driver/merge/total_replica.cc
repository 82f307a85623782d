#include "driver/merge/total_replica.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "common/table/key_seed.h"
#include "common/text/framed_key.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr size_t kPartBytes = 64 << 10;

}  // namespace

void TotalReplica::Begin(const std::vector<MergeSource>& sources) {
  const bool half = std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.half; });
  if (half || sources != sources_) Clear();
  sources_ = sources;
  parts_.resize(sources.size());
  entries_ = 0;
}

void TotalReplica::Clear() {
  totals_.clear();
  groups_cut_ = false;
  for (Part& part : parts_) part = Part();
  memory_.Set(0);
}

const TotalReplica::Composition* TotalReplica::PartOf(size_t worker) const {
  const std::optional<Composition>& composition = parts_.at(worker).composition;
  return composition ? &*composition : nullptr;
}

Totals* TotalReplica::TotalsOf(std::string_view group) {
  auto found = totals_.find(group);
  if (found == totals_.end()) {
    if (!AdmitGroup(group, rules_.groups == 0 ? 1 : rules_.groups, &totals_, &groups_cut_)) return nullptr;
    found = totals_.find(group);
    found->second = Totals(rules_.ranking);
  }
  return &found->second;
}

bool TotalReplica::Add(size_t worker, const Entries& entries) {
  parts_.at(worker).half = true;
  entries_ += static_cast<uint64_t>(entries.size());
  // Totals take many at once far faster than one by one, and each group has its own.
  absl::flat_hash_map<std::string_view, std::vector<Delta>, SeededHash> deltas;
  const size_t others = rules_.ranking.sums - 1;
  std::vector<Units> sums(others * static_cast<size_t>(entries.size()));
  std::span<Units> left = sums;
  for (const Entry& entry : entries) {
    const std::span<Units> rest = left.first(others);
    left = left.subspan(others);
    for (size_t m = 0; m < others; ++m) rest[m] = FromProto(entry.others(static_cast<int>(m)));
    const std::string_view group = rules_.groups == 0 ? "" : FirstPartOf(entry.key());
    deltas[group].push_back({.key = entry.key(), .count = 1, .sum = FromProto(entry.sum()), .others = rest});
  }
  for (const auto& [group, of_group] : deltas) {
    if (Totals* const totals = TotalsOf(group)) totals->Add(of_group);
  }

  size_t bytes = 0;
  for (const auto& [group, totals] : totals_) bytes += totals.bytes();
  memory_.Set(bytes);
  if (memory_.Fits()) return true;
  Clear();
  return false;
}

void TotalReplica::Complete(size_t worker, const Composition& composition) { parts_.at(worker) = {composition, false}; }

std::vector<Partial> TotalReplica::HighestOf(const Totals& totals, size_t k) const {
  const Totals::Top highest = totals.Highest(k, std::nullopt, 0, rules_.condition, rules_.least);
  std::vector<TotalEntry> top = highest.entries;
  const auto precedes = [this](const TotalEntry& a, const TotalEntry& b) { return rules_.Precedes(a, b); };
  if (highest.floor && top.size() == k && *highest.floor == top.back().sum) {
    // Totals left out some keys with what the k-th is ranked by; those that come first belong in the result.
    const Units tied = top.back().sum;
    std::erase_if(top, [&](const TotalEntry& entry) { return entry.sum == tied; });
    const size_t wanted = k - top.size();
    std::vector<TotalEntry> first;
    std::vector<TotalEntry> some;
    uint64_t from = 0;
    do {
      some.clear();
      from = totals.AtOrAbove(tied, from, kPartBytes, &some);
      for (const TotalEntry& entry : some) {
        if (entry.sum == tied && rules_.MayBeIn(entry)) first.push_back(entry);
      }
      if (first.size() < wanted) continue;
      std::nth_element(first.begin(), first.begin() + static_cast<ptrdiff_t>(wanted) - 1, first.end(), precedes);
      first.resize(wanted);
    } while (from != 0);
    top.insert(top.end(), first.begin(), first.end());
  }
  std::ranges::sort(top, precedes);
  std::vector<Partial> partials;
  for (const TotalEntry& entry : top) partials.push_back(ToPartial(entry));
  return partials;
}

GlobalTopK::Result TotalReplica::Highest(size_t k) const {
  for (const Part& part : parts_) CHECK(part.composition && !part.half) << "a worker's part is not there";
  std::vector<BestOfGroup> best;
  for (const auto& [group, totals] : totals_) best.push_back({group, HighestOf(totals, k)});
  if (best.empty() && rules_.groups == 0) best.emplace_back();
  GlobalTopK::Result result;
  if (!rules_.NeedsAll() && best[0].top.size() == k) result.kth_total = best[0].top.back().sum;
  result.SetBest(std::move(best), groups_cut_, rules_);
  result.rounds = 1;
  result.entries = entries_;
  return result;
}

}  // namespace tenfold
