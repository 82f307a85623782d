// The rows of one window of a job, as a store in which a row's key is only the key: row (z, a) of a shard is in window e if
// a <= e <= z, and a key's row here is the sum of all of them. What sums and looks up rows then knows nothing of windows.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/store/shard_store.h"

namespace tenfold {

// By shard, the pane numbers (common/table/row_pane.h) of which it has rows, ascending.
using ShardPanes = std::map<uint32_t, std::vector<uint64_t>>;

class WindowRows : public ShardStore {
 public:
  // The store and the panes, which may change between two calls, outlive the object.
  WindowRows(const ShardStore* store, const ShardPanes* panes, int64_t window, int64_t window_panes)
      : store_(store), panes_(panes), window_(window), window_panes_(window_panes) {}

  absl::StatusOr<std::unique_ptr<RowCursor>> Rows(const ShardKey& shard, std::string_view begin,
                                                  std::string_view end) const override;
  absl::Status AddRows(const ShardKey& shard, std::span<const std::string_view> keys, std::span<RowSum> sums) const override;
  // Of all windows.
  uint64_t EstimateRows(const ShardKey& shard) const override { return store_->EstimateRows(shard); }

  // Visits every row of the shard that is in the window, those of a key one by one and in no order of keys. That takes one
  // cursor of the store, where Rows takes one for each pane.
  absl::Status Visit(const ShardKey& shard, const std::function<bool(const Delta& row)>& row) const;

  // The rows are those of another window from now on.
  void SetWindow(int64_t window) { window_ = window; }
  // Visits every row of the shard that is in one of the windows and not in the other, those of a key one by one and in no
  // order of keys, and says which of both has it.
  absl::Status VisitDifference(const ShardKey& shard, int64_t other,
                               const std::function<bool(const Delta& row, bool in_other)>& row) const;

  // Nothing is written this way.
  absl::Status Create(std::span<const NewShard> shards) override;
  absl::Status Drop(std::span<const ShardKey> shards) override;
  absl::Status Commit(std::span<const Update> updates, WalMode wal) override;

 private:
  // What row keys of the shard's panes that are in the window begin with.
  std::vector<std::string> Prefixes(const ShardKey& shard) const;

  const ShardStore* const store_;
  const ShardPanes* const panes_;
  int64_t window_;
  const int64_t window_panes_;
};

}  // namespace tenfold
