#include "tests/simulation/simulated_cluster.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tenfold {
namespace {

constexpr int64_t kFaultsForMs = 60'000;
// Long enough for many final windows, each of them merged in slices of a few keys.
constexpr int64_t kCatchUpWithinMs = 1'200'000;
constexpr int64_t kHeartbeatMs = 500;

}  // namespace

SimulatedCluster::SimulatedCluster(uint64_t seed, std::map<std::string, int>* hits, const Scenario* scenario)
    : world_(seed, hits, scenario), restores_(world_.Chance(0.1)), copies_(world_.Chance(0.1)) {}

std::string SimulatedCluster::Run() {
  drivers_.push_back(std::make_unique<SimulatedDriver>(&world_, &workers_));
  for (size_t w = 1 + world_.Draw(4); w > 0; --w) {
    world_.At(static_cast<int64_t>(world_.Draw(3000)), [this, worker = AddWorker()] { StartWorker(worker); });
  }
  drivers_.back()->Start();
  MakeJobs();
  Tick();
  world_.At(3000, [this] { Fault(); });
  const int64_t faults_end_ms = world_.now_ms() + kFaultsForMs;
  while (world_.wrong().empty() && world_.now_ms() < faults_end_ms + kCatchUpWithinMs) {
    world_.RunNext();
    if (world_.faults && world_.now_ms() >= faults_end_ms) EndFaults();
    if (!world_.faults && IsCaughtUp()) return world_.wrong();
  }
  if (!world_.wrong().empty()) return world_.wrong();
  return absl::StrCat("not caught up ", kCatchUpWithinMs / 1000, " s after the last fault", AnyDriver()->Describe());
}

void SimulatedCluster::MakeJobs() {
  for (size_t i = 0, count = 1 + world_.Draw(2); i < count; ++i) {
    const std::string id = absl::StrCat("id", i);
    world_.MakeJob(id);
    drivers_.back()->Submit(id, static_cast<int64_t>(100 + world_.Draw(3000)));
  }
}

bool SimulatedCluster::IsCaughtUp() {
  const SimulatedDriver* driver = AnyDriver();
  return std::all_of(world_.jobs.begin(), world_.jobs.end(), [&](const auto& job) {
    // A driver that is stopped by now may have given the name to another job.
    const bool unknown = driver->followed(job.first).partitions.empty();
    return driver->IsCaughtUp(job.first) || (unknown && driver->IsNameTaken(job.first));
  });
}

// Must run often, as the machine's next time may change with each event.
void SimulatedCluster::Tick() {
  for (const auto& driver : drivers_) driver->OnTick();
  world_.At(10, [this] { Tick(); });
}

// ---- workers ----

SimulatedWorker* SimulatedCluster::AddWorker() {
  workers_.push_back(
      std::make_unique<SimulatedWorker>(absl::StrCat("w", workers_.size() + 1), &world_, [this](SimulatedWorker* worker) {
        world_.Hit("fault: store fails");
        CrashWorker(worker);
      }));
  return workers_.back().get();
}

void SimulatedCluster::StartWorker(SimulatedWorker* worker) {
  worker->Start();
  Beat(worker, worker->incarnation());
}

void SimulatedCluster::Beat(SimulatedWorker* worker, uint64_t incarnation) {
  if (!worker->up() || worker->incarnation() != incarnation) return;
  // Where there are two, the address leads to either.
  SimulatedDriver* driver = AnyDriver();
  if (worker->cut_until_ms <= world_.now_ms() && driver->Listens()) driver->Beat(worker);
  world_.At(kHeartbeatMs, [this, worker, incarnation] { Beat(worker, incarnation); });
}

void SimulatedCluster::CrashWorker(SimulatedWorker* worker) {
  for (const auto& driver : drivers_) {
    for (const auto& [id, job] : world_.jobs) {
      if (!driver->stopped() && driver->MergesByChanges(id) && worker->Has(id))
        world_.Hit("fault: worker killed while the job is merged by changes");
    }
  }
  worker->Crash();
  // A state with a damage that its digest hides is found where a journal has the digest: beyond it nothing could tell, an
  // older journal may be restored, and one of two drivers may fold the state beyond the other's journal before that
  // compares.
  const auto journalled = [this](const ShardState& state) {
    return std::all_of(drivers_.begin(), drivers_.end(),
                       [&](const auto& driver) { return driver->stopped() || driver->IsJournalled(state); });
  };
  if (world_.Chance(0.2)) {
    world_.Hit("fault: disk lost");
    worker->store()->LoseDisk();
  } else if (world_.Chance(0.1) && worker->store()->Damage(false, [](const ShardState&) { return true; }, world_.random())) {
    world_.Hit("fault: row damaged on disk");
  } else if (!restores_ && !copies_ && !hid_damage_ && world_.Chance(0.1) &&
             worker->store()->Damage(true, journalled, world_.random())) {
    hid_damage_ = true;
    world_.Hit("fault: row and digest damaged on disk");
  }
  const bool others = std::any_of(workers_.begin(), workers_.end(), [&](const auto& other) {
    return other.get() != worker && !other->gone && !other->uncallable;
  });
  if (others && world_.Chance(0.1)) {
    world_.Hit("fault: worker gone for good");
    worker->gone = true;
    return;
  }
  world_.At(static_cast<int64_t>(50 + world_.Draw(8000)), [this, worker] { StartWorker(worker); });
}

