// How a job's shards come to their owners and how their states are kept right: the assignment that should be, the
// preparation of next owners, the comparison of states with the journal (R4), and what a difference leads to. Pure: it
// reads the cluster and the journalled job, and the job machine does what it says. Used by one thread at a time.
//
// A shard moves in three steps: the journal names its next owner; that worker folds the shard from the start offsets to
// the journalled offsets (Prepare, as often as it takes); when it is close behind, the next assignment makes it the owner.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "driver/core/assignment_acks.h"
#include "driver/core/cluster_view.h"
#include "driver/core/journalled_job.h"
#include "driver/core/partition_search.h"
#include "waiting.pb.h"
#include "worker.pb.h"

namespace tenfold {

class ShardMoves {
 public:
  // The states are those that make the job's batches, or are built by a refold: their shards stay with their next owners,
  // which go on preparing them as batches are made, until the job switches to them.
  enum class Purpose { kBatches, kRefold };
  // All outlive the object.
  ShardMoves(const ClusterView* cluster, const JournalledJob* job, AssignmentAcks* acks, Purpose purpose = Purpose::kBatches)
      : cluster_(cluster), job_(job), acks_(acks), purpose_(purpose) {
    OnUpdated();
  }

  // ---- the assignment ----

  // The whole assignment that should be journalled next; nullopt if the present one is right.
  std::optional<std::vector<ShardAssignment>> Plan(int64_t now_us) const;
  // A new assignment is journalled: preparations begin anew.
  void OnAssigned();
  // Workers that keep the job's place although they may have no shard of it: they drop a doubtful state, and the shard is
  // given anew once that is done.
  const std::set<std::string>& places() const { return places_; }
  void OnWorkersChanged();
  // Kafka has told what it has of the log.
  void OnFound(const FoundPartitions& found);
  // Kafka has told these, of the same log, that it can be folded again.
  void Learn(const ShardMoves& others) {
    if (refolding_ == Refolding::kNotKnown && others.refolding_ == Refolding::kPossible) refolding_ = others.refolding_;
  }
  // The job has another spec: Kafka has to tell again, and what is being prepared does not count, since it was asked for
  // under the former one.
  void OnUpdated();
  // A batch is committed: preparations of a refold go on to its offsets.
  void OnBatch() { current_.clear(); }
  // The job has got more partitions: workers of a refold have to be told of them before what they prepared is ready.
  void OnPartitionsAdded();
  // Every shard of a refold is folded up to the last batch; or, as batches may follow each other too fast for that, several
  // preparations in a row have brought it quickly to the batch that was the last when they began.
  bool IsAllReady() const;
  // Why the job cannot be folded from its start offsets, as a sentence without its end; "" if it can, or that is not known.
  std::string CannotRefold() const;
  // Some shard has neither an owner nor a next owner that is live, though it could move.
  bool LacksOwner() const;
  // What the first shard without a live owner waits for; nullopt if every shard has one.
  std::optional<Waiting> MissingOwner() const;

  // ---- preparation ----

  // Next owners that can be asked to fold on now.
  std::set<std::string> Preparers() const;
  // The request to one of them, which is under way from now on.
  PrepareRequest MakePrepare(const std::string& worker, RequestId id, int64_t now_us);
  struct Prepared {
    // False if the reply belongs to no request in flight; then nothing else here counts.
    bool counts = false;
    // Not empty if the log no longer has what the shards are folded from. `orphaned` if one of them has no owner either.
    std::string failure;
    bool orphaned = false;
    // A shard that was folded to exactly the journalled offsets and has another digest than the journal.
    std::optional<uint32_t> doubtful;
  };
  Prepared OnReply(const std::string& worker, const PrepareRequest& request, const absl::StatusOr<PrepareReply>& reply,
                   int64_t now_us);
  // How far the next owners of all shards are, and no worker.
  RefoldProgress WholeProgress() const;

  // ---- comparison with the journal (R4) ----

