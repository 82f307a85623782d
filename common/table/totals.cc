#include "common/table/totals.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <utility>

#include "common/number/digest.h"

namespace tenfold {
namespace {

// A value below every sum, as R1 keeps sums far from the limits of 128 bits.
constexpr Units kAbsent = std::numeric_limits<Units>::min();

struct Node {
  Units max;
  size_t level;
  size_t index;
  bool operator<(const Node& other) const { return max < other.max; }
};

struct Candidate {
  Units sum;
  uint32_t index;
  bool operator>(const Candidate& other) const { return sum > other.sum; }
};

// The highest of the keys visited so far, and the highest sum of those left out.
class Selection {
 public:
  Selection(size_t depth, std::optional<Units> threshold, size_t max_entries, std::optional<Units> least)
      : depth_(depth), limit_(std::max(depth, max_entries)), threshold_(threshold), least_(least) {}

  // Whether a key with this sum would be taken. Once false, it stays false for this and all lower sums.
  bool Takes(Units sum) const {
    if (least_ && sum < *least_) return false;
    if (lowest_.size() < depth_) return true;
    if (Wanted(sum) && lowest_.size() < limit_) return true;
    return !lowest_.empty() && sum > lowest_.top().sum;
  }

  void Take(const Candidate& candidate) {
    lowest_.push(candidate);
    const bool surplus = lowest_.size() > limit_ || (lowest_.size() > depth_ && !Wanted(lowest_.top().sum));
    if (!surplus) return;
    LeaveOut(lowest_.top().sum);
    lowest_.pop();
  }

  void LeaveOut(Units sum) { floor_ = std::max(sum, floor_.value_or(kAbsent)); }

  std::vector<Candidate> Candidates() && {
    std::vector<Candidate> candidates;
    candidates.reserve(lowest_.size());
    for (; !lowest_.empty(); lowest_.pop()) candidates.push_back(lowest_.top());
    return candidates;
  }
  std::optional<Units> floor() const { return floor_; }

 private:
  bool Wanted(Units sum) const { return threshold_.has_value() && sum >= *threshold_; }