// ---- faults ----

void SimulatedCluster::Fault() {
  if (!world_.faults) return;
  world_.At(static_cast<int64_t>(200 + world_.Draw(4000)), [this] { Fault(); });
  if (world_.Chance(0.12)) return RareFault();
  SimulatedWorker* worker = AnyWorker();
  switch (world_.Draw(8)) {
    case 0:
    case 1:
      if (!worker->up()) return;
      world_.Hit("fault: worker killed");
      return CrashWorker(worker);
    case 2:
      world_.Hit("fault: worker cut off");
      worker->cut_until_ms = world_.now_ms() + static_cast<int64_t>(world_.Draw(8000));
      return;
    case 3:
      return KillDriver(AnyDriver());
    case 4: {
      const auto job = std::next(world_.jobs.begin(), static_cast<std::ptrdiff_t>(world_.Draw(world_.jobs.size())));
      std::vector<std::vector<SimulatedLog::Slot>>& partitions = job->second.log.partitions;
      if (AnyDriver()->followed(job->first).partitions.empty() || partitions.size() > 70) return;
      world_.Hit("fault: partitions grow");
      partitions.resize(partitions.size() + 1 + world_.Draw(3));
      return;
    }
    case 5:
      if (workers_.size() >= 5) return;
      world_.Hit("fault: worker joins");
      return StartWorker(AddWorker());
    default:
      for (auto& [id, job] : world_.jobs) world_.AddRecords(&job, world_.Draw(200));
  }
}

