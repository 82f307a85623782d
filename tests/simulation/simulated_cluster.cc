#include "tests/simulation/simulated_cluster.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr uint32_t kLeaseMs = 3000;
constexpr uint64_t kSinkBacklogBatches = 3;
// More requests a second are a storm.
constexpr int kMaxSends = 3000;
constexpr int64_t kFaultsForMs = 60'000;
constexpr int64_t kCatchUpWithinMs = 120'000;
constexpr char kCluster[] = "simulated";

// What the driver says it has.
const google::protobuf::RepeatedPtrField<PartitionOffset>& SinceOf(const FoldRequest& request) {
  return request.has_updates() ? request.updates().since() : request.changes().since();
}

}  // namespace

SimulatedCluster::SimulatedCluster(uint64_t seed, std::map<std::string, int>* hits) : random_(seed), hits_(hits) {
  // Enough memory for every job, for none, or for about one.
  if (Chance(0.5)) merge_memory_ = Chance(0.7) ? 1 : 150'000;
  least_merge_ = 300 + Draw(1'500);
  if (Chance(0.5)) part_bytes_ = 1 + Draw(200);
  if (Chance(0.2)) max_kept_changes_ = 1 + Draw(20);
  restores_ = Chance(0.1);
}
SimulatedCluster::~SimulatedCluster() = default;

void SimulatedCluster::At(int64_t delay_ms, std::function<void()> run) {
  events_.push({now_ms_ + delay_ms, ++order_, std::move(run)});
}

void SimulatedCluster::AtDriver(int64_t delay_ms, std::function<void(Actions*)> run) {
  AtDriver(driver_life_, delay_ms, std::move(run));
}

void SimulatedCluster::AtDriver(uint64_t life, int64_t delay_ms, std::function<void(Actions*)> run) {
  At(delay_ms, [this, life, run = std::move(run)] {
    if (machine_ == nullptr || life != driver_life_) return;
    if (paused_until_ms_ > now_ms_) return AtDriver(life, paused_until_ms_ - now_ms_, run);
    Actions actions;
    run(&actions);
    Do(&actions);
  });
}

// ---- jobs and their log ----

std::string SimulatedCluster::MakeRecord() {
  if (Chance(0.03)) return Chance(0.5) ? "page1|one|2|3" : "page1|1|2";
  const uint64_t keys = Chance(0.5) ? 8 : 40;
  return absl::StrCat("page", Draw(keys), "|", Draw(10), "|", Draw(10), ".", Draw(1000), "|", static_cast<int>(Draw(3)) - 1,
                      Chance(0.1) ? "0e-12" : "");
}

void SimulatedCluster::AddRecords(Job* job, size_t records) {
  for (size_t i = 0; i < records; ++i) {
    std::vector<SimulatedLog::Slot>& partition = job->log.partitions[Draw(job->log.partitions.size())];
    if (Chance(0.05)) {
      partition.push_back({true, ""});
    } else {
      partition.push_back({false, MakeRecord()});
    }
  }
}

void SimulatedCluster::MakeJobs() {
  const size_t count = 1 + Draw(2);
  for (size_t i = 0; i < count; ++i) {
    const std::string id = absl::StrCat("id", i);
    Job& job = jobs_[id];
    job.submitted.set_job_id(id);
    job.submitted.set_brokers("simulated:9092");
    JobSpec* spec = job.submitted.mutable_spec();
    spec->set_name(absl::StrCat("job", i));
    spec->mutable_source()->add_topics("events");
    spec->mutable_fold()->mutable_format()->set_separator("|");
    for (const char* field : {"page", "clicks", "minutes", "like"})
      spec->mutable_fold()->mutable_format()->add_fields(field);
    spec->mutable_fold()->set_key("page");
    for (const auto& [constant, field] :
         {std::pair{"0.8", "clicks"}, {"0.8", "minutes"}, {Chance(0.3) ? "-7" : "1", "like"}}) {
      ScoreTerm* term = spec->mutable_fold()->add_score();
      term->set_constant(constant);
      term->set_field(field);
    }
    spec->set_top(static_cast<uint32_t>(1 + Draw(10)));
    spec->set_batch_interval_ms(static_cast<uint32_t>(50 + Draw(2000)));
    if (Chance(0.5)) {
      InitialScore* initial = spec->mutable_fold()->add_initial();
      initial->set_key("page1");
      initial->set_score("12.5");
    }
    spec->set_wal(static_cast<WalMode>(Draw(3)));
    spec->add_sinks()->mutable_stdout();
    if (Chance(0.1)) {
      Hit("fault: a bad record fails the job");
      spec->set_on_bad_record(BAD_RECORD_FAIL);
      job.may_fail.push_back(": the record is bad");
    }
    job.log.partitions.resize(Chance(0.1) ? 63 + Draw(5) : 1 + Draw(6));
    for (size_t p = 0; p < job.log.partitions.size(); ++p) {
      if (Chance(0.5)) job.log.partitions[p].resize(Draw(5), {true, ""});
      Partition* partition = job.submitted.add_partitions();
      partition->set_topic("events");
      partition->set_partition(static_cast<int32_t>(p));
      partition->set_start_offset(job.log.End(p));
    }
    AddRecords(&job, Draw(400));
    AtDriver(static_cast<int64_t>(100 + Draw(3000)),
             [this, id](Actions* actions) { machine_->Submit(jobs_[id].submitted, actions).IgnoreError(); });
  }
}

// ---- driver ----

void SimulatedCluster::StartDriver() {
  ++driver_life_;
  machine_ = std::make_unique<ClusterMachine>(
      ClusterLimits{kLeaseMs, kSinkBacklogBatches, merge_memory_, least_merge_, /*merge_floor=*/0});
  for (const JournalRecord& record : journal_) machine_->Replay(record);
  Actions actions;
  machine_->Start(kCluster, NowUs(), &actions);
  Do(&actions);
}

void SimulatedCluster::CrashDriver() {
  Hit("fault: driver killed");
  for (const auto& [id, job] : jobs_) {
    if (job.by_changes) Hit("fault: driver killed while it merges by changes");
  }
  // What was being written is there or not.
  for (size_t durable = Draw(appending_.size() + 1); durable > 0; --durable) {
    Hit("fault: driver killed between journal and publish");
    Journal(appending_.front());
    appending_.pop_front();
  }
  appending_.clear();
  machine_.reset();
  paused_until_ms_ = 0;
  heard_before_pause_.clear();
  ++driver_life_;
  if (restores_ && Chance(0.5)) RestoreOlderJournal();
  At(static_cast<int64_t>(100 + Draw(6000)), [this] { StartDriver(); });
}

void SimulatedCluster::RestoreOlderJournal() {
  const bool over =
      std::any_of(jobs_.begin(), jobs_.end(), [](const auto& job) { return job.second.failed || job.second.cancelled; });
  if (over) return;
  Hit("fault: older journal restored");
  restored_ = true;
  std::vector<JournalRecord> kept = std::exchange(journal_, {});
  kept.resize(kept.size() - Draw(std::min<size_t>(kept.size(), 40)));
  for (auto& [id, job] : jobs_) {
    job.partitions.clear();
    job.last.Clear();
    job.checked.clear();
    job.oracle.reset();
  }
  for (const JournalRecord& record : kept) Journal(record);
}

void SimulatedCluster::Journal(const JournalRecord& record) {
  journal_.push_back(record);
  if (record.has_job_submitted()) {
    Job& job = jobs_.at(record.job_submitted().job_id());
    job.partitions.assign(record.job_submitted().partitions().begin(), record.job_submitted().partitions().end());
  } else if (record.has_partitions_added()) {
    Hit("step: partitions added");
    Job& job = jobs_.at(record.partitions_added().job_id());
    for (const Partition& partition : record.partitions_added().partitions()) job.partitions.push_back(partition);
  } else if (record.has_batch_committed()) {
    CheckBatch(record.batch_committed());
  } else if (record.has_job_failed()) {
    EndJob(&jobs_.at(record.job_failed().job_id()), record.job_failed().reason());
  } else if (record.has_job_cancelled()) {
    OnCancelled(&jobs_.at(record.job_cancelled().job_id()));
  } else if (record.has_shards_assigned()) {
    for (const ShardAssignment& shard : record.shards_assigned().shards()) {
      if (!shard.next_owner().empty()) Hit(shard.owner().empty() ? "step: doubted shard folded again" : "step: shard moves");
    }
  } else if (record.has_epoch_started() && record.epoch_started().epoch() > 1) {
    Hit("step: driver started again from its journal");
  }
}

void SimulatedCluster::CheckBatch(const BatchCommitted& batch) {
  Job& job = jobs_.at(batch.job_id());
  if (!wrong_.empty()) return;
  if (job.failed || job.cancelled) wrong_ = absl::StrCat("batch ", batch.batch(), " follows the end of its job");
  if (batch.batch() > job.delivered + kSinkBacklogBatches) wrong_ = "a batch is made although a sink is too far behind";
  if (batch.batch() != job.last.batch() + 1)
    wrong_ = absl::StrCat("batch ", batch.batch(), " follows batch ", job.last.batch());
  const auto partitions = static_cast<size_t>(batch.next_offsets_size());
  if (partitions > job.partitions.size()) wrong_ = "a batch has more partitions than are journalled";
  if (!wrong_.empty()) return;
  if (job.oracle == nullptr || partitions != job.checked.size()) {
    // More partitions, maybe more shards: from the start.
    job.oracle = std::make_unique<Oracle>(job.submitted.spec(), partitions);
    job.checked.clear();
    for (size_t p = 0; p < partitions; ++p) job.checked.push_back(job.partitions[p].start_offset());
  }
  for (size_t p = 0; p < partitions; ++p) {
    const int64_t end = batch.next_offsets(static_cast<int>(p));
    if (end < job.checked[p] || end > static_cast<int64_t>(job.log.partitions[p].size()))
      wrong_ = absl::StrCat("partition ", p, " goes to offset ", end, " from ", job.checked[p]);
    for (; wrong_.empty() && job.checked[p] < end; ++job.checked[p]) {
      const SimulatedLog::Slot& slot = job.log.partitions[p][static_cast<size_t>(job.checked[p])];
      if (!slot.marker) job.oracle->Add(p, slot.value);
    }
  }
  if (wrong_.empty()) {
    const std::string difference = job.oracle->Difference(batch);
    if (!difference.empty()) wrong_ = absl::StrCat("batch ", batch.batch(), " of ", batch.job_id(), ": ", difference);
  }
  if (batch.proof().rounds() > 1) Hit("step: second round of the merge");
  if (job.by_changes) Hit("step: batch merged by changes");
  if (batch.batch_records() + job.last.records() != batch.records())
    wrong_ = "batch_records is not the difference of records";
  job.last = batch;
  Hit("step: batch committed");
}

void SimulatedCluster::CheckTime() {
  // At the end of a pause at once: later, who is lost then may have ended since.
  const bool due = machine_ != nullptr && (machine_->NextTimeUs() <= NowUs() || !heard_before_pause_.empty());
  if (due && paused_until_ms_ <= now_ms_) {
    Actions actions;
    machine_->OnTime(NowUs(), &actions);
    for (const std::string& id : std::exchange(heard_before_pause_, {})) {
      if (!machine_->view().workers.at(id).live) wrong_ = absl::StrCat(id, " is lost because the driver stood still");
    }
    Do(&actions);
  }
  At(10, [this] { CheckTime(); });
}

// ---- actions ----

void SimulatedCluster::Do(Actions* actions) {
  if (now_ms_ / 1000 != sends_second_) sends_ = 0;
  sends_second_ = now_ms_ / 1000;
  sends_ += static_cast<int>(actions->size());
  if (sends_ > kMaxSends) wrong_ = absl::StrCat("the driver asked for ", sends_, " things within a second");
  for (const Action& action : *actions) std::visit([this](const auto& a) { Do(a); }, action);
}

WorkerJob* SimulatedCluster::JobAt(Worker* worker, const std::string& job_id, bool make) {
  std::unique_ptr<WorkerJob>& job = worker->jobs[job_id];
  if (job == nullptr && make) {
    WorkerJob::Options options;
    options.cluster_id = kCluster;
    options.job_id = job_id;
    options.incarnation = worker->incarnation;
    options.store = &worker->store;
    options.part_bytes = part_bytes_;
    options.max_kept_changes = max_kept_changes_;
    options.store_failed = [worker](const absl::Status&) { worker->store_broken = true; };
    // Some have so little memory that only a few candidates are in it, others come to their limit as keys come.
    constexpr size_t kMemory[] = {0, 0, 1, 3'000, 8'000};
    options.memory = [bytes = kMemory[worker->incarnation % std::size(kMemory)]] {
      return JobMemory{.totals_bytes = bytes, .sums = {}, .preparation = {}};
    };
    options.make_fold_task = [this, job_id](const AssignRequest& assign) -> absl::StatusOr<std::unique_ptr<FoldTask>> {
      return std::make_unique<SimulatedFoldTask>(&jobs_.at(job_id).log, assign.spec(), &random_);
    };
    job = std::make_unique<WorkerJob>(std::move(options), worker->store.States(job_id));
  }
  return job.get();
}

template <typename Request>
absl::StatusOr<ReplyOf<Request>> SimulatedCluster::Visit(Worker* worker, const Request& request) {
  if (!worker->up || worker->uncallable || worker->cut_until_ms > now_ms_) return absl::UnavailableError("no route");
  if (worker->refuses_until_ms > now_ms_) return absl::FailedPreconditionError("not now");
  WorkerJob* job = JobAt(worker, request.id().job_id(), std::is_same_v<Request, AssignRequest>);
  if (job == nullptr) return absl::FailedPreconditionError("the job is not assigned to the worker");
  absl::StatusOr<ReplyOf<Request>> reply = job->Handle(request);
  if (std::exchange(worker->store_broken, false)) {
    Hit("fault: store fails");
    CrashWorker(worker);
  }
  NoteReply(reply);
  if constexpr (std::is_same_v<Request, FoldRequest>) {
    if (reply.ok()) NoteSums(request, *reply);
  }
  return reply;
}

template <typename Request>
void SimulatedCluster::Do(const Send<Request>& send) {
  Note(send.worker, send.request);
  const auto it =
      std::find_if(workers_.begin(), workers_.end(), [&](const auto& worker) { return worker->id == send.worker; });
  CHECK(it != workers_.end());
  Worker* worker = it->get();
  using Reply = absl::StatusOr<ReplyOf<Request>>;
  const auto visit = [this, worker, send] { return Visit(worker, send.request); };
  const auto done = [this, send](const Reply& reply, Actions* actions) { machine_->OnReply(send, reply, NowUs(), actions); };
  if (faults_ && Chance(0.02)) {
    Hit("fault: request doubled and late");
    At(static_cast<int64_t>(Draw(5000)), [visit] { visit().IgnoreError(); });
  }
  const auto fail = [this, done](int64_t delay_ms) {
    AtDriver(delay_ms, [done](Actions* actions) { done(absl::UnavailableError("lost"), actions); });
  };
  if (faults_ && Chance(0.01)) {
    Hit("fault: request lost");
    return fail(1000);
  }
  if (worker->refuses_until_ms > now_ms_) return AtDriver(0, [done, visit](Actions* actions) { done(visit(), actions); });
  const int64_t there_ms = static_cast<int64_t>(Chance(0.05) ? Draw(800) : Draw(20));
  At(there_ms, [this, visit, done, fail, life = driver_life_] {
    auto reply = std::make_shared<Reply>(visit());
    if (life != driver_life_) return;
    bool tells_changes = false;
    if constexpr (std::is_same_v<Request, FoldRequest>) tells_changes = reply->ok() && (*reply)->has_changes();
    if (faults_ && Chance(tells_changes ? 0.05 : 0.01)) {
      Hit(tells_changes ? "fault: changes lost on their way" : "fault: reply lost");
      return fail(1000);
    }
    const int64_t back_ms = static_cast<int64_t>(Chance(0.05) ? Draw(800) : Draw(20));
    AtDriver(back_ms, [done, reply](Actions* actions) { done(*reply, actions); });
    if (faults_ && Chance(0.02)) {
      Hit("fault: reply doubled");
      AtDriver(back_ms + static_cast<int64_t>(Draw(2000)), [done, reply](Actions* actions) { done(*reply, actions); });
    }
  });
}

template <typename Reply>
void SimulatedCluster::NoteReply(const absl::StatusOr<Reply>& reply) {
  if constexpr (requires { reply->failure(); }) {
    if (reply.ok() && reply->has_failure()) Hit("step: failure told by a worker");
  }
  if (absl::IsAborted(reply.status())) Hit("step: stale request refused");
  if (absl::IsFailedPrecondition(reply.status())) Hit("step: request that does not fit refused");
}

void SimulatedCluster::Note(const std::string&, const AssignRequest& request) {
  if (request.owned().empty() && request.prepared().empty()) Hit("step: job dropped from a worker");
}

void SimulatedCluster::Note(const std::string&, const PrepareRequest&) { Hit("step: shard prepared"); }

void SimulatedCluster::Note(const std::string& worker, const FoldRequest& request) {
  if (request.exact()) Hit("step: state below the journal replayed");
  Job& of = jobs_.at(request.id().job_id());
  if (of.by_changes && !request.has_changes() && of.folding_driver == driver_life_) Hit("step: merge by changes given up");
  of.by_changes = request.has_changes();
  of.folding_driver = driver_life_;
  std::vector<std::pair<uint32_t, int64_t>> quoted;
  for (const PartitionOffset& offset : SinceOf(request)) quoted.emplace_back(offset.partition(), offset.next_offset());
  if (of.quoted[worker] == quoted) {
    of.quoted_again.insert(worker);
  } else {
    of.quoted_again.erase(worker);
  }
  of.quoted[worker] = std::move(quoted);
}

void SimulatedCluster::NoteSums(const FoldRequest& request, const FoldReply& reply) {
  if (SinceOf(request).empty()) return;
  const bool again = jobs_.at(request.id().job_id()).quoted_again.contains(WorkerOf(request.id().incarnation()));
  if (!reply.has_changes() && !reply.has_updates()) Hit("step: worker does not know the composition quoted");
  if (again && !reply.changes().added().empty()) Hit("step: changes told again");
  if (reply.has_updates()) Hit("step: only entries that changed told");
  if (again && !reply.updates().entries().empty()) Hit("step: changed entries told again");
}

void SimulatedCluster::Note(const std::string&, const LookUpRequest& request) {
  Hit("step: look-up");
  if (request.range().slices() > 1) Hit("step: slice of the keys looked up");
  if (request.has_changes()) Hit("step: more changes looked up");
  if (jobs_.at(request.id().job_id()).by_changes && request.has_range()) Hit("step: all entries looked up");
}

std::string SimulatedCluster::WorkerOf(uint64_t incarnation) const {
  for (const auto& worker : workers_) {
    if (worker->incarnation == incarnation) return worker->id;
  }
  return "";
}

void SimulatedCluster::Do(const QueryEnds& query) {
  AtDriver(static_cast<int64_t>(Draw(20)), [this, query](Actions* actions) {
    if (faults_ && Chance(0.03)) {
      Hit("fault: Kafka unreachable");
      return machine_->OnEnds(query, absl::UnavailableError("Kafka is not reachable"), NowUs(), actions);
    }
    const JobMachine* job = machine_->FindJob(query.job_id);
    if (job == nullptr) return;
    std::vector<int64_t> ends;
    for (size_t p = 0; p < job->job().partitions.size(); ++p) ends.push_back(jobs_.at(query.job_id).log.End(p));
    machine_->OnEnds(query, ends, NowUs(), actions);
  });
}

void SimulatedCluster::Do(const FindPartitions& find) {
  AtDriver(static_cast<int64_t>(Draw(50)), [this, find](Actions* actions) {
    const JobMachine* job = machine_->FindJob(find.job_id);
    if (job == nullptr) return;
    JobMachine::Found found;
    for (size_t p = 0; p < job->job().partitions.size(); ++p) found.begins.push_back(jobs_.at(find.job_id).log.Begin(p));
    for (size_t p = job->job().partitions.size(); p < jobs_.at(find.job_id).log.partitions.size(); ++p) {
      Partition& partition = found.added.emplace_back();
      partition.set_topic("events");
      partition.set_partition(static_cast<int32_t>(p));
    }
    if (faults_ && Chance(0.05)) {
      // As when somebody asks for the ends meanwhile.
      Hit("fault: partitions found twice");
      AtDriver(static_cast<int64_t>(Draw(3000)),
               [this, find, found](Actions* later) { machine_->OnPartitions(find.job_id, found, NowUs(), later); });
    }
    machine_->OnPartitions(find.job_id, found, NowUs(), actions);
  });
}

void SimulatedCluster::Do(const QuerySinks& query) {
  AtDriver(static_cast<int64_t>(Draw(20)), [this, query](Actions* actions) {
    Job& job = jobs_.at(query.job_id);
    if (job.sink_stalled_until_ms <= now_ms_) job.delivered = job.last.batch();
    if (job.last.batch() >= job.delivered + kSinkBacklogBatches) Hit("step: job waits for its sink");
    SinkStatus slowest;
    slowest.set_sink("stdout");
    slowest.set_delivered_batch(job.delivered);
    machine_->OnSinks(query.job_id, slowest, NowUs(), actions);
  });
}

void SimulatedCluster::Do(const AppendRecord& append) {
  appending_.push_back(append.record);
  appending_.back().set_time_us(NowUs());
  AtDriver(static_cast<int64_t>(Chance(0.05) ? Draw(1000) : Draw(10)), [this](Actions* actions) {
    // The oldest first, whichever delay was shorter.
    JournalRecord record = appending_.front();
    appending_.pop_front();
    if (record.has_batch_committed()) record.mutable_batch_committed()->set_published_at_us(NowUs());
    Journal(record);
    machine_->OnJournaled(record, NowUs(), actions);
  });
}

void SimulatedCluster::Do(const PublishBatch& publish) {
  Job& job = jobs_.at(publish.job_id);
  if (job.sink_stalled_until_ms <= now_ms_) job.delivered = job.last.batch();
  if (publish.batch.batch() > job.last.batch())
    wrong_ = absl::StrCat("batch ", publish.batch.batch(), " is published before it is journalled");
}

void SimulatedCluster::Do(const CloseJob&) {}

// ---- workers and faults ----

void SimulatedCluster::StartWorker(Worker* worker) {
  worker->up = true;
  worker->incarnation = random_();
  worker->store.FailIf([this] { return faults_ && Chance(0.002); });
  for (const std::string& job_id : worker->store.JobIds()) JobAt(worker, job_id, true);
  Beat(worker, worker->incarnation);
}

void SimulatedCluster::Beat(Worker* worker, uint64_t incarnation) {
  if (!worker->up || worker->incarnation != incarnation) return;
  if (worker->cut_until_ms <= now_ms_ && paused_until_ms_ <= now_ms_) {
    HeartbeatRequest request;
    request.set_cluster_id(kCluster);
    request.set_worker_id(worker->id);
    request.set_incarnation(incarnation);
    request.set_address(worker->id);
    for (const auto& [id, job] : worker->jobs) {
      if (job != nullptr) request.add_job_ids(id);
    }
    AtDriver(static_cast<int64_t>(Draw(20)), [this, worker, request](Actions* actions) {
      const absl::StatusOr<HeartbeatReply> reply = machine_->OnHeartbeat(request, NowUs(), actions);
      if (!reply.ok() || !worker->up || worker->incarnation != request.incarnation()) return;
      for (const std::string& id : reply->dropped_job_ids()) {
        const auto job = worker->jobs.find(id);
        if (job == worker->jobs.end() || job->second == nullptr) continue;
        Hit("step: cancelled job dropped by a worker");
        CHECK(job->second->Drop().ok());
        worker->jobs.erase(job);
      }
    });
  }
  At(500, [this, worker, incarnation] { Beat(worker, incarnation); });
}

bool SimulatedCluster::CaughtUp() const {
  for (const auto& [id, job] : jobs_) {
    if (job.cancelled) {
      for (const auto& worker : workers_) {
        const std::vector<std::string> kept = worker->store.JobIds();
        if (!worker->gone && std::find(kept.begin(), kept.end(), id) != kept.end()) return false;
      }
    }
    if (job.cancelled || job.failed || WaitsForGoneWorker(id, job) || WaitsForUncallableWorker(id)) continue;
    if (static_cast<size_t>(job.last.next_offsets_size()) != job.log.partitions.size()) return false;
    for (size_t p = 0; p < job.log.partitions.size(); ++p) {
      if (job.last.next_offsets(static_cast<int>(p)) != job.log.End(p)) return false;
    }
  }
  return true;
}

std::string SimulatedCluster::Run() {
  for (size_t w = 1 + Draw(4); w > 0; --w) {
    workers_.push_back(std::make_unique<Worker>());
    workers_.back()->id = absl::StrCat("w", workers_.size());
    At(static_cast<int64_t>(Draw(3000)), [this, worker = workers_.back().get()] { StartWorker(worker); });
  }
  StartDriver();
  MakeJobs();
  CheckTime();
  At(3000, [this] { Fault(); });
  const int64_t faults_end_ms = now_ms_ + kFaultsForMs;
  int64_t end_ms = faults_end_ms + kCatchUpWithinMs;
  while (wrong_.empty() && now_ms_ < end_ms) {
    CHECK(!events_.empty());
    const Event event = events_.top();
    events_.pop();
    now_ms_ = event.at_ms;
    event.run();
    if (faults_ && now_ms_ >= faults_end_ms) {
      faults_ = false;
      for (const auto& worker : workers_) worker->cut_until_ms = worker->refuses_until_ms = 0;
      // Workers that have seen an epoch beyond the journal's refuse its driver until they start again.
      for (const auto& worker : workers_) {
        if (restored_ && worker->up) CrashWorker(worker.get());
      }
      // A job whose submission was lost with its driver is submitted again.
      for (auto& [id, job] : jobs_) {
        if (!job.partitions.empty()) continue;
        for (size_t p = static_cast<size_t>(job.submitted.partitions_size()); p < job.log.partitions.size(); ++p)
          job.log.partitions.pop_back();
        At(10'000, [this, &job] {
          AtDriver(0, [this, &job](Actions* actions) { machine_->Submit(job.submitted, actions).IgnoreError(); });
        });
      }
    }
    if (!faults_ && CaughtUp()) return wrong_;
  }
  if (!wrong_.empty()) return wrong_;
  std::string state;
  if (machine_ != nullptr) {
    for (const auto& [id, job] : machine_->jobs()) absl::StrAppend(&state, "; ", job->Status().ShortDebugString());
  }
  return absl::StrCat("not caught up ", kCatchUpWithinMs / 1000, " s after the last fault", state);
}

}  // namespace tenfold
