#include "tests/simulation/simulated_driver.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <type_traits>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "driver/core/lineage.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// More actions a second are a storm.
constexpr size_t kMaxActions = 3000;

// What the driver says it has.
const google::protobuf::RepeatedPtrField<PartitionOffset>& SinceOf(const FoldRequest& request) {
  return request.has_updates() ? request.updates().since() : request.changes().since();
}

}  // namespace

SimulatedDriver::SimulatedDriver(const SimulatedDriver& other)
    : world_(other.world_), workers_(other.workers_), jobs_(other.jobs_), journal_(other.journal_), epoch_(other.epoch_) {}

// ---- the process ----

void SimulatedDriver::Start() {
  ++life_;
  ClusterOptions options = world_->limits;
  options.restored = std::exchange(restored_, false);
  machine_ = std::make_unique<ClusterMachine>(options);
  // As the journal on disk does: the last batch of each job after everything else.
  std::map<std::string, const JournalRecord*> last;
  for (const JournalRecord& record : journal_) {
    if (record.has_batch_committed()) {
      last[record.batch_committed().job_id()] = &record;
    } else {
      machine_->Replay(record);
    }
  }
  for (const auto& [id, batch] : last) machine_->Replay(*batch);
  Actions actions;
  machine_->Start(SimulatedWorld::kCluster, (*world_->random())(), world_->now_us(), &actions);
  Do(&actions);
}

void SimulatedDriver::Crash() {
  if (machine_ == nullptr) return;
  world_->Hit("fault: driver killed");
  for (const auto& [id, job] : jobs_) {
    if (job.by_changes) world_->Hit("fault: driver killed while it merges by changes");
  }
  // What was being written is there or not.
  for (size_t durable = world_->Draw(appending_.size() + 1); durable > 0; --durable) {
    world_->Hit("fault: driver killed between journal and publish");
    Journal(appending_.front());
    appending_.pop_front();
  }
  appending_.clear();
  machine_.reset();
  paused_until_ms_ = 0;
  heard_before_pause_.clear();
  ++life_;
  world_->At(static_cast<int64_t>(100 + world_->Draw(6000)), [this] {
    if (!stopped_) Start();
  });
}

void SimulatedDriver::CrashAndRestoreOlderJournal() {
  if (machine_ == nullptr) return;
  Crash();
  world_->Hit("fault: older journal restored");
  world_->forked = true;
  restored_ = true;
  std::vector<JournalRecord> kept = std::exchange(journal_, {});
  kept.resize(kept.size() - world_->Draw(std::min<size_t>(kept.size(), 40)));
  // What was delivered remains so.
  std::map<std::string, Job> jobs = std::exchange(jobs_, {});
  for (const auto& [id, job] : jobs) jobs_[id].delivered = job.delivered;
  epoch_ = 0;
  for (const JournalRecord& record : kept) Journal(record);
}

void SimulatedDriver::Stop() {
  stopped_ = true;
  machine_.reset();
  ++life_;
}

void SimulatedDriver::Pause(int64_t ms) {
  if (machine_ == nullptr || !Listens()) return;
  world_->Hit("fault: driver stands still");
  paused_until_ms_ = world_->now_ms() + ms;
  heard_before_pause_.clear();
  for (const auto& [id, worker] : machine_->view().workers) {
    if (worker.state == WORKER_LIVE && worker.last_heard_us > world_->now_us() - 1'000'000)
      heard_before_pause_.push_back(id);
  }
}

void SimulatedDriver::OnTick() {
  // At the end of a pause at once: later, who is lost then may have ended since.
  if (machine_ == nullptr || !Listens()) return;
  if (machine_->NextTimeUs() > world_->now_us() && heard_before_pause_.empty()) return;
  Actions actions;
  machine_->OnTime(world_->now_us(), &actions);
  for (const std::string& id : std::exchange(heard_before_pause_, {})) {
    if (machine_->view().workers.at(id).state == WORKER_LOST)
      world_->Fail(absl::StrCat(id, " is lost because the driver stood still"));
  }
  Do(&actions);
}