void SimulatedCluster::RareFault() {
  auto& [id, job] = *std::next(world_.jobs.begin(), static_cast<std::ptrdiff_t>(world_.Draw(world_.jobs.size())));
  SimulatedDriver* driver = AnyDriver();
  SimulatedWorker* worker = AnyWorker();
  switch (world_.Draw(10)) {
    case 8:
    case 9:
      // Another may begin, or an update come, before one has ended.
      for (size_t n = 1 + world_.Draw(3); n > 0; --n) driver->Refold(id, static_cast<int64_t>(world_.Draw(2'000)));
      if (world_.Chance(0.5))
        driver->Update(id, static_cast<uint32_t>(1 + world_.Draw(10)), static_cast<int64_t>(world_.Draw(3'000)));
      if (world_.Chance(0.1)) LoseOffsets(&job, *driver);
      return;
    case 7:
      driver->SetPaused(id, true);
      world_.At(static_cast<int64_t>(world_.Draw(15'000)), [this, paused = id] { Resume(paused); });
      return;
    case 5:
      return driver->Update(id, static_cast<uint32_t>(1 + world_.Draw(10)), 0);
    case 0:
      return driver->Pause(static_cast<int64_t>(world_.Draw(15'000)));
    case 1:
      world_.Hit("fault: sink stalls");
      job.sink_stalled_until_ms = world_.now_ms() + static_cast<int64_t>(world_.Draw(20'000));
      return;
    case 2:
      world_.Hit("fault: worker refuses everything at once");
      worker->refuses_until_ms = world_.now_ms() + static_cast<int64_t>(world_.Draw(5000));
      return;
    case 3:
      if (world_.Chance(0.5)) LoseOffsets(&job, *driver);
      return;
    case 4:
      if (world_.Chance(0.3)) Truncate(&job, *driver);
      if (!world_.Chance(0.3)) return;
      world_.Hit("fault: worker heard and not reached for a while");
      worker->uncallable_until_ms = world_.now_ms() + static_cast<int64_t>(world_.Draw(12'000));
      if (!world_.Chance(0.3) || std::ranges::none_of(workers_, [&](const auto& other) {
            return other.get() != worker && !other->gone && !other->uncallable;
          }))
        return;
      world_.Hit("fault: worker heard and never reached again");
      worker->uncallable = true;
      return;
    default:
      if (!world_.Chance(0.3)) return;
      world_.Hit("fault: job cancelled");
      return driver->Cancel(id, 0);
  }
}

// Asked again and again, as the driver may end, or get an older journal, before it has done so.
void SimulatedCluster::Resume(const std::string& job_id) {
  SimulatedDriver* const driver = AnyDriver();
  if (driver->Listens() && driver->followed(job_id).paused) driver->SetPaused(job_id, false);
  world_.At(500, [this, job_id] { Resume(job_id); });
}

SimulatedDriver* SimulatedCluster::AnyDriver() {
  std::vector<SimulatedDriver*> there;
  for (const auto& driver : drivers_) {
    if (!driver->stopped()) there.push_back(driver.get());
  }
  return there.size() == 1 ? there.front() : there[world_.Draw(there.size())];
}

void SimulatedCluster::KillDriver(SimulatedDriver* driver) {
  if (copies_ && world_.Chance(0.5)) {
    driver->twin == nullptr ? CopyDriver() : StopOneOfTwoDrivers();
  }
  if (driver->stopped()) return;
  const bool over = std::any_of(world_.jobs.begin(), world_.jobs.end(), [&](const auto& job) {
    const SimulatedDriver::Followed& followed = driver->followed(job.first);
    return followed.failed || followed.cancelled || followed.finished;
  });
  if (!restores_ || over || world_.Chance(0.5)) return driver->Crash();
  driver->CrashAndRestoreOlderJournal();
}

void SimulatedCluster::CopyDriver() {
  world_.Hit("fault: second driver over a copy of the journal");
  world_.forked = true;
  SimulatedDriver* first = AnyDriver();
  drivers_.push_back(std::make_unique<SimulatedDriver>(*first));
  SimulatedDriver* second = drivers_.back().get();
  first->twin = second;
  second->twin = first;
  second->Start();
}

void SimulatedCluster::StopOneOfTwoDrivers() {
  SimulatedDriver* stopped = AnyDriver();
  stopped->Stop();
  AnyDriver()->twin = nullptr;
}

void SimulatedCluster::LoseOffsets(SimulatedJob* job, const SimulatedDriver& driver) {
  const BatchCommitted& last = driver.followed(job->submitted.job_id()).last;
  if (last.next_offsets_size() == 0) return;
  const size_t p = world_.Draw(static_cast<size_t>(last.next_offsets_size()));
  // Those that are folded already, or more.
  const int64_t folded = last.next_offsets(static_cast<int>(p));
  const int64_t left = job->log.End(p) - folded;
  world_.Hit(left > 0 ? "fault: offsets lost" : "fault: log's start lost");
  job->log.begins[p] = std::max(
      job->log.Begin(p), folded + (left > 0 ? 1 + static_cast<int64_t>(world_.Draw(static_cast<uint64_t>(left))) : 0));
  job->may_fail.push_back(absl::StrCat("events[", p, "] no longer has offset"));
  job->may_fail.push_back("the log's start is gone");
}

void SimulatedCluster::Truncate(SimulatedJob* job, const SimulatedDriver& driver) {
  const BatchCommitted& last = driver.followed(job->submitted.job_id()).last;
  if (last.next_offsets_size() == 0) return;
  const size_t p = world_.Draw(static_cast<size_t>(last.next_offsets_size()));
  const int64_t folded = last.next_offsets(static_cast<int>(p));
  if (folded == 0 || job->log.truncated.contains(p)) return;
  world_.Hit("fault: log truncated");
  job->log.truncated[p] = static_cast<int64_t>(world_.Draw(static_cast<uint64_t>(folded)));
  job->may_fail.push_back(absl::StrCat("events[", p, "] ends at ", job->log.truncated[p], ", below offset"));
}

void SimulatedCluster::BeObeyed() {
  SimulatedDriver* driver = AnyDriver();
  const bool obeyed = std::ranges::all_of(workers_, [&](const auto& worker) { return worker->epoch() <= driver->epoch(); });
  if (!obeyed) {
    driver->CrashAndBeObeyed();
    return world_.At(8'000, [this] { BeObeyed(); });
  }
  for (const auto& [id, job] : world_.jobs) world_.At(10'000, [this, id = id] { SubmitWhatWasLost(id); });
}

void SimulatedCluster::SubmitWhatWasLost(const std::string& job_id) {
  SimulatedDriver* driver = AnyDriver();
  if (!driver->followed(job_id).partitions.empty()) return;
  // The job that has the name may yet be cancelled.
  if (!driver->IsNameTaken(job_id)) {
    SimulatedJob& job = world_.jobs.at(job_id);
    job.log.partitions.resize(static_cast<size_t>(job.submitted.partitions_size()));
    driver->Submit(job_id, 0);
  }
  world_.At(10'000, [this, job_id] { SubmitWhatWasLost(job_id); });
}

void SimulatedCluster::EndFaults() {
  world_.faults = false;
  for (const auto& worker : workers_) worker->cut_until_ms = worker->refuses_until_ms = 0;
  if (AnyDriver()->twin != nullptr) StopOneOfTwoDrivers();
  BeObeyed();
}

}  // namespace tenfold
