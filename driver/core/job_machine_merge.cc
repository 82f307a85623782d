// The part of JobMachine from the replies to a Fold to the batch's record: the merge of the current window or of all rows,
// then one merge after the other of the windows that become final with the batch.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "driver/core/batch_record.h"
#include "driver/core/job_machine.h"
#include "driver/core/merge_options.h"
#include "glog/logging.h"

namespace tenfold {

void JobMachine::BeginMerge(int64_t now_us, Actions* actions) {
  attempt_.phase = PHASE_MERGE;
  std::vector<const FoldReply*> replies;
  for (const std::string& owner : attempt_.owners) replies.push_back(&attempt_.replies.at(owner));
  const absl::Status taken = merge().Take(std::move(replies));
  if (!taken.ok()) {
    LOG(WARNING) << "job " << name() << ": " << taken.message() << ", so its batches are merged without them";
    return EndAttempt({}, now_us, now_us);
  }
  ContinueMerge(now_us, actions);
}

void JobMachine::ContinueMerge(int64_t now_us, Actions* actions) {
  for (BatchMerge::Question& question : merge().Next()) {
    const std::string& worker = attempt_.owners[question.worker];
    *question.request.mutable_id() = MakeId(worker);
    if (const std::optional<int64_t> window = attempt_.AskedWindow()) question.request.set_window(*window);
    Ask(worker, std::move(question.request), now_us, actions);
  }
  if (merge().done()) OnMerged(now_us, actions);
}

void JobMachine::OnMerged(int64_t now_us, Actions* actions) {
  JobWindows::Finals& finals = attempt_.finals;
  if (attempt_.final_merge != nullptr) {
    const int64_t window = finals.windows[attempt_.final_results.size()];
    attempt_.final_results.push_back(MakeFinalWindow(window, attempt_.final_merge->result(), ranking()));
    attempt_.final_results.back().set_decreed(!finals.passed || window > *finals.passed);
    attempt_.final_merge.reset();
    size_t bytes = 0;
    for (const FinalWindow& final : attempt_.final_results) bytes += final.ByteSizeLong();
    // The rest is left to the next batch, so that this one is in time.
    const bool late = now_us - attempt_.replied_us >= int64_t{job_.spec.batch_interval_ms()} * 1000;
    if ((late || bytes >= JobWindows::kMaxFinalBytes) && attempt_.final_results.size() < finals.windows.size()) {
      finals.windows.resize(attempt_.final_results.size());
      finals.closed_through = window;
      finals.more = true;
    }
  } else {
    attempt_.result = merge_->result();
    if (windows_.any())
      finals =
          windows_.PlanFinals(attempt_.Partitions(), attempt_.Windows(), job_.closed_through(), attempt_.idle, JobEnds());
  }
  if (attempt_.final_results.size() == finals.windows.size()) return Commit(now_us, actions);
  // Nothing is known yet of a window that was not current before.
  BatchMerge::Options options = MergeOptionsOf(job_.spec, cluster_->options.merge_floor, cluster_->merge_memory);
  options.once = true;
  attempt_.final_merge = std::make_unique<BatchMerge>(std::move(options));
  AskFolds(now_us, actions);
}

void JobMachine::OnReply(const Send<LookUpRequest>& sent, const absl::StatusOr<LookUpReply>& reply, int64_t now_us,
                         Actions* actions) {
  if (!IsAwaited(PHASE_MERGE, sent.worker, sent.request.id())) return;
  SetAnswered(sent.worker);
  absl::Status answered = reply.status();
  if (reply.ok()) {
    answered = merge().Answer(attempt_.PlaceOf(sent.worker), *reply);
    if (absl::IsResourceExhausted(answered)) {
      LOG(WARNING) << "job " << name() << ": " << answered.message() << ", so its batches are merged without them";
      EndAttempt({}, now_us, now_us);
      return Advance(now_us, actions);
    }
  }
  if (!answered.ok()) {
    FailAttempt(sent.worker, answered, now_us);
    return Advance(now_us, actions);
  }
  ContinueMerge(now_us, actions);
}

void JobMachine::Commit(int64_t now_us, Actions* actions) {
  attempt_.phase = PHASE_COMMIT;
  replies_.Take(attempt_);
  JournalRecord record;
  *record.mutable_batch_committed() = MakeBatchRecord(job_, attempt_, replies_.counters(), *attempt_.result);
  BatchCommitted* batch = record.mutable_batch_committed();
  bool is_last = true;
  for (uint32_t p = 0; p < job_.partitions.size(); ++p) is_last &= batch->next_offsets(static_cast<int>(p)) >= job_.EndOf(p);
  if (const std::string failure = bad_share_.Check(job_, *batch, replies_.counters(), is_last); !failure.empty())
    return Fail(failure, actions);
  batch->set_attempt(attempt_number_);
  BatchTimings* timings = batch->mutable_timings();
  timings->set_ends_us(static_cast<uint64_t>(attempt_.ends_at_us - attempt_.started_us));
  timings->set_merge_us(static_cast<uint64_t>(now_us - attempt_.replied_us));
  timings->set_processing_us(static_cast<uint64_t>(now_us - attempt_.started_us));
  Append(std::move(record), actions);
}

}  // namespace tenfold
