// What the simulator puts in place of RocksDB and Kafka under the production worker: a store that loses what its WAL mode
// allows it to lose, and a log in memory.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "job_spec.pb.h"
#include "worker/decode/decoder.h"
#include "worker/fold/fold_task.h"
#include "worker/store/shard_store.h"

namespace tenfold {

// One topic. A slot is a record, or a transaction marker that no reader sees.
struct SimulatedLog {
  struct Slot {
    bool marker = false;
    std::string value;
  };
  std::vector<std::vector<Slot>> partitions;
  // Where a partition begins if its start is gone, and where it ends if it was truncated for good; what is outside stays
  // in its slots, for the oracle alone.
  std::map<size_t, int64_t> begins;
  std::map<size_t, int64_t> truncated;

  int64_t Begin(size_t partition) const { return begins.contains(partition) ? begins.at(partition) : 0; }
  int64_t End(size_t partition) const {
    return truncated.contains(partition) ? truncated.at(partition) : static_cast<int64_t>(partitions[partition].size());
  }
};

class SimulatedStore : public ShardStore {
 public:
  absl::Status Create(std::span<const NewShard> shards) override;
  absl::Status Drop(std::span<const ShardKey> shards) override;
  absl::Status Commit(std::span<const Update> updates, WalMode wal) override;
  absl::StatusOr<std::unique_ptr<RowCursor>> Rows(const ShardKey& shard) const override;
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

class SimulatedFoldTask : public FoldTask {
 public:
  SimulatedFoldTask(const SimulatedLog* log, const JobSpec& spec, std::mt19937_64* random);

  // Folds some of what there is, at random: short of the ends as if the budget was spent, or beyond them.
  FoldOutcome Fold(const std::vector<JobCore::ShardRange>& ranges, const FoldOptions& options) override;

 private:
  // What stops the job, if something does.
  std::optional<std::string> FoldPartition(int64_t end, PartitionState* partition, DeltaTable* table);

  const bool fails_on_bad_record_;
  const SimulatedLog* const log_;
  std::mt19937_64* const random_;
  Decoder decoder_;
  std::map<uint32_t, DeltaTable> tables_;
};

}  // namespace tenfold
