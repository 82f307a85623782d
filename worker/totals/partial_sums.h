// A worker's partial sums of one job, over the shards that it owns, and every answer about them that the driver's merge asks
// for: the highest, those that changed, what was added, and look-ups. Exact whether the totals fit into memory or not
// (worker/totals/bounded_totals.h). Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/limits.h"
#include "common/number/ranking.h"
#include "common/number/units.h"
#include "common/table/delta.h"
#include "worker.pb.h"
#include "worker/store/shard_store.h"
#include "worker/totals/bounded_totals.h"
#include "worker/totals/kept_changes.h"

namespace tenfold {

class PartialSums {
 public:
  using Composition = google::protobuf::RepeatedPtrField<PartitionOffset>;

  struct Options {
    // Outlives the object; may be nullptr where there is never a limit of memory.
    const ShardStore* store = nullptr;
    // Bytes of keys and sums in one reply, about, except of the highest.
    size_t part_bytes = kMaxMessageBytes / 4;
    // Keys whose changes are kept for the driver; of more it is told nothing.
    size_t max_kept_changes = kMaxKeptChanges;
    // Polled while shards are read whole: true ends that with CANCELLED.
    std::function<bool()> stop = [] { return false; };
  };
  explicit PartialSums(const Options& options)
      : part_bytes_(options.part_bytes), totals_(options.store, options.stop), kept_changes_(options.max_kept_changes) {}

  // What the sums may take of memory from the next change on, in bytes; 0: no limit.
  void SetLimit(size_t bytes);
  // What the rows are, and what ranks. If that is something else than before, the sums are those of no shard from now on.
  void SetRanking(const Ranking& ranking);
  const Ranking& ranking() const { return totals_.ranking(); }
  // Gives up what is beyond the limit, at once. What was answered in part does not go on.
  void Shrink() { totals_.Shrink(); }

  // ---- which shards they sum ----

  // A row of a shard that joins the sums or, with count and sums negated, leaves them. SetShards has to follow.
  void AddRow(const Delta& row) { totals_.AddRow(row); }
  // The next SetShards reads all rows of its shards.
  void ReadAnew() { totals_.ReadAnew(); }
  // Reads nothing of the store until the next question, so that shards may be dropped.
  void EndScan() { totals_.EndScan(); }
  // The sums are those of these shards now, which the store has.
  absl::Status SetShards(std::vector<ShardKey> shards) { return totals_.SetShards(std::move(shards)); }
  // The sums change otherwise than by a fold, so what was added since a composition is not known any more.
  void ForgetChanges() { kept_changes_.Forget(); }
  // Keys that were taken away take no memory any more, if they are most.
  void DropAbsent() { totals_.DropAbsent(); }
  // The sums are those of no shard from now on.
  void Clear();

  // ---- a Fold, and the look-ups that follow it ----

  // The Fold quotes what the driver has of the sums, which are at `present`.
  void Quote(const FoldRequest& request, const Composition& present);
  // A commit has added this to the store, or will if AddsInMemory; one span a shard.
  absl::Status Add(std::span<const std::span<const Delta>> shards);
  bool AddsInMemory(std::span<const std::span<const Delta>> shards) const { return totals_.AddsInMemory(shards); }
  // Keys that the sums have; an estimate if they are not all in memory.
  uint64_t KeyCount() const { return totals_.Keys(); }
  // Sets the reply's `answer` to what the Fold wants.
  absl::Status Answer(const FoldRequest& request, FoldReply* reply);
  // FAILED_PRECONDITION if what is asked for is not known any more.
  absl::StatusOr<LookUpReply> LookUp(const LookUpRequest& request);

 private:
  absl::Status AnswerHighest(const WantHighest& wanted, Highest* highest);
  // False, and nothing is added, if the changed entries are not known or are too many for a reply.
  bool AnswerUpdates(Units at_or_above, Updates* updates);
  // Whether a sum below this, to which that much was added, may have been at or above it before.
  bool MayHaveBeen(Units at_or_above, Units sum, Units added) const;
  absl::Status FindKeys(const Keys& wanted, LookUpReply* reply);
  absl::Status FindRange(const EntryRange& range, LookUpReply* reply);

  const size_t part_bytes_;
  BoundedTotals totals_;
  KeptChanges kept_changes_;
  // How often keys had left the totals' memory when the changes kept began.
  uint64_t drops_at_base_ = 0;
};

}  // namespace tenfold
