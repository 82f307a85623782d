// What the journal says of one job: its spec, partitions, assignment and last batch, and whether it is over. Changed by
// journal records alone, so that a driver that starts again comes to the same. Pure; used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "driver.pb.h"
#include "journal.pb.h"
#include "worker.pb.h"

namespace tenfold {

// Returns the brokers that a job with this spec reads from: its own or, if it names none, the driver's.
const std::string& BrokersOf(const JobSpec& spec, const std::string& driver_brokers);

// Returns whether the record is about the states that a refold builds.
bool IsOfRefold(const JournalRecord& record);

// The id of the states that a refold builds, and the id of the job that such states, or those of its first fold, are of.
std::string RefoldStatesId(const std::string& job_id, const std::string& random_id);
std::string JobIdOfStates(const std::string& states_id);

struct JournalledJob {
  // `driver_brokers` are those of jobs whose spec names none.
  JournalledJob(const JobSubmitted& submitted, int64_t submitted_at_us, std::string driver_brokers);

  // A record of this job, in the journal's order, but one of a refold's states (IsOfRefold).
  void Apply(const JournalRecord& record);
  // The job as it is once the refold switches, with no shard assigned yet. It gets every record of the job meanwhile, and
  // assignments of these states in place of the job's.
  JournalledJob Refolded(const RefoldBegun& begun) const;
  // The refold switches: the job goes on with the spec and the states of `refolded`.
  void Switch(const JournalledJob& refolded, const RefoldSwitched& switched);

  bool IsOver() const { return failed || cancelled || finished; }
  bool IsPaused() const { return paused_at_us != 0; }
  // Where the job ends in a partition; the maximum if it goes on for ever.
  int64_t EndOf(uint32_t partition) const {
    return partitions[partition].has_end_offset() ? partitions[partition].end_offset() : std::numeric_limits<int64_t>::max();
  }
  // Every partition is folded up to where the job ends, and the last batch has all that comes of them.
  bool IsComplete() const;
  // How many shards the job has: one for each partition, at most kShards.
  size_t Shards() const;
  std::vector<uint32_t> PartitionsOf(uint32_t shard) const;
  // The workers that own a shard, sorted.
  std::set<std::string> Owners() const;
  bool IsKnown(const Partition& partition) const;
  // A batch is due although no offset moved: the first one, the first with partitions that were added, or
  // of which the spec wants another result, and while windows are final of which no batch has had the result.
  bool IsBatchDue() const;
  // HOST:PORT[,HOST:PORT]
  const std::string& brokers() const { return BrokersOf(spec, driver_brokers); }
  // "topic[2]" of a partition's index.
  std::string Name(uint32_t partition) const;
  // Returns the part of the job's status that is journalled, without the partitions.
  JobStatus Status() const;
  // The request that tells the worker its shards of the present assignment.
  AssignRequest MakeAssign(const std::string& worker, RequestId id) const;
  // The request to fold its shards' partitions to these offsets, of all partitions. `window` is what is asked of a job with
  // windows.
  FoldRequest MakeFold(const std::string& worker, RequestId id, const std::vector<int64_t>& targets,
                       std::optional<int64_t> window) const;
  // The last window that is final; nullopt if none is.
  std::optional<int64_t> closed_through() const;
  // The time until which windows have been final, of this fold or one before; nullopt if none has.
  std::optional<int64_t> ClosedUntilUs() const;
  // Whether the last batch is of the present fold: else what it says of states and windows is of others.
  bool IsBatchOfFold() const { return last_batch.fold() == fold(); }
  // The digests of the present states at next_offsets, by shard; none before they made a batch.
  const google::protobuf::RepeatedPtrField<Digest>& Digests() const;
  // How many refolds have switched.
  uint32_t fold() const { return static_cast<uint32_t>(former_specs.size()); }
  bool Knows(uint32_t schema) const;
  // Returns whether a refold for the spec would ask a registry again for a schema that the job has learned of.
  bool WouldAskAgain(const JobSpec& next) const;
  // Returns the schemas that were known when the batch was made, and maybe some that were learned since.
  const std::vector<LearnedSchema>& SchemasOf(const BatchCommitted& batch) const {
    return batch.fold() < former_schemas.size() ? former_schemas[batch.fold()] : schemas;
  }
  // The spec that was the job's when the batch was made, but for what the batch says itself (jobs/spec/batch_spec.h).
  const JobSpec& SpecOf(const BatchCommitted& batch) const {
    return batch.fold() < former_specs.size() ? former_specs[batch.fold()] : spec;
  }

  const std::string job_id;
  const std::string driver_brokers;
  const int64_t submitted_at_us;

  JobSpec spec;
  // What workers call the job whose states make its batches.
  std::string states_id;
  // The schemas that its registry has told, in the order of the journal, each id once.
  std::vector<LearnedSchema> schemas;
  // The specs of earlier folds, the first at first, and what was known of schemas.
  std::vector<JobSpec> former_specs;
  std::vector<std::vector<LearnedSchema>> former_schemas;
  // As in the last RefoldSwitched, and the last window of the present spec that ends until then.
  std::optional<int64_t> closed_until_us;
  std::optional<int64_t> closed_before;
  // The first batch by the present fold, if a refold has switched; else 0.
  uint64_t refolded_at_batch = 0;
  // Why the last refold came to nothing, if the spec is still the one before it.
  std::string refold_failure;
  // What batches were made by that do not say it: only later ones could be of another result than at the submission.
  const ResultSpec first_result;
  // As in JobUpdated; empty before the first.
  std::vector<uint64_t> sinks_after;
  // In index order.
  std::vector<Partition> partitions;
  // Entry s is shard s; shorter than Shards() until partitions that were added are assigned.
  std::vector<ShardAssignment> assignment;
  uint64_t assignment_number = 0;
  BatchCommitted last_batch;
  // The lineage of last_batch.
  Lineage lineage;
  // The offsets of last_batch, and the start offsets of partitions that were added since.
  std::vector<int64_t> next_offsets;
  bool failed = false;
  bool cancelled = false;
  // Since when it makes no batches, in microseconds of Unix time; 0 if it does.
  int64_t paused_at_us = 0;
  bool finished = false;
  std::string failure;
};

}  // namespace tenfold
