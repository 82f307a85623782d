#include "worker/fold/delta_table.h"

#include <algorithm>
#include <bit>

namespace tenfold {

void DeltaTable::SetSums(size_t sums, HeightSet heights) {
  heights_ = heights;
  if (sums - 1 == others_) return;
  others_ = sums - 1;
  pending_others_.resize(others_ * KeyTable::kBlock);
}

void DeltaTable::AddCopy(std::string_view key, std::span<const int64_t> units, HeightSet heights) {
  SetSums(units.size(), heights);
  copies_[pending_].assign(key);
  std::ranges::copy(units.subspan(1), pending_others_.begin() + static_cast<std::ptrdiff_t>(pending_ * others_));
  Add(copies_[pending_], units[0]);
}

void DeltaTable::AddBlock(uint64_t rows, const KeyBlock& keys, std::span<const UnitBlock> units, HeightSet heights) {
  SetSums(units.size(), heights);
  KeyBlock wanted;
  std::array<size_t, KeyTable::kBlock> row_of;
  size_t count = 0;
  for (; rows != 0; rows &= rows - 1) {
    row_of[count] = static_cast<size_t>(std::countr_zero(rows));
    wanted[count] = keys[row_of[count]];
    ++count;
  }
  std::array<uint32_t, KeyTable::kBlock> indexes;
  Find({wanted.data(), count}, indexes.data());
  AddToFirst({indexes.data(), count}, [&](size_t i) { return units[0][row_of[i]]; });
  for (size_t m = 0; m < others_; ++m) {
    const bool is_height = heights.Has(m + 1);
    for (size_t i = 0; i < count; ++i) {
      Units& sum = other_sums_[indexes[i] * others_ + m];
      sum = With(is_height, sum, units[m + 1][row_of[i]]);
    }
  }
}

void DeltaTable::Find(std::span<const std::string_view> keys, uint32_t* indexes) {
  keys_.FindOrAdd(keys, indexes);
  if (amounts_.size() < keys_.size()) amounts_.resize(keys_.size());
  if (others_ > 0) other_sums_.resize(keys_.size() * others_);
  for (size_t i = 0; i < keys.size(); ++i) __builtin_prefetch(&amounts_[indexes[i]], 1);
}

template <typename UnitsOf>
void DeltaTable::AddToFirst(std::span<const uint32_t> indexes, const UnitsOf& units_of) {
  const auto add = [&](auto with) {
    for (size_t i = 0; i < indexes.size(); ++i) {
      Amount& amount = amounts_[indexes[i]];
      amount.sum = with(amount.sum, units_of(i));
      ++amount.count;
    }
  };
  // Which of both is decided once for all, as this is done for every event.
  if (heights_.Has(0)) {
    add([](Units sum, int64_t units) { return With(true, sum, units); });
  } else {
    add([](Units sum, int64_t units) { return With(false, sum, units); });
  }
}

void DeltaTable::AddPending() {
  std::array<uint32_t, KeyTable::kBlock> indexes;
  Find({pending_keys_.data(), pending_}, indexes.data());
  AddToFirst({indexes.data(), pending_}, [this](size_t i) { return pending_units_[i]; });
  if (others_ > 0) {
    for (size_t i = 0; i < pending_; ++i) {
      for (size_t m = 0; m < others_; ++m) {
        Units& sum = other_sums_[indexes[i] * others_ + m];
        sum = With(heights_.Has(m + 1), sum, pending_others_[i * others_ + m]);
      }
    }
  }
  pending_ = 0;
}

std::vector<Delta> DeltaTable::Deltas() {
  AddPending();
  std::vector<Delta> deltas;
  deltas.reserve(amounts_.size());
  for (uint32_t index = 0; index < amounts_.size(); ++index) {
    deltas.push_back({.key = keys_.key(index),
                      .count = amounts_[index].count,
                      .heights = heights_,
                      .sum = amounts_[index].sum,
                      .others = std::span(other_sums_).subspan(index * others_, others_)});
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
