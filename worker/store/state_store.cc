#include "worker/store/state_store.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "common/files/durable_file.h"
#include "common/number/digest.h"
#include "common/process/fault_point.h"
#include "fmt/format.h"
#include "rocksdb/cache.h"
#include "rocksdb/convenience.h"
#include "rocksdb/db.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/memtablerep.h"
#include "rocksdb/slice_transform.h"
#include "rocksdb/table.h"
#include "rocksdb/write_buffer_manager.h"
#include "worker/store/row_format.h"

namespace tenfold {
namespace {

rocksdb::DBOptions DatabaseOptions(const StateStore::Options& store, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::DBOptions options;
  if (store.env != nullptr) options.env = store.env;
  options.create_if_missing = true;
  // A torn end of the WAL is dropped. Each shard is then older but consistent, and is folded on from there.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.avoid_flush_during_shutdown = true;
  // The vector memtable does not support concurrent writes.
  options.allow_concurrent_memtable_write = false;
  if (cache != nullptr) {
    // Memtables take from the cache what they hold. Commit keeps to the limit, and not allow_stall: a write that is held up
    // has one family flushed, and with many that is not enough for it to go on (7.8.3).
    options.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(store.memory_bytes / 2, cache);
  } else {
    options.db_write_buffer_size = 128 << 20;
  }
  // Without a limit one idle shard keeps every WAL file.
  options.max_total_wal_size = 256 << 20;
  options.max_manifest_file_size = 64 << 20;
  // A job has 64 families; by default all their files are kept open.
  options.max_open_files = 256;
  options.max_background_jobs = 4;
  options.bytes_per_sync = 1 << 20;
  // Both kinds of statistics grow with the number of families, and nothing reads them.
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

// How much of what was written last a cursor may sort for itself.
constexpr uint64_t kMaxSortedBytes = 256 << 10;

rocksdb::ColumnFamilyOptions FamilyOptions(const std::shared_ptr<rocksdb::Cache>& cache, size_t memory_bytes) {
  rocksdb::ColumnFamilyOptions options;
  options.merge_operator = MakeRowMerge();
  if (cache == nullptr) {
    // Cheapest by far to commit to (seen: 0.3 against 1.9 us a key). It sorts at the flush, so reads before that are slow:
    // there are none of single keys, as the states are kept in memory, and a scan sorts once.
    options.memtable_factory = std::make_shared<rocksdb::VectorRepFactory>();
  } else {
    // A skip list, since rows are read back. They come sorted by key: each is looked for from the place of the one before.
    // A key that is read is as a rule in no memtable, or in one shard's.
    options.memtable_prefix_bloom_size_ratio = 0.05;
    options.memtable_whole_key_filtering = true;
    options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(kRowPrefix.size()));
  }
  // A memtable makes its filter for a full one from the first row on, and a job has up to 64 memtables.
  options.write_buffer_size = cache == nullptr ? 32 << 20 : std::clamp<size_t>(memory_bytes / 32, 128 << 10, 32 << 20);
  options.max_write_buffer_number = 3;
  // The default arena block of 1 MiB for each family would exhaust db_write_buffer_size unused.
  options.arena_block_size = 64 << 10;
  options.level_compaction_dynamic_level_bytes = true;
  const std::vector<rocksdb::CompressionType> compressions = rocksdb::GetSupportedCompressions();
  const bool lz4 = std::ranges::find(compressions, rocksdb::kLZ4Compression) != compressions.end();
  options.compression = lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  rocksdb::BlockBasedTableOptions table;
  if (cache == nullptr) {
    // Tuned for scans: no filters, larger blocks, and no cache, as blocks are read once.
    table.block_size = 16 << 10;
    table.no_block_cache = true;
  } else {
    // Nothing of a file is in memory but through the cache, index and filter by parts: rows are read in key order.
    table.block_size = 4 << 10;
    table.block_cache = cache;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.cache_index_and_filter_blocks = true;
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = true;
    table.metadata_block_size = 4 << 10;
    table.pin_top_level_index_and_filter = false;
  }
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::Status ToStatus(std::string_view action, const rocksdb::Status& status) {
  const std::string message = fmt::format("{}: {}", action, status.ToString());
  if (status.IsCorruption() || status.IsPathNotFound()) return absl::DataLossError(message);
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(message);
  if (status.IsIOError()) return absl::UnavailableError(message);
  return absl::InternalError(message);
}

std::string FamilyName(const ShardKey& shard) { return fmt::format("{}.{}", shard.first, shard.second); }

std::optional<ShardKey> ParseFamilyName(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return std::nullopt;
  ShardKey shard(name.substr(0, dot), 0);
  const char* const end = name.data() + name.size();
  const auto [parsed, error] = std::from_chars(name.data() + dot + 1, end, shard.second);
  if (error != std::errc() || parsed != end) return std::nullopt;
  return shard;
}

ShardKey KeyOf(const ShardState& state) { return {state.id().job_id(), state.id().shard()}; }

// Lists the families, of a new directory the default one only. Holds RocksDB's lock while it reads, since the files of a
// database that another process writes to look damaged.
absl::StatusOr<std::vector<std::string>> ListFamilies(const std::string& dir, const rocksdb::DBOptions& options) {
  rocksdb::FileLock* lock = nullptr;
  if (const rocksdb::Status status = options.env->LockFile(dir + "/LOCK", &lock); !status.ok()) {
    const std::string reason = status.ToString();
    // The messages of RocksDB 7.8.3 for a lock that another process holds, and for one that this process holds.
    if (absl::StrContains(reason, "While lock file") || absl::StrContains(reason, "lock hold by current process")) {
      return absl::FailedPreconditionError(
          fmt::format("{} is in use by another process; stop that or use another --data-dir", dir));
    }
    return absl::InvalidArgumentError(fmt::format("open {}: {}", dir, reason));
  }
  const absl::Cleanup unlock = [&] { options.env->UnlockFile(lock).PermitUncheckedError(); };

  std::vector<std::string> names{rocksdb::kDefaultColumnFamilyName};
  if (options.env->FileExists(dir + "/CURRENT").IsNotFound()) return names;
  if (const rocksdb::Status status = rocksdb::DB::ListColumnFamilies(options, dir, &names); !status.ok()) {
    return ToStatus(fmt::format("open {}", dir), status);
  }
  return names;
}

// Whether the disk has room for what the WAL holds. Where it has not, the database opens without it, with that in memory:
// so a full disk can be freed by drops after a restart as well.
bool HasRoomForItsLog(const std::string& dir) {
  std::error_code error;
  uintmax_t log_bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(dir, error)) {
    if (file.path().extension() != ".log") continue;
    const uintmax_t bytes = file.file_size(error);
    if (!error) log_bytes += bytes;
  }
  const std::filesystem::space_info disk = std::filesystem::space(dir, error);
  return error || disk.available >= log_bytes;
}

class FamilyRows : public RowCursor {
 public:
  FamilyRows(rocksdb::Iterator* rows, std::string_view begin, std::string_view end, std::string action)
      : rows_(rows), begin_(std::string(kRowPrefix).append(begin)), end_(end), action_(std::move(action)) {}

