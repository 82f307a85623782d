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

struct JournalledJob {
  // `driver_brokers` are those of jobs whose spec names none.
  JournalledJob(const JobSubmitted& submitted, int64_t submitted_at_us, std::string driver_brokers);

  // A record of this job, in the journal's order.
  void Apply(const JournalRecord& record);

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
  std::optional<int64_t> closed_through() const {
    return last_batch.has_closed_through() ? std::optional(last_batch.closed_through()) : std::nullopt;
  }

  const std::string job_id;
  const std::string driver_brokers;
  const int64_t submitted_at_us;

  JobSpec spec;
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
