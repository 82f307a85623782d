#include "driver/core/journalled_job.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "driver/core/job_windows.h"
#include "driver/core/lineage.h"
#include "jobs/spec/batch_spec.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {

namespace {

// Returns whether a refold for the spec keeps the schema: an unknown one may have been registered since, and another
// registry has other schemas under the same ids.
bool Stays(const LearnedSchema& schema, const JobSpec& spec) {
  return !schema.avro().empty() && schema.registry() == spec.registry().url();
}

}  // namespace

const std::string& BrokersOf(const JobSpec& spec, const std::string& driver_brokers) {
  return spec.source().brokers().empty() ? driver_brokers : spec.source().brokers();
}

bool IsOfRefold(const JournalRecord& record) {
  return !record.shards_assigned().states_id().empty() || !record.schema_learned().states_id().empty();
}

std::string RefoldStatesId(const std::string& job_id, const std::string& random_id) {
  return absl::StrCat(job_id, ".", random_id);
}

std::string JobIdOfStates(const std::string& states_id) { return states_id.substr(0, states_id.find('.')); }

JournalledJob::JournalledJob(const JobSubmitted& submitted, int64_t submitted_at, std::string brokers_of_driver)
    : job_id(submitted.job_id()),
      driver_brokers(std::move(brokers_of_driver)),
      submitted_at_us(submitted_at),
      spec(submitted.spec()),
      states_id(submitted.job_id()),
      first_result(ResultSpecOf(submitted.spec())),
      partitions(submitted.partitions().begin(), submitted.partitions().end()) {
  for (const Partition& partition : partitions) next_offsets.push_back(partition.start_offset());
}

void JournalledJob::Apply(const JournalRecord& record) {
  switch (record.kind_case()) {
    case JournalRecord::kPartitionsAdded:
      for (const Partition& partition : record.partitions_added().partitions()) {
        partitions.push_back(partition);
        next_offsets.push_back(partition.start_offset());
      }
      break;
    case JournalRecord::kShardsAssigned:
      assignment.assign(record.shards_assigned().shards().begin(), record.shards_assigned().shards().end());
      assignment_number = record.shards_assigned().assignment();
      break;
    case JournalRecord::kBatchCommitted:
      last_batch = record.batch_committed();
      if (!last_batch.has_result()) *last_batch.mutable_result() = first_result;
      lineage = LineageOf(last_batch);
      std::copy(last_batch.next_offsets().begin(), last_batch.next_offsets().end(), next_offsets.begin());
      break;
    case JournalRecord::kJobUpdated:
      spec = record.job_updated().spec();
      sinks_after.assign(record.job_updated().sinks_after().begin(), record.job_updated().sinks_after().end());
      refold_failure.clear();
      break;
    case JournalRecord::kSchemaLearned:
      schemas.push_back(record.schema_learned().schema());
      break;
    case JournalRecord::kRefoldBegun:
      refold_failure.clear();
      break;
    case JournalRecord::kRefoldEnded:
      refold_failure = record.refold_ended().reason();
      break;
    case JournalRecord::kJobPaused:
      if (!IsPaused()) paused_at_us = std::max<int64_t>(1, record.time_us());
      break;
    case JournalRecord::kJobResumed:
      paused_at_us = 0;
      break;
    case JournalRecord::kJobFailed:
      failed = true;
      failure = record.job_failed().reason();
      break;
    case JournalRecord::kJobFinished:
      finished = true;
      break;
    case JournalRecord::kJobCancelled:
      cancelled = true;
      break;
    default:
      break;
  }
}

JournalledJob JournalledJob::Refolded(const RefoldBegun& begun) const {
  JournalledJob refolded = *this;
  std::erase_if(refolded.schemas, [&](const LearnedSchema& schema) { return !Stays(schema, begun.spec()); });
  refolded.former_schemas.push_back(schemas);
  refolded.former_specs.push_back(std::exchange(refolded.spec, begun.spec()));
  refolded.states_id = begun.states_id();
  refolded.sinks_after.assign(begun.sinks_after().begin(), begun.sinks_after().end());
  refolded.assignment.clear();
  refolded.assignment_number = 0;
  refolded.closed_before.reset();
  return refolded;
}

void JournalledJob::Switch(const JournalledJob& refolded, const RefoldSwitched& switched) {
  std::vector<LearnedSchema> present_schemas = std::move(schemas);
  spec = refolded.spec;
  states_id = refolded.states_id;
  schemas = refolded.schemas;
  former_specs = refolded.former_specs;
  former_schemas = refolded.former_schemas;
  // The refold's are as they were when it began.
  former_schemas.back() = std::move(present_schemas);
  sinks_after.assign(switched.sinks_after().begin(), switched.sinks_after().end());
  assignment = refolded.assignment;
  for (ShardAssignment& shard : assignment) {
    shard.set_owner(shard.next_owner());
    shard.clear_next_owner();
  }
  // Workers are told that they own now what they prepared.
  assignment_number = refolded.assignment_number + 1;
  refolded_at_batch = switched.after_batch() + 1;
  closed_until_us.reset();
  closed_before.reset();
  if (!switched.has_closed_until_us()) return;
  closed_until_us = switched.closed_until_us();
  if (const JobWindows windows(spec); windows.any()) closed_before = windows.LastEnded(*closed_until_us);
}

