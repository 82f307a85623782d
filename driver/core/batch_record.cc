#include "driver/core/batch_record.h"

#include "common/number/units.h"
#include "common/text/framed_key.h"
#include "jobs/plan/measures.h"
#include "jobs/spec/batch_spec.h"

namespace tenfold {
namespace {

// Sets the result of a batch, or of a final window.
template <typename Message>
void SetResult(const GlobalTopK::Result& result, const Ranking& ranking, Message* batch) {
  for (const Partial& partial : result.top) *batch->add_top() = ToEntry(partial, ranking);
  for (const BestOfGroup& best : result.groups) {
    GroupTop* group = batch->add_groups();
    group->set_group(PartsOfKey(best.group)[0]);
    for (const Partial& partial : best.top) *group->add_top() = ToEntry(partial, ranking);
  }
  batch->set_groups_cut(result.groups_cut);
  TopKProof* proof = batch->mutable_proof();
  if (result.kth_total) *proof->mutable_kth_total() = ToProto(*result.kth_total);
  if (result.unseen_bound) *proof->mutable_unseen_bound() = ToProto(*result.unseen_bound);
  proof->set_rounds(result.rounds);
  proof->set_entries(result.entries);
}

void SetCounts(const JournalledJob& job, const std::vector<PartitionState>& counters, BatchCommitted* batch) {
  uint64_t records = 0;
  uint64_t bad_records = 0;
  uint64_t filtered_records = 0;
  uint64_t late_records = 0;
  for (const PartitionState& partition : counters) {
    records += partition.records();
    filtered_records += partition.filtered();
    late_records += partition.late();
    for (const BadCount& bad : partition.bad()) bad_records += bad.count();
  }
  batch->set_records(records);
  batch->set_bad_records(bad_records);
  batch->set_filtered_records(filtered_records);
  batch->set_late_records(late_records);
  batch->set_batch_records(records - job.last_batch.records());
}

}  // namespace

BatchCommitted MakeBatchRecord(const JournalledJob& job, const Attempt& attempt, const std::vector<PartitionState>& counters,
                               const GlobalTopK::Result& result) {
  BatchCommitted batch;
  batch.set_job_id(job.job_id);
  batch.set_batch(job.last_batch.batch() + 1);
  batch.set_fold(job.fold());
  if (job.closed_until_us) batch.set_closed_until_us(*job.closed_until_us);
  batch.set_k(job.spec.top());
  *batch.mutable_result() = ResultSpecOf(job.spec);
  std::vector<int64_t> next_offsets(job.partitions.size());
  std::vector<Digest> digests(job.Shards());
  BatchTimings* timings = batch.mutable_timings();
  for (const auto& [worker, reply] : attempt.replies) {
    for (const PartitionOffset& offset : reply.composition()) next_offsets[offset.partition()] = offset.next_offset();
    for (const ShardPosition& position : reply.shards()) digests[position.shard()] = position.digest();
    const FoldTimes& times = reply.times();
    if (times.fold_us() + times.persist_us() > timings->fold_us() + timings->persist_us()) {
      timings->set_fold_us(times.fold_us());
      timings->set_persist_us(times.persist_us());
    }
    WorkerTimes* of = timings->add_workers();
    of->set_worker(worker);
    *of->mutable_times() = times;
  }
  batch.mutable_next_offsets()->Add(next_offsets.begin(), next_offsets.end());
  for (const Digest& digest : digests) *batch.add_digests() = digest;
  SetCounts(job, counters, &batch);
  SetResult(result, MeasuresOf(job.spec).ranking, &batch);
  if (attempt.window) batch.set_window(*attempt.window);
  batch.mutable_finals()->Add(attempt.final_results.begin(), attempt.final_results.end());
  if (attempt.finals.closed_through) batch.set_closed_through(*attempt.finals.closed_through);
  batch.set_more_finals(attempt.finals.more);
  return batch;
}

FinalWindow MakeFinalWindow(int64_t window, const GlobalTopK::Result& result, const Ranking& ranking) {
  FinalWindow final;
  final.set_window(window);
  SetResult(result, ranking, &final);
  return final;
}

}  // namespace tenfold