  bool Next() override {
    if (!started_) {
      rows_->Seek(begin_);
    } else {
      rows_->Next();
    }
    started_ = true;
    if (!rows_->Valid()) return false;
    std::string_view key = rows_->key().ToStringView();
    well_formed_ = key.starts_with(kRowPrefix) && DecodeRow(rows_->value(), &decoded_);
    if (!well_formed_) return false;
    key.remove_prefix(kRowPrefix.size());
    if (!end_.empty() && key >= end_) return false;
    row_ = decoded_.row();
    row_.key = key;
    return true;
  }
  absl::Status status() const override {
    if (!well_formed_) return absl::DataLossError(fmt::format("{}: it holds a row of no known form", action_));
    if (!rows_->status().ok()) return absl::DataLossError(fmt::format("{}: {}", action_, rows_->status().ToString()));
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<rocksdb::Iterator> rows_;
  const std::string begin_;
  const std::string end_;
  const std::string action_;
  DecodedRow decoded_;
  bool started_ = false;
  bool well_formed_ = true;
};

class RowWriter {
 public:
  explicit RowWriter(size_t bytes) : batch_(bytes) {}

  void Put(rocksdb::ColumnFamilyHandle* family, const ShardState& state) {
    Note(batch_.Put(family, kStateKey, state.SerializeAsString()));
  }
  void DropBelow(rocksdb::ColumnFamilyHandle* family, std::string_view key) {
    // From before all rows, by a key that is too short for the memtable's hints: RocksDB (7.8.3) would take a hint of the
    // rows for the list of deleted ranges, which is another one.
    Note(batch_.DeleteRange(family, kRowPrefix.substr(0, 1), std::string(kRowPrefix).append(key)));
  }
  void Merge(rocksdb::ColumnFamilyHandle* family, const Delta& delta) {
    key_.resize(kRowPrefix.size());
    key_.append(delta.key);
    Note(batch_.Merge(family, key_, EncodedRow(delta).slice()));
  }
  rocksdb::Status Write(rocksdb::DB* db, WalMode wal) {
    if (!status_.ok()) return status_;
    rocksdb::WriteOptions options;
    options.sync = wal == WAL_SYNC;
    options.disableWAL = wal == WAL_OFF;
    return db->Write(options, &batch_);
  }

