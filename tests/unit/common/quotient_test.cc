#include "common/number/quotient.h"

#include <boost/multiprecision/cpp_int.hpp>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "common/number/fraction.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using Rational = boost::multiprecision::cpp_rational;
using Integer = boost::multiprecision::cpp_int;

Integer Of(Units units) {
  return Integer(static_cast<int64_t>(units >> 64)) * (Integer(1) << 64) + static_cast<uint64_t>(units);
}

Rational ValueOf(const Quotient& quotient, const std::vector<Units>& sums) {
  return Rational(Of(sums[0]) + Of(quotient.dividend_added)) / (Of(sums[1]) + Of(quotient.divisor_added));
}

class Numbers {
 public:
  // Of any size up to that of a sum, small ones and the limits often.
  Units Draw(bool negative) {
    const auto bits = static_cast<int>(random_() % 127);
    Uint128 size = (Uint128{random_()} << 64 | random_()) >> (127 - bits) >> 1;
    if (random_() % 4 == 0) size = random_() % 5;
    if (random_() % 50 == 0) size = static_cast<Uint128>(std::numeric_limits<Units>::max()) - random_() % 3;
    const auto value = static_cast<Units>(size);
    return negative && random_() % 2 == 0 ? -value : value;
  }
  uint64_t Below(uint64_t end) { return random_() % end; }

 private:
  std::mt19937_64 random_{7};
};

TEST(QuotientTest, ComparesExactlyAndItsApproximationNeverContradicts) {
  Numbers numbers;
  int equal = 0;
  int close = 0;
  for (int i = 0; i < 200'000; ++i) {
    Quotient quotient;
    quotient.divisor = 1;
    if (numbers.Below(2) == 0) {
      quotient.dividend_added = static_cast<int64_t>(numbers.Draw(true));
      quotient.divisor_added = static_cast<int64_t>(numbers.Draw(false)) & std::numeric_limits<int64_t>::max();
    }
    std::vector<Units> a = {numbers.Draw(true), numbers.Draw(false)};
    std::vector<Units> b = {numbers.Draw(true), numbers.Draw(false)};
    // Values that differ in the last digit, or not at all.
    const bool has_room = a[0] > -(Units{1} << 126) && a[0] < (Units{1} << 126);
    if (numbers.Below(2) == 0 && has_room) b = {a[0] + static_cast<Units>(numbers.Below(3)) - 1, a[1]};
    if (numbers.Below(8) == 0 && a[0] < (Units{1} << 120) && a[0] > -(Units{1} << 120) && a[1] < (Units{1} << 120))
      b = {a[0] * 7, a[1] * 7};
    if (!quotient.HasValue(a) || !quotient.HasValue(b)) continue;
    const Rational left = ValueOf(quotient, a);
    const Rational right = ValueOf(quotient, b);
    const auto exactly = left < right   ? std::strong_ordering::less
                         : left > right ? std::strong_ordering::greater
                                        : std::strong_ordering::equal;
    ASSERT_EQ(quotient.Compare(a, b), exactly) << left << " " << right;
    const Units left_about = quotient.Approximate(a);
    const Units right_about = quotient.Approximate(b);
    if (left_about != right_about) {
      ASSERT_EQ(left_about <=> right_about, exactly) << left << " " << right;
    }
    equal += exactly == 0;
    close += exactly != 0 && left_about == right_about;
    const Fraction value = quotient.ValueOf(a);
    ASSERT_TRUE(quotient.ValueOf(a) <=> quotient.ValueOf(b) == exactly);
    ASSERT_EQ(value.sign(), left < 0 ? -1 : left > 0 ? 1 : 0);
  }
  EXPECT_GT(equal, 1000);
  EXPECT_GT(close, 1000) << "the approximation has to be doubted, too";
}

TEST(QuotientTest, HasNoValueWhereItIsDividedByNothingOrIsNull) {
  Quotient quotient;
  quotient.divisor = 1;
  quotient.dividend_present = 2;
  quotient.divisor_present = 3;
  EXPECT_TRUE(quotient.HasValue(std::vector<Units>{5, 2, 1, 1}));
  EXPECT_FALSE(quotient.HasValue(std::vector<Units>{5, 0, 1, 1}));
  EXPECT_FALSE(quotient.HasValue(std::vector<Units>{5, 2, 0, 1}));
  EXPECT_FALSE(quotient.HasValue(std::vector<Units>{5, 2, 1, 0}));
  EXPECT_FALSE(quotient.HasValue(std::vector<Units>{5, 2, 1})) << "a peer may send less";
  EXPECT_FALSE(quotient.HasValue(std::vector<Units>{5, -2, 1, 1}));
  Quotient with_prior = quotient;
  with_prior.divisor_added = 4;
  EXPECT_TRUE(with_prior.HasValue(std::vector<Units>{5, 0, 1, 1}));
  EXPECT_EQ(with_prior.ValueOf(std::vector<Units>{5, 0, 1, 1}).Text(), "1.25");
}

}  // namespace
}  // namespace tenfold
