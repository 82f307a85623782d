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

// Returns the highest floor; unset if every worker sent all it has. Where a height ranks this is U: a total is one of its
// partials, and a partial that is absent is none, not 0 (rule M of the job language).
std::optional<Units> HighestFloor(std::span<const std::optional<Units>> floors);

// Returns max(floor, 0), or 0 if the floor is unset.
Units PositivePart(const std::optional<Units>& floor);

// Returns the sum of numbers that are not negative, saturated at the greatest number, which as a bound is right.
Units BoundedSum(std::span<const Units> values);

// Returns U where sums rank; unset if every worker sent all it has.
std::optional<Units> UnseenBound(std::span<const std::optional<Units>> floors);

// Returns the thresholds of the second round, with which every key with a total of at least `kth_total` is sent by some
// worker: in proportion to the floors, with a sum below `kth_total`; `kth_total` itself for every worker if it is not above
// 0; the lowest number if it is unset, as fewer than k totals are exact.
std::vector<Units> SecondRoundThresholds(std::optional<Units> kth_total, std::span<const std::optional<Units>> floors);

// Returns the thresholds of the next batch's first round; unset for a worker that is asked for the depth only.
// `depth_bounds` are the least sums that the depth alone brings, by worker; they are not negative.
std::vector<std::optional<Units>> NextThresholds(std::optional<Units> kth_total, std::vector<Units> depth_bounds);

}  // namespace tenfold
