#include "driver/core/refold.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {

Refold::Refold(const ClusterView* cluster, const JournalledJob& job, const RefoldBegun& begun, int64_t begun_at_us)
    : cluster_(cluster),
      begun_at_us_(begun_at_us),
      job_(job.Refolded(begun)),
      acks_(cluster, &job_),
      moves_(cluster, &job_, &acks_, ShardMoves::Purpose::kRefold),
      schemas_(&job_) {}

void Refold::Apply(const JournalRecord& record) {
  job_.Apply(record);
  if (record.has_shards_assigned()) {
    moves_.OnAssigned();
    troubles_.clear();
  }
  if (record.has_batch_committed()) moves_.OnBatch();
  if (record.has_schema_learned()) schemas_.OnLearned(record.schema_learned().schema().id());
  // Every worker has to be told of them, by requests that come after all that name fewer.
  if (record.has_schema_learned() || record.has_partitions_added()) acks_.Clear();
  if (record.has_partitions_added()) moves_.OnPartitionsAdded();
}

std::optional<JournalRecord> Refold::Next(bool may_switch, int64_t now_us) {
  JournalRecord record;
  if (failure_.empty()) failure_ = schemas_.Failure();
  if (const std::string reason = failure_.empty() ? moves_.CannotRefold() : failure_; !reason.empty()) {
    record.mutable_refold_ended()->set_job_id(job_.job_id);
    record.mutable_refold_ended()->set_reason(reason);
    return record;
  }
  if (std::optional<LearnedSchema> schema = schemas_.Take()) {
    SchemaLearned* const learned = record.mutable_schema_learned();
    learned->set_job_id(job_.job_id);
    learned->set_states_id(job_.states_id);
    *learned->mutable_schema() = *std::move(schema);
    return record;
  }
  if (const std::optional<std::vector<ShardAssignment>> plan = moves_.Plan(now_us)) {
    ShardsAssigned* assigned = record.mutable_shards_assigned();
    assigned->set_job_id(job_.job_id);
    assigned->set_states_id(job_.states_id);
    assigned->set_assignment(job_.assignment_number + 1);
    assigned->mutable_shards()->Add(plan->begin(), plan->end());
    return record;
  }
  if (!may_switch || !moves_.IsAllReady()) return std::nullopt;
  RefoldSwitched* switched = record.mutable_refold_switched();
  switched->set_job_id(job_.job_id);
  switched->set_after_batch(job_.last_batch.batch());
  for (const uint64_t after : job_.sinks_after) switched->add_sinks_after(std::min(after, job_.last_batch.batch()));
  return record;
}

void Refold::NoteTrouble(const std::string& worker, absl::string_view trouble) {
  if (trouble.empty()) {
    troubles_.erase(worker);
  } else {
    troubles_[worker] = std::string(trouble);
  }
}

RefoldStatus Refold::Status() const {
  RefoldStatus status;
  *status.mutable_spec() = WithoutSecrets(job_.spec);
  status.set_since_us(begun_at_us_);
  *status.mutable_progress() = moves_.WholeProgress();
  if (const Waiting waiting = schemas_.waiting(); waiting.kind() != WAITING_NOT)
    status.set_problem(absl::StrCat("the registry ", waiting.subject(), " is yet to tell of ", waiting.detail()));
  for (const auto& [worker, trouble] : troubles_) status.set_problem(absl::StrCat("worker ", worker, ": ", trouble));
  for (uint32_t s = 0; s < job_.Shards(); ++s) {
    const bool given = s < job_.assignment.size() && !job_.assignment[s].next_owner().empty();
    if (given && cluster_->IsLive(job_.assignment[s].next_owner())) continue;
    const std::string full = given ? "" : cluster_->NoRoom();
    status.set_problem(
        given ? absl::StrCat("worker ", job_.assignment[s].next_owner(), ", which builds shard ", s, ", is not there")
        : full.empty() ? absl::StrCat("no worker has shard ", s, " yet")
                       : full);
    break;
  }
  return status;
}

}  // namespace tenfold
