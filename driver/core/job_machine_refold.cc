// The part of JobMachine that builds the states of another fold beside those that make its batches, and switches to them.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "driver/core/job_machine.h"
#include "driver/core/merge_options.h"

namespace tenfold {

std::optional<JournalRecord> JobMachine::NextOfRefold(int64_t now_us) {
  if (refold_ == nullptr) return std::nullopt;
  // The job's batches come first.
  if (const std::string full = moves_.LacksOwner() ? cluster_->NoRoom() : ""; !full.empty())
    refold_->NoteFailure(absl::StrCat("shards of the job have lost their worker and need the place: ", full));
  std::optional<JournalRecord> record = refold_->Next(!job_.IsPaused(), now_us);
  if (!record || !record->has_refold_switched()) return record;
  if (const std::optional<int64_t> closed_until_us = job_.ClosedUntilUs())
    record->mutable_refold_switched()->set_closed_until_us(*closed_until_us);
  return record;
}

void JobMachine::OnRefoldReply(const Send<AssignRequest>& sent, const absl::StatusOr<AssignReply>& reply, int64_t now_us,
                               Actions* actions) {
  if (refold_ == nullptr || sent.request.id().job_id() != refold_->job().states_id) return;
  const RequestId& id = sent.request.id();
  const JournalledJob& job = refold_->job();
  refold_->acks().SetAnswered(sent.worker);
  refold_->NoteTrouble(sent.worker, reply.status().message());
  const bool is_present = id.epoch() == cluster_->epoch && id.assignment() == job.assignment_number &&
                          sent.request.partitions_size() == static_cast<int>(job.partitions.size()) &&
                          sent.request.schemas_size() == static_cast<int>(job.schemas.size());
  if (!reply.ok()) {
    NoteRefusal(sent.worker, reply.status());
    refold_->acks().Rest(sent.worker, now_us);
  } else if (is_present) {
    refold_->acks().Add(sent.worker, id);
    refold_->moves().OnAssignReply(sent.worker, sent.request, *reply);
  }
  Advance(now_us, actions);
}

void JobMachine::OnRefoldReply(const Send<PrepareRequest>& sent, const absl::StatusOr<PrepareReply>& reply, int64_t now_us,
                               Actions* actions) {
  if (refold_ == nullptr || sent.request.id().job_id() != refold_->job().states_id) return;
  const ShardMoves::Prepared prepared = refold_->moves().OnReply(sent.worker, sent.request, reply, now_us);
  // A worker's failure goes on to say what a job that cannot go on has to do, which is not true of a refold.
  const size_t end = std::min(prepared.failure.find(", from which"), prepared.failure.find(". Cancel the job"));
  if (!prepared.failure.empty()) refold_->NoteFailure(prepared.failure.substr(0, end));
  if (prepared.counts) refold_->NoteTrouble(sent.worker, reply.ok() ? reply->waiting().detail() : reply.status().message());
  if (prepared.counts && reply.ok() && !reply->needs_schemas().empty()) {
    refold_->schemas().Need(reply->needs_schemas());
    // It would answer the same at once.
    refold_->acks().Rest(sent.worker, now_us);
  }
  if (prepared.counts) Advance(now_us, actions);
}

void JobMachine::ApplySwitch(const RefoldSwitched& switched) {
  if (refold_ == nullptr) return;
  job_.Switch(refold_->job(), switched);
  refold_.reset();
  windows_ = JobWindows(job_.spec);
  acks_ = AssignmentAcks(cluster_, &job_);
  moves_ = ShardMoves(cluster_, &job_, &acks_);
  schemas_ = SchemaSearch(&job_);
  search_.Restart();
  ends_.ForgetTruncated();
  replies_ = LastReplies(job_.partitions.size());
  merge_ = std::make_unique<BatchMerge>(MergeOptionsOf(job_.spec, cluster_->options.merge_floor, cluster_->merge_memory));
  merge_window_.reset();
  bad_share_.Restart();
  // Every owner has to be told, by requests that come after all that were sent before.
  spec_attempt_ = ++attempt_number_;
}

}  // namespace tenfold
