#include "common/number/digest.h"

#include <cstring>
#include <string>

#include "common/limits.h"
#include "xxhash.h"

namespace tenfold {
namespace {

constexpr size_t kPaneBytes = 8;

Uint128 RowHash(std::string_view key) {
  XXH128_hash_t hash;
  if (key.size() <= kMaxKeyBytes) {
    char frame[kPaneBytes + kMaxKeyBytes];
    std::memset(frame, 0, kPaneBytes);
    if (!key.empty()) std::memcpy(frame + kPaneBytes, key.data(), key.size());
    hash = XXH3_128bits(frame, kPaneBytes + key.size());
  } else {
    std::string frame(kPaneBytes, '\0');
    frame.append(key);
    hash = XXH3_128bits(frame.data(), frame.size());
  }
  return (Uint128{hash.high64} << 64) | hash.low64 | 1;
}

}  // namespace

Uint128 DigestTerm(std::string_view key, uint64_t count, Units sum) {
  return RowHash(key) * (kDigestCountFactor * count + kDigestSumFactor * static_cast<Uint128>(sum));
}

}  // namespace tenfold
