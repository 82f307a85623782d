#include "common/number/quotient.h"

#include <boost/multiprecision/cpp_int.hpp>
#include <cstdint>

#include "common/number/fraction.h"

namespace tenfold {
namespace {

using Wide = boost::multiprecision::int256_t;

constexpr Units kMostApproximate = Units{1} << 126;

Wide ToWide(Units value) {
  const Uint128 size = value < 0 ? -static_cast<Uint128>(value) : static_cast<Uint128>(value);
  const Wide magnitude = (Wide(static_cast<uint64_t>(size >> 64)) << 64) | static_cast<uint64_t>(size);
  return value < 0 ? Wide(-magnitude) : magnitude;
}

// A dividend and a divisor with what is added to them.
struct Parts {
  Wide dividend;
  Wide divisor;
};

Parts PartsOf(const Quotient& quotient, std::span<const Units> sums) {
  return {ToWide(sums[quotient.dividend]) + ToWide(quotient.dividend_added),
          ToWide(sums[quotient.divisor]) + ToWide(quotient.divisor_added)};
}

// Whether both parts are below 2^62 in size, as nearly all are.
bool AreSmall(const Quotient& quotient, std::span<const Units> sums) {
  constexpr Units kLimit = Units{1} << 61;
  const auto is_small = [](Units value) { return value > -kLimit && value < kLimit; };
  return is_small(sums[quotient.dividend]) && is_small(sums[quotient.divisor]) && is_small(quotient.dividend_added) &&
         is_small(quotient.divisor_added);
}

}  // namespace

bool Quotient::HasValue(std::span<const Units> sums) const {
  // The sums another process sent may be fewer than the job has.
  const auto lacks = [&](const std::optional<size_t>& sum) { return sum && (*sum >= sums.size() || sums[*sum] == 0); };
  if (dividend >= sums.size() || divisor >= sums.size() || lacks(dividend_present) || lacks(divisor_present)) return false;
  return AreSmall(*this, sums) ? sums[divisor] + divisor_added > 0 : PartsOf(*this, sums).divisor > 0;
}

Fraction Quotient::ValueOf(std::span<const Units> sums) const {
  return (Fraction::OfUnits(sums[dividend]) + Fraction::OfUnits(dividend_added)) /
         (Fraction::OfUnits(sums[divisor]) + Fraction::OfUnits(divisor_added));
}

Units Quotient::Approximate(std::span<const Units> sums) const {
  if (!HasValue(sums)) return 0;
  if (AreSmall(*this, sums)) {
    const Units shifted = (sums[dividend] + dividend_added) * (Units{1} << 64);
    const Units by = sums[divisor] + divisor_added;
    return shifted / by - (shifted % by < 0);
  }
  const Parts parts = PartsOf(*this, sums);
  const Wide shifted = parts.dividend * (Wide(1) << 64);
  Wide floor = shifted / parts.divisor;
  if (shifted % parts.divisor < 0) --floor;
  const Wide most = ToWide(kMostApproximate);
  if (floor > most) return kMostApproximate;
  if (floor < -most) return -kMostApproximate;
  const Wide size = abs(floor);
  const auto low = static_cast<uint64_t>(Wide(size & Wide(~uint64_t{0})));
  const Units magnitude = (Units{static_cast<int64_t>(static_cast<uint64_t>(Wide(size >> 64)))} << 64) | Units{low};
  return floor < 0 ? -magnitude : magnitude;
}

std::strong_ordering Quotient::Compare(std::span<const Units> a, std::span<const Units> b) const {
  if (AreSmall(*this, a) && AreSmall(*this, b)) {
    const auto crossed = [this](std::span<const Units> of, std::span<const Units> other) {
      return (of[dividend] + dividend_added) * (other[divisor] + divisor_added);
    };
    return crossed(a, b) <=> crossed(b, a);
  }
  const Parts left = PartsOf(*this, a);
  const Parts right = PartsOf(*this, b);
  const Wide x = left.dividend * right.divisor;
  const Wide y = right.dividend * left.divisor;
  return x < y ? std::strong_ordering::less : x > y ? std::strong_ordering::greater : std::strong_ordering::equal;
}

}  // namespace tenfold