void SimulatedDriver::Later(uint64_t life, int64_t delay_ms, std::function<void(Actions*)> run) {
  world_->At(delay_ms, [this, life, run = std::move(run)] {
    if (machine_ == nullptr || life != life_) return;
    if (!Listens()) return Later(life, paused_until_ms_ - world_->now_ms(), run);
    Actions actions;
    run(&actions);
    Do(&actions);
  });
}

// ---- commands and heartbeats ----

void SimulatedDriver::Beat(SimulatedWorker* worker) {
  Later(static_cast<int64_t>(world_->Draw(20)), [this, worker, request = worker->Heartbeat()](Actions* actions) {
    const absl::StatusOr<HeartbeatReply> reply = machine_->OnHeartbeat(request, world_->now_us(), actions);
    if (reply.ok() && worker->up() && worker->incarnation() == request.incarnation()) worker->OnHeartbeatReply(*reply);
  });
}

void SimulatedDriver::Submit(const std::string& job_id, int64_t delay_ms) {
  Later(delay_ms,
        [this, job_id](Actions* actions) { machine_->Submit(world_->jobs.at(job_id).submitted, actions).IgnoreError(); });
}

void SimulatedDriver::Cancel(const std::string& job_id, int64_t delay_ms) {
  Later(delay_ms, [this, job_id](Actions* actions) {
    const JobMachine* job = machine_->FindJob(job_id);
    if (job == nullptr) return;
    if (job->state() == JOB_FAILED) world_->Hit("step: failed job cancelled");
    machine_->Cancel(job_id, actions).IgnoreError();
  });
}

void SimulatedDriver::Update(const std::string& job_id, uint32_t top, int64_t delay_ms) {
  Later(delay_ms, [this, job_id, top](Actions* actions) {
    const JobMachine* job = machine_->FindJob(job_id);
    if (job == nullptr || job->state() == JOB_FAILED) return;
    JournalRecord change;
    JobUpdated& updated = *change.mutable_job_updated();
    updated.set_job_id(job_id);
    *updated.mutable_spec() = job->job().spec;
    updated.mutable_spec()->set_top(top);
    world_->ChangeResult(updated.mutable_spec());
    machine_->Change(std::move(change), world_->now_us(), actions).IgnoreError();
  });
}

void SimulatedDriver::SetPaused(const std::string& job_id, bool paused) {
  Later(0, [this, job_id, paused](Actions* actions) {
    JournalRecord change;
    (paused ? *change.mutable_job_paused()->mutable_job_id() : *change.mutable_job_resumed()->mutable_job_id()) = job_id;
    if (machine_->FindJob(job_id) != nullptr) machine_->Change(std::move(change), world_->now_us(), actions).IgnoreError();
  });
}

void SimulatedDriver::Refold(const std::string& job_id, int64_t delay_ms) {
  Later(delay_ms, [this, job_id](Actions* actions) {
    const JobMachine* job = machine_->FindJob(job_id);
    if (job == nullptr || job->job().IsOver()) return;
    JournalRecord change;
    RefoldBegun& begun = *change.mutable_refold_begun();
    begun.set_job_id(job_id);
    begun.set_states_id(absl::StrCat(job_id, ".", (*world_->random())()));
    *begun.mutable_spec() = job->job().spec;
    world_->ChangeFold(begun.mutable_spec());
    begun.add_sinks_after(std::numeric_limits<uint64_t>::max());
    machine_->Change(std::move(change), world_->now_us(), actions).IgnoreError();
  });
}

// ---- actions ----

