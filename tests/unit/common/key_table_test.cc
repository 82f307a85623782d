#include "common/table/key_table.h"

#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "xxhash.h"

namespace tenfold {
namespace {

// What XXH3 makes of a key of 8 bytes is a bijection: this is its inverse, but for a constant that it XORs into its input.
uint64_t Inverse(uint64_t hash) {
  constexpr uint64_t kPrime = 0x9FB21C651E98DF25;
  uint64_t inverse_prime = 1;
  for (int i = 0; i < 6; ++i) inverse_prime *= 2 - kPrime * inverse_prime;
  for (uint64_t shift = 28; shift < 64; shift *= 2) hash ^= hash >> shift;
  hash *= inverse_prime;
  hash ^= (hash >> 35) + 8;
  hash *= inverse_prime;
  // 1 + x^49 + x^24 of rotations, to the power of 64, is 1.
  uint64_t input = hash;
  for (int i = 0; i < 63; ++i) input ^= std::rotl(input, 49) ^ std::rotl(input, 24);
  return input;
}

// The halves of a key are exchanged before it is hashed.
uint64_t WordOf(const std::string& key) {
  uint64_t word = 0;
  std::memcpy(&word, key.data(), sizeof(word));
  return std::rotl(word, 32);
}
std::string KeyOf(uint64_t word) {
  word = std::rotl(word, 32);
  std::string key(sizeof(word), '\0');
  std::memcpy(key.data(), &word, sizeof(word));
  return key;
}

uint64_t HashOf(const std::string& key) { return XXH3_64bits(key.data(), key.size()); }

// Keys whose hashes have the same lower 32 bits.
std::vector<std::string> CollidingKeys(size_t count) {
  const std::string known = "12345678";
  const uint64_t constant = Inverse(HashOf(known)) ^ WordOf(known);
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < count; ++i) keys.push_back(KeyOf(Inverse(i << 32 | 7) ^ constant));
  return keys;
}

// One after the other they would take minutes.
TEST(KeyTableTest, KeysThatAreMadeToCollideDoNot) {
  const std::vector<std::string> keys = CollidingKeys(400'000);
  for (size_t i = 0; i < 10; ++i) ASSERT_EQ(HashOf(keys[i]) & 0xffffffff, 7u) << "the keys do not collide";
  KeyTable table;
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  for (size_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(table.FindOrAdd(keys[i]), i);
    if (i % 1000 != 0) continue;
    ASSERT_LT(absl::Now(), deadline) << i << " keys were added by then";
  }
}

}  // namespace
}  // namespace tenfold
