// What the parts of one simulated cluster share: chance, virtual time, the jobs with their logs, and what went wrong.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "common/limits.h"
#include "driver/core/cluster_view.h"
#include "journal.pb.h"
#include "tests/scenarios/scenario.h"
#include "tests/simulation/simulated_log.h"

namespace tenfold {

struct SimulatedJob {
  JobSubmitted submitted;
  SimulatedLog log;
  // Parts of the reasons it may fail for.
  std::vector<std::string> may_fail;
  // Its sink takes no batch until then.
  int64_t sink_stalled_until_ms = 0;
  // The batches that it took, by number, with the hash of what they say.
  std::map<uint64_t, uint64_t> sink;
};

class SimulatedWorld {
 public:
  static constexpr char kCluster[] = "simulated";

  // `hits` counts, over all runs, how often each fault and each step of recovery happened; it outlives the object.
  // What the jobs are and read, if it is set, is the scenario's, which outlives the object.
  SimulatedWorld(uint64_t seed, std::map<std::string, int>* hits, const Scenario* scenario);

  uint64_t Draw(uint64_t below) { return random_() % below; }
  bool Chance(double probability) { return std::uniform_real_distribution<double>(0, 1)(random_) < probability; }
  // A fault that is possible only while there are faults.
  bool Fault(double probability) { return faults && Chance(probability); }
  std::mt19937_64* random() { return &random_; }
  void Hit(const std::string& what) { ++(*hits_)[what]; }
  // The first thing that goes wrong is kept.
  void Fail(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
  }
  const std::string& wrong() const { return wrong_; }

  int64_t now_ms() const { return now_ms_; }
  int64_t now_us() const { return now_ms_ * 1000; }
  void At(int64_t delay_ms, std::function<void()> run);
  // Goes on to the next event and runs it.
  void RunNext();

  // Has the job's results be of other groups, rank, order or condition, or leaves them as they are.
  void ChangeResult(JobSpec* spec);
  // A new job, and records at random places of its log.
  SimulatedJob* MakeJob(const std::string& id);
  void AddRecords(SimulatedJob* job, size_t records);
  // Has the spec fold the same log in another way; that of a scenario in the same.
  void ChangeFold(JobSpec* spec);
  // What the registry of schemas says of one, which for the same id is not always the same; UNAVAILABLE or NOT_FOUND.
  absl::StatusOr<LearnedSchema> AskRegistry(uint32_t id);
  // The job that workers' states with this id are of.
  static std::string JobOfStates(const std::string& states_id) { return states_id.substr(0, states_id.find('.')); }

  bool faults = true;
  // Two journals have gone on from one.
  bool forked = false;
  // By job id; never erased.
  std::map<std::string, SimulatedJob> jobs;
  // What this run gives its drivers and workers.
  ClusterOptions limits;
  size_t part_bytes = kMaxMessageBytes / 4;
  size_t max_kept_changes = kMaxKeptChanges;

 private:
  struct Event {
    int64_t at_ms = 0;
    uint64_t order = 0;
    std::function<void()> run;
    bool operator<(const Event& other) const { return std::tie(at_ms, order) > std::tie(other.at_ms, other.order); }
  };

  SimulatedLog::Slot MakeRecord();
  std::string MakeValue();
  RecordParts MakeParts();
  void MakeLinear(Fold* fold);
  // Has a record be by one of the registry's schemas.
  void EncodeByRegistry(std::string* value);
  // `registry`: of records by its schemas.
  void MakeGeneral(GeneralFold* fold, bool registry);
  void MakeWindow(GeneralFold* fold, int64_t* idle_us);
  // What is folded of the source that the spec has, or of two, and the result. `windows`: more likely in windows than not.
  void MakeFold(JobSpec* spec, bool two_sources, bool windows);
  // Has the records of every other partition be of a source of its own.
  void MakeSecondSource(GeneralFold* fold);
  // Has the job end somewhere in what there is.
  void MakeEnds(SimulatedJob* job);
  void MakeResult(JobSpec* spec);
  void MakeRandom(SimulatedJob* job);
  void MakeOfScenario(SimulatedJob* job);

  std::mt19937_64 random_;
  std::map<std::string, int>* const hits_;
  const Scenario* const scenario_;
  std::priority_queue<Event> events_;
  int64_t now_ms_ = 1'000'000;
  uint64_t order_ = 0;
  std::string wrong_;
  // Which schema the registry has by an id: kNoSchema or an index into kSchemas.
  static constexpr size_t kSchemaIds = 4;
  static constexpr int kNoSchema = 0;
  std::array<int, kSchemaIds> registry_ = {};
  // How many records were made, whose timestamps rise.
  uint64_t made_ = 0;
};

}  // namespace tenfold
