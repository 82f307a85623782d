#include "common/number/decimal.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "boost/multiprecision/cpp_int.hpp"
#include "common/limits.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using boost::multiprecision::cpp_int;
using Texts = std::vector<std::string>;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

struct Outcome {
  NumberError error = NumberError::kNone;
  // 0 unless kNone.
  int64_t units = 0;
  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << "{error " << static_cast<int>(outcome.error) << ", units " << outcome.units << "}";
}

constexpr Outcome Exactly(int64_t units) { return {NumberError::kNone, units}; }
constexpr Outcome kMalformed{NumberError::kMalformed, 0};
constexpr Outcome kOutOfRange{NumberError::kOutOfRange, 0};

Outcome Evaluate(const Texts& constants, const Texts& fields) {
  const absl::StatusOr<WeightedSum> sum = WeightedSum::Create(constants);
  if (!sum.ok()) {
    ADD_FAILURE() << sum.status();
    return {};
  }
  Outcome outcome;
  outcome.error = sum->Evaluate(std::vector<std::string_view>(fields.begin(), fields.end()), &outcome.units);
  return outcome;
}

Outcome Parse(const std::string& text) { return Evaluate({"1"}, {text}); }

// The same, among terms that cancel each other and need some hundred digits.
Outcome ParseAmongHugeTerms(const std::string& text) {
  const std::string huge = "1234567890123456789012345678901234567890e20";
  return Evaluate({"1e60", "1", "-1e60"}, {huge, text, huge});
}

