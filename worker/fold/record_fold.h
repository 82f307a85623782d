// Decodes and aggregates records: the loop that every record of the log passes once. Used by one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/kafka/log.h"
#include "job_spec.pb.h"
#include "jobs/decode/record_decoder.h"
#include "state.pb.h"
#include "worker/fold/delta_table.h"

namespace tenfold {

// A folded record. As long as the partition still has the same record there, it is the partition that was folded.
struct Anchor {
  // -1 if there is none.
  int64_t offset = -1;
  uint64_t hash = 0;
};

// One partition of a fold, and the position of its reader.
struct Cursor {
  TopicPartition partition;
  // Which of the job's sources says what its records are.
  size_t source = 0;
  // The position of the reader: no record below it will come.
  int64_t read = -1;
  // The partition's part of the state that is folded on, and the deltas of its shard. Both outlive the fold.
  PartitionState* state = nullptr;
  DeltaTable* table = nullptr;
  // Where the fold ends.
  int64_t end = 0;
  // Where the job ends in the partition; the maximum if it does not.
  int64_t job_end = std::numeric_limits<int64_t>::max();
  // Records folded, bad ones included; counted into the state at the end of the fold.
  uint64_t records = 0;
  // The last folded record of the poll under way.
  const LogRecord* last = nullptr;
  Anchor anchor;
  // The topic may be compacted: a record that was folded may have vanished from the log.
  bool compacted = false;
  // If it has an offset, a record that the log must have before anything is folded on: the reader began there. And the one
  // that it must have after that.
  Anchor expected;
  Anchor expected_next;
  // The next record, if it names a schema that is not known: nothing of the partition is folded until it is.
  struct Unread {
    uint32_t schema = 0;
    int64_t offset = 0;
  };
  std::optional<Unread> unread;
  // Why no records of the partition come until the reader is assigned again; empty if nothing is wrong.
  std::string failure;

  // No record from here on is folded: the end if that is exact, else the job's.
  int64_t Limit(bool exact) const { return exact ? end : job_end; }

  // Has the state go on at `next_offset`, which `log` has the records up to.
  void SetNext(int64_t next_offset, const LogIdentity& log);

  // The log that the state was folded from.
  LogIdentity Known() const;

  // The partition as messages name it: "topic[2]".
  std::string Name() const;
  // Why the job must fail if the expected record is not there, although the log has its offset.
  std::string Missing() const;
  // Why it must fail if the log is another one than was folded; `how` says how that shows.
  std::string Another(const std::string& how) const;
};

class RecordFold {
 public:
  // INVALID_ARGUMENT if no decoder can be made of the spec.
  static absl::StatusOr<RecordFold> Create(const JobSpec& spec);

  bool has_windows() const { return spec_.fold().general().has_window(); }

  // What is known of schemas, from now on.
  void SetSchemas(const std::shared_ptr<const LearnedSchemas>& schemas) {
    for (RecordDecoder& decoder : decoders_) decoder.SetSchemas(schemas);
  }

  // Folds what a poll of `log` brought, in its order; a record's position is the index of its cursor. With `exact` records
  // at or beyond a cursor's end are left. Returns a reason to stop the job, or none.
  std::optional<std::string> Fold(std::span<const LogRecord> records, const LogReader& log, bool exact,
                                  std::vector<Cursor>* cursors);

 private:
  RecordFold(const JobSpec& spec, std::vector<RecordDecoder> decoders) : spec_(spec), decoders_(std::move(decoders)) {}
  // Folds the first of `left`, and those after it up to one of another partition, and takes them off.
  std::optional<std::string> FoldRun(std::span<const LogRecord>* left, const LogReader& log, bool exact, Cursor* cursor);
  // Takes another record of the run, to be decoded by the plan at the next AddTaken, which comes when a block is full.
  std::optional<std::string> TakeRecord(const LogRecord& record, const LogReader& log, bool exact, Cursor* cursor);
  // Decodes the records that were taken, and adds what they contribute to the cursor's table or counters.
  std::optional<std::string> AddTaken(bool exact, Cursor* cursor);
  std::optional<std::string> AddAlone(size_t taken, bool exact, PaneClock* clock, Cursor* cursor);
  // The same of a job with windows, for whose rows the order of records counts.
  std::optional<std::string> AddTakenToWindows(const DecodedBlock* block, bool exact, Cursor* cursor);
  // Counts a bad record, or returns why it stops the job.
  std::optional<std::string> TakeBad(const LogRecord& record, BadReason reason, std::string_view subject, bool exact,
                                     Cursor* cursor);

  JobSpec spec_;
  // By source.
  std::vector<RecordDecoder> decoders_;
  // That of the run under way.
  RecordDecoder* decoder_ = nullptr;
  // The records that were taken.
  std::vector<Record> taken_;
  std::array<const LogRecord*, Column::kRows> taken_records_;
  std::array<RecordParts, Column::kRows> taken_parts_;
  // Returns the row key of a record that was taken, in row_keys_.
  std::string_view RowKey(size_t taken, const RowPane& pane, std::string_view key);
  // Keys of rows of windows.
  std::array<std::string, Column::kRows> row_keys_;
};

}  // namespace tenfold
