// The reader of one fold thread. It reads the partitions from where their states are, and checks that they are still the
// partitions that were folded. Used by one thread at a time.
//
// The last record that was folded is expected again, with the same hash, before anything is folded that comes from another
// leader or over another connection. librdkafka 2.0.2 also reads on in a topic that was deleted and created again between
// two fetches, and says nothing: so now and then an older record (the anchor) is expected too.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "common/thread/mutex.h"
#include "worker/core/job_core.h"
#include "worker/fold/record_fold.h"

namespace tenfold {

// The last anchor of each partition that a job's threads read. Thread-safe.
class Anchors {
 public:
  // Returns the partition's anchor; without an offset if there is none.
  Anchor Find(const TopicPartition& partition) const;
  void Set(const TopicPartition& partition, const Anchor& anchor);

 private:
  mutable Mutex mutex_;
  std::map<TopicPartition, Anchor> anchors_ ABSL_GUARDED_BY(mutex_);
};

class RangeReader {
 public:
  // `anchors` outlives the object. `compacted` says that topics may be.
  RangeReader(LogConfig log, bool compacted, Anchors* anchors)
      : log_(std::move(log)), compacted_(compacted), anchors_(anchors) {}

  // Makes cursors of the ranges, which outlive them, and has the log read where they begin; it goes on where it is if that
  // is where they begin and nothing calls for a check. `table` is asked for each shard's table. UNAVAILABLE while Kafka is.
  // `schemas` are those that are known; a partition that stopped for want of one is read again once that is among them.
  absl::Status Prepare(std::vector<JobCore::ShardRange>* ranges, const std::function<DeltaTable*(uint32_t shard)>& table,
                       const LearnedSchemas* schemas);
  // Bytes fetched ahead at most, 0 for as many as help; from the next Prepare on.
  void SetReadAhead(size_t bytes);
  // Ends the connections and forgets the cursors.
  void Close();

  // Waits for records for at most `timeout`. UNAVAILABLE while Kafka is unavailable. What may come from another leader or
  // over another connection than before is dropped, and read again from the last folded record on, which then has to be the
  // same.
  absl::Status Poll(absl::Duration timeout);
  // The records of the last Poll. They must be folded before HandleEvents is called, which must follow every Poll.
  const std::vector<LogRecord>& records() const { return records_; }
  const LogReader& log() const { return *reader_; }
  std::vector<Cursor>* cursors() { return &cursors_; }
  // Handles what the last Poll reported besides records. Returns why the job must fail, if it must; `waiting_for` receives
  // what the fold waits for, if anything.
  std::optional<std::string> HandleEvents(bool exact, std::string* waiting_for);
  // Once the anchors are checked, has the log read where the cursors are, with new anchors. A partition of which nothing
  // comes does not hold up the others.
  absl::Status CatchUp();

  // Whether every partition is at its end, gives nothing, or needs a schema.
  bool IsDone() const;
  // Why one of the partitions gives nothing; empty if all give records, as far as is known.
  std::string Failure() const;
  // To be called when Kafka was in trouble; the anchors are checked before the next fold.
  void SetDoubtful() { doubtful_ = true; }
  // Ends the fold: counts its records into the states.
  void FinishStates();
  // Returns how long calls of Poll have waited since the last call of TakeWaited.
  absl::Duration TakeWaited();
  // As LogReader has it; none if nothing is read.
  std::optional<std::string> WhyRdkafka() const;

 private:
  // The last record of the partition that was folded; without an offset if there is none.
  static Anchor LastFolded(const Cursor& cursor);
  // Has the log read where the cursors begin, or at the records that are expected.
  absl::Status Assign();
  // Nothing behind the cursors' ends is wanted.
  void ReadUpToEnds();
  // Has the log read at the last folded records, so that each is compared before anything behind it is folded.
  absl::Status AssignAtLast();
  // Nothing comes of the partition for now; it is read again in a moment.
  void SetFailure(Cursor* cursor, std::string failure);
  // The log does not have the expected record's offset yet.
  void SetShorter(Cursor* cursor);
  // Makes the last folded record the one to be checked.
  void SetAnchor(Cursor* cursor);

  LogConfig log_;
  const bool compacted_;
  Anchors* const anchors_;
  std::unique_ptr<LogReader> reader_;
  std::vector<Cursor> cursors_;
  std::vector<LogRecord> records_;
  std::vector<LogReader::Event> events_;
  // When failed partitions are to be read again.
  absl::Time retry_at_ = absl::InfiniteFuture();
  // Whether Kafka was in trouble since the anchors were checked.
  bool doubtful_ = false;
  absl::Time check_at_;
  // The log is read far behind the cursors, at the anchors, until those are checked, or some of them and the time is over.
  bool behind_ = false;
  absl::Time catch_up_at_;
};

}  // namespace tenfold
