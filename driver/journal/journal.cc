#include "driver/journal/journal.h"

#include <errno.h>
#include <stdio.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/files/directory_lock.h"
#include "common/files/durable_file.h"
#include "common/process/fault_point.h"
#include "common/thread/mutex.h"
#include "driver/journal/journal_layout.h"
#include "glog/logging.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "rocksdb/write_batch.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

// The options favour a short recovery and a small directory, as a journal takes only a few records a second.
rocksdb::Options RocksOptions(rocksdb::Env* env) {
  rocksdb::Options options;
  if (env != nullptr) options.env = env;
  options.write_buffer_size = 4 << 20;
  // The default, kPointInTimeRecovery, opens what lies before a damaged place and drops all that was committed after it
  // without a word. This mode drops a cut last record only. What it takes for one by mistake (RocksDB 7.8.3: a damaged
  // length in a log's last block, a damaged type anywhere) the counts of appended records expose.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  return options;
}

std::string NewestLog(const std::string& dir) {
  std::string newest;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir, error)) {
    if (entry.path().extension() == ".log") newest = std::max(newest, entry.path().filename().string());
  }
  return newest.empty() ? "its write-ahead log" : newest;
}

// The error for an existing journal that RocksDB cannot open or read.
absl::Status OpenError(const std::string& dir, const rocksdb::Status& status) {
  const std::string message = status.ToString();
  if (absl::StrContains(message, "Permission denied")) {
    return absl::PermissionDeniedError(absl::StrCat("cannot open the journal in ", dir, ": ", message));
  }
  if (status.IsNoSpace() || absl::StrContains(message, "Too many open files")) {
    return absl::ResourceExhaustedError(absl::StrCat("cannot open the journal in ", dir, ": ", message));
  }
  if (status.IsIOError() && absl::StrContains(message, "/LOCK")) {
    return absl::FailedPreconditionError(absl::StrCat("the journal in ", dir, " is open in another program: ", message));
  }
  for (const char* place : {".sst", ".log", "MANIFEST", "CURRENT"}) {
    if (absl::StrContains(message, place)) return JournalDamaged(dir, message);
  }
  return JournalDamaged(dir, absl::StrCat(message, ", read from ", NewestLog(dir)));
}

// Makes the journal aside and renames it, so that a directory with its name always holds a whole journal: one that lacks a
// file is damaged, not new.
absl::Status CreateJournal(const std::string& data_dir, const std::string& dir, rocksdb::Env* env) {
  const std::string fresh = absl::StrCat(dir, ".new");
  std::error_code error;
  fs::remove_all(fresh, error);
  rocksdb::Options options = RocksOptions(env);
  options.create_if_missing = true;
  options.error_if_exists = true;
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(options, fresh, &opened);
  const std::unique_ptr<rocksdb::DB> db(opened);
  if (status.ok()) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    status = db->Put(synced, kAppendedKey, EncodeNumber(0));
  }
  if (status.ok()) status = db->Close();
  if (!status.ok()) return absl::InternalError(absl::StrCat("cannot create the journal in ", dir, ": ", status.ToString()));

  AppendedMark mark;
  absl::Status result = mark.Open(fresh, 0);
  if (result.ok()) result = SyncDirectory(fresh);
  if (result.ok() && rename(fresh.c_str(), dir.c_str()) != 0) {
    result = absl::ErrnoToStatus(errno, absl::StrCat("cannot create the journal in ", dir));
  }
  return result.ok() ? SyncDirectory(data_dir) : result;
}

// Reads the whole journal without writing to it. Opening a damaged one for writing would rewrite the manifest and delete
// the files that RocksDB no longer knows, which a repair could use.
absl::StatusOr<JournalContents> CheckJournal(const std::string& dir, rocksdb::Env* env) {
  rocksdb::Options options = RocksOptions(env);
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status = rocksdb::DB::OpenForReadOnly(options, dir, &opened);
  const std::unique_ptr<rocksdb::DB> db(opened);
  if (!status.ok()) return OpenError(dir, status);
  status = db->VerifyChecksum();
  if (!status.ok()) return OpenError(dir, status);
  return ReadContents(db.get(), dir);
}

