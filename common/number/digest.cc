#include "common/number/digest.h"

#include <array>
#include <cstring>
#include <string>

#include "common/limits.h"
#include "glog/logging.h"
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

// Entry m is c_m, for m >= 2.
std::array<Uint128, kMaxSums + 1> MakeFactors() {
  std::array<Uint128, kMaxSums + 1> factors{};
  for (size_t m = 2; m < factors.size(); ++m) {
    const std::string text = "tenfold digest sum " + std::to_string(m);
    const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
    factors[m] = (Uint128{hash.high64} << 64) | hash.low64 | 1;
  }
  return factors;
}

}  // namespace

Uint128 DigestFactor(size_t m) {
  static const std::array<Uint128, kMaxSums + 1> factors = MakeFactors();
  CHECK(m >= 2 && m < factors.size()) << m;
  return factors[m];
}

Uint128 DigestTerm(std::string_view key, uint64_t count, Units sum, std::span<const Units> others, HeightSet heights) {
  Uint128 row = kDigestCountFactor * count;
  if (!heights.Has(0)) row += kDigestSumFactor * static_cast<Uint128>(sum);
  for (size_t i = 0; i < others.size(); ++i) {
    if (!heights.Has(i + 1)) row += DigestFactor(i + 2) * static_cast<Uint128>(others[i]);
  }
  return RowHash(key) * row;
}

}  // namespace tenfold