void SimulatedDriver::Do(Actions* actions) {
  if (world_->now_ms() / 1000 != std::exchange(actions_second_, world_->now_ms() / 1000)) actions_ = 0;
  actions_ += actions->size();
  if (actions_ > kMaxActions) world_->Fail(absl::StrCat("the driver asked for ", actions_, " things within a second"));
  for (const Action& action : *actions) std::visit([this](const auto& a) { Do(a); }, action);
}

template <typename Request>
void SimulatedDriver::Do(const Send<Request>& send) {
  Note(send.worker, send.request);
  const auto it =
      std::find_if(workers_->begin(), workers_->end(), [&](const auto& worker) { return worker->id() == send.worker; });
  CHECK(it != workers_->end());
  SimulatedWorker* worker = it->get();
  using Reply = absl::StatusOr<ReplyOf<Request>>;
  const auto visit = [this, worker, send] {
    Reply reply = worker->Visit(send.request);
    NoteReply(send.worker, send.request, reply);
    return reply;
  };
  const auto done = [this, send](const Reply& reply, Actions* actions) {
    machine_->OnReply(send, reply, world_->now_us(), actions);
  };
  if (world_->Fault(0.02)) {
    world_->Hit("fault: request doubled and late");
    world_->At(static_cast<int64_t>(world_->Draw(5000)), [visit] { visit().IgnoreError(); });
  }
  const auto fail = [this, done](int64_t delay_ms) {
    Later(delay_ms, [done](Actions* actions) { done(absl::UnavailableError("lost"), actions); });
  };
  if (world_->Fault(0.01)) {
    world_->Hit("fault: request lost");
    return fail(1000);
  }
  if (worker->Refuses()) return Later(0, [done, visit](Actions* actions) { done(visit(), actions); });
  const auto delay_ms = [world = world_] {
    return static_cast<int64_t>(world->Chance(0.05) ? world->Draw(800) : world->Draw(20));
  };
  world_->At(delay_ms(), [this, visit, done, fail, delay_ms, life = life_] {
    auto reply = std::make_shared<Reply>(visit());
    if (life != life_) return;
    bool tells_changes = false;
    if constexpr (std::is_same_v<Request, FoldRequest>) tells_changes = reply->ok() && (*reply)->has_changes();
    if (world_->Fault(tells_changes ? 0.05 : 0.01)) {
      world_->Hit(tells_changes ? "fault: changes lost on their way" : "fault: reply lost");
      return fail(1000);
    }
    const int64_t back_ms = delay_ms();
    Later(back_ms, [done, reply](Actions* actions) { done(*reply, actions); });
    if (world_->Fault(0.02)) {
      world_->Hit("fault: reply doubled");
      Later(back_ms + static_cast<int64_t>(world_->Draw(2000)), [done, reply](Actions* actions) { done(*reply, actions); });
    }
  });
}

void SimulatedDriver::Do(const QueryEnds& query) {
  Later(static_cast<int64_t>(world_->Draw(20)), [this, query](Actions* actions) {
    const JobMachine* job = machine_->FindJob(query.job_id);
    if (job == nullptr) return;
    const size_t partitions = job->job().partitions.size();
    if (world_->Fault(0.03)) {
      world_->Hit("fault: Kafka unreachable");
      const Ends none(partitions, absl::UnavailableError("Kafka is not reachable"));
      return machine_->OnEnds(query, none, world_->now_us(), actions);
    }
    const SimulatedLog& log = world_->jobs.at(query.job_id).log;
    Ends ends;
    for (size_t p = 0; p < partitions; ++p) {
      if (world_->Fault(0.02)) {
        world_->Hit("fault: partition without a leader");
        ends.emplace_back(absl::UnavailableError("no leader"));
      } else {
        ends.emplace_back(log.End(p));
      }
    }
    machine_->OnEnds(query, ends, world_->now_us(), actions);
  });
}