class RocksJournal : public Journal {
 public:
  // The lock is held until the database is closed.
  struct Parts {
    std::unique_ptr<DirectoryLock> lock;
    std::unique_ptr<rocksdb::DB> db;
    std::unique_ptr<AppendedMark> mark;
    JournalContents contents;
    Clock now_us;
  };
  explicit RocksJournal(Parts parts)
      : lock_(std::move(parts.lock)),
        db_(std::move(parts.db)),
        mark_(std::move(parts.mark)),
        now_us_(std::move(parts.now_us)),
        contents_(std::move(parts.contents)) {}

  absl::Status Replay(const std::function<void(const JournalRecord&)>& record) const override;
  absl::Status Append(std::vector<JournalRecord>* records) override;
  absl::StatusOr<BatchCommitted> ReadBatch(const std::string& job_id, uint64_t batch) const override;
  absl::StatusOr<bool> Trim(const std::string& job_id, uint64_t first_kept) override;
  uint64_t Delivered(const std::string& job_id, const std::string& sink) const override;
  absl::Status SetDelivered(const std::string& job_id, const std::string& sink, uint64_t batch) override;

 private:
  absl::StatusOr<JournalRecord> Read(const std::string& key) const;
  // Reads the record of a batch together with the time of its publication.
  absl::StatusOr<JournalRecord> ReadBatchRecord(const std::string& job_id, uint64_t batch) const;
  // Writes the time at which the batches among the records became durable, and sets it in them.
  absl::Status KeepPublishedAt(std::vector<JournalRecord>* records);
  absl::Status Write(rocksdb::WriteBatch* batch, bool sync);

  const std::unique_ptr<DirectoryLock> lock_;
  const std::unique_ptr<rocksdb::DB> db_;
  const std::unique_ptr<AppendedMark> mark_;
  const Clock now_us_;

  // Held during an append, including its sync.
  Mutex append_mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(append_mutex_);

  // Guards the view of what is durable. Held briefly.
  mutable Mutex mutex_ ABSL_ACQUIRED_AFTER(append_mutex_);
  JournalContents contents_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<JournalRecord> RocksJournal::Read(const std::string& key) const {
  std::string value;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), key, &value);
  if (status.IsNotFound()) return absl::NotFoundError("not in the journal");
  if (!status.ok()) return JournalDamaged(db_->GetName(), status.ToString());
  JournalRecord record;
  if (!record.ParseFromString(value)) return JournalDamaged(db_->GetName(), "a record does not parse");
  return record;
}

absl::StatusOr<JournalRecord> RocksJournal::ReadBatchRecord(const std::string& job_id, uint64_t batch) const {
  absl::StatusOr<JournalRecord> record = Read(BatchKey(job_id, batch));
  if (!record.ok()) return record;
  std::string value;
  uint64_t published_at_us = static_cast<uint64_t>(record->time_us());
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), PublishedAtKey(job_id, batch), &value);
  if (status.ok()) DecodeNumber(value, &published_at_us);
  record->mutable_batch_committed()->set_published_at_us(static_cast<int64_t>(published_at_us));
  return record;
}

absl::Status RocksJournal::KeepPublishedAt(std::vector<JournalRecord>* records) {
  const int64_t now_us = now_us_();
  rocksdb::WriteBatch batch;
  for (JournalRecord& record : *records) {
    if (!record.has_batch_committed()) continue;
    BatchCommitted* committed = record.mutable_batch_committed();
    committed->set_published_at_us(now_us);
    batch.Put(PublishedAtKey(committed->job_id(), committed->batch()), EncodeNumber(static_cast<uint64_t>(now_us)));
  }
  // Written without a sync, since no batch depends on it.
  return batch.Count() == 0 ? absl::OkStatus() : Write(&batch, false);
}

