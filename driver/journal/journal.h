// What the driver remembers (R3): a RocksDB in DIR/journal, synced before Append returns. Records other than batches are
// kept for ever, under their sequence; batches under (job id, batch), the old ones trimmed. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "journal.pb.h"

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace tenfold {

class Journal {
 public:
  // Opens or creates it. FAILED_PRECONDITION if another driver has it open; DATA_LOSS, naming what and where, if it is
  // damaged: a checksum is wrong, a record does not parse, a sequence or batch number is missing. A last record that was
  // cut off while it was written is no damage: it never was.
  // `now_us` is microseconds of Unix time; called by appending threads.
  // `env` has its files, the system's if it is null; outlives the journal.
  using Clock = std::function<int64_t()>;
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& data_dir, Clock now_us,
                                                       rocksdb::Env* env = nullptr);
  virtual ~Journal() = default;

  // Every record but batches in order, and after them the last batch of each job.
  virtual absl::Status Replay(const std::function<void(const JournalRecord&)>& record) const = 0;

  // Appends all or none. Durable on return, and only then sets `published_at_us` of the batches among them; sets the
  // `sequence` of all others. After an error nothing more is taken.
  virtual absl::Status Append(std::vector<JournalRecord>* records) = 0;

  // NOT_FOUND if it was never committed; OUT_OF_RANGE, naming the oldest kept, if it was trimmed.
  virtual absl::StatusOr<BatchCommitted> ReadBatch(const std::string& job_id, uint64_t batch) const = 0;
  // Deletes the job's oldest batches below `first_kept`, kTrimmedAtOnce at most, so that an append never waits long; true
  // if none is left to delete. The last batch stays whatever is asked.
  static constexpr uint64_t kTrimmedAtOnce = 1000;
  virtual absl::StatusOr<bool> Trim(const std::string& job_id, uint64_t first_kept) = 0;

  // The last batch that a sink took, 0 if none. It survives the end of the process, but maybe not a loss of power.
  virtual uint64_t Delivered(const std::string& job_id, const std::string& sink) const = 0;
  virtual absl::Status SetDelivered(const std::string& job_id, const std::string& sink, uint64_t batch) = 0;
};

}  // namespace tenfold
