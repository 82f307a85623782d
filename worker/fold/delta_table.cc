#include "worker/fold/delta_table.h"

namespace tenfold {

void DeltaTable::AddPending() {
  std::array<uint32_t, KeyTable::kBlock> indexes;
  keys_.FindOrAdd({pending_keys_.data(), pending_}, indexes.data());
  if (amounts_.size() < keys_.size()) amounts_.resize(keys_.size());
  for (size_t i = 0; i < pending_; ++i) __builtin_prefetch(&amounts_[indexes[i]], 1);
  for (size_t i = 0; i < pending_; ++i) {
    Amount& amount = amounts_[indexes[i]];
    amount.sum += pending_units_[i];
    ++amount.count;
  }
  pending_ = 0;
}

std::vector<Delta> DeltaTable::Deltas() {
  AddPending();
  std::vector<Delta> deltas;
  deltas.reserve(amounts_.size());
  for (uint32_t index = 0; index < amounts_.size(); ++index) {
    deltas.push_back({keys_.key(index), amounts_[index].count, amounts_[index].sum});
  }
  return deltas;
}

size_t DeltaTable::Clear() {
  const size_t before = memory();
  pending_ = 0;
  if (amounts_.capacity() / 8 > amounts_.size()) std::vector<Amount>().swap(amounts_);
  amounts_.clear();
  keys_.Clear();
  return before - memory();
}

}  // namespace tenfold
