// The hash by which a record of the log is known again: XXH3-64 of its framed timestamp, key, value and headers; null and
// empty differ. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/record_parts.h"

// Lets an XXH3 state lie on the stack.
#define XXH_STATIC_LINKING_ONLY
#include "xxhash.h"

namespace tenfold {

class RecordHash {
 public:
  // The value is nullopt for null.
  static uint64_t Of(const RecordParts& parts, const std::optional<std::string_view>& value) {
    RecordHash hash;
    hash.AddInteger(parts.timestamp_ms);
    hash.Add(parts.key);
    hash.Add(value);
    for (const RecordParts::Header& header : parts.headers) {
      hash.Add(header.name);
      hash.Add(header.value);
    }
    return XXH3_64bits_digest(&hash.state_);
  }

 private:
  RecordHash() { XXH3_64bits_reset(&state_); }

  void Add(const std::optional<std::string_view>& bytes) {
    AddInteger(bytes ? static_cast<int64_t>(bytes->size()) : -1);
    if (bytes && !bytes->empty()) XXH3_64bits_update(&state_, bytes->data(), bytes->size());
  }
  void AddInteger(int64_t value) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(static_cast<uint64_t>(value) >> (8 * i));
    XXH3_64bits_update(&state_, bytes, sizeof(bytes));
  }

  XXH3_state_t state_;
};

}  // namespace tenfold
