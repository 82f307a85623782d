// The arithmetic of the stop rule (R7): what floors say about totals that were not seen, and how a threshold for totals is
// split into one a worker. All sums are units of 1e-9. Pure functions.
//
// A worker's floor f_w is at or above every partial that it has and did not send; unset if it sent all. An entry that no
// worker sent has a total of at most U, the maximum over workers w of (f_w + the sum over the others of max(f_v, 0)): it is
// present at some worker w, and where it is absent its partial counts 0.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "common/number/units.h"

namespace tenfold {

// max(floor, 0); 0 if it is unset.
Units PositivePart(const std::optional<Units>& floor);

// The sum of numbers that are not negative, or the greatest number if it is greater: a bound need not be exact.
Units BoundedSum(std::span<const Units> values);

// U; unset if every worker sent all it has.
std::optional<Units> UnseenBound(std::span<const std::optional<Units>> floors);

// What to ask each worker for in the second round, so that every key with a total at or above `kth_total` is sent by some
// worker: thresholds in proportion to the floors that sum to less than it; the k-th total itself where it is not above 0;
// everything where there is none, as fewer than k totals are exact.
std::vector<Units> SecondRoundThresholds(std::optional<Units> kth_total, std::span<const std::optional<Units>> floors);

// What to ask each worker for in the next batch's first round, beside its depth; unset: nothing. `depth_bounds` are the
// least sums that the depth alone brings, by worker, not negative.
std::vector<std::optional<Units>> NextThresholds(std::optional<Units> kth_total, std::vector<Units> depth_bounds);

}  // namespace tenfold
