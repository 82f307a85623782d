#include "worker/totals/kept_changes.h"

#include <algorithm>

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

void KeptChanges::Add(std::span<const Delta> deltas) {
  if (!known()) return;
  for (const Delta& delta : deltas) {
    const uint32_t index = keys_.FindOrAdd(delta.key);
    if (index == added_.size()) added_.push_back(0);
    added_[index] += delta.sum;
    if (added_.size() > max_keys_ || added_.size() * kBytesPerKey + keys_.key_bytes() > max_bytes_) return Forget();
  }
}

void KeptChanges::Forget() {
  base_.reset();
  keys_ = KeyTable();
  std::vector<Units>().swap(added_);
}

void KeptChanges::ForEach(const std::function<void(std::string_view key, Units added)>& visit) const {
  for (uint32_t index = 0; index < added_.size(); ++index) visit(keys_.key(index), added_[index]);
}

void KeptChanges::Tell(uint64_t from, size_t max_bytes, Changes* changes) const {
  size_t bytes = 0;
  for (size_t index = from; index < added_.size(); ++index) {
    const std::string_view key = keys_.key(static_cast<uint32_t>(index));
    Entry* entry = changes->add_added();
    entry->set_key(key.data(), key.size());
    *entry->mutable_sum() = ToProto(added_[index]);
    bytes += key.size() + sizeof(Units);
    if (bytes >= max_bytes && index + 1 < added_.size()) return changes->set_next(index + 1);
  }
}

}  // namespace tenfold
