// A worker's durable state: one RocksDB, one column family a shard named JOBID.SHARD, in it the shard's rows and its
// ShardState, so that each shard is consistent by itself in any WAL mode. The only place of the worker that knows
// RocksDB (7.8.3). ARCHITECTURE.md, "State on disk", has the formats.
//
// Thread-safe, but for one rule: nobody drops or creates a shard while a commit or scan names it.
#pragma once

#include <functional>
#include <map>
#include <memory>
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

class StateStore {
 public:
  // Opens or creates DIR/state. FAILED_PRECONDITION if another process has it open; DATA_LOSS, naming the file, if it is
  // damaged: the caller quarantines the directory (renames it) and opens again.
  static absl::StatusOr<std::unique_ptr<StateStore>> Open(const std::string& data_dir);
  // Flushes nothing; what was committed without a log may be lost.
  ~StateStore();

  // Every shard kept.
  std::vector<ShardKey> Shards() const;
  // DATA_LOSS if it cannot be read.
  absl::StatusOr<ShardState> Read(const ShardKey& shard) const;

  // Creates shards with their first state and rows (an initial row has count 1), all or none after a crash for each shard.
  struct NewShard {
    ShardState state;
    std::vector<Delta> rows;
  };
  absl::Status Create(std::span<const NewShard> shards);
  // Drops them for ever; unknown ones are ignored.
  absl::Status Drop(std::span<const ShardKey> shards);

  struct Update {
    const ShardState* state;
    // Sorted by key.
    std::span<const Delta> deltas;
  };
  // Adds the deltas and replaces the states, in one atomic write of all shards, durable as `wal` says on return. After an
  // error nothing of it is in state, or the store refuses everything until it is opened again.
  absl::Status Commit(std::span<const Update> updates, WalMode wal);

  // Every row in key order. DATA_LOSS if it cannot be read. Also computes the digest, to compare with the state's.
  absl::StatusOr<Uint128> Scan(const ShardKey& shard, const std::function<void(std::string_view key, uint64_t count, Units sum)>& row) const;

  // Makes everything durable in files, so that a clean end loses nothing in any WAL mode.
  absl::Status Flush();
};

}  // namespace tenfold