  // About how many bytes a delta takes in the batch; more if its sums are large.
  static size_t Bytes(const Delta& delta) { return delta.key.size() + kRowPrefix.size() + 16 + 8 * delta.others.size(); }

 private:
  void Note(const rocksdb::Status& status) {
    if (status_.ok()) status_ = status;
  }

  rocksdb::WriteBatch batch_;
  std::string key_{kRowPrefix};
  rocksdb::Status status_;
};

}  // namespace

StateStore::StateStore(std::string dir, const Options& options, const std::shared_ptr<rocksdb::Cache>& cache)
    : dir_(std::move(dir)),
      options_(std::make_unique<rocksdb::DBOptions>(DatabaseOptions(options, cache))),
      family_options_(std::make_unique<rocksdb::ColumnFamilyOptions>(FamilyOptions(cache, options.memory_bytes))) {}

StateStore::~StateStore() {
  if (db_ == nullptr) return;
  for (auto& [shard, family] : families_) db_->DestroyColumnFamilyHandle(family.handle).PermitUncheckedError();
  if (default_family_ != nullptr) db_->DestroyColumnFamilyHandle(default_family_).PermitUncheckedError();
}

absl::StatusOr<std::unique_ptr<StateStore>> StateStore::Open(const std::string& data_dir, const Options& options) {
  const std::string dir = data_dir + "/state";
  if (absl::Status status = MakeDirectory(dir); !status.ok()) return status;
  std::shared_ptr<rocksdb::Cache> cache;
  if (options.memory_bytes > 0) cache = rocksdb::NewLRUCache(options.memory_bytes);
  std::unique_ptr<StateStore> store(new StateStore(dir, options, cache));
  if (absl::Status status = store->OpenDatabase(); !status.ok()) return status;
  return store;
}

absl::Status StateStore::OpenDatabase() {
  const absl::StatusOr<std::vector<std::string>> names = ListFamilies(dir_, *options_);
  if (!names.ok()) return names.status();
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : *names) descriptors.emplace_back(name, *family_options_);

  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  rocksdb::DBOptions options = *options_;
  options.avoid_flush_during_recovery = !HasRoomForItsLog(dir_);
  const rocksdb::Status opened = rocksdb::DB::Open(options, dir_, descriptors, &handles, &db);
  if (!opened.ok()) return ToStatus(fmt::format("open {}", dir_), opened);
  db_.reset(db);

  absl::Status status;
  std::vector<rocksdb::ColumnFamilyHandle*> incomplete;
  for (rocksdb::ColumnFamilyHandle* handle : handles) status.Update(AddFamily(handle, &incomplete));
  const rocksdb::Status dropped = DropFamilies(incomplete);
  if (!dropped.ok()) status.Update(ToStatus(fmt::format("drop half created shards of {}", dir_), dropped));
  return status;
}

absl::Status StateStore::AddFamily(rocksdb::ColumnFamilyHandle* handle,
                                   std::vector<rocksdb::ColumnFamilyHandle*>* incomplete) {
  const std::string& name = handle->GetName();
  if (name == rocksdb::kDefaultColumnFamilyName) {
    default_family_ = handle;
    return absl::OkStatus();
  }
  const std::optional<ShardKey> shard = ParseFamilyName(name);
  if (!shard) {
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    return absl::DataLossError(fmt::format("open {}: its column family {} is no shard's", dir_, name));
  }
  absl::StatusOr<ShardState> state = ReadState(handle);
  if (absl::IsNotFound(state.status())) {
    incomplete->push_back(handle);
  } else {
    MutexLock lock(&mutex_);
    families_.emplace(*shard, Family{handle, std::move(state)});
  }
  return absl::OkStatus();
}

absl::StatusOr<ShardState> StateStore::ReadState(rocksdb::ColumnFamilyHandle* handle) const {
  const std::string action = fmt::format("read state {} in {}", handle->GetName(), dir_);
  std::string bytes;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), handle, kStateKey, &bytes);
  if (status.IsNotFound()) return absl::NotFoundError(fmt::format("{}: none is there", action));
  if (!status.ok()) return absl::DataLossError(fmt::format("{}: {}", action, status.ToString()));
  ShardState state;
  if (!state.ParseFromString(bytes) || FamilyName(KeyOf(state)) != handle->GetName()) {
    return absl::DataLossError(fmt::format("{}: it is no state of this shard", action));
  }
  return state;
}

