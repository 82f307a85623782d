#include "common/table/key_table.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "common/limits.h"
#include "glog/logging.h"
#include "xxhash.h"

namespace tenfold {
namespace {

constexpr int kLengthBits = 16;
constexpr uint64_t kLengthMask = (1 << kLengthBits) - 1;
static_assert(KeyTable::kMaxBytes <= kLengthMask);

constexpr size_t kMinSlots = 64;
// Tables with fewer slots fit the caches, so that prefetching does not pay.
constexpr size_t kPrefetchedSlots = 16 << 10;

uint32_t TagOf(std::string_view key, uint64_t seed) {
  return static_cast<uint32_t>(XXH3_64bits_withSeed(key.data(), key.size(), seed));
}

}  // namespace

uint32_t KeyTable::Guess(uint32_t tag) const {
  const size_t mask = slots_.size() - 1;
  size_t i = tag & mask;
  while (slots_[i].place != 0 && slots_[i].tag != tag) i = (i + 1) & mask;
  return slots_[i].place;
}

uint32_t KeyTable::FindOrAddTagged(std::string_view key, uint32_t tag) {
  // The table may grow for a key that it has already, since that is not known yet.
  if (size_ >= slots_.size() / 4 * 3) Grow(std::max(kMinSlots, slots_.size() * 2));
  const size_t mask = slots_.size() - 1;
  size_t i = tag & mask;
  for (; slots_[i].place != 0; i = (i + 1) & mask) {
    if (slots_[i].tag == tag && this->key(slots_[i].place - 1) == key) return slots_[i].place - 1;
  }
  CHECK_LT(size_, std::numeric_limits<uint32_t>::max() - 1);
  const auto index = static_cast<uint32_t>(size_++);
  if (index / kReferencesPerBlock == references_.size()) references_.push_back(std::make_unique<ReferenceBlock>());
  (*references_[index / kReferencesPerBlock])[index % kReferencesPerBlock] = Store(key);
  slots_[i] = {tag, index + 1};
  return index;
}

uint32_t KeyTable::FindOrAdd(std::string_view key) { return FindOrAddTagged(key, TagOf(key, seed_)); }

void KeyTable::FindOrAdd(std::span<const std::string_view> keys, uint32_t* indexes) {
  CHECK_LE(keys.size(), kBlock);
  std::array<uint32_t, kBlock> tags;
  for (size_t k = 0; k < keys.size(); ++k) tags[k] = TagOf(keys[k], seed_);
  if (slots_.size() >= kPrefetchedSlots) Prefetch({tags.data(), keys.size()});
  for (size_t k = 0; k < keys.size(); ++k) indexes[k] = FindOrAddTagged(keys[k], tags[k]);
}

void KeyTable::Prefetch(std::span<const uint32_t> tags) const {
  std::array<uint32_t, kBlock> guesses;
  const size_t mask = slots_.size() - 1;
  for (const uint32_t tag : tags) __builtin_prefetch(&slots_[tag & mask]);
  for (size_t k = 0; k < tags.size(); ++k) {
    guesses[k] = Guess(tags[k]);
    if (guesses[k] != 0) __builtin_prefetch(Reference(guesses[k] - 1));
  }
  for (size_t k = 0; k < tags.size(); ++k) {
    if (guesses[k] != 0) __builtin_prefetch(key(guesses[k] - 1).data());
  }
}

uint32_t KeyTable::FindTagged(std::string_view key, uint32_t tag) const {
  if (slots_.empty()) return kNone;
  const size_t mask = slots_.size() - 1;
  for (size_t i = tag & mask; slots_[i].place != 0; i = (i + 1) & mask) {
    if (slots_[i].tag == tag && this->key(slots_[i].place - 1) == key) return slots_[i].place - 1;
  }
  return kNone;
}

std::optional<uint32_t> KeyTable::Find(std::string_view key) const {
  const uint32_t index = FindTagged(key, TagOf(key, seed_));
  if (index == kNone) return std::nullopt;
  return index;
}

void KeyTable::Find(std::span<const std::string_view> keys, uint32_t* indexes) const {
  CHECK_LE(keys.size(), kBlock);
  std::array<uint32_t, kBlock> tags;
  for (size_t k = 0; k < keys.size(); ++k) tags[k] = TagOf(keys[k], seed_);
  if (slots_.size() >= kPrefetchedSlots) Prefetch({tags.data(), keys.size()});
  for (size_t k = 0; k < keys.size(); ++k) indexes[k] = FindTagged(keys[k], tags[k]);
}

void KeyTable::Grow(size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.place == 0) continue;
    size_t i = slot.tag & mask;
    while (slots_[i].place != 0) i = (i + 1) & mask;
    slots_[i] = slot;
  }
}

std::string_view KeyTable::key(uint32_t index) const {
  const uint64_t reference = *Reference(index);
  const uint64_t place = reference >> kLengthBits;
  return {arena_[place / kArenaChunkBytes].get() + place % kArenaChunkBytes, reference & kLengthMask};
}

uint64_t KeyTable::Store(std::string_view key) {
  static_assert(kMaxBytes <= kArenaChunkBytes);
  CHECK_LE(key.size(), kMaxBytes);
  const size_t left = kArenaChunkBytes - arena_end_ % kArenaChunkBytes;
  if (key.size() > left) arena_end_ += left;
  const size_t chunk = arena_end_ / kArenaChunkBytes;
  if (chunk == arena_.size()) arena_.push_back(std::make_unique_for_overwrite<char[]>(kArenaChunkBytes));
  if (!key.empty()) std::memcpy(arena_[chunk].get() + arena_end_ % kArenaChunkBytes, key.data(), key.size());
  const uint64_t reference = (uint64_t{arena_end_} << kLengthBits) | key.size();
  arena_end_ += key.size();
  return reference;
}

void KeyTable::Clear() {
  if (slots_.empty()) return;
  size_t slots = std::max(kMinSlots, slots_.size());
  while (slots > kMinSlots && size_ < slots / 8) slots /= 2;
  if (slots == slots_.size()) {
    std::fill(slots_.begin(), slots_.end(), Slot{});
  } else {
    std::vector<Slot>(slots).swap(slots_);
  }
  references_.resize(std::min(references_.size(), 2 * size_ / kReferencesPerBlock + 1));
  arena_.resize(std::min(arena_.size(), 2 * arena_end_ / kArenaChunkBytes + 1));
  arena_end_ = 0;
  size_ = 0;
}

}  // namespace tenfold
