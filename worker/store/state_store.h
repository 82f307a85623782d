// A worker's durable state: one RocksDB, one column family a shard named JOBID.SHARD, in it the shard's rows and its
// ShardState, so that each shard is consistent by itself in any WAL mode. The only place of the worker that knows
// RocksDB (7.8.3). ARCHITECTURE.md, "State on disk", has the formats.
//
// Whatever ended the last process, a shard comes back as it was after one of its commits: after the last one that its WAL
// mode had made durable, or a later one. The states, but not the rows, are kept in memory as well.
//
// Thread-safe, but for two rules: nobody drops or creates a shard while a commit or scan names it, or during Flush or
// EmptyLog; and a shard has one commit at a time.
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
#include "common/number/units.h"
#include "common/thread/mutex.h"
#include "job_spec.pb.h"
#include "state.pb.h"
#include "worker/store/shard_store.h"

namespace rocksdb {
class Cache;
class ColumnFamilyHandle;
class DB;
class Env;
class Status;
struct ColumnFamilyOptions;
struct DBOptions;
}  // namespace rocksdb

namespace tenfold {

class StateStore : public ShardStore {
 public:
  // Opens DIR/state, made with its parents if missing. FAILED_PRECONDITION if another process has it open;
  // INVALID_ARGUMENT if it cannot be a directory of ours; DATA_LOSS, naming the file, if it is damaged: the caller
  // quarantines the directory (renames it) and opens again.
  struct Options {
    // For tests that lose power; outlives the store.
    rocksdb::Env* env = nullptr;
    // What memtables and cached blocks may take, and then rows may be read one by one: AddRows is fast only with it. 0:
    // nothing is cached, and commits cost the least.
    size_t memory_bytes = 0;
  };
  static absl::StatusOr<std::unique_ptr<StateStore>> Open(const std::string& data_dir, const Options& options);
  static absl::StatusOr<std::unique_ptr<StateStore>> Open(const std::string& data_dir) { return Open(data_dir, Options()); }
  // Flushes nothing; what was committed without the WAL may be lost.
  ~StateStore() override;
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  // Every shard kept.
  std::vector<ShardKey> Shards() const;
  // DATA_LOSS if it cannot be read, NOT_FOUND if it is not there.
  absl::StatusOr<ShardState> Read(const ShardKey& shard) const;

  // ALREADY_EXISTS if one of the shards is there: then none is made.
  absl::Status Create(std::span<const NewShard> shards) override;
  absl::Status Drop(std::span<const ShardKey> shards) override;
  absl::Status Commit(std::span<const Update> updates, WalMode wal) override;
  absl::StatusOr<std::unique_ptr<RowCursor>> Rows(const ShardKey& shard, std::string_view begin,
                                                  std::string_view end) const override;
  absl::Status AddRows(const ShardKey& shard, std::span<const std::string_view> keys, std::span<RowSum> sums) const override;
  uint64_t EstimateRows(const ShardKey& shard) const override;

  // Makes everything durable in files, so that a clean end loses nothing in any WAL mode.
  absl::Status Flush();
  // Deletes the WAL's files, which keep what dropped shards had as long as other shards have something in them; that is
  // written to files first, shard by shard, until `is_ending`. Commits may go on.
  absl::Status EmptyLog(const std::function<bool()>& is_ending = [] { return false; });

 private:
  struct Family {
    rocksdb::ColumnFamilyHandle* handle;
    // As of the last commit; or why it cannot be read.
    absl::StatusOr<ShardState> state;
    // Commits without the WAL, and how many of those are in files.
    uint64_t unlogged_commits = 0;
    uint64_t flushed_commits = 0;
  };

  StateStore(std::string dir, const Options& options, const std::shared_ptr<rocksdb::Cache>& cache);

  absl::Status OpenDatabase();
  // NOT_FOUND, as part of what could not be done.
  absl::StatusOr<rocksdb::ColumnFamilyHandle*> FindFamily(const ShardKey& shard, std::string_view action) const;
  // Takes over a family found by OpenDatabase; adds it to `incomplete` if a crash left it without its first write.
  absl::Status AddFamily(rocksdb::ColumnFamilyHandle* handle, std::vector<rocksdb::ColumnFamilyHandle*>* incomplete);
  absl::StatusOr<ShardState> ReadState(rocksdb::ColumnFamilyHandle* handle) const;
  // Drops and destroys the handles.
  rocksdb::Status DropFamilies(const std::vector<rocksdb::ColumnFamilyHandle*>& handles);
  // The families of the updates, in their order.
  absl::StatusOr<std::vector<Family*>> FindFamilies(std::span<const Update> updates);
  // Waits until the families' memtables are in files if all memtables together have come to their limit.
  absl::Status FlushIfFull(std::span<Family* const> families);
  // Flushes those of the families that have rows not in the WAL.
  absl::Status FlushUnlogged(std::span<Family* const> families);
  // Says what failed; from then on everything is refused with it.
  absl::Status Fail(std::string_view action, const rocksdb::Status& status);

  const std::string dir_;
  const std::unique_ptr<rocksdb::DBOptions> options_;
  const std::unique_ptr<rocksdb::ColumnFamilyOptions> family_options_;
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyHandle* default_family_ = nullptr;

  mutable Mutex mutex_;
  std::map<ShardKey, Family> families_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tenfold
