// The driver's decisions for the whole cluster: which workers are there, which jobs, and what the cluster remembers. A
// state machine without I/O, clocks or threads; the job's part is in driver/core/job_machine.h. Times are microseconds of
// the decisions' clock. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/limits.h"
#include "driver.pb.h"
#include "driver/core/action.h"
#include "driver/core/job_machine.h"
#include "driver/core/membership.h"
#include "driver/core/reply_check.h"
#include "journal.pb.h"

namespace tenfold {

class ClusterMachine {
 public:
  explicit ClusterMachine(const ClusterOptions& options = {}) : cluster_(options) {}

  // First every record of the journal, in its order. Then Start, which asks for what a driver journals when it begins: the
  // cluster's id if the journal is empty (`new_cluster_id`), and its epoch, with bits of `random`. Everything else follows
  // when those are journalled.
  void Replay(const JournalRecord& record);
  void Start(const std::string& new_cluster_id, uint64_t random, int64_t now_us, Actions* actions);
  bool started() const { return started_; }

  // Every record asked for by an AppendRecord comes back here, in the order asked.
  void OnJournaled(const JournalRecord& record, int64_t now_us, Actions* actions);
  // Called at NextTimeUs at the latest: if this or any other event comes much later, the driver stood still, and for that
  // time it could not have heard anybody.
  void OnTime(int64_t now_us, Actions* actions);
  int64_t NextTimeUs() const;

  // PERMISSION_DENIED for a worker of another cluster, ABORTED for a process whose worker has a younger one.
  absl::StatusOr<HeartbeatReply> OnHeartbeat(const HeartbeatRequest& request, int64_t now_us, Actions* actions);

  // ALREADY_EXISTS if the name, or the id, is taken, RESOURCE_EXHAUSTED if there are workers and none has room for a job;
  // else the job exists when its record is journalled.
  absl::Status Submit(const JobSubmitted& submitted, Actions* actions);
  // NOT_FOUND if there is no such job, FAILED_PRECONDITION if it has failed or is finished; else it has another spec, is
  // paused or goes on when the record is journalled.
  absl::Status Change(JournalRecord change, int64_t now_us, Actions* actions);
  // NOT_FOUND if there is no such job.
  absl::Status Cancel(const std::string& job, Actions* actions);

  // Events of one job; those of a job that is gone are ignored.
  void OnEnds(const QueryEnds& query, const Ends& ends, int64_t now_us, Actions* actions);
  void OnSchema(const AskSchema& asked, const absl::StatusOr<LearnedSchema>& answer, int64_t now_us, Actions* actions);
  void OnPartitions(const std::string& job_id, const absl::StatusOr<FoundPartitions>& found, int64_t now_us,
                    Actions* actions);
  void OnForked(const std::string& job_id, const std::string& who, const std::string& knows, int64_t now_us,
                Actions* actions);
  void OnSinks(const std::string& job_id, const SinkStatus& slowest, int64_t now_us, Actions* actions);
  template <typename Request>
  void OnReply(const Send<Request>& sent, const absl::StatusOr<ReplyOf<Request>>& reply, int64_t now_us, Actions* actions) {
    NotePause(now_us);
    JobMachine* const job = FindOfStates(sent.request.id().job_id());
    absl::Status sound = reply.status();
    if constexpr (std::is_same_v<Request, FoldRequest> || std::is_same_v<Request, LookUpRequest>) {
      // Nobody takes in what is of a job that is gone.
      if (reply.ok() && job != nullptr) sound = CheckReply(sent.request, *reply, job->ranking(), job->key_bytes());
    } else if (reply.ok()) {
      sound = CheckReply(sent.request, *reply);
    }
    if (sound.ok()) members_.OnAnswer(sent.worker, sent.request.id().incarnation(), now_us);
    if (job == nullptr) return;
    const Planning planning(this, actions);
    if (sound.ok()) return job->OnReply(sent, reply, now_us, actions);
    job->OnReply(sent, absl::StatusOr<ReplyOf<Request>>(sound), now_us, actions);
  }
  void OnReply(const Send<PingRequest>& sent, const absl::StatusOr<PingReply>& reply, int64_t now_us, Actions* actions);

  const ClusterView& view() const { return cluster_; }
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
  // While it lives, one job's decisions add to the actions: what they plan is counted at its end.
  class Planning {
   public:
    Planning(ClusterMachine* cluster, const Actions* actions)
        : cluster_(cluster), actions_(actions), before_(actions->size()) {}
    ~Planning() { cluster_->CountPlanned(*actions_, before_); }
    Planning(const Planning&) = delete;
    Planning& operator=(const Planning&) = delete;

   private:
    ClusterMachine* const cluster_;
    const Actions* const actions_;
    const size_t before_;
  };

  JobMachine* Find(const std::string& job_id);
  // The job whose states workers have under this id, for its batches or a refold; nullptr if nothing needs such states.
  JobMachine* FindOfStates(const std::string& states_id);
  // The id of the states that are assigned.
  std::string StatesOf(const ShardsAssigned& assigned);
  void Apply(const JournalRecord& record, int64_t now_us, Actions* actions);
  // Extends every lease by the time that the driver stood still. Called before an event is handled.
  void NotePause(int64_t now_us);
  // How often OnTime is called at least if there is no event.
  int64_t TickUs() const;
  // Finds out who can be used, tells the jobs if that changed or is known to have `changed`, and sends pings that are due.
  void CheckMembers(bool changed, int64_t now_us, Actions* actions);
  void CountShards();
  // Counts one job's states, of which these workers have some, and those that they are assigned to.
  void CountStates(const JournalledJob& job, std::set<std::string> has);
  // Counts the assignments among the actions from this place on, before they are journalled, so that two jobs that are
  // planned at once do not both take the last room.
  void CountPlanned(const Actions& actions, size_t from);
  // Why no live worker takes another job, or "".
  std::string CheckRoom() const;

  ClusterView cluster_;
  Membership members_{&cluster_};
  std::map<std::string, std::unique_ptr<JobMachine>> jobs_;
  // Jobs that are submitted and not journalled yet; their names are taken.
  std::map<std::string, std::string> submitting_;
  std::deque<JobStatus> cancelled_;
  // Assignments that are on their way to the journal, by the states' id.
  std::map<std::string, ShardsAssigned> planned_;
  // The job of every id that states ever had, also of jobs that were cancelled; and ids that workers have and the journal
  // does not know.
  std::map<std::string, std::string> job_of_states_;
  std::set<std::string> unknown_ids_;
  bool started_ = false;
  // The time of the last event.
  int64_t last_time_us_ = 0;
};

}  // namespace tenfold