void SimulatedDriver::Do(const FindPartitions& find) {
  Later(static_cast<int64_t>(world_->Draw(50)), [this, find](Actions* actions) {
    const JobMachine* job = machine_->FindJob(find.job_id);
    if (job == nullptr) return;
    const SimulatedLog& log = world_->jobs.at(find.job_id).log;
    if (world_->Fault(0.05)) {
      world_->Hit("fault: search without an answer");
      machine_->OnPartitions(find.job_id, absl::UnavailableError("does not answer"), world_->now_us(), actions);
      return;
    }
    FoundPartitions found;
    if (world_->Fault(0.02)) {
      world_->Hit("fault: topic compacted for a while");
      found.compacted = "events";
    }
    for (size_t p = 0; p < job->job().partitions.size(); ++p)
      found.begins.push_back(world_->Fault(0.02) ? -1 : log.Begin(p));
    const KafkaSource& source = job->job().spec.source();
    for (size_t p = job->job().partitions.size(); p < log.partitions.size() && !source.has_until(); ++p) {
      Partition& partition = found.added.emplace_back();
      partition.set_topic("events");
      partition.set_partition(static_cast<int32_t>(p));
      if (p % 2 == 1 && !source.others().empty()) partition.set_source(1);
    }
    if (world_->Fault(0.05)) {
      // As when somebody asks for the ends meanwhile.
      world_->Hit("fault: partitions found twice");
      Later(static_cast<int64_t>(world_->Draw(3000)),
            [this, find, found](Actions* later) { machine_->OnPartitions(find.job_id, found, world_->now_us(), later); });
    }
    machine_->OnPartitions(find.job_id, found, world_->now_us(), actions);
  });
}

void SimulatedDriver::Do(const AskSchema& ask) {
  Later(static_cast<int64_t>(world_->Draw(200)), [this, ask](Actions* actions) {
    const absl::StatusOr<LearnedSchema> answer = world_->AskRegistry(ask.id);
    machine_->OnSchema(ask, answer, world_->now_us(), actions);
    if (world_->Fault(0.1)) machine_->OnSchema(ask, world_->AskRegistry(ask.id), world_->now_us(), actions);
  });
}

void SimulatedDriver::Do(const QuerySinks& query) {
  Later(static_cast<int64_t>(world_->Draw(20)), [this, query](Actions* actions) {
    Job& job = jobs_.at(query.job_id);
    if (world_->jobs.at(query.job_id).sink_stalled_until_ms <= world_->now_ms()) job.delivered = job.last.batch();
    if (job.last.batch() >= job.delivered + world_->limits.sink_backlog) world_->Hit("step: job waits for its sink");
    SinkStatus slowest;
    slowest.set_sink("stdout");
    slowest.set_delivered_batch(job.delivered);
    machine_->OnSinks(query.job_id, slowest, world_->now_us(), actions);
  });
}

void SimulatedDriver::Do(const AppendRecord& append) {
  appending_.push_back(append.record);
  appending_.back().set_time_us(world_->now_us());
  Later(static_cast<int64_t>(world_->Chance(0.05) ? world_->Draw(1000) : world_->Draw(10)), [this](Actions* actions) {
    // The oldest first, whichever delay was shorter.
    JournalRecord record = appending_.front();
    appending_.pop_front();
    if (record.has_batch_committed()) record.mutable_batch_committed()->set_published_at_us(world_->now_us());
    Journal(record);
    machine_->OnJournaled(record, world_->now_us(), actions);
  });
}

void SimulatedDriver::Do(const CompareLineage& compare) {
  for (const JournalRecord& record : journal_) {
    const BatchCommitted& batch = record.batch_committed();
    if (batch.job_id() != compare.job_id || batch.batch() != compare.lineage.batch()) continue;
    if (LineageOf(batch).hash() == compare.lineage.hash()) return;
    Later(0, [this, compare](Actions* actions) {
      machine_->OnForked(compare.job_id, compare.worker, "knows another", world_->now_us(), actions);
    });
  }
}

