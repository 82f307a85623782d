// What a worker needs of durable state: shards with their rows and their ShardState, changed atomically. The real one is
// worker/state_store.h; the simulator has one that crashes on purpose.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/units.h"
#include "job_spec.pb.h"
#include "state.pb.h"
#include "worker/delta_table.h"

namespace tenfold {

// Job id and shard.
using ShardKey = std::pair<std::string, uint32_t>;

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

  // Drops them for ever; unknown ones are ignored.
  virtual absl::Status Drop(std::span<const ShardKey> shards) = 0;

  struct Update {
    const ShardState* state;
    // Sorted by key.
    std::span<const Delta> deltas;
  };
  // Adds the deltas and replaces the states, in one atomic write of all shards, durable as `wal` says on return. After an
  // error nothing of it is in state, or the store refuses everything until it is opened again.
  virtual absl::Status Commit(std::span<const Update> updates, WalMode wal) = 0;

  // Every row in key order, and the digest of them all, to compare with the state's. DATA_LOSS if it cannot be read,
  // CANCELLED if `row` returned false.
  using Row = std::function<bool(std::string_view key, uint64_t count, Units sum)>;
  virtual absl::StatusOr<Uint128> Scan(const ShardKey& shard, const Row& row) const = 0;
};

}  // namespace tenfold
