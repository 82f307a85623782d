// A simulated driver: the production cluster machine over a journal in memory, and a network to the workers that loses,
// delays, doubles and reorders. It follows its own journal and compares every batch there with the oracle. Its process dies
// at any step and starts again from what is durable; there may be two over copies of one journal.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "driver/core/cluster_machine.h"
#include "jobs/oracle/oracle.h"
#include "tests/simulation/simulated_worker.h"
#include "tests/simulation/simulated_world.h"

namespace tenfold {

class SimulatedDriver {
 public:
  using Workers = std::vector<std::unique_ptr<SimulatedWorker>>;
  // What the journal says of a job.
  struct Followed {
    std::vector<Partition> partitions;
    // Whose result is asked for.
    JobSpec spec;
    BatchCommitted last;
    // How many refolds have switched; what the present states are called; and, while a refold is under way, what its are.
    uint32_t fold = 0;
    std::string states_id;
    // What is journalled of schemas; the same of the refold's states.
    std::vector<LearnedSchema> schemas;
    std::vector<LearnedSchema> refold_schemas;
    std::optional<RefoldBegun> refold;
    // The end of the last window that was ever final.
    std::optional<int64_t> closed_until_us;
    bool failed = false;
    bool cancelled = false;
    bool paused = false;
    bool finished = false;
  };

  // World and workers outlive the object.
  SimulatedDriver(SimulatedWorld* world, const Workers* workers) : world_(world), workers_(workers) {}
  // Over a copy of the other one's journal, as it is durable now.
  SimulatedDriver(const SimulatedDriver& other);

  void Start();
  // Starts again by itself.
  void Crash();
  // The same, and somebody puts an older copy of the journal in its place.
  void CrashAndRestoreOlderJournal();
  // Ends for good.
  void Stop();
  bool stopped() const { return stopped_; }
  // The process stands still for `ms` milliseconds.
  void Pause(int64_t ms);
  // A heartbeat or a command can be sent: it is neither stopped nor still.
  bool Listens() const { return !stopped_ && paused_until_ms_ <= world_->now_ms(); }
  void OnTick();

  void Beat(SimulatedWorker* worker);
  void Submit(const std::string& job_id, int64_t delay_ms);
  void Cancel(const std::string& job_id, int64_t delay_ms);
  // Gives the job another top.
  void Update(const std::string& job_id, uint32_t top, int64_t delay_ms);
  void SetPaused(const std::string& job_id, bool paused);
  // Has the job fold otherwise, once its states are built for that.
  void Refold(const std::string& job_id, int64_t delay_ms);

  const Followed& followed(const std::string& job_id) const;
  // Whether the last batch has all there is, or the job is over, or it waits for what will not come and says so.
  bool IsCaughtUp(const std::string& job_id) const;
  // Whether all that the state holds is within the journal.
  bool IsJournalled(const ShardState& state) const;
  bool MergesByChanges(const std::string& job_id) const;
  // Whether another job has the job's name here.
  bool IsNameTaken(const std::string& job_id) const;
  // The jobs' states, for people.
  std::string Describe() const;
  uint64_t epoch() const { return epoch_; }
  // The process ends, and starts again as the one that workers have to obey.
  void CrashAndBeObeyed() {
    restored_ = true;
    Crash();
  }

  // The other driver over a copy of the same journal, while both are there.
  const SimulatedDriver* twin = nullptr;

 private:
  void OnFinished(const std::string& job_id);

  struct Job : Followed {
    Job() = default;
    // The oracle of a copy begins anew.
    Job(const Job& other) : Followed(other), delivered(other.delivered) {}

    std::vector<int64_t> checked;
    // Of so many keys.
    // What the oracle is of.
    JobSpec oracle_spec;
    std::unique_ptr<Oracle> oracle;
    uint64_t delivered = 0;
    // The last Folds were those of a merge by changes; by which process, and what they quoted to each worker.
    bool by_changes = false;
    uint64_t folding_life = 0;
    std::map<std::string, std::vector<std::pair<uint32_t, int64_t>>> quoted;
    // Quoted the same again in the last Fold.
    std::set<std::string> quoted_again;
  };

  // Runs unless the process has ended by then.
  void Later(int64_t delay_ms, std::function<void(Actions*)> run) { Later(life_, delay_ms, std::move(run)); }
  void Later(uint64_t life, int64_t delay_ms, std::function<void(Actions*)> run);

  void Do(Actions* actions);
  template <typename Request>
  void Do(const Send<Request>& send);
  void Do(const QueryEnds& query);
  void Do(const FindPartitions& find);
  void Do(const AskSchema& ask);
  void Do(const QuerySinks& query);
  void Do(const AppendRecord& append);
  void Do(const CompareLineage& compare);
  void Do(const PublishBatch& publish);
  void Do(const CloseJob&) {}

  // Counts what a request, and its reply, are about.
  void Note(const std::string&, const PingRequest&) {}
  void Note(const std::string& worker, const AssignRequest& request);
  void Note(const std::string& worker, const PrepareRequest& request);
  void Note(const std::string& worker, const FoldRequest& request);
  void Note(const std::string& worker, const LookUpRequest& request);
  template <typename Request>
  void NoteReply(const std::string& worker, const Request& request, const absl::StatusOr<ReplyOf<Request>>& reply);

  void Journal(const JournalRecord& record);
  void OnLearned(const SchemaLearned& learned);
  // Whether the record is one of a refold.
  bool OnRefold(const JournalRecord& record);
  void OnBatch(const BatchCommitted& batch);
  // Whether a partition may have been idle at the batch's offsets for as long as the job's spec says.
  bool MayDecree(const SimulatedJob& job, int64_t idle_us, const BatchCommitted& batch) const;
  // The sink takes the batch unless it has another under that number, or a later one.
  void Deliver(const BatchCommitted& batch);
  void OnFailed(const JobFailed& failed);
  void OnCancelled(const std::string& job_id);

  SimulatedWorld* const world_;
  const Workers* const workers_;
  std::map<std::string, Job> jobs_;
  std::vector<JournalRecord> journal_;
  // Asked for and not yet durable.
  std::deque<JournalRecord> appending_;
  std::unique_ptr<ClusterMachine> machine_;
  uint64_t life_ = 0;
  uint64_t epoch_ = 0;
  bool stopped_ = false;
  // The next start is with a restored journal.
  bool restored_ = false;
  int64_t paused_until_ms_ = 0;
  // Workers that the process must not lose for its pause.
  std::vector<std::string> heard_before_pause_;
  int64_t actions_second_ = 0;
  size_t actions_ = 0;
};

}  // namespace tenfold