void SimulatedDriver::Deliver(const BatchCommitted& batch) {
  std::map<uint64_t, uint64_t>& sink = world_->jobs.at(batch.job_id()).sink;
  const uint64_t hash = LineageOf(batch).hash();
  const auto [it, is_new] = sink.try_emplace(batch.batch(), hash);
  if (it->second == hash && std::next(it) == sink.end()) return;
  if (is_new) sink.erase(it);
  if (!world_->forked) world_->Fail(absl::StrCat("the sink of ", batch.job_id(), " has another batch ", batch.batch()));
  Later(0, [this, id = batch.job_id()](Actions* actions) {
    machine_->OnForked(id, "sink stdout", "has another", world_->now_us(), actions);
  });
}

void SimulatedDriver::Do(const PublishBatch& publish) {
  Job& job = jobs_.at(publish.job_id);
  if (world_->jobs.at(publish.job_id).sink_stalled_until_ms <= world_->now_ms()) {
    job.delivered = job.last.batch();
    Deliver(publish.batch);
  }
  if (publish.batch.batch() > job.last.batch())
    world_->Fail(absl::StrCat("batch ", publish.batch.batch(), " is published before it is journalled"));
}

// ---- what requests and replies are about ----

void SimulatedDriver::Note(const std::string&, const AssignRequest& request) {
  if (request.owned().empty() && request.prepared().empty()) world_->Hit("step: job dropped from a worker");
}

void SimulatedDriver::Note(const std::string&, const PrepareRequest&) { world_->Hit("step: shard prepared"); }

void SimulatedDriver::Note(const std::string& worker, const FoldRequest& request) {
  if (request.exact()) world_->Hit("step: state below the journal replayed");
  Job& of = jobs_.at(SimulatedWorld::JobOfStates(request.id().job_id()));
  if (of.by_changes && !request.has_changes() && of.folding_life == life_) world_->Hit("step: merge by changes given up");
  of.by_changes = request.has_changes();
  of.folding_life = life_;
  std::vector<std::pair<uint32_t, int64_t>> quoted;
  for (const PartitionOffset& offset : SinceOf(request)) quoted.emplace_back(offset.partition(), offset.next_offset());
  if (of.quoted[worker] == quoted) {
    of.quoted_again.insert(worker);
  } else {
    of.quoted_again.erase(worker);
  }
  of.quoted[worker] = std::move(quoted);
}

void SimulatedDriver::Note(const std::string&, const LookUpRequest& request) {
  world_->Hit("step: look-up");
  if (request.range().slices() > 1) world_->Hit("step: slice of the keys looked up");
  if (request.has_changes()) world_->Hit("step: more changes looked up");
  if (jobs_.at(SimulatedWorld::JobOfStates(request.id().job_id())).by_changes && request.has_range())
    world_->Hit("step: all entries looked up");
}

template <typename Request>
void SimulatedDriver::NoteReply(const std::string& worker, const Request& request,
                                const absl::StatusOr<ReplyOf<Request>>& reply) {
  if (absl::IsAborted(reply.status())) world_->Hit("step: stale request refused");
  if (absl::IsFailedPrecondition(reply.status())) world_->Hit("step: request that does not fit refused");
  if constexpr (requires { reply->failure(); }) {
    if (reply.ok() && reply->has_failure()) world_->Hit("step: failure told by a worker");
  }
  if constexpr (std::is_same_v<Request, FoldRequest>) {
    if (!reply.ok() || SinceOf(request).empty()) return;
    const auto job = jobs_.find(SimulatedWorld::JobOfStates(request.id().job_id()));
    const bool again = job != jobs_.end() && job->second.quoted_again.contains(worker);
    if (!reply->has_changes() && !reply->has_updates()) world_->Hit("step: worker does not know the composition quoted");
    if (again && !reply->changes().added().empty()) world_->Hit("step: changes told again");
    if (reply->has_updates()) world_->Hit("step: only entries that changed told");
    if (again && !reply->updates().entries().empty()) world_->Hit("step: changed entries told again");
  }
}

