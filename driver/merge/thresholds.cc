#include "driver/merge/thresholds.h"

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <limits>

namespace tenfold {
namespace {

constexpr Units kMinUnits = std::numeric_limits<Units>::min();
constexpr Units kMaxUnits = std::numeric_limits<Units>::max();

// Returns floor(a * b / c) for 0 <= a, 0 <= b <= c, 0 < c.
Units MultiplyDivide(Units a, Units b, Units c) {
  using Wide = boost::multiprecision::uint256_t;
  const Wide quotient = Wide(static_cast<Uint128>(a)) * Wide(static_cast<Uint128>(b)) / Wide(static_cast<Uint128>(c));
  return static_cast<Units>(static_cast<Uint128>(quotient));
}

// Splits `total` >= 1 into thresholds in proportion to the weights: a key below each of them has a total below `total`.
std::vector<Units> SplitThreshold(Units total, std::span<const Units> weights) {
  const Units sum = BoundedSum(weights);
  std::vector<Units> thresholds(weights.size(), 1);
  // A saturated sum would make the shares too large; 1 is always safe.
  if (sum == 0 || sum == kMaxUnits) return thresholds;
  for (size_t w = 0; w < weights.size(); ++w) thresholds[w] += MultiplyDivide(total - 1, weights[w], sum);
  return thresholds;
}

// What the floors are to sum to where the k-th total is `total` >= 1: the lower, the more entries are sent, and the fewer
// candidates have to be looked up, at all other workers. Measured with tests/bench/merge.cc; anything up to `total` is
// right.
Units FloorTarget(Units total) { return 1 + (total - 1) / 4 * 3; }

}  // namespace

std::optional<Units> HighestFloor(std::span<const std::optional<Units>> floors) {
  std::optional<Units> highest;
  for (const std::optional<Units>& floor : floors) {
    if (floor) highest = std::max(highest.value_or(kMinUnits), *floor);
  }
  return highest;
}

Units PositivePart(const std::optional<Units>& floor) { return std::max<Units>(floor.value_or(0), 0); }

Units BoundedSum(std::span<const Units> values) {
  Units sum = 0;
  for (const Units value : values) {
    if (__builtin_add_overflow(sum, value, &sum)) return kMaxUnits;
  }
  return sum;
}

std::optional<Units> UnseenBound(std::span<const std::optional<Units>> floors) {
  // The maximum is reached where the floor is highest: its negative part is all that the sum of the positive parts lacks.
  const std::optional<Units> highest = HighestFloor(floors);
  if (!highest || *highest < 0) return highest;
  std::vector<Units> positive;
  for (const std::optional<Units>& floor : floors) positive.push_back(PositivePart(floor));
  return BoundedSum(positive);
}

std::vector<Units> SecondRoundThresholds(std::optional<Units> kth_total, std::span<const std::optional<Units>> floors) {
  if (!kth_total || *kth_total < 1) return std::vector<Units>(floors.size(), kth_total.value_or(kMinUnits));
  std::vector<Units> weights;
  for (const std::optional<Units>& floor : floors) weights.push_back(PositivePart(floor));
  return SplitThreshold(FloorTarget(*kth_total), weights);
}

// Where the depth alone would leave the floors too high, the target is split in proportion to what each worker has at its
// depth. Each batch takes them from its own sums, so they grow with the scores and ask for more than the depth only where
// that is needed; a worker that has little yet counts as an eighth of the average, as a threshold near 0 would bring all it
// has once it grows.
std::vector<std::optional<Units>> NextThresholds(std::optional<Units> kth_total, std::vector<Units> depth_bounds) {
  std::vector<std::optional<Units>> thresholds(depth_bounds.size());
  if (!kth_total || *kth_total < 1) return thresholds;
  const Units target = FloorTarget(*kth_total);
  const Units sum = BoundedSum(depth_bounds);
  if (sum < target || sum == kMaxUnits) return thresholds;

  const Units least = sum / (8 * static_cast<Units>(depth_bounds.size()));
  for (Units& bound : depth_bounds) bound = std::max(bound, least);
  const std::vector<Units> split = SplitThreshold(target, depth_bounds);
  thresholds.assign(split.begin(), split.end());
  return thresholds;
}

}  // namespace tenfold
