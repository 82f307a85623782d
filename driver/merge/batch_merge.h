// The merge of a job's batches: everything between the workers' replies to a Fold and the exact top k. It says what to ask
// of each worker along with the Fold, takes the replies, says what to look up, takes the answers, and has the result. It
// keeps from batch to batch what makes the next one cheaper, and chooses between the two exact merges: by thresholds
// (driver/merge/global_top_k.h, with what driver/merge/known_entries.h keeps) and by changes (driver/merge/total_replica.h).
// What partials bound nothing of, a result of groups or ranked by a quotient, is merged by changes as long as there is
// memory.
//
//   Begin -> Quote, for each worker -> Take, all replies -> Next -> { Answer -> Next } -> done, result
//
// Nothing of it is durable, and an attempt may be given up at any step: the next one begins with Begin. A state machine
// without I/O; used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/number/units.h"
#include "driver/merge/global_top_k.h"
#include "driver/merge/known_entries.h"
#include "driver/merge/merge_choice.h"
#include "driver/merge/merge_memory.h"
#include "driver/merge/total_replica.h"
#include "worker.pb.h"

namespace tenfold {

class BatchMerge {
 public:
  struct Options {
    // How many entries a result has, or each of its groups, what they are ranked by, and which may be in it.
    size_t top = 10;
    ResultRules rules = {};
    // A merge by thresholds that costs at most so many entries and look-ups for each worker is cheap enough.
    uint64_t floor = kMergeFloorEntries;
    // It merges one batch, so that nothing is kept for another one.
    bool once = false;
    // What the merges of all jobs share.
    std::shared_ptr<MergeMemory> memory = std::make_shared<MergeMemory>();
  };
  explicit BatchMerge(Options options);

  // Begins the merge of an attempt, whatever became of the previous one. Below, worker w is the w-th of these workers.
  void Begin(std::vector<MergeSource> workers);
  // Sets what worker w's Fold asks for (`wanted`).
  void Quote(size_t worker, FoldRequest* request) const;

  // FAILED_PRECONDITION if the reply is no answer to what worker w's Fold asked for.
  absl::Status CheckReply(size_t worker, const FoldReply& reply) const;
  // Takes worker w's reply as the w-th of `replies`; they outlive the merge. RESOURCE_EXHAUSTED if the memory does not
  // suffice for a merge by changes: the attempt is to be given up, and the next is merged by thresholds.
  absl::Status Take(std::vector<const FoldReply*> replies);

  // A look-up to be sent; its id is the caller's to set.
  struct Question {
    size_t worker = 0;
    LookUpRequest request;
  };
  // The look-ups that can be sent now, at most one in flight for each worker. None while every worker that is asked has yet
  // to answer, and none when the result is there.
  std::vector<Question> Next();
  // Worker w's answer to the look-up that it was asked last. FAILED_PRECONDITION if it is none; RESOURCE_EXHAUSTED as of
  // Take.
  absl::Status Answer(size_t worker, const LookUpReply& reply);

  bool done() const { return result_.has_value(); }
  // Once done: the exact top k with its proof. The next attempt makes use of what was learnt by then.
  const GlobalTopK::Result& result() const { return *result_; }

  // The workers' states are not what was believed, or the job is over: forgets everything that was kept of them.
  void Forget();
  // Drops all that takes memory, for a job that is over.
  void Close();
  bool by_changes() const { return replica_ != nullptr; }
  const Ranking& ranking() const { return options_.rules.ranking; }

 private:
  // What is left to ask one worker in this step; the request in flight is the last.
  using LookUps = std::vector<LookUpRequest>;

  std::vector<Partial> ToPartials(const google::protobuf::RepeatedPtrField<Entry>& entries) const;
  void TakeThresholds();
  absl::Status TakeChanges();
  // Cuts a question of the merge by thresholds into look-ups of about a megabyte at most.
  void Ask(const GlobalTopK::Question& question);
  LookUpRequest MakeLookUp(size_t worker) const;
  absl::Status AnswerChanges(size_t worker, const LookUpReply& reply);
  absl::Status GiveUpReplica();
  std::unique_ptr<TotalReplica> MakeReplica() const {
    return std::make_unique<TotalReplica>(options_.memory, options_.rules);
  }
  void Finish(GlobalTopK::Result result);
  uint64_t ChangedKeys() const;
  uint64_t Keys() const;

  Options options_;

  // These belong to the present attempt.
  std::vector<MergeSource> workers_;
  std::vector<const FoldReply*> replies_;
  std::unique_ptr<GlobalTopK> thresholds_merge_;
  std::map<size_t, LookUps> look_ups_;
  // The workers whose next look-up Next has not handed out yet.
  std::vector<size_t> unasked_;
  std::optional<GlobalTopK::Result> result_;

  // These are kept from batch to batch. The thresholds are by worker id.
  std::map<std::string, Units> thresholds_;
  KnownEntries known_;
  MergeChoice choice_;
  // Set while batches are merged by changes.
  std::unique_ptr<TotalReplica> replica_;
};

}  // namespace tenfold
