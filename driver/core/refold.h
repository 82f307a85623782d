// A refold: the states of a job's next fold, built from the log beside those that make its batches (rule L2 of the job
// language). Every shard has a next owner, which prepares it to where the job's batches are; when all are there the job
// switches to them. Nothing is compared with the journal, which says nothing of such states yet. Pure; used by one thread at
// a time. Times are microseconds of the decisions' clock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "driver.pb.h"
#include "driver/core/assignment_acks.h"
#include "driver/core/cluster_view.h"
#include "driver/core/journalled_job.h"
#include "driver/core/partition_search.h"
#include "driver/core/schema_search.h"
#include "driver/core/shard_moves.h"
#include "journal.pb.h"

namespace tenfold {

class Refold {
 public:
  // `cluster` outlives the object; `job` is as it is journalled when the refold begins.
  Refold(const ClusterView* cluster, const JournalledJob& job, const RefoldBegun& begun, int64_t begun_at_us);
  // Not copied, since its members point to each other.
  Refold(const Refold&) = delete;
  Refold& operator=(const Refold&) = delete;

  // A record of the job, after the refold began: an assignment is one of its states.
  void Apply(const JournalRecord& record);
  // The record that the refold needs next: a schema that was learned, another assignment, its end if it cannot be done, or
  // the switch once every shard is there, if the job `may_switch`; nullopt if it has to wait.
  std::optional<JournalRecord> Next(bool may_switch, int64_t now_us);
  // The log cannot be folded from the start, for this reason.
  void NoteFailure(const std::string& reason) { failure_ = reason; }
  // What a worker says that it waits for or cannot do, or "" if it goes on.
  void NoteTrouble(const std::string& worker, absl::string_view trouble);
  RefoldStatus Status() const;

  // The job as it is once it has switched.
  const JournalledJob& job() const { return job_; }
  AssignmentAcks& acks() { return acks_; }
  ShardMoves& moves() { return moves_; }
  SchemaSearch& schemas() { return schemas_; }

 private:
  const ClusterView* const cluster_;
  const int64_t begun_at_us_;
  JournalledJob job_;
  AssignmentAcks acks_;
  ShardMoves moves_;
  SchemaSearch schemas_;
  std::string failure_;
  // By worker id.
  std::map<std::string, std::string> troubles_;
};

}  // namespace tenfold
