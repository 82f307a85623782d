// The durable state of a worker: shards with their rows and their ShardState, changed atomically. The implementation is
// worker/store/state_store.h; the simulator has one that crashes on purpose.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/number/height.h"
#include "common/number/units.h"
#include "common/table/delta.h"
#include "job_spec.pb.h"
#include "state.pb.h"

namespace tenfold {

// Job id and shard.
using ShardKey = std::pair<std::string, uint32_t>;

// The rows of a shard in key order, as of the cursor's creation. Used by one thread; destroyed before the store.
class RowCursor {
 public:
  virtual ~RowCursor() = default;
  // Goes to the first row, then to the next one; false at the end or after an error.
  virtual bool Next() = 0;
  // DATA_LOSS if a row cannot be read.
  virtual absl::Status status() const = 0;

  // The key; the view is valid until the next call of Next.
  std::string_view key() const { return row_.key; }
  // The whole row; its views are valid as long.
  const Delta& row() const { return row_; }

 protected:
  Delta row_;
};

class ShardStore {
 public:
  virtual ~ShardStore() = default;

  // Creates shards with their first state and rows (an initial row has count 1), each whole or not at all after a crash,
  // durable on return.
  struct NewShard {
    ShardState state;
    std::vector<Delta> rows;
  };
  virtual absl::Status Create(std::span<const NewShard> shards) = 0;

  // Drops the shards for ever. Unknown ones are ignored.
  virtual absl::Status Drop(std::span<const ShardKey> shards) = 0;

  struct Update {
    const ShardState* state;
    // Every key once, in any order; a store with a memory limit is fastest if they are sorted.
    std::span<const Delta> deltas;
    // Rows whose keys are below this are dropped first.
    std::string_view drop_below = {};
  };
  // Adds the deltas and replaces the states, in one atomic write of all shards, durable as `wal` says on return. After an
  // error nothing of it is in state, or the store refuses everything until it is opened again.
  virtual absl::Status Commit(std::span<const Update> updates, WalMode wal) = 0;

  // The rows whose keys are not below `begin` and, unless that is empty, below `end`. The shard must not be dropped while
  // the cursor exists.
  virtual absl::StatusOr<std::unique_ptr<RowCursor>> Rows(const ShardKey& shard, std::string_view begin,
                                                          std::string_view end) const = 0;
  absl::StatusOr<std::unique_ptr<RowCursor>> AllRows(const ShardKey& shard) const { return Rows(shard, "", ""); }

  // Adds the shard's row of keys[i], if it has one, to (*sums)[i]. The keys are distinct and sorted. DATA_LOSS if a row
  // cannot be read.
  struct RowSum {
    uint64_t count = 0;
    HeightSet heights = {};
    Units sum = 0;
    std::vector<Units> others;

    // Adds the values of a row, whatever its key is.
    void Add(const Delta& row);
    void Clear() {
      count = 0;
      sum = 0;
      others.clear();
    }
    Delta RowOf(std::string_view key) const {
      return {.key = key, .count = count, .heights = heights, .sum = sum, .others = others};
    }
  };
  virtual absl::Status AddRows(const ShardKey& shard, std::span<const std::string_view> keys,
                               std::span<RowSum> sums) const = 0;

  // About how many rows the shard has, rather more than fewer; 0 if it is not there.
  virtual uint64_t EstimateRows(const ShardKey& shard) const = 0;

  // Visits every row in key order and returns the digest of all rows, to be compared with the state's. DATA_LOSS if a row
  // cannot be read, CANCELLED if `row` returned false.
  using Row = std::function<bool(const Delta& row)>;
  absl::StatusOr<Uint128> Scan(const ShardKey& shard, const Row& row) const;
};

// The merged rows of several shards or panes: every key once, in order, with its sums over them. Holds one cursor for each
// shard and no rows.
class MergedRows : public RowCursor {
 public:
  absl::Status Open(const ShardStore& store, std::span<const ShardKey> shards);
  // The same of any rows.
  void Open(std::vector<std::unique_ptr<RowCursor>> cursors);
  bool Next() override;
  absl::Status status() const override { return status_; }

 private:
  static bool Later(const RowCursor* a, const RowCursor* b) { return a->key() > b->key(); }
  void Advance(RowCursor* cursor);

  std::vector<std::unique_ptr<RowCursor>> cursors_;
  // A heap of the cursors that have a row, with the lowest key in front.
  std::vector<RowCursor*> heap_;
  std::string buffer_;
  ShardStore::RowSum sum_;
  absl::Status status_;
};

}  // namespace tenfold
