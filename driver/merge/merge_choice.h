// Chooses the merge of a job's next batch: by thresholds (driver/merge/global_top_k.h), which costs nothing to
// begin and little where few keys are hot, or by changes (driver/merge/total_replica.h), which costs the changed keys, but
// every key once to begin. It changes to the other one once that would have saved half of what beginning costs, so that,
// whatever the keys do, the cost is at most a few times that of the cheaper merge. Costs are counted in entries and
// look-ups. A pure decision.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tenfold {

class MergeChoice {
 public:
  bool by_changes() const { return by_changes_; }

  // After a batch by thresholds, over all workers: what it read, how much would have been good enough in any case, how many
  // keys changed, and how many there are.
  void NoteThresholds(uint64_t read, uint64_t good_enough, uint64_t changed, uint64_t keys) {
    threshold_cost_ = read;
    const auto loss = static_cast<int64_t>(read) - static_cast<int64_t>(std::max(changed, good_enough));
    loss_ = std::max<int64_t>(0, loss_ + loss);
    if (loss_ <= static_cast<int64_t>(keys / 2) << refusals_) return;
    by_changes_ = true;
    // The cost of sending every key once must not end the merge by changes soon.
    loss_ = -static_cast<int64_t>(keys);
  }

  // After a batch by changes.
  void NoteChanges(uint64_t read, uint64_t keys) {
    const int64_t least = std::min<int64_t>(0, loss_);
    loss_ = std::max(least, loss_ + static_cast<int64_t>(read) - static_cast<int64_t>(threshold_cost_));
    if (loss_ > static_cast<int64_t>(keys / 2)) EndChanges();
  }

  // There is no memory for a merge by changes. It is tried again after twice the loss.
  void Refuse() {
    refusals_ = std::min(refusals_ + 1, 20);
    EndChanges();
  }

 private:
  void EndChanges() {
    by_changes_ = false;
    loss_ = 0;
  }

  bool by_changes_ = false;
  uint64_t threshold_cost_ = 0;
  // How much more the present merge has cost so far than the other one would have.
  int64_t loss_ = 0;
  int refusals_ = 0;
};

}  // namespace tenfold
