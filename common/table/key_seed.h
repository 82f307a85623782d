// The seed of the hash tables of keys. Who writes events chooses their keys, and without a seed could choose keys that all
// fall into one place of a table, which makes it slow (measured: 0.2 s for a batch became 57 s). Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tenfold {

// Returns a random number, the same during the whole process. What depends on it never leaves a table.
uint64_t KeySeed();

// The hash for a library's tables of keys, whose own hashes have no seed, or one that does not keep apart all keys.
struct SeededHash {
  size_t operator()(std::string_view key) const;
};

}  // namespace tenfold
