#include "worker/totals/kept_changes.h"

#include <algorithm>
#include <array>

#include "worker/totals/entry_writer.h"

namespace tenfold {

KeptChanges::Base KeptChanges::Sorted(const Composition& composition) {
  Base base;
  for (const PartitionOffset& offset : composition) base.emplace_back(offset.partition(), offset.next_offset());
  std::sort(base.begin(), base.end());
  return base;
}

bool KeptChanges::Quote(const Composition& since, const Composition& present) {
  Base quoted = Sorted(since);
  if (base_ == quoted) return false;
  if (quoted.empty() || quoted != Sorted(present)) {
    Forget();
    return false;
  }
  keys_.Clear();
  added_.clear();
  base_ = std::move(quoted);
  return true;
}

void KeptChanges::SetRanking(const Ranking& ranking) {
  Forget();
  ranking_ = ranking;
}

void KeptChanges::Add(std::span<const Delta> deltas) {
  if (!known()) return;
  const size_t sums = ranking_.sums;
  std::array<std::string_view, KeyTable::kBlock> keys;
  std::array<uint32_t, KeyTable::kBlock> indexes;
  while (!deltas.empty()) {
    const std::span<const Delta> block = deltas.first(std::min(deltas.size(), keys.size()));
    deltas = deltas.subspan(block.size());
    for (size_t i = 0; i < block.size(); ++i) keys[i] = block[i].key;
    keys_.FindOrAdd({keys.data(), block.size()}, indexes.data());
    added_.resize(keys_.size() * sums);
    for (size_t i = 0; i < block.size(); ++i) {
      const size_t at = indexes[i] * sums;
      added_[at] = ranking_.Join(0, added_[at], block[i].sum);
      for (size_t m = 1; m < sums; ++m) added_[at + m] = ranking_.Join(m, added_[at + m], block[i].others[m - 1]);
    }
    const size_t bytes = keys_.size() * (kBytesPerKey + (sums - 1) * 2 * sizeof(Units)) + keys_.key_bytes();
    if (keys_.size() > max_keys_ || bytes > max_bytes_) return Forget();
  }
}

void KeptChanges::Forget() {
  base_.reset();
  keys_ = KeyTable();
  std::vector<Units>().swap(added_);
}

void KeptChanges::ForEach(const std::function<void(std::string_view key, Units added)>& visit) const {
  for (uint32_t index = 0; index < keys_.size(); ++index) visit(keys_.key(index), Ranked(index));
}

void KeptChanges::Tell(uint64_t from, size_t max_bytes, Changes* changes) const {
  size_t bytes = 0;
  for (size_t index = from; index < keys_.size(); ++index) {
    const std::string_view key = keys_.key(static_cast<uint32_t>(index));
    AddEntry(key, added_[index * ranking_.sums], Others(index), changes->mutable_added());
    bytes += key.size() + ranking_.sums * sizeof(Units);
    if (bytes >= max_bytes && index + 1 < keys_.size()) return changes->set_next(index + 1);
  }
}

}  // namespace tenfold
