// A whole cluster in one thread and virtual time: the production machines of the driver and the workers, with all that goes
// wrong around them. One seed gives one run.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/simulated_driver.h"
#include "tests/simulation/simulated_worker.h"
#include "tests/simulation/simulated_world.h"

namespace tenfold {

class SimulatedCluster {
 public:
  // `hits` is SimulatedWorld's. With a scenario, which outlives the object, all jobs are its job and read its records.
  SimulatedCluster(uint64_t seed, std::map<std::string, int>* hits, const Scenario* scenario = nullptr);

  // Empty, or what went wrong: a batch that differs from the oracle, a gap, or a job that never catches up.
  std::string Run();

 private:
  void MakeJobs();
  SimulatedWorker* AddWorker();
  void StartWorker(SimulatedWorker* worker);
  void CrashWorker(SimulatedWorker* worker);
  void Beat(SimulatedWorker* worker, uint64_t incarnation);
  void Tick();

  void Fault();
  void RareFault();
  void Resume(const std::string& job_id);
  SimulatedWorker* AnyWorker() { return workers_[world_.Draw(workers_.size())].get(); }
  // One that is not stopped.
  SimulatedDriver* AnyDriver();
  void KillDriver(SimulatedDriver* driver);
  // Somebody starts a second driver over a copy of the first one's data directory; later only one of the two goes on.
  void CopyDriver();
  void StopOneOfTwoDrivers();
  void LoseOffsets(SimulatedJob* job, const SimulatedDriver& driver);
  void Truncate(SimulatedJob* job, const SimulatedDriver& driver);
  // Starts the driver with a restored journal until no worker refuses it for its epoch, as its sentence says.
  void BeObeyed();
  // Submits the job again if its submission was lost with its driver.
  void SubmitWhatWasLost(const std::string& job_id);
  void EndFaults();
  bool IsCaughtUp();

  SimulatedWorld world_;
  // Older journals are restored, and drivers copied, in this run.
  const bool restores_;
  const bool copies_;
  // Whether a state was damaged in a way that its digest hides. Once a run: a second time, in the state that was made of
  // the log after the first, is a batch that the log contradicts, for which a job fails.
  bool hid_damage_ = false;
  std::vector<std::unique_ptr<SimulatedWorker>> workers_;
  // Those that are stopped too, as events may still name them.
  std::vector<std::unique_ptr<SimulatedDriver>> drivers_;
};

}  // namespace tenfold
