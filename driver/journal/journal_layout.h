// What lies in the journal's RocksDB, and what makes it whole. Numbers in keys are big endian, so that keys sort by them.
//   'r' SEQUENCE           JournalRecord   every record but batches
//   'b' JOB_ID '/' BATCH   JournalRecord   a batch
//   't' JOB_ID '/' BATCH   number          when the batch was durable, in microseconds of Unix time; not synced
//   'f' JOB_ID             number          the job's first kept batch, once some were trimmed
//   's' JOB_ID '/' SINK    number          the last batch the sink took
//   'n'                    number          records appended since the journal was created, trimmed ones too
// The file APPENDED beside RocksDB's own repeats that last number. It is written after each append and not synced, so it
// may trail, but it is never ahead of what was durable: where it is, the end of the journal is missing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/db.h"

namespace tenfold {

inline constexpr std::string_view kAppendedKey = "n";

std::string RecordKey(uint64_t sequence);
std::string BatchKey(const std::string& job_id, uint64_t batch);
std::string PublishedAtKey(const std::string& job_id, uint64_t batch);
std::string FirstKeptKey(const std::string& job_id);
std::string DeliveredKey(const std::string& job_id, const std::string& sink);

// Eight bytes, big endian.
std::string EncodeNumber(uint64_t number);
// False if `bytes` is no such number.
bool DecodeNumber(std::string_view bytes, uint64_t* number);

struct JournalContents {
  struct Batches {
    uint64_t first_kept = 1;
    uint64_t last = 0;
  };
  uint64_t appended = 0;
  uint64_t last_sequence = 0;
  // By job id.
  std::map<std::string, Batches> batches;
};

// Reads all of it and checks that nothing is missing. DATA_LOSS, naming the place, else.
absl::StatusOr<JournalContents> ReadContents(rocksdb::DB* db, const std::string& dir);

// The file APPENDED.
class AppendedMark {
 public:
  ~AppendedMark();
  // Opens it, or creates it with `appended`. DATA_LOSS if it is damaged or says that more was appended.
  absl::Status Open(const std::string& dir, uint64_t appended);
  absl::Status Write(uint64_t appended);

 private:
  std::string path_;
  int fd_ = -1;
};

// DATA_LOSS with the way out.
absl::Status JournalDamaged(const std::string& dir, std::string_view what);

}  // namespace tenfold
