// One job's decisions at the driver: assign, plan, fold, merge, commit, publish, and what follows when something is lost.
// A state machine without I/O, clocks or threads: events in, actions out. What it must remember it asks to be journalled,
// and acts on it only when Apply brings the record back, which is also how a driver that starts again gets here.
//
// Rules R3 to R6 hold here; it makes one attempt at a batch at a time (driver/core/attempt.h), in the phases
// of JobPhase (proto/waiting.proto). The merge (R7) is BatchMerge's, moves and the comparison of states (R4) are
// ShardMoves'. Times are microseconds of the decisions' clock. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "driver.pb.h"
#include "driver/core/action.h"
#include "driver/core/assignment_acks.h"
#include "driver/core/attempt.h"
#include "driver/core/bad_share.h"
#include "driver/core/cluster_view.h"
#include "driver/core/journalled_job.h"
#include "driver/core/last_replies.h"
#include "driver/core/partition_ends.h"
#include "driver/core/partition_search.h"
#include "driver/core/refold.h"
#include "driver/core/schema_search.h"
#include "driver/core/shard_moves.h"
#include "driver/merge/batch_merge.h"
#include "jobs/plan/plan.h"
#include "journal.pb.h"
#include "waiting.pb.h"
#include "worker.pb.h"

namespace tenfold {

class JobMachine {
 public:
  // `cluster` outlives the object.
  JobMachine(const ClusterView* cluster, const JobSubmitted& submitted, int64_t submitted_at_us);
  // Not copied, since its members point to each other.
  JobMachine(const JobMachine&) = delete;
  JobMachine& operator=(const JobMachine&) = delete;

  // A record of this job is journalled, now or before the driver started.
  void Apply(const JournalRecord& record, int64_t now_us, Actions* actions);

  // Events. A reply that belongs to nothing under way is ignored.
  void OnWorkersChanged(int64_t now_us, Actions* actions);
  void OnTime(int64_t now_us, Actions* actions);
  // The process stood still for `paused_us`, so that time does not count for what has to last for a while.
  void OnPaused(int64_t paused_us);
  void OnEnds(uint64_t query, const Ends& ends, int64_t now_us, Actions* actions);
  void OnPartitions(const absl::StatusOr<FoundPartitions>& found, int64_t now_us, Actions* actions);
  void OnSchema(const AskSchema& asked, const absl::StatusOr<LearnedSchema>& answer, int64_t now_us, Actions* actions);
  // `slowest` is the sink that has taken the fewest batches.
  void OnSinks(const SinkStatus& slowest, int64_t now_us, Actions* actions);
  void OnReply(const Send<AssignRequest>& sent, const absl::StatusOr<AssignReply>& reply, int64_t now_us, Actions* actions);
  void OnReply(const Send<PrepareRequest>& sent, const absl::StatusOr<PrepareReply>& reply, int64_t now_us,
               Actions* actions);
  void OnReply(const Send<FoldRequest>& sent, const absl::StatusOr<FoldReply>& reply, int64_t now_us, Actions* actions);
  void OnReply(const Send<LookUpRequest>& sent, const absl::StatusOr<LookUpReply>& reply, int64_t now_us, Actions* actions);
  // `who` knows another batch of the job than the journal has (driver/core/lineage.h), so that the job stops.
  void OnForked(const std::string& who, const std::string& knows, int64_t now_us, Actions* actions);
  // The user gives the job another spec, at once or after a refold, pauses it or has it go on, which is what the record
  // says. Asks for it to be journalled, once nothing else is under way; an attempt that is ends.
  void Change(JournalRecord change, int64_t now_us, Actions* actions);
  // The user cancels the job. Asks for the record that ends it to be journalled.
  void Cancel(Actions* actions);

  // The next time OnTime has something to do if nothing else happens.
  int64_t NextTimeUs() const;