  // The worker has done an Assign: its states that are not beyond the journal are to be compared before anything is added.
  void OnAssignReply(const std::string& worker, const AssignRequest& request, const AssignReply& reply);
  // Some states are not compared yet: the next Fold goes to exactly the journalled offsets, where digests can be compared.
  bool replays() const { return !uncompared_.empty(); }
  // Such a Fold has ended. States that did not reach the journalled offsets remain to be compared.
  void OnReplayed(const std::map<std::string, FoldReply>& replies);
  // A shard of the reply that is at exactly the journalled offsets with another digest than the journal.
  std::optional<uint32_t> FindDoubtful(const FoldReply& reply) const;
  // The worker's state of the shard disagrees with the journal: nobody has the shard until the worker has dropped that
  // state, and then it is folded again. Returns why the job has to stop instead, or nothing: the start of the log is gone,
  // or the shard was folded again once already, and what is doubtful is the journal, or a log that was compacted. A next
  // owner whose state disagrees takes nothing from the owner: the move is called off, and the worker is not named again
  // before it has dropped that state.
  std::string Doubt(uint32_t shard, const std::string& worker);

 private:
  // Whether a shard can be folded again from the log. Only where it can do shards move; else they wait for their owner.
  enum class Refolding {
    // Kafka has yet to tell; the assignment stays as it is.
    kNotKnown,
    kPossible,
    // Kafka no longer has the job's start.
    kStartGone,
    // The topics are compacted, or may be, since the spec allows it: the log may miss what a batch counts.
    kCompacted,
  };
  struct PrepareUnderWay {
    uint64_t step = 0;
    uint64_t incarnation = 0;
    int64_t sent_us = 0;
    // The journalled offsets that are the targets, and the digests there.
    std::vector<int64_t> next_offsets;
    std::vector<Digest> digests;
  };
  // How far the next owner of a shard had folded it again, in offsets, when it first told and when it last told.
  struct Folded {
    int64_t first_us = 0;
    int64_t first = 0;
    int64_t last_us = 0;
    int64_t last = 0;
    int64_t total = 0;
  };

  // Whether the worker is to fold the shard up, and can go on with it.
  bool Prepares(const std::string& worker, uint32_t shard) const;
  // A position of the present Prepare: whether the shard may change hands now, or is doubtful.
  void OnPosition(const ShardPosition& position, const std::string& worker, const PrepareUnderWay& prepare, int64_t now_us,
                  Prepared* prepared);
  void NoteRefold(const ShardPosition& position, int64_t now_us);
  // Shards of a refold at these workers have to be prepared again before they count as current.
  void RevokeCurrent(const std::function<bool(const std::string&)>& of);
  RefoldProgress Progress(uint32_t shard) const;
  static void AddTo(const Folded& refold, RefoldProgress* progress);

  const ClusterView* cluster_;
  const JournalledJob* job_;
  AssignmentAcks* acks_;
  Purpose purpose_;

  Refolding refolding_;
  // The log gave other sums than the journal has, twice for one shard: whatever Kafka tells, no shard moves.
  bool log_differs_ = false;
  // A preparation has failed: whatever Kafka tells, no shard moves before an update.
  bool fold_failed_ = false;
  // By worker id.
  std::map<std::string, PrepareUnderWay> preparing_;
  // Cleared with each assignment, by shard: the next owner of those that may change hands; how often the preparation has
  // reached its targets, of a refold quickly and in a row; how far it is.
  std::map<uint32_t, std::string> ready_;
  // Shards of a refold that are folded up to the last batch.
  std::set<uint32_t> current_;
  std::map<uint32_t, int> preparations_;
  std::map<uint32_t, Folded> refolds_;
  // Shards whose state was not compared with the journal since its worker was assigned them.
  std::set<uint32_t> uncompared_;
  // By shard: the worker that has to drop its state, and how often the shard was doubted.
  std::map<uint32_t, std::string> doubtful_;
  std::map<uint32_t, int> doubts_;
  // Shards with workers whose move was called off, and that have to drop the state that disagreed.
  std::set<std::pair<uint32_t, std::string>> called_off_;
  std::set<std::string> places_;
};

}  // namespace tenfold
