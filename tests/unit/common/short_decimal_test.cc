// The short way to a float's decimal against the long one, whose digits are std::to_chars', and against trying all decimals.
#include "common/number/short_decimal.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "absl/strings/str_cat.h"
#include "common/number/fraction.h"
#include "gtest/gtest.h"
#include "jobs/oracle/float_text.h"

namespace tenfold {
namespace {

Fraction Parsed(const std::string& text) {
  Fraction value;
  EXPECT_EQ(Fraction::Parse(text, &value), NumberError::kNone) << text;
  return value;
}

// A number that a decimal of few digits is read as, or one next to it, or any of these bits.
template <typename Float, typename Bits>
Float Draw(std::mt19937_64* random) {
  const auto bits = static_cast<Bits>((*random)());
  Float number = 0;
  std::memcpy(&number, &bits, sizeof(number));
  if ((*random)() % 8 == 0) return number;
  const int digits = 1 + static_cast<int>((*random)() % 17);
  const auto mantissa = static_cast<int64_t>((*random)() % static_cast<uint64_t>(std::pow(10, digits)));
  const std::string text = absl::StrCat(mantissa, "e-", (*random)() % 18);
  number = sizeof(Float) == sizeof(float) ? static_cast<Float>(std::strtof(text.c_str(), nullptr))
                                          : static_cast<Float>(std::strtod(text.c_str(), nullptr));
  if ((*random)() % 4 == 0) number = std::nextafter(number, (*random)() % 2 == 0 ? Float{0} : Float{1e30F});
  return (*random)() % 2 == 0 ? number : -number;
}

template <typename Float, typename Bits>
void Compare(int short_ones) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto number = Draw<Float, Bits>(&random);
    const std::string text = ShortestDecimal(number);
    if (std::isfinite(number)) {
      ASSERT_EQ(text, oracle::FloatText(number));
    }
    int decimals = static_cast<int>(random() % 16);
    int64_t mantissa = 0;
    if (!ReadShortDecimal(number, &decimals, &mantissa)) continue;
    ASSERT_TRUE(std::isfinite(number));
    ASSERT_EQ(Fraction::OfDecimal(mantissa, 1, decimals), Parsed(text)) << text;
    --short_ones;
  }
  EXPECT_LT(short_ones, 0) << "most are short";
}

TEST(ShortDecimal, OfDoublesIsTheShortestThatReadsBack) { Compare<double, uint64_t>(6'000); }
TEST(ShortDecimal, OfFloatsIsTheShortestThatReadsBack) { Compare<float, uint32_t>(1'000); }

TEST(ShortDecimal, BeginsWithTheDecimalsThatItIsGiven) {
  int decimals = 3;
  int64_t mantissa = 0;
  ASSERT_TRUE(ReadShortDecimal(0.5, &decimals, &mantissa));
  EXPECT_EQ(decimals, 3);
  EXPECT_EQ(mantissa, 500);
  ASSERT_TRUE(ReadShortDecimal(-1.51191225, &decimals, &mantissa));
  EXPECT_EQ(decimals, 8);
  EXPECT_EQ(mantissa, -151191225);
  EXPECT_FALSE(ReadShortDecimal(1.0 / 3, &decimals, &mantissa));
  EXPECT_FALSE(ReadShortDecimal(std::numeric_limits<double>::quiet_NaN(), &decimals, &mantissa));
}

}  // namespace
}  // namespace tenfold