rocksdb::Status StateStore::DropFamilies(const std::vector<rocksdb::ColumnFamilyHandle*>& handles) {
  if (handles.empty()) return rocksdb::Status::OK();
  const rocksdb::Status status = db_->DropColumnFamilies(handles);
  for (rocksdb::ColumnFamilyHandle* handle : handles) db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  return status;
}

std::vector<ShardKey> StateStore::Shards() const {
  MutexLock lock(&mutex_);
  std::vector<ShardKey> shards;
  shards.reserve(families_.size());
  for (const auto& [shard, family] : families_) shards.push_back(shard);
  return shards;
}

absl::StatusOr<ShardState> StateStore::Read(const ShardKey& shard) const {
  MutexLock lock(&mutex_);
  if (!failure_.ok()) return failure_;
  const auto found = families_.find(shard);
  if (found == families_.end()) return absl::NotFoundError(fmt::format("no state {} in {}", FamilyName(shard), dir_));
  return found->second.state;
}

absl::Status StateStore::Create(std::span<const NewShard> shards) {
  if (shards.empty()) return absl::OkStatus();
  std::vector<std::string> names;
  size_t bytes = 0;
  {
    MutexLock lock(&mutex_);
    if (!failure_.ok()) return failure_;
    std::set<ShardKey> seen;
    for (const NewShard& shard : shards) {
      const ShardKey key = KeyOf(shard.state);
      names.push_back(FamilyName(key));
      if (families_.contains(key) || !seen.insert(key).second) {
        return absl::AlreadyExistsError(fmt::format("create state {} in {}: it is there already", names.back(), dir_));
      }
      bytes += shard.state.ByteSizeLong();
      for (const Delta& row : shard.rows) bytes += RowWriter::Bytes(row);
    }
  }
  const std::string action = fmt::format("create {} states from {}", names.size(), names.front());

  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status created = db_->CreateColumnFamilies(*family_options_, names, &handles);
  absl::Cleanup destroy = [&] {
    for (rocksdb::ColumnFamilyHandle* handle : handles) db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  };
  if (!created.ok()) return Fail(action, created);
  FaultPoint("state_store.families_created");

  RowWriter writer(bytes);
  for (size_t i = 0; i < shards.size(); ++i) {
    writer.Put(handles[i], shards[i].state);
    for (const Delta& row : shards[i].rows) writer.Merge(handles[i], row);
  }
  const rocksdb::Status written = writer.Write(db_.get(), WAL_SYNC);
  if (!written.ok()) return Fail(action, written);

  std::move(destroy).Cancel();
  MutexLock lock(&mutex_);
  for (size_t i = 0; i < shards.size(); ++i) families_.emplace(KeyOf(shards[i].state), Family{handles[i], shards[i].state});
  return absl::OkStatus();
}

