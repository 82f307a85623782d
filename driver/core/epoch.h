// Epochs order the drivers of a cluster: workers obey the highest that they have seen, for ever. An epoch is, from the
// highest bit: 20 bits of the journal's generation, which rises when the journal is a restored backup; 24 bits of the starts
// in it; 20 random bits, which keep apart two drivers that start from copies of one journal.
#pragma once

#include <cstdint>

namespace tenfold {

inline constexpr int kEpochRandomBits = 20;
inline constexpr int kEpochGenerationShift = 44;

// Returns the epoch of a driver whose journal's last epoch is `last`; higher than that in any case. `random` gives the
// random bits. `restored`: the journal is a backup, and workers may have seen epochs beyond `last`.
inline uint64_t NextEpoch(uint64_t last, uint64_t random, bool restored) {
  const uint64_t starts = (last >> kEpochRandomBits) + 1;
  const uint64_t generation = ((last >> kEpochGenerationShift) + 1) << (kEpochGenerationShift - kEpochRandomBits);
  const uint64_t next =
      restored ? generation + (starts & ((uint64_t{1} << (kEpochGenerationShift - kEpochRandomBits)) - 1)) : starts;
  return next << kEpochRandomBits | (random & ((uint64_t{1} << kEpochRandomBits) - 1));
}

}  // namespace tenfold
