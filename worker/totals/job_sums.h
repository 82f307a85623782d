// The sums of a job at a worker: one PartialSums of all rows or, in a job with windows, one for each of the last windows
// that the driver asked for, which is the current one and at times one that becomes final. Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/number/ranking.h"
#include "common/table/delta.h"
#include "worker.pb.h"
#include "worker/store/shard_store.h"
#include "worker/totals/partial_sums.h"
#include "worker/totals/window_rows.h"

namespace tenfold {

class JobSums {
 public:
  explicit JobSums(const PartialSums::Options& options) : options_(options), all_(options) {}

  // What the job's rows are: `window_panes` is 0 for a job without windows.
  void SetRows(const Ranking& ranking, int64_t window_panes);
  bool has_windows() const { return window_panes_ > 0; }
  int64_t window_panes() const { return window_panes_; }
  const Ranking& ranking() const { return all_.ranking(); }
  // As PartialSums has it; windows share the limit.
  void SetLimit(size_t bytes);
  void Shrink();

  // ---- which shards they sum ----

  // As PartialSums has them. In a job with windows rows are read from the store once a window is asked for.
  void AddRow(const Delta& row) { all_.AddRow(row); }
  // Whether rows of a shard that leaves are taken away by AddRow: no height is, and the sums of windows are made anew. Else
  // ReadAnew has the next SetShards read all of its shards.
  bool TakesAway() const { return !has_windows() && ranking().heights.empty(); }
  void ReadAnew() { all_.ReadAnew(); }
  void EndScan();
  absl::Status SetShards(std::vector<ShardKey> shards);
  void ForgetChanges();
  void Clear();
  // Rows of no later window than this are about to be dropped from the store. Sums that need them to become those of another
  // window do so now.
  absl::Status Close(int64_t window);
  // Of which panes the shard has rows from now on.
  void SetPanes(uint32_t shard, const ShardState& state);

  // ---- a Fold, and the look-ups that follow it ----

  void Quote(const FoldRequest& request, const PartialSums::Composition& present);
  // A commit has added this to the store, or will if AddsInMemory; one span a shard.
  absl::Status Add(std::span<const std::span<const Delta>> shards);
  bool AddsInMemory(std::span<const std::span<const Delta>> shards) const;
  // As PartialSums has it, and says how many keys the sums have.
  absl::Status Answer(const FoldRequest& request, FoldReply* reply);
  absl::StatusOr<LookUpReply> LookUp(const LookUpRequest& request);

 private:
  struct Window {
    Window(const PartialSums::Options& options, const ShardPanes* panes, int64_t window, int64_t panes_of_window)
        : number(window), rows(options.store, panes, window, panes_of_window), sums(With(options, &rows)) {}
    static PartialSums::Options With(PartialSums::Options options, const ShardStore* store) {
      options.store = store;
      return options;
    }
    int64_t number;
    WindowRows rows;
    PartialSums sums;
  };

  // The sums of a window, if they are there.
  Window* Find(int64_t number);
  // The same, made of those of a window near by, or read from the store, if they are not.
  absl::StatusOr<Window*> Get(int64_t number);
  // Makes the sums those of another window, by the rows that leave and those that enter. Whether it did: not if most rows
  // differ, or if these take more memory than there is.
  absl::StatusOr<bool> Move(Window* window, int64_t number);
  // Sums of the window that have nothing yet.
  Window* Make(int64_t number);
  // The first window that rows of a pane may be in.
  int64_t FirstOf(uint64_t pane) const;
  // If the deltas are the first ones of a newer window than any before, so that the store has no other rows of it, its sums
  // begin with them: to read them back is dear, as a memtable is sorted for that.
  absl::Status BeginNewest(std::span<const std::span<const Delta>> shards);
  // Adds deltas of row keys to those that are in the window.
  absl::Status AddToWindow(std::span<const std::span<const Delta>> shards, Window* window);

  const PartialSums::Options options_;
  int64_t window_panes_ = 0;
  // Of a job without windows.
  PartialSums all_;
  // Of one with windows: the shards, their panes, and the windows.
  size_t limit_ = 0;
  std::vector<ShardKey> shards_;
  ShardPanes panes_;
  // The newest window that any of their rows may be in, as of the last Add.
  std::optional<int64_t> newest_;
  std::list<Window> windows_;
  // Of the Add under way, what keys have in several panes of a shard.
  std::list<std::map<std::string_view, ShardStore::RowSum>> added_keys_;
};

}  // namespace tenfold