  const JournalledJob& job() const { return job_; }
  // The refold that is under way; null if none is.
  const Refold* refold() const { return refold_.get(); }
  // Whether workers' states with this id are the job's: of its batches, or of its refold.
  bool HasStates(const std::string& states_id) const {
    return states_id == job_.states_id || (refold_ != nullptr && states_id == refold_->job().states_id);
  }
  // Why the job's states cannot be built anew, as a sentence without its end; "" as far as is known if they can.
  std::string CannotRefold() const { return moves_.CannotRefold(); }
  const std::string& name() const { return job_.spec.name(); }
  // What the rows of its states are, and what ranks.
  const Ranking& ranking() const { return merge_->ranking(); }
  // The most bytes of a key.
  size_t key_bytes() const { return KeyBytesOf(job_.spec.fold().general()); }
  JobState state() const;
  // Whether changes are asked for that it does not show yet; and whether the end of its refold, which is another change, is
  // on its way to the journal.
  bool is_changing() const { return appending_ || !changes_.empty(); }
  bool has_changes() const { return !changes_.empty(); }
  bool is_ending_refold() const { return ending_refold_; }
  // What the job waits for; of kind WAITING_NOT if it does not.
  const Waiting& waiting() const { return waiting_; }
  const std::set<std::string>& places() const { return moves_.places(); }
  // Offsets between the last batch and the ends as last seen.
  uint64_t lag() const { return ends_.lag(); }
  // Which partitions give nothing, why and since when.
  const PartitionEnds& ends() const { return ends_; }
  // The status without the sinks.
  JobStatus Status() const;

 private:
  // Does what can be done now; the last thing every event does.
  void Advance(int64_t now_us, Actions* actions);
  void BeginAttempt(int64_t now_us, Actions* actions);
  // Of a paused job: asks how far its partitions go, so that its lag can be told.
  void LookAtEnds(int64_t now_us, Actions* actions);
  void BeginPlan(int64_t now_us, Actions* actions);
  void BeginAssign(int64_t now_us, Actions* actions);
  void BeginFold(int64_t now_us, Actions* actions);
  // Asks every owner to fold and for what the merge wants or, once they have folded, for what it wants of another window.
  void AskFolds(int64_t now_us, Actions* actions);
  void OnFolded(int64_t now_us, Actions* actions);
  // Finds out which partitions are idle, and whether a window is final without them.
  void FindIdle(int64_t now_us);
  // Has the merge take the replies.
  void BeginMerge(int64_t now_us, Actions* actions);
  // The merge is done: goes on to the next window that becomes final, or commits.
  void OnMerged(int64_t now_us, Actions* actions);
  void OnReplayed(const Waiting& waiting, int64_t now_us);
  void ContinueMerge(int64_t now_us, Actions* actions);
  void Commit(int64_t now_us, Actions* actions);
  // Whether no record is, or is about to be, under way to the journal.
  bool CanDecide() const { return attempt_.phase != PHASE_COMMIT && !appending_; }
  // Ends the attempt without a batch; the next one starts at `retry_us`.
  void EndAttempt(Waiting waiting, int64_t now_us, int64_t retry_us);
  // A worker did not do its part of the attempt.
  void FailAttempt(const std::string& worker, const absl::Status& status, int64_t now_us);
  void SetWaiting(Waiting waiting, int64_t now_us);
  void Fail(const std::string& reason, Actions* actions);
  void Append(JournalRecord record, Actions* actions);
  // Before the job has this spec: the result of batches from here on is the spec's.
  void SetResult(const JobSpec& spec);
  void ApplyBatch(const BatchCommitted& before, int64_t now_us, Actions* actions);

