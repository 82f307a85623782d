#include "worker/key_table.h"

#include <cstring>
#include <limits>

#include "common/limits.h"
#include "glog/logging.h"
#include "xxhash.h"

namespace tenfold {
namespace {

constexpr int kLengthBits = 16;
constexpr uint64_t kLengthMask = (1 << kLengthBits) - 1;
static_assert(kMaxKeyBytes <= kLengthMask);

}  // namespace

KeyTable::Probe KeyTable::MakeProbe(std::string_view key) const {
  return Probe{this, key, static_cast<uint32_t>(XXH3_64bits(key.data(), key.size()))};
}

uint32_t KeyTable::FindOrAdd(std::string_view key) {
  const Probe probe = MakeProbe(key);
  if (const auto found = slots_.find(probe); found != slots_.end()) return found->index;

  CHECK_LT(size_, std::numeric_limits<uint32_t>::max());
  const auto index = static_cast<uint32_t>(size_++);
  if (index / kReferencesPerBlock == references_.size()) references_.push_back(std::make_unique<ReferenceBlock>());
  (*references_[index / kReferencesPerBlock])[index % kReferencesPerBlock] = Store(key);
  slots_.insert(Slot{probe.tag, index});
  return index;
}

std::optional<uint32_t> KeyTable::Find(std::string_view key) const {
  const auto found = slots_.find(MakeProbe(key));
  if (found == slots_.end()) return std::nullopt;
  return found->index;
}

std::string_view KeyTable::key(uint32_t index) const {
  const uint64_t reference = (*references_[index / kReferencesPerBlock])[index % kReferencesPerBlock];
  const uint64_t place = reference >> kLengthBits;
  return {arena_[place / kArenaChunkBytes].get() + place % kArenaChunkBytes, reference & kLengthMask};
}

uint64_t KeyTable::Store(std::string_view key) {
  static_assert(kMaxKeyBytes <= kArenaChunkBytes);
  CHECK_LE(key.size(), kMaxKeyBytes);
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
  const size_t expected = size_;
  slots_.clear();
  // Clearing gives up all but small slot arrays: without this each use would grow through every size again.
  slots_.reserve(expected);
  arena_end_ = 0;
  size_ = 0;
}

}  // namespace tenfold