// ---- what others ask ----

const SimulatedDriver::Followed& SimulatedDriver::followed(const std::string& job_id) const {
  static const Followed none;
  const auto it = jobs_.find(job_id);
  return it == jobs_.end() ? none : it->second;
}

bool SimulatedDriver::MergesByChanges(const std::string& job_id) const {
  const auto it = jobs_.find(job_id);
  return it != jobs_.end() && it->second.by_changes;
}

bool SimulatedDriver::IsNameTaken(const std::string& job_id) const {
  const std::string& name = world_->jobs.at(job_id).submitted.spec().name();
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& job) {
    return job.first != job_id && !job.second.cancelled && world_->jobs.at(job.first).submitted.spec().name() == name;
  });
}

bool SimulatedDriver::IsJournalled(const ShardState& state) const {
  const Followed& job = followed(SimulatedWorld::JobOfStates(state.id().job_id()));
  const BatchCommitted& last = job.last;
  return job.states_id == state.id().job_id() && last.fold() == job.fold &&
         std::all_of(state.partitions().begin(), state.partitions().end(), [&](const PartitionState& partition) {
           const int index = static_cast<int>(partition.partition());
           return index < last.next_offsets_size() && partition.next_offset() <= last.next_offsets(index);
         });
}

bool SimulatedDriver::IsCaughtUp(const std::string& job_id) const {
  const Followed& job = followed(job_id);
  const SimulatedLog& log = world_->jobs.at(job_id).log;
  if (job.failed) return true;
  const auto workers_have = [&](const auto& fits) {
    return std::any_of(workers_->begin(), workers_->end(), [&](const auto& worker) { return fits(*worker); });
  };
  const auto of_job = [&](const std::string& states_id) { return SimulatedWorld::JobOfStates(states_id) == job_id; };
  if (job.cancelled) {
    return !workers_have(
        [&](const SimulatedWorker& worker) { return !worker.gone && std::ranges::any_of(worker.store().JobIds(), of_job); });
  }
  const JobMachine* machine = machine_ == nullptr ? nullptr : machine_->FindJob(job_id);
  if (machine != nullptr) {
    const Waiting& waiting = machine->waiting();
    // The log's start is gone, and with it a worker that had the state.
    const std::vector<ShardAssignment>& assignment = machine->job().assignment;
    const auto owns = [&](const std::string& id) {
      return std::any_of(assignment.begin(), assignment.end(), [&](const auto& shard) { return shard.owner() == id; });
    };
    if (!log.begins.empty() && waiting.kind() == WAITING_ONLY_OWNER &&
        workers_have([&](const SimulatedWorker& worker) { return (worker.gone || worker.uncallable) && owns(worker.id()); }))
      return true;
  }
  // A refold comes to its end, and nobody keeps what no batch is made of any more, unless a journal has lost its id.
  const auto is_former = [&](const std::string& states_id) { return of_job(states_id) && states_id != job.states_id; };
  const auto has_former = [&](const SimulatedWorker& worker) {
    return !worker.gone && std::ranges::any_of(worker.store().JobIds(), is_former);
  };
  if (job.refold || job.last.fold() != job.fold || (!world_->forked && workers_have(has_former))) return false;
  if (world_->jobs.at(job_id).submitted.spec().source().has_until()) return job.finished;
  if (static_cast<size_t>(job.last.next_offsets_size()) != log.partitions.size()) return false;
  for (size_t p = 0; p < log.partitions.size(); ++p) {
    if (job.last.next_offsets(static_cast<int>(p)) != log.End(p)) return false;
  }
  return true;
}

std::string SimulatedDriver::Describe() const {
  std::string states;
  if (machine_ == nullptr) return states;
  for (const auto& [id, job] : machine_->jobs()) absl::StrAppend(&states, "; ", job->Status().ShortDebugString());
  return states;
}

}  // namespace tenfold
