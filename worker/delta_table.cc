#include "worker/delta_table.h"

#include <algorithm>

namespace tenfold {

void DeltaTable::Add(std::string_view key, int64_t units) {
  const uint32_t index = keys_.FindOrAdd(key);
  if (index == amounts_.size()) amounts_.emplace_back();
  amounts_[index].sum += units;
  ++amounts_[index].count;
}

std::vector<Delta> DeltaTable::Sorted() const {
  std::vector<Delta> deltas;
  deltas.reserve(amounts_.size());
  for (uint32_t index = 0; index < amounts_.size(); ++index) {
    deltas.push_back({keys_.key(index), amounts_[index].count, amounts_[index].sum});
  }
  std::sort(deltas.begin(), deltas.end(), [](const Delta& a, const Delta& b) { return a.key < b.key; });
  return deltas;
}

void DeltaTable::Clear() {
  keys_.Clear();
  amounts_.clear();
}

}  // namespace tenfold
