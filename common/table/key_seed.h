// The seed of the hash tables of keys. Who writes events chooses their keys, and without a seed could choose keys that all
// fall into one place of a table, which makes it slow (measured: 0.2 s for a batch became 57 s). Thread-safe.
#pragma once

#include <cstdint>

namespace tenfold {

// Returns a random number, the same during the whole process. What depends on it never leaves a table.
uint64_t KeySeed();

}  // namespace tenfold
