#include "common/number/fraction.h"

#include <cstdint>
#include <optional>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace tenfold {
namespace {

Fraction Of(const std::string& text) {
  Fraction value;
  EXPECT_EQ(Fraction::Parse(text, &value), NumberError::kNone) << text;
  return value;
}

TEST(FractionTest, ReadsNumbersByR1) {
  EXPECT_EQ(Of("-12.50").Text(), "-12.5");
  EXPECT_EQ(Of("1e3").Text(), "1000");
  EXPECT_EQ(Of("-0").Text(), "0");
  EXPECT_EQ(Of("1e-60") + Of("1e60") - Of("1e60"), Of("1e-60"));
  Fraction value;
  EXPECT_EQ(Fraction::Parse("1,5", &value), NumberError::kMalformed);
  EXPECT_EQ(Fraction::Parse("1e61", &value), NumberError::kOutOfRange);
}

TEST(FractionTest, DivisionIsExactUntilItIsRounded) {
  EXPECT_EQ(Of("1") / Of("3") * Of("3"), Of("1"));
  EXPECT_EQ((Of("1") / Of("-3")).Text(), "-0.333333333");
  EXPECT_EQ((Of("0.1") / Of("0.3")).Text(), "0.333333333");
  EXPECT_EQ((Of("2") / Of("3")).ToUnits(), 666'666'667);
  EXPECT_LT(Of("1") / Of("3"), Of("0.333333333333333333333333333333333333334"));
}

TEST(FractionTest, RoundsHalfToEven) {
  EXPECT_EQ(Of("0.0000000005").ToUnits(), 0);
  EXPECT_EQ(Of("0.0000000015").ToUnits(), 2);
  EXPECT_EQ(Of("-0.0000000005").ToUnits(), 0);
  EXPECT_EQ(Of("-0.0000000015").ToUnits(), -2);
  EXPECT_EQ(Of("2.5").Rounded(0), Of("2"));
  EXPECT_EQ(Of("-3.5").Rounded(0), Of("-4"));
  EXPECT_EQ(Of("250").Rounded(-2), Of("200"));
  EXPECT_EQ(Of("350").Rounded(-2), Of("400"));
  EXPECT_EQ(Of("1.005").Rounded(2), Of("1"));
}

TEST(FractionTest, FloorsTruncatesAndTellsWholeNumbers) {
  EXPECT_EQ(Of("-0.5").Floor(), -1);
  EXPECT_EQ(Of("-0.5").Truncated(), 0);
  EXPECT_EQ(Of("-2").Floor(), -2);
  EXPECT_TRUE((Of("10") / Of("5")).IsWhole());
  EXPECT_EQ(Of("9223372036854775807").ToInteger(), INT64_MAX);
  EXPECT_EQ(Of("9223372036854775808").ToInteger(), std::nullopt);
  EXPECT_EQ(Of("1.5").ToInteger(), std::nullopt);
}

TEST(FractionTest, WhatDoesNotFitSixtyFourBitsOfUnitsHasNone) {
  EXPECT_EQ(Of("9223372036.854775807").ToUnits(), INT64_MAX);
  EXPECT_EQ(Of("9223372036.8547758074").ToUnits(), INT64_MAX);
  EXPECT_EQ(Of("9223372036.854775808").ToUnits(), std::nullopt);
  EXPECT_EQ(Of("-9223372036.854775808").ToUnits(), INT64_MIN);
}

TEST(FractionTest, SquareRootsAreRoundedCorrectly) {
  EXPECT_EQ(Of("2").SquareRoot().Text(), "1.414213562");
  EXPECT_EQ(Of("0").SquareRoot().Text(), "0");
  EXPECT_EQ(Of("1e60").SquareRoot(), Of("1e30"));
  // Roots that end halfway between two units: 1.5 units and 2.5 units.
  EXPECT_EQ(Of("2.25e-18").SquareRoot(), Of("2e-9"));
  EXPECT_EQ(Of("6.25e-18").SquareRoot(), Of("2e-9"));
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const Fraction number =
        Of(std::to_string(random() >> (random() % 60))) / Fraction(1 + static_cast<int64_t>(random() % 1000));
    const Fraction root = number.SquareRoot();
    const Fraction half = Of("5e-10");
    EXPECT_LE((root - half) * (root - half), number);
    EXPECT_GE((root + half) * (root + half), number);
  }
}

TEST(FractionTest, UnitsComeBack) {
  EXPECT_EQ(Fraction::OfUnits(-1).Text(), "-0.000000001");
  EXPECT_EQ(Fraction::OfUnits(Units{1} << 100).Text(), "1267650600228229401496.703205376");
}

}  // namespace
}  // namespace tenfold