TEST(WeightedSumTest, AddsUpTheMainJobsScore) {
  EXPECT_EQ(Evaluate({"0.8", "0.8", "1"}, {"1", "0.5", "1"}), Exactly(2'200'000'000));
  EXPECT_EQ(Evaluate({"0.8", "0.8", "1"}, {"5", "1.5119122", "-1"}), Exactly(4'209'529'760));
}

TEST(WeightedSumTest, ReadsNumbersAsJvmProducersPrintThem) {
  EXPECT_EQ(Parse("5.9604645E-4"), Exactly(596'046));
  EXPECT_EQ(Parse("1.0E7"), Exactly(10'000'000'000'000'000));
  EXPECT_EQ(Parse("+5"), Exactly(5'000'000'000));
  EXPECT_EQ(Parse("007"), Exactly(7'000'000'000));
  EXPECT_EQ(Parse("-0"), Exactly(0));
  EXPECT_EQ(Parse("-0.0e5"), Exactly(0));
}

TEST(WeightedSumTest, RoundsHalfToEven) {
  for (Outcome (*parse)(const std::string&) : {Parse, ParseAmongHugeTerms}) {
    EXPECT_EQ(parse("0.0000000005"), Exactly(0));
    EXPECT_EQ(parse("0.0000000015"), Exactly(2));
    EXPECT_EQ(parse("0.0000000025"), Exactly(2));
    EXPECT_EQ(parse("-0.0000000005"), Exactly(0));
    EXPECT_EQ(parse("-0.0000000015"), Exactly(-2));
    EXPECT_EQ(parse("0.00000000049999999999999999999999999999"), Exactly(0));
    EXPECT_EQ(parse("0.00000000250000000000000000000000000001"), Exactly(3));
    EXPECT_EQ(parse("5e-60"), Exactly(0));
    EXPECT_EQ(parse("50000000000000000000000000000000000001e-47"), Exactly(1));
  }
}

TEST(WeightedSumTest, RoundsOnceAndNotEachTerm) {
  EXPECT_EQ(Evaluate({"1", "1"}, {"0.0000000004", "0.0000000004"}), Exactly(1));
  EXPECT_EQ(Evaluate({"1", "-1"}, {"0.0000000006", "0.0000000003"}), Exactly(0));
  // A tie broken by the last digit of another term.
  EXPECT_EQ(Evaluate({"0.1", "1"}, {"0.000000005", "1e-59"}), Exactly(1));
}

TEST(WeightedSumTest, CancelsHugeTermsExactly) {
  EXPECT_EQ(Evaluate({"1e60", "-1e60", "1"}, {"1e60", "1e60", "1e-9"}), Exactly(1));
  EXPECT_EQ(Evaluate({"1e60", "-1", "1"}, {"1", "1e60", "0.25"}), Exactly(250'000'000));
  EXPECT_EQ(Evaluate({"1e60", "-10e59", "-1"}, {"1", "1", "0.25"}), Exactly(-250'000'000));
}

TEST(WeightedSumTest, HoldsTheWidestSumOfAllTerms) {
  const std::string largest = std::string(kMaxNumberDigits, '9') + "e60";
  const std::string smallest = "0." + std::string(kMaxNumberDigits - 2, '0') + "1e-60";
  Texts constants(kMaxScoreTerms, largest);
  Texts fields(kMaxScoreTerms, largest);
  constants.back() = fields.back() = smallest;
  EXPECT_EQ(Evaluate(constants, fields), kOutOfRange);
  for (size_t i = 0; i < kMaxScoreTerms / 2 - 1; ++i) constants[i] = "-" + constants[i];
  constants[kMaxScoreTerms - 2] = "3";
  fields[kMaxScoreTerms - 2] = "1e-9";
  EXPECT_EQ(Evaluate(constants, fields), Exactly(3));
}

TEST(WeightedSumTest, ContributionMustFit64BitsOnceRounded) {
  for (Outcome (*parse)(const std::string&) : {Parse, ParseAmongHugeTerms}) {
    EXPECT_EQ(parse("9223372036.854775807"), Exactly(kMax));
    EXPECT_EQ(parse("9223372036.8547758074999"), Exactly(kMax));
    EXPECT_EQ(parse("9223372036.8547758075"), kOutOfRange);
    EXPECT_EQ(parse("-9223372036.854775808"), Exactly(kMin));
    EXPECT_EQ(parse("-9223372036.8547758085"), Exactly(kMin));
    EXPECT_EQ(parse("-9223372036.85477580850001"), kOutOfRange);
    // 2^64 units, also by rounding, where a careless conversion to 64 bits would wrap.
    EXPECT_EQ(parse("18446744073.709551616"), kOutOfRange);
    EXPECT_EQ(parse("18446744073.7095516155"), kOutOfRange);
    EXPECT_EQ(parse("1e59"), kOutOfRange);
  }
}

TEST(WeightedSumTest, RefusesWhatIsNoNumber) {
  for (const char* text :
       {"",      "+",     "-",     ".",    ".5",  "5.",   "1e",    "1e+",  "1E-",      "e5",      "--1", "+-1",
        "1,5",   "0x10",  "NaN",   "nan",  "inf", "-inf", " 1",    "1 ",   "1\n",      "1-",      "1f",  "1d",
        "1e5.0", "1.2.3", "1e5e5", "1.e5", "1_0", "1e 5", "1e+-5", "\xff", "\xd9\xa1", "Infinity"}) {
    EXPECT_EQ(Parse(text), kMalformed) << '"' << text << '"';
  }
  EXPECT_EQ(Parse(std::string("1\0", 2)), kMalformed);
  EXPECT_EQ(Parse(std::string("\0", 1)), kMalformed);
}

TEST(WeightedSumTest, CountsDigitsAsWritten) {
  EXPECT_EQ(Parse(std::string(39, '0') + "7"), Exactly(7'000'000'000));
  EXPECT_EQ(Parse(std::string(40, '0') + "7"), kOutOfRange);
  EXPECT_EQ(Parse("7." + std::string(39, '0')), Exactly(7'000'000'000));
  EXPECT_EQ(Parse("7." + std::string(40, '0')), kOutOfRange);
  EXPECT_EQ(Parse("0." + std::string(31, '0') + "12345678e30"), Exactly(12'345'678));
}

TEST(WeightedSumTest, JudgesTheExponentByItsValueAsWritten) {
  EXPECT_EQ(Parse("0e60"), Exactly(0));
  EXPECT_EQ(Parse("0e61"), kOutOfRange);
  EXPECT_EQ(Parse("0.0e-60"), Exactly(0));
  EXPECT_EQ(Parse("0E-61"), kOutOfRange);
  EXPECT_EQ(Parse("1e308"), kOutOfRange);
  EXPECT_EQ(Parse("1e" + std::string(500, '0') + "3"), Exactly(1'000'000'000'000));
  EXPECT_EQ(Parse("1e-" + std::string(500, '0') + "9"), Exactly(1));
  // These would wrap to something small in 32 or 64 bits.
  EXPECT_EQ(Parse("1e4294967296"), kOutOfRange);
  EXPECT_EQ(Parse("1e-18446744073709551617"), kOutOfRange);
  EXPECT_EQ(Parse("1e" + std::string(500, '9')), kOutOfRange);
}

TEST(WeightedSumTest, MalformedBeatsOutOfRangeWhereverItIs) {
  EXPECT_EQ(Evaluate({"1", "1"}, {"1e61", "x"}), kMalformed);
  EXPECT_EQ(Evaluate({"1", "1"}, {"x", "1e61"}), kMalformed);
  EXPECT_EQ(Evaluate({"1", "1"}, {"1e59", "x"}), kMalformed);
  EXPECT_EQ(Parse("1e99x"), kMalformed);
  EXPECT_EQ(Parse(std::string(100, '1') + "."), kMalformed);
}

TEST(WeightedSumTest, NumberOutOfRangeCountsAtWeightZeroToo) { EXPECT_EQ(Evaluate({"1", "0"}, {"1", "1e61"}), kOutOfRange); }

TEST(WeightedSumTest, LeavesUnitsAloneOnAnError) {
  const absl::StatusOr<WeightedSum> sum = WeightedSum::Create({"1"});
  ASSERT_TRUE(sum.ok());
  for (const std::string_view field : {"x", "1e61", "1e59", "1e10"}) {
    int64_t units = 42;
    EXPECT_NE(sum->Evaluate(std::array{field}, &units), NumberError::kNone) << field;
    EXPECT_EQ(units, 42) << field;
  }
}

TEST(WeightedSumTest, CreateNamesTheConstantThatIsNoValidNumber) {
  EXPECT_EQ(WeightedSum::Create({"1", "1,5"}).status().message(),
            "constant \"1,5\" is no number; write it like 2, -0.8 or 1e-3");
  EXPECT_EQ(WeightedSum::Create({"1e61", "1"}).status().message(),
            "constant \"1e61\" is out of range; a number has at most 40 digits and an exponent within +-60");
  EXPECT_EQ(WeightedSum::Create({std::string(1000, 'x')}).status().message(),
            "constant \"" + std::string(64, 'x') + "...\" is no number; write it like 2, -0.8 or 1e-3");
}

TEST(WeightedSumTest, CreateLimitsTheTerms) {
  EXPECT_TRUE(WeightedSum::Create(Texts(kMaxScoreTerms, "1")).ok());
  EXPECT_FALSE(WeightedSum::Create(Texts(kMaxScoreTerms + 1, "1")).ok());
}

// The reference: integers without bounds.
class Reference {
 public:
  static Outcome Evaluate(const Texts& constants, const Texts& fields, bool* tie) {
    // Every product is a multiple of 10^-kScale.
    constexpr int kScale = 200;
    cpp_int sum = 0;
    bool out_of_range = false;
    for (size_t i = 0; i < fields.size(); ++i) {
      Value constant;
      Value field;
      EXPECT_EQ(Read(constants[i], &constant), NumberError::kNone) << constants[i];
      const NumberError error = Read(fields[i], &field);
      if (error == NumberError::kMalformed) return kMalformed;
      if (error == NumberError::kOutOfRange) {
        out_of_range = true;
      } else {
        sum += constant.digits * field.digits * Power(constant.exponent + field.exponent + kScale);
      }
    }
    if (out_of_range) return kOutOfRange;
    const cpp_int divisor = Power(kScale - 9);
    const cpp_int magnitude = abs(sum);
    cpp_int rounded = magnitude / divisor;
    const cpp_int twice_the_rest = 2 * (magnitude % divisor);
    *tie = twice_the_rest == divisor;
    if (twice_the_rest > divisor || (*tie && rounded % 2 == 1)) ++rounded;
    if (sum < 0) rounded = -rounded;
    if (rounded > kMax || rounded < kMin) return kOutOfRange;
    return Exactly(static_cast<int64_t>(rounded));
  }

 private:
  struct Value {
    cpp_int digits;
    int exponent = 0;
  };

  static cpp_int Power(int exponent) { return boost::multiprecision::pow(cpp_int(10), static_cast<unsigned>(exponent)); }

  // Cuts the text at its marks, and asks of each part whether it is all digits.
  static NumberError Read(const std::string& text, Value* value) {
    const size_t mark = text.find_first_of("eE");
    std::string mantissa = text.substr(0, mark);
    std::string exponent = mark == std::string::npos ? "0" : text.substr(mark + 1);
    const bool negative = TakeSign(&mantissa);
    const bool exponent_negative = TakeSign(&exponent);
    const size_t point = mantissa.find('.');
    const std::string whole = mantissa.substr(0, point);
    const std::string fraction = point == std::string::npos ? "" : mantissa.substr(point + 1);
    const bool fraction_missing = point != std::string::npos && fraction.empty();
    const bool all_digits = (whole + fraction + exponent).find_first_not_of("0123456789") == std::string::npos;
    if (whole.empty() || fraction_missing || exponent.empty() || !all_digits) return NumberError::kMalformed;
    if (whole.size() + fraction.size() > 40 || Integer(exponent) > 60) return NumberError::kOutOfRange;
    value->digits = Integer(whole + fraction) * (negative ? -1 : 1);
    value->exponent = static_cast<int>(Integer(exponent)) * (exponent_negative ? -1 : 1) - static_cast<int>(fraction.size());
    return NumberError::kNone;
  }

  static bool TakeSign(std::string* text) {
    const bool negative = text->starts_with('-');
    if (negative || text->starts_with('+')) text->erase(0, 1);
    return negative;
  }

  // cpp_int itself would take a leading 0 for octal.
  static cpp_int Integer(const std::string& digits) {
    cpp_int value = 0;
    for (const char c : digits) value = value * 10 + (c - '0');
    return value;
  }
};

class RandomSums {
 public:
  explicit RandomSums(uint64_t seed) : random_(seed) {}

  // Constants and as many fields.
  std::pair<Texts, Texts> Next() {
    Texts constants;
    Texts fields;
    const int terms = OneIn(20) ? static_cast<int>(kMaxScoreTerms) - 4 : 1 + Below(4);
    const bool ordinary = OneIn(2);
    for (int i = 0; i < terms; ++i) {
      constants.push_back(ordinary ? Ordinary() : Any());
      fields.push_back(ordinary ? Ordinary() : Any());
    }
    // Take some terms away again, so that only small ones are left of a huge sum.
    for (int i = OneIn(2) ? terms - 1 : -1; i >= 0 && fields.size() < kMaxScoreTerms - 2; --i) {
      const std::string constant = constants[static_cast<size_t>(i)];
      constants.push_back(constant[0] == '-' ? constant.substr(1) : "-" + constant.substr(constant[0] == '+'));
      fields.push_back(fields[static_cast<size_t>(i)]);
    }
    if (OneIn(2)) AddTie(&constants, &fields);
    if (OneIn(12)) Spoil(&Pick(&fields));
    if (OneIn(12)) Pick(&fields) = OutOfRange();
    return {constants, fields};
  }

 private:
  int Below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random_); }
  bool OneIn(int bound) { return Below(bound) == 0; }
  std::string& Pick(Texts* texts) { return (*texts)[static_cast<size_t>(Below(static_cast<int>(texts->size())))]; }
  std::string Sign() { return OneIn(3) ? (OneIn(2) ? "-" : "+") : ""; }

  std::string Digits(int count) {
    std::string digits;
    const int kind = Below(6);
    for (int i = 0; i < count; ++i) digits.push_back(kind == 0 ? '0' : kind == 1 ? '9' : static_cast<char>('0' + Below(10)));
    return digits;
  }

  // As people and JVMs write them.
  std::string Ordinary() {
    Texts forms = {"0", "1", "007", "0.0"};
    switch (Below(5)) {
      case 0:
        return Sign() + std::to_string(Below(1000));
      case 1:
        return Sign() + "0." + std::to_string(Below(100));
      case 2:
        return Sign() + Digits(1) + "." + Digits(7) + (OneIn(4) ? "E-" + std::to_string(1 + Below(9)) : "");
      case 3:
        return Sign() + Digits(1) + "." + Digits(16) + (OneIn(4) ? "E" + std::to_string(Below(10)) : "");
      default:
        return Sign() + Pick(&forms);
    }
  }

  std::string Any() {
    const int whole = 1 + Below(kMaxNumberDigits);
    const int fraction = Below(kMaxNumberDigits - whole + 1);
    std::string text = Sign() + Digits(whole);
    if (fraction > 0) text += "." + Digits(fraction);
    if (OneIn(2)) return text;
    return text + (OneIn(2) ? "e" : "E") + Sign() + std::string(static_cast<size_t>(Below(3)), '0') +
           std::to_string(Below(kMaxNumberExponent + 1));
  }

  // A term that ends in half a unit.
  void AddTie(Texts* constants, Texts* fields) {
    if (OneIn(2)) {
      constants->push_back(OneIn(2) ? Sign() + "1" : "1" + std::string(38, '0') + "e-38");
      fields->push_back(Sign() + Digits(1) + "." + Digits(9) + "5");
    } else {
      constants->push_back(Sign() + "0.5");
      fields->push_back(Sign() + Digits(1) + "." + Digits(8) + "1");
    }
  }

  void Spoil(std::string* text) {
    constexpr std::string_view kBytes = "+-.eE09 x,\xff";
    const char byte = kBytes[static_cast<size_t>(Below(static_cast<int>(kBytes.size())))];
    text->replace(static_cast<size_t>(Below(static_cast<int>(text->size()))), static_cast<size_t>(Below(2)), 1, byte);
  }

  std::string OutOfRange() {
    if (OneIn(2)) return Digits(kMaxNumberDigits + 1 + Below(5));
    return "1e" + Sign() + std::to_string(kMaxNumberExponent + 1 + Below(1000));
  }

  std::mt19937_64 random_;
};

uint64_t ChooseSeed() {
  const char* const given = std::getenv("TENFOLD_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

TEST(WeightedSumTest, EqualsTheReferenceOnRandomSums) {
  constexpr int kSumsPerSeed = 20'000;
  int not_zero = 0;
  int ties = 0;
  int malformed = 0;
  int out_of_range = 0;
  for (const uint64_t seed : {uint64_t{1}, ChooseSeed()}) {
    std::cout << "seed " << seed << " (TENFOLD_SEED=" << seed << " repeats it)" << std::endl;
    RandomSums sums(seed);
    for (int i = 0; i < kSumsPerSeed; ++i) {
      const auto [constants, fields] = sums.Next();
      bool tie = false;
      const Outcome expected = Reference::Evaluate(constants, fields, &tie);
      ASSERT_EQ(Evaluate(constants, fields), expected)
          << "seed " << seed << ", sum " << i << "\nconstants " << testing::PrintToString(constants) << "\nfields "
          << testing::PrintToString(fields);
      not_zero += expected.units != 0;
      ties += tie;
      malformed += expected == kMalformed;
      out_of_range += expected == kOutOfRange;
    }
  }
  std::cout << not_zero << " sums not zero, " << ties << " ties, " << malformed << " malformed, " << out_of_range
            << " out of range\n";
  EXPECT_GT(not_zero, 10'000);
  EXPECT_GT(ties, 2'000);
  EXPECT_GT(malformed, 1'000);
  EXPECT_GT(out_of_range, 1'000);
}

}  // namespace
}  // namespace tenfold
