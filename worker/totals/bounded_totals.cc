#include "worker/totals/bounded_totals.h"

#include <algorithm>
#include <array>
#include <utility>

#include "glog/logging.h"

namespace tenfold {
namespace {

// The most memory that a new key takes in Totals besides its own bytes.
constexpr size_t kBytesPerKey = 72;
// How many keys are read at a time.
constexpr size_t kReadKeys = 4096;
// The most keys that one part of a scan visits, so that it is answered in time.
constexpr uint64_t kScannedKeys = 1'000'000;
// The number of rows between two checks of `stop`.
constexpr uint64_t kRowsPerPoll = 4096;

absl::Status WrongRow() { return absl::DataLossError("a stored row has another number of sums than the job"); }

}  // namespace

void BoundedTotals::SetRanking(const Ranking& ranking) {
  const bool has_rows = !shards_.empty();
  ranking_ = ranking;
  Clear();
  // What the sums are of is compared otherwise, and so is read anew.
  stale_ = has_rows;
}

void BoundedTotals::AddRow(const Delta& row) {
  if (stale_) return;
  if (!complete() || HasTooMany()) {
    Clear();
    stale_ = true;
    return;
  }
  totals_.Add(row);
}

absl::Status BoundedTotals::SetShards(std::vector<ShardKey> shards) {
  shards_ = std::move(shards);
  return stale_ ? Rebuild() : absl::OkStatus();
}

void BoundedTotals::EndScan() {
  scan_ = MergedRows();
  scanned_.reset();
  scanned_keys_.clear();
  scanned_sums_.clear();
}

void BoundedTotals::Clear() {
  EndScan();
  ++drops_;
  totals_ = Totals(ranking_);
  held_from_.reset();
  bounds_.reset();
  shards_.clear();
  stale_ = false;
}

void BoundedTotals::ReadAnew() {
  Clear();
  stale_ = true;
}

uint64_t BoundedTotals::Keys() const {
  if (complete() && !stale_) return totals_.size();
  uint64_t rows = 0;
  for (const ShardKey& shard : shards_) rows += store_->EstimateRows(shard);
  return rows;
}

void BoundedTotals::HoldFewer() {
  const size_t fitting = limit_ / 32 / (totals_.bytes() / std::max<size_t>(1, totals_.size()) + 1);
  const size_t keep = std::max({2 * depth_, fitting, size_t{1}});
  if (totals_.size() <= keep) return;
  ++drops_;
  std::vector<Units> sums;
  sums.reserve(totals_.size());
  totals_.ForEach([&](const Delta& row) { sums.push_back(ranking_.Of(row.sum, row.others)); });
  const auto lowest = sums.begin() + static_cast<std::ptrdiff_t>(keep - 1);
  std::nth_element(sums.begin(), lowest, sums.end(), std::greater<>());
  const Units cut = *lowest;
  // Some of the keys that tie stay, as otherwise none might.
  auto ties = static_cast<size_t>(std::count(sums.begin(), lowest + 1, cut));
  std::vector<Units>().swap(sums);

  if (complete()) {
    LOG(INFO) << "the totals of " << totals_.size() << " keys take their share of memory; only the highest " << keep
              << " or more are kept there from now on";
  }
  held_from_ = std::max(cut + 1, held_from_.value_or(cut + 1));
  if (!bounds_) bounds_.emplace(limit_ / 2);
  if (*held_from_ > 0) bounds_->RaiseCeiling(*held_from_);
  Totals kept(ranking_);
  totals_.ForEach([&](const Delta& row) {
    const Units sum = ranking_.Of(row.sum, row.others);
    if (sum > cut || (sum == cut && ties > 0)) {
      ties -= sum == cut;
      kept.Add(row);
    } else {
      bounds_->Raise(bounds_->Find(row.key), sum);
    }
  });
  totals_ = std::move(kept);
}

void BoundedTotals::DropAbsent() {
  if (totals_.absent() <= std::max<size_t>(totals_.size(), 1'000)) return;
  EndScan();
  ++drops_;
  Totals kept(ranking_);
  totals_.ForEach([&kept](const Delta& row) { kept.Add(row); });
  totals_ = std::move(kept);
}

void BoundedTotals::Shrink() {
  EndScan();
  while (bounds_ && bounds_->bytes() > limit_ / 2 && bounds_->Halve()) continue;
  if (!stale_ && HasTooMany()) HoldFewer();
}

absl::Status BoundedTotals::Rebuild() {
  std::vector<ShardKey> shards = std::move(shards_);
  Clear();
  shards_ = std::move(shards);
  stale_ = true;
  ++rebuilds_;
  MergedRows rows;
  if (absl::Status opened = rows.Open(*store_, shards_); !opened.ok()) return opened;
  for (uint64_t passed = 0; rows.Next(); ++passed) {
    if (passed % kRowsPerPoll == 0 && stop_()) return absl::CancelledError("the worker is stopping");
    const Delta& row = rows.row();
    if (row.count == 0) continue;
    if (!Fits(row)) return WrongRow();
    if (const Units sum = ranking_.Of(row.sum, row.others); held_from_ && sum < *held_from_) {
      bounds_->Raise(bounds_->Find(row.key), sum);
      continue;
    }
    totals_.Add(row);
    if (HasTooMany()) HoldFewer();
  }
  if (!rows.status().ok()) return rows.status();
  stale_ = false;
  return absl::OkStatus();
}

bool BoundedTotals::Fit(std::span<const std::span<const Delta>> shards) const {
  if (limit_ == kNoLimit) return true;
  size_t bytes = totals_.bytes();
  const size_t row_sums = ranking_.sums > 1 ? ranking_.sums * sizeof(Units) : 0;
  for (const std::span<const Delta> deltas : shards) {
    for (const Delta& delta : deltas) bytes += kBytesPerKey + row_sums + delta.key.size();
  }
  return bytes <= HeldLimit();
}

absl::Status BoundedTotals::Add(std::span<const std::span<const Delta>> shards) {
  EndScan();
  if (stale_) return Rebuild();
  if (complete() && !Fit(shards)) HoldFewer();
  if (complete()) {
    for (const std::span<const Delta> deltas : shards) totals_.Add(deltas);
    if (HasTooMany()) HoldFewer();
    return absl::OkStatus();
  }
  while (bounds_->bytes() > limit_ / 2 && bounds_->Halve()) continue;
  // The row of a key that is read already has all its deltas, so it is taken in after they were added.
  std::vector<const Delta*> outside;
  std::vector<std::string_view> reached;
  for (const std::span<const Delta> deltas : shards) {
    outside.clear();
    totals_.AddToKnown(deltas, &outside);
    RaiseBounds(outside, &reached);
  }
  std::vector<const Delta*>().swap(outside);
  std::sort(reached.begin(), reached.end());
  reached.erase(std::unique(reached.begin(), reached.end()), reached.end());
  absl::Status taken = TakeIn(reached);
  stale_ = !taken.ok();
  return taken;
}

void BoundedTotals::RaiseBounds(std::span<const Delta* const> deltas, std::vector<std::string_view>* reached) {
  if (ranking_.IsByHeight()) {
    // A total is what is added, or what it was, which is below F where it was anything: so it has reached F only if what is
    // added has.
    for (const Delta* delta : deltas) {
      if (ranking_.Of(delta->sum, delta->others) >= *held_from_) reached->push_back(delta->key);
    }
    return;
  }
  if (*held_from_ <= 0) {
    for (const Delta* delta : deltas) reached->push_back(delta->key);
    return;
  }
  std::array<UpperBounds::Place, KeyTable::kBlock> places;
  for (; !deltas.empty(); deltas = deltas.subspan(std::min(deltas.size(), places.size()))) {
    const size_t size = std::min(deltas.size(), places.size());
    for (size_t i = 0; i < size; ++i) {
      places[i] = bounds_->Find(deltas[i]->key);
      bounds_->Prefetch(places[i]);
    }
    for (size_t i = 0; i < size; ++i) {
      // A key that does not grow stays below F.
      const Units added = ranking_.Of(deltas[i]->sum, deltas[i]->others);
      if (added <= 0) continue;
      const Units bound = bounds_->Bound(places[i]) + added;
      if (bound >= *held_from_) {
        reached->push_back(deltas[i]->key);
      } else {
        bounds_->Raise(places[i], bound);
      }
    }
  }
}

absl::Status BoundedTotals::TakeIn(std::span<const std::string_view> keys) {
  while (!keys.empty()) {
    const std::span<const std::string_view> some = keys.first(std::min(keys.size(), kReadKeys));
    keys = keys.subspan(some.size());
    const absl::StatusOr<std::vector<ShardStore::RowSum>> sums = Read(some);
    if (!sums.ok()) return sums.status();
    for (size_t i = 0; i < some.size(); ++i) {
      const Delta row = (*sums)[i].RowOf(some[i]);
      if (row.count == 0) continue;
      if (const Units sum = ranking_.Of(row.sum, row.others); sum >= *held_from_) {
        totals_.Add(row);
      } else {
        bounds_->Raise(bounds_->Find(some[i]), sum);
      }
    }
    if (HasTooMany()) HoldFewer();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ShardStore::RowSum>> BoundedTotals::Read(std::span<const std::string_view> keys) {
  keys_read_ += keys.size();
  std::vector<ShardStore::RowSum> sums(keys.size());
  for (const ShardKey& shard : shards_) {
    if (absl::Status read = store_->AddRows(shard, keys, sums); !read.ok()) return read;
  }
  for (const ShardStore::RowSum& sum : sums) {
    if (sum.count != 0 && !Fits(sum.RowOf(""))) return WrongRow();
  }
  return sums;
}

absl::StatusOr<std::vector<std::optional<ShardStore::RowSum>>> BoundedTotals::Find(std::span<const std::string_view> keys) {
  if (stale_) {
    if (absl::Status made = Rebuild(); !made.ok()) return made;
  }
  std::vector<std::optional<ShardStore::RowSum>> found(keys.size());
  std::vector<std::string_view> outside;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (const std::optional<TotalEntry> held = totals_.Find(keys[i])) {
      found[i].emplace();
      found[i]->sum = held->sums.empty() ? ranking_.Turned(held->sum) : held->sums[0];
      if (!held->sums.empty()) found[i]->others.assign(held->sums.begin() + 1, held->sums.end());
    } else if (!complete()) {
      outside.push_back(keys[i]);
    }
  }
  if (outside.empty()) return found;
  std::sort(outside.begin(), outside.end());
  outside.erase(std::unique(outside.begin(), outside.end()), outside.end());
  const absl::StatusOr<std::vector<ShardStore::RowSum>> sums = Read(outside);
  if (!sums.ok()) return sums.status();
  for (size_t i = 0; i < keys.size(); ++i) {
    if (found[i]) continue;
    const auto place = std::lower_bound(outside.begin(), outside.end(), keys[i]) - outside.begin();
    const ShardStore::RowSum& sum = (*sums)[static_cast<size_t>(place)];
    if (sum.count != 0) found[i] = sum;
  }
  return found;
}

absl::StatusOr<Totals::Top> BoundedTotals::Highest(size_t depth, std::optional<Units> threshold, size_t max_entries) {
  depth_ = std::max(depth_, depth);
  if (stale_) {
    if (absl::Status made = Rebuild(); !made.ok()) return made;
  }
  Totals::Top top = totals_.Highest(depth, threshold, max_entries);
  // Whether a key that is not in memory may be above one of the `depth` highest in memory.
  const auto hides = [&] {
    return !complete() && depth > 0 && (top.entries.size() < depth || top.entries[depth - 1].sum < MaxOutside());
  };
  if (hides()) {
    LOG_EVERY_T(INFO, 60) << "so many of the highest totals fell that all " << shards_.size()
                          << " shards are read to find the next ones";
    if (absl::Status made = Rebuild(); !made.ok()) return made;
    top = totals_.Highest(depth, threshold, max_entries);
  }
  if (!complete()) top.floor = std::max(MaxOutside(), top.floor.value_or(MaxOutside()));
  return top;
}

absl::StatusOr<uint64_t> BoundedTotals::AtOrAbove(Units threshold, uint64_t from, size_t max_bytes,
                                                  std::vector<TotalEntry>* entries) {
  if (stale_) {
    if (absl::Status made = Rebuild(); !made.ok()) return made;
  }
  if (complete() || threshold >= *held_from_) return totals_.AtOrAbove(threshold, from, max_bytes, entries);
  if (from == 0 || scanned_ != from) {
    EndScan();
    if (absl::Status opened = scan_.Open(*store_, shards_); !opened.ok()) return opened;
    uint64_t passed = 0;
    while (passed < from && scan_.Next()) ++passed;
    scanned_ = passed;
  }
  scanned_keys_.clear();
  scanned_sums_.clear();
  size_t bytes = 0;
  for (const uint64_t begin = *scanned_; *scanned_ < begin + kScannedKeys && bytes < std::max<size_t>(1, max_bytes);) {
    if (*scanned_ % kRowsPerPoll == 0 && stop_()) return absl::CancelledError("the worker is stopping");
    if (!scan_.Next()) {
      absl::Status status = scan_.status();
      // The keys of the part stay valid.
      scan_ = MergedRows();
      scanned_.reset();
      if (!status.ok()) return status;
      return 0;
    }
    ++*scanned_;
    const Delta& row = scan_.row();
    if (row.count == 0) continue;
    if (!Fits(row)) return WrongRow();
    const Units sum = ranking_.Of(row.sum, row.others);
    if (sum < threshold) continue;
    scanned_keys_.emplace_back(row.key);
    entries->push_back({.key = scanned_keys_.back(), .sum = sum, .sums = {}});
    if (ranking_.sums > 1) {
      std::vector<Units>& sums = scanned_sums_.emplace_back(1, row.sum);
      sums.insert(sums.end(), row.others.begin(), row.others.end());
      entries->back().sums = sums;
    }
    bytes += row.key.size() + (1 + row.others.size()) * sizeof(Units);
  }
  return *scanned_;
}

}  // namespace tenfold
