// A whole cluster in one thread and virtual time: the production machine and worker jobs, with a network that loses,
// delays, doubles and reorders, and processes that die at any step. One seed gives one run. Every batch is compared with
// the oracle when it is journalled.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "driver/core/cluster_machine.h"
#include "jobs/oracle/oracle.h"
#include "tests/simulation/simulated_worker.h"
#include "worker/worker_job.h"

namespace tenfold {

class SimulatedCluster {
 public:
  // `hits` counts, over all runs, how often each fault and each step of recovery happened.
  SimulatedCluster(uint64_t seed, std::map<std::string, int>* hits);
  ~SimulatedCluster();

  // Empty, or what went wrong: a batch that differs from the oracle, a gap, or a job that never catches up.
  std::string Run();

 private:
  struct Worker {
    std::string id;
    bool up = false;
    // Never comes back.
    bool gone = false;
    uint64_t incarnation = 0;
    // Cut off from the driver until then.
    int64_t cut_until_ms = 0;
    // Heard, but never reached again.
    bool uncallable = false;
    // Reached, but does nothing it is asked until then.
    int64_t refuses_until_ms = 0;
    // A write failed: the process has to end.
    bool store_broken = false;
    SimulatedStore store;
    std::map<std::string, std::unique_ptr<WorkerJob>> jobs;
  };
  struct Job {
    JobSubmitted submitted;
    SimulatedLog log;
    // Follows the journal.
    std::vector<Partition> partitions;
    BatchCommitted last;
    std::vector<int64_t> checked;
    std::unique_ptr<Oracle> oracle;
    bool failed = false;
    bool cancelled = false;
    // Parts of the reasons it may fail for.
    std::vector<std::string> may_fail;
    uint64_t delivered = 0;
    int64_t sink_stalled_until_ms = 0;
    // The last Folds were those of a merge by changes; which driver sent them, and what they quoted.
    bool by_changes = false;
    uint64_t folding_driver = 0;
    std::map<std::string, std::vector<std::pair<uint32_t, int64_t>>> quoted;
    // Quoted the same again in the last Fold.
    std::set<std::string> quoted_again;
  };
  struct Event {
    int64_t at_ms = 0;
    uint64_t order = 0;
    std::function<void()> run;
    bool operator<(const Event& other) const { return std::tie(at_ms, order) > std::tie(other.at_ms, other.order); }
  };

  uint64_t Draw(uint64_t below) { return random_() % below; }
  bool Chance(double probability) { return std::uniform_real_distribution<double>(0, 1)(random_) < probability; }
  void Hit(const std::string& what) { ++(*hits_)[what]; }
  int64_t NowUs() const { return now_ms_ * 1000; }
  void At(int64_t delay_ms, std::function<void()> run);
  // Runs only while the driver that asked for it is still the one.
  void AtDriver(int64_t delay_ms, std::function<void(Actions*)> run);
  void AtDriver(uint64_t life, int64_t delay_ms, std::function<void(Actions*)> run);

  void MakeJobs();
  void AddRecords(Job* job, size_t records);
  std::string MakeRecord();

  void StartDriver();
  void CrashDriver();
  // The driver's disk is replaced by a copy that lacks the journal's end.
  void RestoreOlderJournal();
  void StartWorker(Worker* worker);
  void CrashWorker(Worker* worker);
  bool IsWithinJournal(const ShardState& state) const;
  void Beat(Worker* worker, uint64_t incarnation);
  void Fault();
  void RareFault();
  Job& AnyJob();
  void PauseDriver();
  void LoseOffsets(Job* job);
  void Truncate(Job* job);
  void CancelJob(const std::string& id);
  // The journal says so.
  void EndJob(Job* job, const std::string& reason);
  void OnCancelled(Job* job);
  // It cannot go on, and says why: the log's start is gone, and with it a state.
  bool WaitsForGoneWorker(const std::string& id, const Job& job) const;
  // It cannot go on, and names a worker that is heard and cannot be reached: an owner of its shards, or a next owner.
  bool WaitsForUncallableWorker(const std::string& id) const;
  void CheckTime();

  void Do(Actions* actions);
  template <typename Request>
  void Do(const Send<Request>& send);
  void Do(const QueryEnds& query);
  void Do(const FindPartitions& find);
  void Do(const QuerySinks& query);
  void Do(const AppendRecord& append);
  void Do(const PublishBatch& publish);
  void Do(const CloseJob& close);

  // Does the request at the worker, if it can be reached.
  template <typename Request>
  absl::StatusOr<ReplyOf<Request>> Visit(Worker* worker, const Request& request);
  // Counts what a request, and its reply, are about.
  void Note(const std::string& worker, const AssignRequest& request);
  void Note(const std::string& worker, const PrepareRequest& request);
  void Note(const std::string& worker, const FoldRequest& request);
  void Note(const std::string& worker, const LookUpRequest& request);
  template <typename Reply>
  void NoteReply(const absl::StatusOr<Reply>& reply);
  void NoteSums(const FoldRequest& request, const FoldReply& reply);
  std::string WorkerOf(uint64_t incarnation) const;
  WorkerJob* JobAt(Worker* worker, const std::string& job_id, bool make);

  void Journal(const JournalRecord& record);
  void CheckBatch(const BatchCommitted& batch);
  bool CaughtUp() const;

  std::mt19937_64 random_;
  std::map<std::string, int>* const hits_;
  uint64_t merge_memory_ = kMergeMemoryBytes;
  uint64_t least_merge_ = kLeastMergeBytes;
  size_t part_bytes_ = kMaxMessageBytes / 4;
  size_t max_kept_changes_ = kMaxKeptChanges;
  // Older journals are restored in this run.
  bool restores_ = false;
  bool restored_ = false;
  std::priority_queue<Event> events_;
  int64_t now_ms_ = 1'000'000;
  uint64_t order_ = 0;
  bool faults_ = true;
  std::string wrong_;

  std::map<std::string, Job> jobs_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<JournalRecord> journal_;
  // Asked for and not yet durable.
  std::deque<JournalRecord> appending_;
  std::unique_ptr<ClusterMachine> machine_;
  uint64_t driver_life_ = 0;
  // The driver stands still until then; workers that it must not lose for that.
  int64_t paused_until_ms_ = 0;
  std::vector<std::string> heard_before_pause_;
  int64_t sends_second_ = 0;
  int sends_ = 0;
};

}  // namespace tenfold
