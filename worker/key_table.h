// Distinct keys, each with a dense index in the order they came: what per-key arrays are indexed by. Key bytes lie in an
// arena and never move. Used by one thread at a time.
//
// Beyond its bytes a key costs 8 bytes of reference and a hash slot of 9 bytes at a load of 7/16 to 7/8: 18.3 to 28.6
// bytes, 38.9 at most while the slots double. Nothing but the slots is ever copied to grow.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"

namespace tenfold {

class KeyTable {
 public:
  // Hashes the key once; copies it the first time. At most kMaxKeyBytes.
  uint32_t FindOrAdd(std::string_view key);
  std::optional<uint32_t> Find(std::string_view key) const;

  // Lives until the next Clear.
  std::string_view key(uint32_t index) const;
  size_t size() const { return size_; }

  // Empties the table and keeps its memory.
  void Clear();

 private:
  // The tag is the key's hash, kept so that neither growing nor nearly any failed comparison touches the arena.
  struct Slot {
    uint32_t tag;
    uint32_t index;
  };
  struct Probe {
    const KeyTable* table;
    std::string_view key;
    uint32_t tag;
  };
  struct SlotHash {
    using is_transparent = void;
    // absl takes the low 7 bits and the bits above them apart: spread the 32 over 64.
    static size_t Spread(uint32_t tag) { return tag * size_t{0x9e3779b97f4a7c15}; }
    size_t operator()(const Slot& slot) const { return Spread(slot.tag); }
    size_t operator()(const Probe& probe) const { return Spread(probe.tag); }
  };
  struct SlotEqual {
    using is_transparent = void;
    bool operator()(const Slot& a, const Slot& b) const { return a.index == b.index; }
    bool operator()(const Slot& a, const Probe& b) const { return a.tag == b.tag && b.table->key(a.index) == b.key; }
    bool operator()(const Probe& a, const Slot& b) const { return (*this)(b, a); }
  };

  static constexpr size_t kArenaChunkBytes = 64 << 10;
  static constexpr size_t kReferencesPerBlock = 1024;
  using ReferenceBlock = std::array<uint64_t, kReferencesPerBlock>;

  Probe MakeProbe(std::string_view key) const;
  // The reference of a copy of the key: place in the arena * 2^16 + length.
  uint64_t Store(std::string_view key);

  absl::flat_hash_set<Slot, SlotHash, SlotEqual> slots_;
  std::vector<std::unique_ptr<ReferenceBlock>> references_;
  std::vector<std::unique_ptr<char[]>> arena_;
  size_t arena_end_ = 0;
  size_t size_ = 0;
};

}  // namespace tenfold
