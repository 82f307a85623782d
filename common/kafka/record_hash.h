// The hash by which a record of the log is known again: XXH3-64 of its framed timestamp, key, value and headers; null and
// empty differ. Pure.
#pragma once

#include <cstddef>
#include <cstdint>

// Lets an XXH3 state lie on the stack.
#define XXH_STATIC_LINKING_ONLY
#include "xxhash.h"

namespace tenfold {

class RecordHash {
 public:
  // The record's timestamp in milliseconds.
  explicit RecordHash(int64_t timestamp) {
    XXH3_64bits_reset(&state_);
    AddInteger(timestamp);
  }
  // The key, the value, then name and value of each header. Nullptr for null.
  void Add(const void* bytes, size_t size) {
    AddInteger(bytes == nullptr ? -1 : static_cast<int64_t>(size));
    if (bytes != nullptr && size > 0) XXH3_64bits_update(&state_, bytes, size);
  }
  uint64_t Get() const { return XXH3_64bits_digest(&state_); }

 private:
  void AddInteger(int64_t value) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(static_cast<uint64_t>(value) >> (8 * i));
    XXH3_64bits_update(&state_, bytes, sizeof(bytes));
  }

  XXH3_state_t state_;
};

}  // namespace tenfold
