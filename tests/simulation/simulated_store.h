// What a simulated worker has in the place of RocksDB: a store in memory that loses in a crash what its WAL mode allows it
// to lose.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "job_spec.pb.h"
#include "state.pb.h"
#include "worker/store/shard_store.h"

namespace tenfold {

class SimulatedStore : public ShardStore {
 public:
  absl::Status Create(std::span<const NewShard> shards) override;
  absl::Status Drop(std::span<const ShardKey> shards) override;
  absl::Status Commit(std::span<const Update> updates, WalMode wal) override;
  absl::StatusOr<std::unique_ptr<RowCursor>> Rows(const ShardKey& shard, std::string_view begin,
                                                  std::string_view end) const override;
  absl::Status AddRows(const ShardKey& shard, std::span<const std::string_view> keys, std::span<RowSum> sums) const override;
  uint64_t EstimateRows(const ShardKey& shard) const override { return shards_.at(shard).back().rows.size(); }

  // Asked at every write: true makes it fail, with nothing written.
  void FailIf(std::function<bool()> fails) { fails_ = std::move(fails); }

  // The process ends. With WAL_OFF every shard by itself falls back to some state it had.
  void Crash(std::mt19937_64* random);
  void LoseDisk() { shards_.clear(); }
  // Alters a row of the first shard that `fits`; with `sly` its digest too, so that only the journal can tell. False if
  // there is none with rows.
  bool Damage(bool sly, const std::function<bool(const ShardState&)>& fits, std::mt19937_64* random);

  std::vector<ShardState> States(const std::string& job_id) const;
  std::vector<std::string> JobIds() const;

 private:
  struct Shard {
    ShardState state;
    std::map<std::string, RowSum> rows;
  };
  std::function<bool()> fails_ = [] { return false; };
  // Newest last; older ones only where a crash may bring them back.
  std::map<ShardKey, std::deque<Shard>> shards_;
};

}  // namespace tenfold
