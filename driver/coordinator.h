// The driver's decisions for the whole cluster: which workers are there, which jobs, and what the cluster remembers. A
// state machine without I/O, clocks or threads; the job's part is in driver/job_machine.h. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/limits.h"
#include "driver.pb.h"
#include "driver/action.h"
#include "driver/job_machine.h"
#include "journal.pb.h"

namespace tenfold {

class Coordinator {
 public:
  struct Options {
    uint32_t lease_ms = 3000;
    // A job whose sink has not taken so many batches waits for it.
    uint64_t sink_backlog = kSinkBacklog;
    // What the merges of all jobs may take, and one of them in any case.
    uint64_t merge_memory = kMergeMemoryBytes;
    uint64_t least_merge = kLeastMergeBytes;
    // From what cost on totals are worth it (driver/merge_choice.h).
    uint64_t merge_floor = kMergeFloorEntries;
  };
  explicit Coordinator(const Options& options);

  // First every record of the journal, in its order. Then Start, which asks for what a driver journals when it begins: the
  // cluster's id if the journal is empty (`new_cluster_id`), and its epoch. Everything else follows when those are
  // journalled.
  void Replay(const JournalRecord& record);
  void Start(const std::string& new_cluster_id, int64_t now_ms, Actions* actions);
  bool started() const { return started_; }

  // Every record asked for by an AppendRecord comes back here, in the order asked.
  void OnJournaled(const JournalRecord& record, int64_t now_ms, Actions* actions);
  // Called at NextTimeMs at the latest: if this or any other event comes much later, the driver stood still, and for that
  // time it could not have heard anybody.
  void OnTime(int64_t now_ms, Actions* actions);
  int64_t NextTimeMs() const;

  // PERMISSION_DENIED for a worker of another cluster.
  absl::StatusOr<HeartbeatReply> OnHeartbeat(const HeartbeatRequest& request, int64_t now_ms, Actions* actions);

  // ALREADY_EXISTS if the name is taken; else the job exists when its record is journalled.
  absl::Status Submit(const JobSubmitted& submitted, Actions* actions);
  // NOT_FOUND if there is no such job.
  absl::Status Cancel(const std::string& job, Actions* actions);

  // Events of one job; those of a job that is gone are ignored.
  void OnEnds(const QueryEnds& query, const absl::StatusOr<std::vector<int64_t>>& ends, int64_t now_ms, Actions* actions);
  void OnPartitions(const std::string& job_id, const absl::StatusOr<JobMachine::Found>& found, int64_t now_ms,
                    Actions* actions);
  void OnSinks(const std::string& job_id, const SinkStatus& slowest, int64_t now_ms, Actions* actions);
  void OnAssignReply(const SendAssign& sent, const absl::StatusOr<AssignReply>& reply, int64_t now_ms, Actions* actions);
  void OnPrepareReply(const SendPrepare& sent, const absl::StatusOr<PrepareReply>& reply, int64_t now_ms, Actions* actions);
  void OnFoldReply(const SendFold& sent, const absl::StatusOr<FoldReply>& reply, int64_t now_ms, Actions* actions);
  void OnLookUpReply(const SendLookUp& sent, const absl::StatusOr<LookUpReply>& reply, int64_t now_ms, Actions* actions);

  const ClusterView& cluster() const { return cluster_; }
  // By job id; cancelled jobs are gone.
  const std::map<std::string, std::unique_ptr<JobMachine>>& jobs() const { return jobs_; }
  // By name or id; nullptr if there is none.
  const JobMachine* FindJob(const std::string& job) const;
  // The last kMaxCancelledShown, the latest first.
  const std::deque<JobStatus>& cancelled() const { return cancelled_; }
  // By name, then the latest, or id; nullptr if there is none.
  const JobStatus* FindCancelled(const std::string& job) const;
  ListWorkersReply Workers() const;

 private:
  JobMachine* Find(const std::string& job_id);
  void Apply(const JournalRecord& record, int64_t now_ms, Actions* actions);
  // Leases do not run while the driver stands still. Before anything is made of an event.
  void NotePause(int64_t now_ms);
  // How often OnTime is called at least if there is no event.
  int64_t TickMs() const;
  // Marks who is within its lease; tells the jobs if that changed.
  void CheckLeases(int64_t now_ms, Actions* actions);
  void TellWorkersChanged(int64_t now_ms, Actions* actions);
  void CountShards();

  ClusterView cluster_;
  std::map<std::string, std::unique_ptr<JobMachine>> jobs_;
  // Submitted, not journalled yet: their names are taken.
  std::map<std::string, std::string> submitting_;
  std::deque<JobStatus> cancelled_;
  bool started_ = false;
  // Of the last event.
  int64_t last_time_ms_ = 0;
};

}  // namespace tenfold