absl::Status RocksJournal::Write(rocksdb::WriteBatch* batch, bool sync) {
  rocksdb::WriteOptions options;
  options.sync = sync;
  const rocksdb::Status status = db_->Write(options, batch);
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat("cannot write the journal in ", db_->GetName(), ": ", status.ToString());
  return status.IsNoSpace() ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
}

absl::Status RocksJournal::Replay(const std::function<void(const JournalRecord&)>& record) const {
  JournalContents contents;
  {
    MutexLock lock(&mutex_);
    contents = contents_;
  }
  for (uint64_t sequence = 1; sequence <= contents.last_sequence; ++sequence) {
    const absl::StatusOr<JournalRecord> read = Read(RecordKey(sequence));
    if (!read.ok()) return read.status();
    record(*read);
  }
  for (const auto& [job_id, batches] : contents.batches) {
    const absl::StatusOr<JournalRecord> read = ReadBatchRecord(job_id, batches.last);
    if (!read.ok()) return read.status();
    record(*read);
  }
  return absl::OkStatus();
}

absl::Status RocksJournal::Append(std::vector<JournalRecord>* records) {
  MutexLock append_lock(&append_mutex_);
  if (!failure_.ok()) return failure_;
  if (absl::Status there = lock_->Check("journal/CURRENT"); !there.ok()) return there;
  rocksdb::WriteBatch batch;
  uint64_t sequence = 0;
  uint64_t appended = 0;
  std::map<std::string, uint64_t> last_batches;
  {
    MutexLock lock(&mutex_);
    sequence = contents_.last_sequence;
    appended = contents_.appended + records->size();
    for (const JournalRecord& record : *records) {
      if (!record.has_batch_committed()) continue;
      const std::string& job_id = record.batch_committed().job_id();
      const auto it = contents_.batches.find(job_id);
      last_batches[job_id] = it == contents_.batches.end() ? 0 : it->second.last;
    }
  }
  for (JournalRecord& record : *records) {
    CHECK(record.kind_case() != JournalRecord::KIND_NOT_SET) << "a journal record without a kind";
    if (record.has_batch_committed()) {
      const BatchCommitted& committed = record.batch_committed();
      CHECK(!committed.job_id().empty() && !absl::StrContains(committed.job_id(), "/")) << "job id " << committed.job_id();
      CHECK_EQ(committed.batch(), ++last_batches[committed.job_id()]) << "of job " << committed.job_id();
      record.clear_sequence();
      record.mutable_batch_committed()->clear_published_at_us();
      batch.Put(BatchKey(committed.job_id(), committed.batch()), record.SerializeAsString());
    } else {
      record.set_sequence(++sequence);
      batch.Put(RecordKey(sequence), record.SerializeAsString());
    }
  }
  batch.Put(kAppendedKey, EncodeNumber(appended));
  failure_ = Write(&batch, true);
  if (!failure_.ok()) return failure_;
  FaultPoint("driver.journalled");
  failure_ = mark_->Write(appended);
  if (failure_.ok()) failure_ = KeepPublishedAt(records);
  if (!failure_.ok()) return failure_;

  MutexLock lock(&mutex_);
  contents_.appended = appended;
  contents_.last_sequence = sequence;
  for (const auto& [job_id, last] : last_batches) contents_.batches[job_id].last = last;
  return absl::OkStatus();
}

absl::StatusOr<BatchCommitted> RocksJournal::ReadBatch(const std::string& job_id, uint64_t batch) const {
  const auto find = [&]() -> absl::Status {
    MutexLock lock(&mutex_);
    const auto it = contents_.batches.find(job_id);
    const JournalContents::Batches batches = it == contents_.batches.end() ? JournalContents::Batches() : it->second;
    if (batch < 1 || batch > batches.last) {
      return absl::NotFoundError(absl::StrCat("job ", job_id, " has no batch ", batch, "; its last is ", batches.last));
    }
    if (batch < batches.first_kept) {
      return absl::OutOfRangeError(
          absl::StrCat("batch ", batch, " of job ", job_id, " is no longer kept; the oldest kept is ", batches.first_kept));
    }
    return absl::OkStatus();
  };
  absl::Status found = find();
  if (!found.ok()) return found;
  absl::StatusOr<JournalRecord> record = ReadBatchRecord(job_id, batch);
  if (record.ok()) return std::move(*record->mutable_batch_committed());
  // The batch may have been trimmed after it was found.
  found = find();
  return found.ok() ? record.status() : found;
}

