#include "driver/core/batch_planner.h"

#include <algorithm>

#include "glog/logging.h"

namespace tenfold {
namespace {

// With less than the minimum no fetch would return in time; with more than the maximum a stop or a move would wait too long.
constexpr uint32_t kMinBudgetMs = 20;
constexpr uint32_t kMaxBudgetMs = 10'000;

}  // namespace

BatchPlan PlanBatch(const std::vector<int64_t>& next_offsets, const std::vector<int64_t>& ends) {
  CHECK_EQ(next_offsets.size(), ends.size());
  BatchPlan plan;
  plan.targets = next_offsets;
  for (size_t i = 0; i < ends.size(); ++i) {
    if (ends[i] < next_offsets[i]) {
      plan.truncated.push_back(static_cast<uint32_t>(i));
      continue;
    }
    plan.targets[i] = ends[i];
    plan.lag += static_cast<uint64_t>(ends[i] - next_offsets[i]);
  }
  return plan;
}

uint32_t FoldBudgetMs(uint32_t interval_ms, uint32_t overhead_ms) {
  const uint32_t most = interval_ms - interval_ms / 10;
  const uint32_t budget = most > overhead_ms ? most - overhead_ms : 0;
  return std::clamp(std::max(budget, interval_ms / 4), kMinBudgetMs, kMaxBudgetMs);
}

int64_t NextStart(int64_t started, int64_t now, int64_t interval, bool backlog) {
  return backlog ? now : std::max(now, started + interval);
}

}  // namespace tenfold
