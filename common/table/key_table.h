// A set of keys, each with a dense index in the order of insertion, by which arrays of per-key values are indexed. Key bytes
// lie in an arena and never move. Used by one thread at a time.
//
// Beyond its bytes a key costs 8 bytes of reference and a slot of 8 bytes at a load of 3/8 to 3/4: 18.7 to 29.3 bytes, 40 at
// most while the slots double. Nothing but the slots is ever copied to grow.
//
// It is not a library's hash table because of FindOrAdd of many keys: a table of a million keys is far larger than the
// caches, so that a look-up waits for three places in memory, one after the other. With many look-ups at a time the waits
// overlap (measured: tests/bench/README.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/limits.h"
#include "common/table/key_seed.h"
#include "common/table/row_pane.h"

namespace tenfold {

class KeyTable {
 public:
  // The most keys that one call looks up.
  static constexpr size_t kBlock = 64;

  // A key, or the key of a row, which in a job with windows has its pane before it (common/table/row_pane.h).
  static constexpr size_t kMaxBytes = kMaxKeyBytes + RowPane::kBytes;
  // Returns the key's index, adding the key if it is new. It has at most kMaxBytes and is copied.
  uint32_t FindOrAdd(std::string_view key);
  // The same for up to kBlock keys, added in their order; equal keys get the same index.
  void FindOrAdd(std::span<const std::string_view> keys, uint32_t* indexes);
  std::optional<uint32_t> Find(std::string_view key) const;
  // Finds up to kBlock keys without adding any: kNone for those that the table does not have.
  static constexpr uint32_t kNone = ~uint32_t{0};
  void Find(std::span<const std::string_view> keys, uint32_t* indexes) const;

  // The key with this index; the view is valid until the next Clear.
  std::string_view key(uint32_t index) const;
  size_t size() const { return size_; }
  // The bytes of all keys together.
  size_t key_bytes() const { return arena_end_; }
  // The memory that the table takes, in bytes.
  size_t bytes() const {
    return slots_.size() * sizeof(Slot) + references_.size() * sizeof(ReferenceBlock) + arena_.size() * kArenaChunkBytes;
  }

  // Empties the table. It keeps memory for as many keys as it had, and frees what is far more than that.
  void Clear();

 private:
  // The tag is the key's hash, kept so that neither growing nor nearly any failed comparison touches the arena.
  struct Slot {
    uint32_t tag = 0;
    // The key's index and one; 0 if the slot is empty.
    uint32_t place = 0;
  };

  static constexpr size_t kArenaChunkBytes = 64 << 10;
  static constexpr size_t kReferencesPerBlock = 1024;
  using ReferenceBlock = std::array<uint64_t, kReferencesPerBlock>;

  const uint64_t* Reference(uint32_t index) const {
    return &(*references_[index / kReferencesPerBlock])[index % kReferencesPerBlock];
  }
  // The place of the first key with this tag in its probe sequence, or 0.
  uint32_t Guess(uint32_t tag) const;
  uint32_t FindOrAddTagged(std::string_view key, uint32_t tag);
  uint32_t FindTagged(std::string_view key, uint32_t tag) const;
  // If the table is too large for the caches, prefetches the slots and references that look-ups of these tags will read.
  void Prefetch(std::span<const uint32_t> tags) const;
  void Grow(size_t slots);
  // Copies the key into the arena and returns its reference: place in the arena * 2^16 + length.
  uint64_t Store(std::string_view key);

  uint64_t seed_ = KeySeed();
  // Their number is a power of two, or 0. A key's probe sequence begins at its tag's low bits.
  std::vector<Slot> slots_;
  std::vector<std::unique_ptr<ReferenceBlock>> references_;
  std::vector<std::unique_ptr<char[]>> arena_;
  size_t arena_end_ = 0;
  size_t size_ = 0;
};

}  // namespace tenfold