absl::StatusOr<bool> RocksJournal::Trim(const std::string& job_id, uint64_t first_kept) {
  MutexLock append_lock(&append_mutex_);
  if (!failure_.ok()) return failure_;
  rocksdb::WriteBatch batch;
  bool done = true;
  {
    MutexLock lock(&mutex_);
    const auto it = contents_.batches.find(job_id);
    if (it == contents_.batches.end()) return true;
    JournalContents::Batches& batches = it->second;
    first_kept = std::min(first_kept, batches.last);
    if (first_kept <= batches.first_kept) return true;
    done = first_kept - batches.first_kept <= kTrimmedAtOnce;
    first_kept = std::min(first_kept, batches.first_kept + kTrimmedAtOnce);
    // Deletes and the new first kept batch are one write, so that missing batches are known to be trimmed.
    for (uint64_t b = batches.first_kept; b < first_kept; ++b) {
      batch.Delete(BatchKey(job_id, b));
      batch.Delete(PublishedAtKey(job_id, b));
    }
    batch.Put(FirstKeptKey(job_id), EncodeNumber(first_kept));
    batches.first_kept = first_kept;
  }
  failure_ = Write(&batch, false);
  if (!failure_.ok()) return failure_;
  return done;
}

uint64_t RocksJournal::Delivered(const std::string& job_id, const std::string& sink) const {
  std::string value;
  uint64_t batch = 0;
  const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), DeliveredKey(job_id, sink), &value);
  return status.ok() && DecodeNumber(value, &batch) ? batch : 0;
}

absl::Status RocksJournal::SetDelivered(const std::string& job_id, const std::string& sink, uint64_t batch) {
  rocksdb::WriteBatch write;
  write.Put(DeliveredKey(job_id, sink), EncodeNumber(batch));
  return Write(&write, false);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::string& data_dir, Clock now_us, rocksdb::Env* env) {
  absl::Status status = MakeDirectory(data_dir);
  if (!status.ok()) return status;
  std::error_code error;
  auto lock = std::make_unique<DirectoryLock>();
  status = lock->Acquire(data_dir);
  if (!status.ok()) return status;

  if (fs::exists(absl::StrCat(data_dir, "/identity"), error))
    return absl::InvalidArgumentError(absl::StrCat(data_dir, " is the data directory of a worker; use another --data-dir"));
  const std::string dir = absl::StrCat(data_dir, "/journal");
  // An empty directory may have been created for the journal; one that holds anything is a journal.
  if (!fs::exists(dir, error) || fs::is_empty(dir, error)) {
    status = CreateJournal(data_dir, dir, env);
    if (!status.ok()) return status;
  }
  // Specs of an earlier version may hold passwords.
  status = MakePrivateDirectory(dir);
  if (!status.ok()) return status;
  absl::StatusOr<JournalContents> contents = CheckJournal(dir, env);
  if (!contents.ok()) return contents.status();
  auto mark = std::make_unique<AppendedMark>();
  status = mark->Open(dir, contents->appended);
  if (!status.ok()) return status;

  rocksdb::DB* opened = nullptr;
  const rocksdb::Status result = rocksdb::DB::Open(RocksOptions(env), dir, &opened);
  std::unique_ptr<rocksdb::DB> db(opened);
  if (!result.ok()) return OpenError(dir, result);
  return std::make_unique<RocksJournal>(
      RocksJournal::Parts{std::move(lock), std::move(db), std::move(mark), *std::move(contents), std::move(now_us)});
}

}  // namespace tenfold
