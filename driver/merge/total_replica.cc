#include "driver/merge/total_replica.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

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
  totals_ = Totals(ranking_);
  for (Part& part : parts_) part = Part();
  memory_.Set(0);
}

const TotalReplica::Composition* TotalReplica::PartOf(size_t worker) const {
  const std::optional<Composition>& composition = parts_.at(worker).composition;
  return composition ? &*composition : nullptr;
}

bool TotalReplica::Add(size_t worker, const Entries& entries) {
  parts_.at(worker).half = true;
  entries_ += static_cast<uint64_t>(entries.size());
  std::array<Delta, KeyTable::kBlock> deltas;
  const size_t others = ranking_.sums - 1;
  std::vector<Units> sums(others * deltas.size());
  size_t count = 0;
  for (const Entry& entry : entries) {
    const std::span<Units> rest = std::span(sums).subspan(count * others, others);
    for (size_t m = 0; m < others; ++m) rest[m] = FromProto(entry.others(static_cast<int>(m)));
    deltas[count++] = {entry.key(), 1, FromProto(entry.sum()), rest};
    if (count < deltas.size()) continue;
    totals_.Add(deltas);
    count = 0;
  }
  totals_.Add(std::span<const Delta>(deltas.data(), count));

  memory_.Set(totals_.bytes());
  if (memory_.Fits()) return true;
  Clear();
  return false;
}

std::vector<Units> TotalReplica::SumsOf(const TotalEntry& entry) const {
  return AllSums(entry.sum, {entry.sums.begin(), entry.sums.end()}, ranking_);
}

void TotalReplica::Complete(size_t worker, const Composition& composition) { parts_.at(worker) = {composition, false}; }

GlobalTopK::Result TotalReplica::Highest(size_t k, const GlobalTopK::Having& having) const {
  for (const Part& part : parts_) CHECK(part.composition && !part.half) << "a worker's part is not there";
  const Totals::Top highest = totals_.Highest(k, std::nullopt, 0, having.condition, having.least);
  std::vector<TotalEntry> top = highest.entries;
  if (highest.floor && top.size() == k && *highest.floor == top.back().sum) {
    // Totals left out some keys with the k-th total; those that come first by key belong in the result.
    const Units tied = top.back().sum;
    std::erase_if(top, [&](const TotalEntry& entry) { return entry.sum == tied; });
    const auto is_before = [](const TotalEntry& a, const TotalEntry& b) { return a.key < b.key; };
    std::vector<TotalEntry> first;
    std::vector<TotalEntry> some;
    uint64_t from = 0;
    do {
      some.clear();
      from = totals_.AtOrAbove(tied, from, kPartBytes, &some);
      for (const TotalEntry& entry : some) {
        if (entry.sum == tied && (having.condition == nullptr || having.condition(SumsOf(entry)))) first.push_back(entry);
      }
      if (first.size() < k - top.size()) continue;
      std::nth_element(first.begin(), first.begin() + static_cast<ptrdiff_t>(k - top.size()) - 1, first.end(), is_before);
      first.resize(k - top.size());
    } while (from != 0);
    std::sort(first.begin(), first.end(), is_before);
    top.insert(top.end(), first.begin(), first.end());
  }
  GlobalTopK::Result result;
  for (const TotalEntry& entry : top)
    result.top.push_back({std::string(entry.key), entry.sum, {entry.sums.begin(), entry.sums.end()}});
  if (top.size() == k) result.kth_total = top.back().sum;
  result.rounds = 1;
  result.entries = entries_;
  return result;
}

}  // namespace tenfold