  // Sends an Assign to each worker that has yet to acknowledge the assignment, of the job or of its refold, and takes no
  // part in the attempt.
  void AssignOutsideAttempt(const JournalledJob& job, AssignmentAcks* acks, Actions* actions);
  void Prepare(const JournalledJob& job, ShardMoves* moves, int64_t now_us, Actions* actions);
  static void Ask(const JournalledJob& job, SchemaSearch* schemas, int64_t now_us, Actions* actions);
  // The record that the refold needs next, if there is one.
  std::optional<JournalRecord> NextOfRefold(int64_t now_us);
  // The refold has switched: what was known of the former states is void.
  void ApplySwitch(const RefoldSwitched& switched);
  // A worker refused a request. If that is for the job's lineage the job stops.
  void NoteRefusal(const std::string& worker, const absl::Status& status);
  void OnRefoldReply(const Send<AssignRequest>& sent, const absl::StatusOr<AssignReply>& reply, int64_t now_us,
                     Actions* actions);
  void OnRefoldReply(const Send<PrepareRequest>& sent, const absl::StatusOr<PrepareReply>& reply, int64_t now_us,
                     Actions* actions);
  void Doubt(uint32_t shard, const std::string& worker, int64_t now_us, Actions* actions);
  RequestId MakeId(const std::string& worker) { return MakeId(worker, job_); }
  RequestId MakeId(const std::string& worker, const JournalledJob& job);
  // Sends a request of the attempt, whose answer is awaited from now on.
  template <typename Request>
  void Ask(const std::string& worker, Request request, int64_t now_us, Actions* actions);
  // What the attempt awaited of the worker is there.
  void SetAnswered(const std::string& worker);
  // Whether the attempt, in this phase, awaits the reply to the request with this id.
  bool IsAwaited(JobPhase phase, const std::string& worker, const RequestId& id) const;

  // Where the job ends in its partitions, by index; the maximum in those in which it goes on for ever.
  std::vector<int64_t> JobEnds() const;
  // Why no attempt can begin, whatever workers and Kafka do meanwhile; of kind WAITING_NOT if nothing holds it up.
  Waiting HeldUp() const;

  // The merge that is under way: that of a window that becomes final, or that of the batch.
  BatchMerge& merge() { return attempt_.final_merge != nullptr ? *attempt_.final_merge : *merge_; }

  // The pause after a failed attempt, so that a worker that refuses at once is not asked thousands of times a second; and
  // after one that Kafka or a sink held up.
  static constexpr int64_t kRetryUs = 50'000;
  static constexpr int64_t kRetryKafkaUs = 250'000;

  const ClusterView* const cluster_;
  JournalledJob job_;
  JobWindows windows_;
  AssignmentAcks acks_;
  ShardMoves moves_;
  std::unique_ptr<Refold> refold_;
  PartitionSearch search_;
  SchemaSearch schemas_;
  PartitionEnds ends_;
  // Of the spec's result; never null.
  std::unique_ptr<BatchMerge> merge_;
  // The window that merge_ knows entries of.
  std::optional<int64_t> merge_window_;

  // A record is on its way to the journal; nothing else is decided until it is there.
  bool appending_ = false;
  bool ending_refold_ = false;
  bool cancel_asked_ = false;
  // Changes that are asked for and not under way to the journal yet.
  std::deque<JournalRecord> changes_;

  Attempt attempt_;
  uint64_t attempt_number_ = 0;
  // The first attempt with the present spec.
  uint64_t spec_attempt_ = 0;
  // The numbers of the last request to a worker and of the last QueryEnds.
  uint64_t step_ = 0;
  uint64_t query_ = 0;
  int64_t next_start_us_ = 0;

  LastReplies replies_;
  BadShare bad_share_;
  // The average time of a batch without its fold; a guess at first, since the first batch may have a backlog.
  uint32_t overhead_ms_;
  double records_per_second_ = 0;
  // Why the job stops, once it is known that its journal is not the one that workers or sinks know.
  std::string forked_;
  Waiting waiting_;
  // Every sink has taken this batch, and some maybe more.
  uint64_t delivered_ = 0;
};

template <typename Request>
void JobMachine::Ask(const std::string& worker, Request request, int64_t now_us, Actions* actions) {
  attempt_.awaited[worker] = request.id().step();
  attempt_.asked_us = now_us;
  actions->push_back(Send<Request>{worker, std::move(request)});
}

}  // namespace tenfold