absl::Status StateStore::Drop(std::span<const ShardKey> shards) {
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  {
    MutexLock lock(&mutex_);
    if (!failure_.ok()) return failure_;
    for (const ShardKey& shard : shards) {
      const auto found = families_.find(shard);
      if (found == families_.end()) continue;
      handles.push_back(found->second.handle);
      families_.erase(found);
    }
  }
  const rocksdb::Status status = DropFamilies(handles);
  if (!status.ok()) return Fail(fmt::format("drop {} states", handles.size()), status);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StateStore::Family*>> StateStore::FindFamilies(std::span<const Update> updates) {
  MutexLock lock(&mutex_);
  if (!failure_.ok()) return failure_;
  std::vector<Family*> families;
  families.reserve(updates.size());
  for (const Update& update : updates) {
    const ShardKey shard = KeyOf(*update.state);
    const auto found = families_.find(shard);
    if (found == families_.end()) {
      return absl::NotFoundError(fmt::format("commit to {}: no such state in {}", FamilyName(shard), dir_));
    }
    if (!found->second.state.ok()) return found->second.state.status();
    families.push_back(&found->second);
  }
  return families;
}

absl::Status StateStore::Commit(std::span<const Update> updates, WalMode wal) {
  if (updates.empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<Family*>> families = FindFamilies(updates);
  if (!families.ok()) return families.status();
  // Recovery would return a logged commit without the earlier rows that are not in the WAL.
  if (wal != WAL_OFF) {
    if (absl::Status status = FlushUnlogged(*families); !status.ok()) return status;
  }
  if (absl::Status status = FlushIfFull(*families); !status.ok()) return status;

  size_t bytes = 0;
  for (const Update& update : updates) {
    bytes += update.state->ByteSizeLong();
    for (const Delta& delta : update.deltas) bytes += RowWriter::Bytes(delta);
  }
  RowWriter writer(bytes);
  for (size_t i = 0; i < updates.size(); ++i) {
    rocksdb::ColumnFamilyHandle* const handle = (*families)[i]->handle;
    writer.Put(handle, *updates[i].state);
    if (!updates[i].drop_below.empty()) writer.DropBelow(handle, updates[i].drop_below);
    for (const Delta& delta : updates[i].deltas) writer.Merge(handle, delta);
  }
  if (const rocksdb::Status status = writer.Write(db_.get(), wal); !status.ok()) return Fail("commit", status);

  MutexLock lock(&mutex_);
  for (size_t i = 0; i < updates.size(); ++i) {
    Family& family = *(*families)[i];
    family.state = *updates[i].state;
    if (wal == WAL_OFF) ++family.unlogged_commits;
  }
  return absl::OkStatus();
}

absl::StatusOr<rocksdb::ColumnFamilyHandle*> StateStore::FindFamily(const ShardKey& shard, std::string_view action) const {
  MutexLock lock(&mutex_);
  if (!failure_.ok()) return failure_;
  const auto found = families_.find(shard);
  if (found == families_.end()) return absl::NotFoundError(fmt::format("{}: none is there", action));
  return found->second.handle;
}

absl::StatusOr<std::unique_ptr<RowCursor>> StateStore::Rows(const ShardKey& shard, std::string_view begin,
                                                            std::string_view end) const {
  std::string action = fmt::format("scan state {} in {}", FamilyName(shard), dir_);
  const absl::StatusOr<rocksdb::ColumnFamilyHandle*> handle = FindFamily(shard, action);
  if (!handle.ok()) return handle.status();
  // A cursor copies and sorts a vector memtable that is still written to; one that is on its way to a file is sorted once
  // for all. What goes wrong with that is told by the next commit.
  uint64_t bytes = 0;
  if (options_->write_buffer_manager == nullptr &&
      db_->GetIntProperty(*handle, rocksdb::DB::Properties::kCurSizeActiveMemTable, &bytes) && bytes > kMaxSortedBytes) {
    rocksdb::FlushOptions flush;
    flush.wait = false;
    flush.allow_write_stall = true;
    db_->Flush(flush, *handle).PermitUncheckedError();
  }
  rocksdb::ReadOptions options;
  // The readahead of each file, of which a merging scan has many open.
  options.readahead_size = options_->write_buffer_manager == nullptr ? 1 << 20 : 64 << 10;
  options.fill_cache = false;
  return std::make_unique<FamilyRows>(db_->NewIterator(options, *handle), begin, end, std::move(action));
}

absl::Status StateStore::AddRows(const ShardKey& shard, std::span<const std::string_view> keys,
                                 std::span<RowSum> sums) const {
  const std::string action = fmt::format("read rows of state {} in {}", FamilyName(shard), dir_);
  const absl::StatusOr<rocksdb::ColumnFamilyHandle*> handle = FindFamily(shard, action);
  if (!handle.ok()) return handle.status();

  constexpr size_t kAtOnce = 256;
  std::vector<std::string> row_keys(kAtOnce);
  std::vector<rocksdb::Slice> slices(kAtOnce);
  std::vector<rocksdb::PinnableSlice> rows(kAtOnce);
  std::vector<rocksdb::Status> statuses(kAtOnce);
  for (size_t begin = 0; begin < keys.size(); begin += kAtOnce) {
    const size_t size = std::min(kAtOnce, keys.size() - begin);
    for (size_t i = 0; i < size; ++i) {
      row_keys[i].assign(kRowPrefix);
      row_keys[i].append(keys[begin + i]);
      slices[i] = row_keys[i];
    }
    db_->MultiGet(rocksdb::ReadOptions(), *handle, size, slices.data(), rows.data(), statuses.data(),
                  /*sorted_input=*/true);
    for (size_t i = 0; i < size; ++i) {
      if (statuses[i].IsNotFound()) continue;
      if (!statuses[i].ok()) return absl::DataLossError(fmt::format("{}: {}", action, statuses[i].ToString()));
      DecodedRow row;
      if (!DecodeRow(rows[i], &row)) {
        return absl::DataLossError(fmt::format("{}: it holds a row of no known form", action));
      }
      rows[i].Reset();
      sums[begin + i].Add(row.row());
    }
  }
  return absl::OkStatus();
}

uint64_t StateStore::EstimateRows(const ShardKey& shard) const {
  const absl::StatusOr<rocksdb::ColumnFamilyHandle*> handle = FindFamily(shard, "estimate rows");
  uint64_t rows = 0;
  if (handle.ok()) db_->GetIntProperty(*handle, rocksdb::DB::Properties::kEstimateNumKeys, &rows);
  return rows;
}

absl::Status StateStore::FlushUnlogged(std::span<Family* const> families) {
  std::vector<std::pair<Family*, uint64_t>> flushed;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  {
    MutexLock lock(&mutex_);
    for (Family* family : families) {
      if (family->unlogged_commits == family->flushed_commits) continue;
      flushed.emplace_back(family, family->unlogged_commits);
      handles.push_back(family->handle);
    }
  }
  if (handles.empty()) return absl::OkStatus();
  const rocksdb::Status status = db_->Flush(rocksdb::FlushOptions(), handles);
  if (!status.ok()) return Fail("flush", status);
  MutexLock lock(&mutex_);
  for (const auto& [family, commits] : flushed) family->flushed_commits = std::max(family->flushed_commits, commits);
  return absl::OkStatus();
}

absl::Status StateStore::FlushIfFull(std::span<Family* const> families) {
  const rocksdb::WriteBufferManager* const memory = options_->write_buffer_manager.get();
  if (memory == nullptr || memory->memory_usage() < memory->buffer_size()) return absl::OkStatus();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  for (const Family* family : families) handles.push_back(family->handle);
  const rocksdb::Status status = db_->Flush(rocksdb::FlushOptions(), handles);
  if (!status.ok()) return Fail("flush", status);
  return absl::OkStatus();
}

absl::Status StateStore::Flush() {
  std::vector<Family*> families;
  {
    MutexLock lock(&mutex_);
    if (!failure_.ok()) return failure_;
    for (auto& [shard, family] : families_) families.push_back(&family);
  }
  if (absl::Status status = FlushUnlogged(families); !status.ok()) return status;
  const rocksdb::Status status = db_->FlushWAL(/*sync=*/true);
  if (!status.ok()) return Fail("sync the log", status);
  return absl::OkStatus();
}

absl::Status StateStore::EmptyLog(const std::function<bool()>& is_ending) {
  std::vector<rocksdb::ColumnFamilyHandle*> handles{default_family_};
  {
    MutexLock lock(&mutex_);
    if (!failure_.ok()) return failure_;
    for (auto& [shard, family] : families_) handles.push_back(family.handle);
  }
  // A new file is begun for a family that has something to flush: the default one may be the only one.
  rocksdb::Status status = db_->Delete(rocksdb::WriteOptions(), default_family_, kStateKey);
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    if (is_ending()) return absl::OkStatus();
    if (status.ok()) status = db_->Flush(rocksdb::FlushOptions(), handle);
  }
  if (!status.ok()) return Fail("empty the log", status);
  return absl::OkStatus();
}

absl::Status StateStore::Fail(std::string_view action, const rocksdb::Status& status) {
  const absl::Status failure = ToStatus(fmt::format("{} in {}", action, dir_), status);
  MutexLock lock(&mutex_);
  failure_.Update(failure);
  return failure;
}

}  // namespace tenfold