  const size_t depth_;
  const size_t limit_;
  const std::optional<Units> threshold_;
  const std::optional<Units> least_;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> lowest_;
  std::optional<Units> floor_;
};

}  // namespace

Units Totals::ValueAt(size_t index) const {
  const Block& block = *blocks_[index / kFanOut];
  return block.counts[index % kFanOut] == 0 ? kAbsent : block.values[index % kFanOut];
}

std::span<const Units> Totals::SumsAt(size_t index, Units* one) const {
  if (ranking_.sums > 1) {
    return {row_sums_[index / kFanOut].get() + index % kFanOut * ranking_.sums, ranking_.sums};
  }
  *one = ranking_.Turned(blocks_[index / kFanOut]->values[index % kFanOut]);
  return {one, 1};
}

TotalEntry Totals::EntryAt(size_t index) const {
  TotalEntry entry{.key = keys_.key(static_cast<uint32_t>(index)), .sum = ValueAt(index), .sums = {}};
  if (ranking_.sums > 1) entry.sums = SumsAt(index, nullptr);
  return entry;
}

Delta Totals::RowAt(uint32_t index, Units* one) const {
  const std::span<const Units> sums = SumsAt(index, one);
  return {.key = keys_.key(index),
          .count = static_cast<uint64_t>(blocks_[index / kFanOut]->counts[index % kFanOut]),
          .heights = ranking_.heights,
          .sum = sums[0],
          .others = sums.subspan(1)};
}

void Totals::AddBlock() {
  blocks_.push_back(std::make_unique<Block>());
  if (ranking_.sums > 1) row_sums_.push_back(std::make_unique<Units[]>(kFanOut * ranking_.sums));
  size_t nodes = blocks_.size();
  for (std::vector<Units>& level : maxima_) {
    if (level.size() < nodes) level.push_back(kAbsent);
    nodes = (nodes + kFanOut - 1) / kFanOut;
  }
}

Units Totals::MaxOfChildren(size_t level, size_t node) const {
  Units max = kAbsent;
  const size_t begin = node * kFanOut;
  if (level == 0) {
    for (size_t index = begin; index < begin + kFanOut; ++index) max = std::max(max, ValueAt(index));
    return max;
  }
  const std::vector<Units>& children = maxima_[level - 1];
  const size_t end = std::min(begin + kFanOut, children.size());
  for (size_t child = begin; child < end; ++child) max = std::max(max, children[child]);
  return max;
}

void Totals::UpdateMaxima(size_t index, Units before) {
  Units after = ValueAt(index);
  for (size_t level = 0; level < kLevels; ++level) {
    index /= kFanOut;
    Units& max = maxima_[level][index];
    const Units max_before = max;
    if (after > max) {
      max = after;
    } else if (before == max && after < before) {
      max = MaxOfChildren(level, index);
    }
    if (max == max_before) return;
    before = max_before;
    after = max;
  }
}

void Totals::AddAt(size_t index, const Delta& delta) {
  while (index / kFanOut >= blocks_.size()) AddBlock();
  Block& block = *blocks_[index / kFanOut];
  int64_t& row_count = block.counts[index % kFanOut];

  const Units before = ValueAt(index);
  present_ -= row_count != 0;
  row_count += static_cast<int64_t>(delta.count);
  Units* const value = &block.values[index % kFanOut];
  *value = Joined(false, *value, ranking_.Of(delta.sum, delta.others));
  if (ranking_.sums > 1) {
    Units* const sums = row_sums_[index / kFanOut].get() + index % kFanOut * ranking_.sums;
    sums[0] = ranking_.Join(0, sums[0], delta.sum);
    for (size_t m = 1; m < ranking_.sums; ++m) sums[m] = ranking_.Join(m, sums[m], delta.others[m - 1]);
    if (ranking_.quotient || !ranking_.heights.empty()) *value = ranking_.OfTotal({sums, ranking_.sums});
  }
  present_ += row_count != 0;
  UpdateMaxima(index, before);
}

void Totals::Add(const Delta& delta) { AddAt(keys_.FindOrAdd(delta.key), delta); }

void Totals::Add(std::span<const Delta> deltas) {
  std::array<std::string_view, KeyTable::kBlock> keys;
  std::array<uint32_t, KeyTable::kBlock> indexes;
  while (!deltas.empty()) {
    const std::span<const Delta> block = deltas.first(std::min(deltas.size(), keys.size()));
    deltas = deltas.subspan(block.size());
    for (size_t i = 0; i < block.size(); ++i) keys[i] = block[i].key;
    keys_.FindOrAdd({keys.data(), block.size()}, indexes.data());
    for (size_t i = 0; i < block.size(); ++i) Prefetch(indexes[i]);
    for (size_t i = 0; i < block.size(); ++i) AddAt(indexes[i], block[i]);
  }
}

void Totals::AddToKnown(std::span<const Delta> deltas, std::vector<const Delta*>* unknown) {
  std::array<std::string_view, KeyTable::kBlock> keys;
  std::array<uint32_t, KeyTable::kBlock> indexes;
  while (!deltas.empty()) {
    const std::span<const Delta> block = deltas.first(std::min(deltas.size(), keys.size()));
    deltas = deltas.subspan(block.size());
    for (size_t i = 0; i < block.size(); ++i) keys[i] = block[i].key;
    keys_.Find({keys.data(), block.size()}, indexes.data());
    for (size_t i = 0; i < block.size(); ++i) {
      if (indexes[i] != KeyTable::kNone) Prefetch(indexes[i]);
    }
    for (size_t i = 0; i < block.size(); ++i) {
      if (indexes[i] == KeyTable::kNone) {
        unknown->push_back(&block[i]);
      } else {
        AddAt(indexes[i], block[i]);
      }
    }
  }
}

void Totals::Prefetch(size_t index) const {
  if (index / kFanOut >= blocks_.size()) return;
  __builtin_prefetch(&blocks_[index / kFanOut]->values[index % kFanOut], 1);
  __builtin_prefetch(&blocks_[index / kFanOut]->counts[index % kFanOut], 1);
  __builtin_prefetch(&maxima_[0][index / kFanOut], 1);
}

void Totals::ForEach(const std::function<void(const Delta& row)>& visit) const {
  Units one = 0;
  for (uint32_t index = 0; index < keys_.size(); ++index) {
    if (blocks_[index / kFanOut]->counts[index % kFanOut] != 0) visit(RowAt(index, &one));
  }
}

size_t Totals::bytes() const {
  // Only the lowest level of the maxima counts; the others are 64 times smaller.
  const size_t sums = row_sums_.size() * (kFanOut * ranking_.sums * sizeof(Units) + sizeof(row_sums_[0]));
  return keys_.bytes() + sums + blocks_.size() * (sizeof(Block) + sizeof(blocks_[0]) + sizeof(Units));
}

std::optional<TotalEntry> Totals::Find(std::string_view key) const {
  const std::optional<uint32_t> index = keys_.Find(key);
  if (!index || ValueAt(*index) == kAbsent) return std::nullopt;
  return EntryAt(*index);
}

Totals::Top Totals::Highest(size_t depth, std::optional<Units> threshold, size_t max_entries, const RowCondition& condition,
                            std::optional<Units> least) const {
  Selection selection(depth, threshold, max_entries, least);
  std::priority_queue<Node> nodes;
  const auto show = [&](size_t level, size_t index) {
    const Units max = maxima_[level][index];
    if (max == kAbsent) return;
    if (selection.Takes(max)) {
      nodes.push({max, level, index});
    } else {
      selection.LeaveOut(max);
    }
  };
  for (size_t index = 0; index < maxima_[kLevels - 1].size(); ++index) show(kLevels - 1, index);

  while (!nodes.empty() && selection.Takes(nodes.top().max)) {
    const Node node = nodes.top();
    nodes.pop();
    const size_t begin = node.index * kFanOut;
    if (node.level > 0) {
      const size_t end = std::min(begin + kFanOut, maxima_[node.level - 1].size());
      for (size_t child = begin; child < end; ++child) show(node.level - 1, child);
      continue;
    }
    for (size_t index = begin; index < begin + kFanOut; ++index) {
      const Units sum = ValueAt(index);
      Units one = 0;
      if (sum == kAbsent || (condition != nullptr && !condition(SumsAt(index, &one)))) continue;
      if (selection.Takes(sum)) {
        selection.Take({sum, static_cast<uint32_t>(index)});
      } else {
        selection.LeaveOut(sum);
      }
    }
  }
  if (!nodes.empty()) selection.LeaveOut(nodes.top().max);

  Top top;
  top.floor = selection.floor();
  for (const Candidate& candidate : std::move(selection).Candidates()) {
    top.entries.push_back(EntryAt(candidate.index));
  }
  std::sort(top.entries.begin(), top.entries.end(),
            [](const TotalEntry& a, const TotalEntry& b) { return a.sum != b.sum ? a.sum > b.sum : a.key < b.key; });
  return top;
}

size_t Totals::NextBlock(size_t block, Units threshold) const {
  while (block < blocks_.size()) {
    // Skips the largest subtree that starts here and has no such key.
    size_t skipped = 0;
    size_t span = 1;
    for (size_t level = 0; level < kLevels && block % span == 0; ++level, span *= kFanOut) {
      const Units max = maxima_[level][block / span];
      if (max != kAbsent && max >= threshold) break;
      skipped = span;
    }
    if (skipped == 0) return block;
    block += skipped;
  }
  return blocks_.size();
}

uint64_t Totals::AtOrAbove(Units threshold, uint64_t from, size_t max_bytes, std::vector<TotalEntry>* entries) const {
  size_t bytes = 0;
  for (size_t block = NextBlock(from / kFanOut, threshold); block < blocks_.size();
       block = NextBlock(block + 1, threshold)) {
    for (size_t index = std::max(from, uint64_t{block} * kFanOut); index < (block + 1) * kFanOut; ++index) {
      const Units sum = ValueAt(index);
      if (sum == kAbsent || sum < threshold) continue;
      entries->push_back(EntryAt(index));
      bytes += entries->back().key.size() + (1 + entries->back().sums.size()) * sizeof(Units);
      if (bytes >= max_bytes) return index + 1;
    }
  }
  return 0;
}

Uint128 Totals::Digest() const {
  Uint128 digest = 0;
  Units one = 0;
  for (uint32_t index = 0; index < keys_.size(); ++index) {
    // The term of an absent row is 0.
    digest += DigestTerm(RowAt(index, &one));
  }
  return digest;
}

}  // namespace tenfold
