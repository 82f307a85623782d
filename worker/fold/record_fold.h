// Decode and aggregate: the loop that every record of the log goes through once. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/kafka/log.h"
#include "job_spec.pb.h"
#include "state.pb.h"
#include "worker/decode/decoder.h"
#include "worker/fold/delta_table.h"

namespace tenfold {

// A record that was folded: as long as it is still there, its partition is the one that was folded.
struct Anchor {
  // -1 if there is none.
  int64_t offset = -1;
  uint64_t hash = 0;
};

// One partition of a fold, and where its reader is.
struct Cursor {
  TopicPartition partition;
  // Where the reader is; no record below comes any more.
  int64_t read = -1;
  // The partition's part of the state that is folded on, and the deltas of its shard. Both outlive the fold.
  PartitionState* state = nullptr;
  DeltaTable* table = nullptr;
  // Where the fold ends.
  int64_t end = 0;
  // Records folded, bad ones included; counted into the state at the end of the fold.
  uint64_t records = 0;
  // The last folded record of the poll under way.
  const LogRecord* last = nullptr;
  Anchor anchor;
  // The reader began at the anchor, to see that it is still what was folded.
  bool check = false;
  // Why nothing comes of the partition until the reader is assigned again; empty if nothing is wrong.
  std::string failure;

  // "topic[2]"
  std::string Name() const;
};

class RecordFold {
 public:
  // INVALID_ARGUMENT if no decoder can be made of the spec.
  static absl::StatusOr<RecordFold> Create(const JobSpec& spec);

  // Folds what a poll of `log` brought, in its order; a record's position is the index of its cursor. With `exact` records
  // at or beyond a cursor's end are left. Returns a reason to stop the job, or none.
  std::optional<std::string> Fold(std::span<const LogRecord> records, const LogReader& log, bool exact,
                                  std::vector<Cursor>* cursors);

 private:
  RecordFold(const JobSpec& spec, Decoder decoder)
      : fail_on_bad_(spec.on_bad_record() == BAD_RECORD_FAIL), decoder_(std::move(decoder)) {}
  // Folds the first of `left`, and those after it up to one of another partition, and takes them off.
  std::optional<std::string> FoldRun(std::span<const LogRecord>* left, const LogReader& log, bool exact, Cursor* cursor);

  bool fail_on_bad_;
  Decoder decoder_;
};

}  // namespace tenfold
