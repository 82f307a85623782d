#include "common/number/units.h"

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

constexpr Units kMaxUnits = static_cast<Units>(~Uint128{0} >> 1);
constexpr Units kMinUnits = -kMaxUnits - 1;
constexpr Units kInitialLimit = Units{1} << kInitialScoreBits;

std::vector<Units> Samples() {
  std::vector<Units> samples = {0, 1, -1, kUnitsPerOne, -kUnitsPerOne, kMaxUnits, kMinUnits};
  for (const int bits : {63, 64, 120}) {
    for (const int away : {-1, 0, 1}) {
      samples.push_back((Units{1} << bits) + away);
      samples.push_back(-(Units{1} << bits) + away);
    }
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const Uint128 high = random();
    const Uint128 bits = (high << 64 | random()) >> (random() % 128);
    samples.push_back(static_cast<Units>(bits));
    samples.push_back(static_cast<Units>(0 - bits));
  }
  return samples;
}

TEST(UnitsTest, FormatsWithoutExponentTrailingZerosOrNegativeZero) {
  const std::vector<std::pair<Units, std::string>> cases = {
      {0, "0"},
      {1, "0.000000001"},
      {-1, "-0.000000001"},
      {kUnitsPerOne, "1"},
      {-kUnitsPerOne, "-1"},
      {2'200'000'000, "2.2"},
      {-500'000'000, "-0.5"},
      {17'000'000'000, "17"},
      {100'000'000'000, "100"},
      {10'010'000'000, "10.01"},
      {123'456'789, "0.123456789"},
      {kMaxUnits, "170141183460469231731687303715.884105727"},
      {kMinUnits, "-170141183460469231731687303715.884105728"},
  };
  for (const auto& [units, text] : cases) EXPECT_EQ(FormatUnits(units), text);
}

TEST(UnitsTest, ParsesAnyFormOfANumber) {
  const std::vector<std::pair<std::string, Units>> cases = {
      {"0", 0},
      {"-0.0", 0},
      {"0e-60", 0},
      {"0e60", 0},
      {"2.2", 2'200'000'000},
      {"+007", 7'000'000'000},
      {"-5.5E-3", -5'500'000},
      {"1e-9", 1},
      {"1.0000000000000000000000", kUnitsPerOne},
      {"10000000000000000000000000000000000e-43", 1},
      {"1e18", Units{kUnitsPerOne} * kUnitsPerOne * kUnitsPerOne},
  };
  for (const auto& [text, units] : cases) {
    const absl::StatusOr<Units> parsed = ParseUnits(text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(FormatUnits(*parsed), FormatUnits(units)) << text;
  }
}

TEST(UnitsTest, ParsesWhatItFormatsBelowTheInitialLimitOnly) {
  int parsed_back = 0;
  for (const Units units : Samples()) {
    const bool below = units > -kInitialLimit && units < kInitialLimit;
    const absl::StatusOr<Units> parsed = ParseUnits(FormatUnits(units));
    ASSERT_EQ(parsed.ok(), below) << FormatUnits(units);
    if (!below) continue;
    EXPECT_TRUE(*parsed == units) << FormatUnits(units);
    ++parsed_back;
  }
  EXPECT_GT(parsed_back, 1000);
}

TEST(UnitsTest, SaysWhyATextIsRefused) {
  const std::string too_large = " is too large; it must be below 2^120 * 1e-9, about 1.3e27, in size";
  // Its units are 2^128, which 128 bits take for 0.
  const std::string wraps = "\"340282366920938463463374607431.768211456\"";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "\"\" is no number; write it like 2, -0.8 or 1e-3"},
      {"1,5", "\"1,5\" is no number; write it like 2, -0.8 or 1e-3"},
      {"1e61", "\"1e61\" is out of range; a number has at most 40 digits and an exponent within +-60"},
      {"1e-10", "\"1e-10\" is not a multiple of 0.000000001"},
      {"0.1234567891", "\"0.1234567891\" is not a multiple of 0.000000001"},
      {"1e60", "\"1e60\"" + too_large},
      {"-2e27", "\"-2e27\"" + too_large},
      {wraps.substr(1, wraps.size() - 2), wraps + too_large},
  };
  for (const auto& [text, message] : cases) {
    const absl::StatusOr<Units> parsed = ParseUnits(text);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(parsed.status().message(), message);
  }
}

TEST(UnitsTest, ComesBackFromMessages) {
  for (const Units units : Samples()) {
    EXPECT_TRUE(FromProto(ToProto(units)) == units) << FormatUnits(units);
    const Uint128 digest = static_cast<Uint128>(units);
    EXPECT_TRUE(FromProto(ToProto(digest)) == digest) << FormatUnits(units);
  }
}

TEST(UnitsTest, MessageIsHighTimes2To64PlusLow) {
  const Int128 message = ToProto(Units{-1});
  EXPECT_EQ(message.high(), -1);
  EXPECT_EQ(message.low(), ~uint64_t{0});
  const Digest digest = ToProto((Uint128{5} << 64) | 7);
  EXPECT_EQ(digest.high(), 5U);
  EXPECT_EQ(digest.low(), 7U);
}

TEST(UnitsTest, ComesBackFromDisk) {
  for (const Units units : Samples()) {
    std::array<char, kMaxEncodedUnits> bytes;
    std::string_view form(bytes.data(), EncodeUnits(units, bytes.data()));
    Units back = 0;
    EXPECT_TRUE(DecodeUnits(&form, &back) && back == units) << FormatUnits(units);
    EXPECT_TRUE(form.empty());
  }
}

TEST(UnitsTest, DiskFormIsAZigzagVarint) {
  std::array<char, kMaxEncodedUnits> bytes;
  const auto form = [&](Units units) { return std::string(bytes.data(), EncodeUnits(units, bytes.data())); };
  EXPECT_EQ(form(0), std::string(1, '\0'));
  EXPECT_EQ(form(-1), "\x01");
  EXPECT_EQ(form(63), "\x7e");
  EXPECT_EQ(form(-65), "\x81\x01");
  EXPECT_EQ(form(150), "\xac\x02");
}

TEST(UnitsTest, DiskFormThatDoesNotEndOrHasTooManyBitsIsNone) {
  for (const std::string& form : {std::string(), std::string("\x80"), std::string(kMaxEncodedUnits + 1, '\x80'),
                                  std::string(kMaxEncodedUnits - 1, '\x80') + "\x04"}) {
    std::string_view in(form);
    Units units = 0;
    EXPECT_FALSE(DecodeUnits(&in, &units)) << form.size();
  }
}

}  // namespace
}  // namespace tenfold
