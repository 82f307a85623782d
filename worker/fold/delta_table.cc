#include "worker/fold/delta_table.h"

#include <algorithm>

namespace tenfold {

void DeltaTable::AddCopy(std::string_view key, std::span<const int64_t> units) {
  if (units.size() - 1 != others_) {
    others_ = units.size() - 1;
    pending_others_.resize(others_ * KeyTable::kBlock);
  }
  copies_[pending_].assign(key);
  std::ranges::copy(units.subspan(1), pending_others_.begin() + static_cast<std::ptrdiff_t>(pending_ * others_));
  Add(copies_[pending_], units[0]);
}

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
  if (others_ > 0) {
    other_sums_.resize(keys_.size() * others_);
    for (size_t i = 0; i < pending_; ++i) {
      for (size_t m = 0; m < others_; ++m) other_sums_[indexes[i] * others_ + m] += pending_others_[i * others_ + m];
    }
  }
  pending_ = 0;
}

std::vector<Delta> DeltaTable::Deltas() {
  AddPending();
  std::vector<Delta> deltas;
  deltas.reserve(amounts_.size());
  for (uint32_t index = 0; index < amounts_.size(); ++index) {
    deltas.push_back({keys_.key(index), amounts_[index].count, amounts_[index].sum,
                      std::span(other_sums_).subspan(index * others_, others_)});
  }
  return deltas;
}

size_t DeltaTable::Clear() {
  const size_t before = memory();
  pending_ = 0;
  if (amounts_.capacity() / 8 > amounts_.size()) {
    std::vector<Amount>().swap(amounts_);
    std::vector<Units>().swap(other_sums_);
  }
  amounts_.clear();
  other_sums_.clear();
  keys_.Clear();
  return before - memory();
}

}  // namespace tenfold