std::optional<int64_t> JournalledJob::closed_through() const {
  if (!IsBatchOfFold()) return closed_before;
  return last_batch.has_closed_through() ? std::optional(last_batch.closed_through()) : std::nullopt;
}

std::optional<int64_t> JournalledJob::ClosedUntilUs() const {
  const JobWindows windows(spec);
  if (!windows.any() || !IsBatchOfFold() || !last_batch.has_closed_through()) return closed_until_us;
  return std::max(closed_until_us, std::optional(windows.EndOf(last_batch.closed_through())));
}

const google::protobuf::RepeatedPtrField<Digest>& JournalledJob::Digests() const {
  static const BatchCommitted none;
  return IsBatchOfFold() ? last_batch.digests() : none.digests();
}

size_t JournalledJob::Shards() const { return std::min<size_t>(kShards, partitions.size()); }

std::vector<uint32_t> JournalledJob::PartitionsOf(uint32_t shard) const {
  std::vector<uint32_t> indexes;
  for (uint32_t p = shard; p < partitions.size(); p += kShards) indexes.push_back(p);
  return indexes;
}

std::set<std::string> JournalledJob::Owners() const {
  std::set<std::string> owners;
  for (const ShardAssignment& shard : assignment) {
    if (!shard.owner().empty()) owners.insert(shard.owner());
  }
  return owners;
}

bool JournalledJob::IsKnown(const Partition& partition) const {
  return std::any_of(partitions.begin(), partitions.end(), [&](const Partition& known) {
    return known.topic() == partition.topic() && known.partition() == partition.partition();
  });
}

bool JournalledJob::IsBatchDue() const {
  return last_batch.batch() == 0 || last_batch.next_offsets_size() != static_cast<int>(partitions.size()) ||
         !IsBatchOfFold() || !IsResultOf(last_batch, spec) || last_batch.more_finals();
}

bool JournalledJob::IsComplete() const {
  if (IsBatchDue() || partitions.empty()) return false;
  for (uint32_t p = 0; p < partitions.size(); ++p) {
    if (next_offsets[p] < EndOf(p)) return false;
  }
  return true;
}

bool JournalledJob::WouldAskAgain(const JobSpec& next) const {
  return next.has_registry() &&
         std::ranges::any_of(schemas, [&](const LearnedSchema& schema) { return !Stays(schema, next); });
}

bool JournalledJob::Knows(uint32_t schema) const {
  return std::ranges::any_of(schemas, [&](const LearnedSchema& known) { return known.id() == schema; });
}

std::string JournalledJob::Name(uint32_t partition) const {
  return absl::StrCat(partitions[partition].topic(), "[", partitions[partition].partition(), "]");
}

AssignRequest JournalledJob::MakeAssign(const std::string& worker, RequestId id) const {
  AssignRequest request;
  *request.mutable_id() = std::move(id);
  *request.mutable_spec() = spec;
  request.set_brokers(brokers());
  request.mutable_partitions()->Add(partitions.begin(), partitions.end());
  request.mutable_schemas()->Add(schemas.begin(), schemas.end());
  for (uint32_t s = 0; s < assignment.size(); ++s) {
    if (assignment[s].owner() == worker) request.add_owned(s);
    if (assignment[s].next_owner() == worker) request.add_prepared(s);
  }
  return request;
}

FoldRequest JournalledJob::MakeFold(const std::string& worker, RequestId id, const std::vector<int64_t>& targets,
                                    std::optional<int64_t> window) const {
  FoldRequest request;
  *request.mutable_id() = std::move(id);
  if (window) request.set_window(*window);
  if (closed_through()) request.set_closed_through(*closed_through());
  for (uint32_t s = 0; s < assignment.size(); ++s) {
    if (assignment[s].owner() != worker) continue;
    for (const uint32_t p : PartitionsOf(s)) {
      PartitionOffset* target = request.add_targets();
      target->set_partition(p);
      target->set_next_offset(targets[p]);
    }
  }
  return request;
}

JobStatus JournalledJob::Status() const {
  JobStatus status;
  status.set_job(spec.name());
  status.set_job_id(job_id);
  status.set_failure(failure);
  // What is shown of the last batch is shown by this, so that it stays the batch's until there is another.
  *status.mutable_spec() = WithoutSecrets(SpecOf(last_batch));
  status.set_refold_failure(refold_failure);
  status.set_refolded_at_batch(refolded_at_batch);
  status.set_batch(last_batch.batch());
  status.set_submitted_at_us(submitted_at_us);
  for (const LearnedSchema& schema : SchemasOf(last_batch)) {
    LearnedSchema* const shown = status.add_schemas();
    shown->set_id(schema.id());
    shown->set_problem(schema.problem());
    shown->set_registry(schema.registry());
  }
  *status.mutable_last_batch() = last_batch;
  for (uint32_t s = 0; s < assignment.size(); ++s) {
    ShardStatus* shard = status.add_shards();
    shard->set_shard(s);
    shard->set_owner(assignment[s].owner());
    shard->set_next_owner(assignment[s].next_owner());
  }
  return status;
}

}  // namespace tenfold
