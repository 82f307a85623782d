#include "driver/driver.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/limits.h"
#include "common/process/process.h"
#include "common/process/random_id.h"
#include "driver/call_slot.h"
#include "glog/logging.h"
#include "google/protobuf/util/message_differencer.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {
namespace {

constexpr uint32_t kMaxWaitMs = 60'000;
// How long Kafka may take to tell of a spec's topics. The caller waits 10 s.
constexpr absl::Duration kResolveTimeout = absl::Seconds(8);
// After how many batches of a job the old ones are trimmed from the journal.
constexpr uint64_t kTrimEvery = 100;
constexpr uint64_t kAllBatches = std::numeric_limits<uint64_t>::max();

std::vector<int64_t> NextOffsetsOf(const BatchCommitted& batch) {
  return {batch.next_offsets().begin(), batch.next_offsets().end()};
}

absl::Status StoppingError() { return absl::UnavailableError("the driver is stopping"); }

}  // namespace

absl::StatusOr<std::unique_ptr<Driver>> Driver::Start(Options options) {
  std::unique_ptr<Driver> driver(new Driver(std::move(options)));
  Driver* const d = driver.get();
  absl::StatusOr<std::unique_ptr<Journal>> journal =
      Journal::Open(d->options_.places.data_dir, [d] { return d->NowUs(); }, d->disk_.env());
  if (!journal.ok()) return journal.status();
  d->journal_ = *std::move(journal);
  std::set<std::string> cancelled;
  const absl::Status replayed = d->journal_->Replay([&](const JournalRecord& record) {
    d->cluster_.Replay(record);
    if (record.has_job_cancelled()) cancelled.insert(record.job_cancelled().job_id());
  });
  if (!replayed.ok()) return replayed;
  d->writer_ = std::make_unique<JournalWriter>(d->journal_.get(), [d](std::vector<JournalRecord> records) {
    d->Post([d, records = std::move(records)](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
      for (const JournalRecord& record : records) d->OnJournaled(record, cluster, now_us, actions);
    });
  });
  // An earlier process may have ended between journalling a cancel and trimming the batches.
  for (const std::string& job_id : cancelled) d->writer_->TrimLater(job_id, kAllBatches);
  d->workers_ = std::make_unique<WorkerClient>();
  for (const auto& [id, job] : d->cluster_.jobs()) {
    // The other jobs go on; this one is retried whenever it is due.
    if (absl::Status opened = d->OpenJob(*job); !opened.ok()) {
      LOG(ERROR) << "job " << job->name() << " waits: " << opened.message();
    }
  }
  d->loop_thread_ = std::jthread([d] { d->RunLoop(); });
  d->Post([](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
    cluster->Start(RandomId(), RandomNumber(), now_us, actions);
  });
  return driver;
}

Driver::Driver(Options options)
    : options_(std::move(options)),
      started_wall_us_(absl::ToUnixMicros(absl::Now())),
      started_(std::chrono::steady_clock::now()),
      disk_({.fail = [](const std::string& sentence) { EndWith("driver", sentence); }, .is_ending = IsEnding, .files = {}}),
      cluster_(options_.cluster) {}

Driver::~Driver() {
  Close();
  parts_.clear();
}

void Driver::Close() {
  Stop();
  // Calls that complete from here on still post events.
  events_.Close();
  if (loop_thread_.joinable()) loop_thread_.join();
  writer_.reset();
  workers_.reset();
  for (const auto& [id, parts] : parts_) {
    if (parts.sinks != nullptr) parts.sinks->Stop();
  }
  for (auto& [id, parts] : parts_) parts.sinks.reset();
}

void Driver::Stop() {
  stop_.request_stop();
  committed_.Stop();
}

// ---- the loop ----

int64_t Driver::NowUs() const {
  const auto since = std::chrono::steady_clock::now() - started_;
  return started_wall_us_ + std::chrono::duration_cast<std::chrono::microseconds>(since).count();
}

bool Driver::Post(Event event) { return events_.Post(std::move(event)); }

void Driver::Handle(const Event& event) {
  Actions actions;
  event(&cluster_, NowUs(), &actions);
  for (const Action& action : actions) std::visit([this](const auto& a) { Do(a); }, action);
}

template <typename Answer>
absl::StatusOr<Answer> Driver::Ask(std::function<absl::StatusOr<Answer>(ClusterMachine*, int64_t, Actions*)> question) {
  auto answer = std::make_shared<std::promise<absl::StatusOr<Answer>>>();
  std::future<absl::StatusOr<Answer>> future = answer->get_future();
  const Event event = [answer, question](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
    answer->set_value(question(cluster, now_us, actions));
  };
  if (stop_.stop_requested() || !Post(event)) return StoppingError();
  return future.get();
}

void Driver::RunLoop() {
  const auto on_time = [](ClusterMachine* cluster, int64_t now_us, Actions* actions) { cluster->OnTime(now_us, actions); };
  while (true) {
    const int64_t next_us = cluster_.NextTimeUs();
    const bool never = next_us == std::numeric_limits<int64_t>::max();
    const std::deque<Event> events =
        never ? events_.TakeAll() : events_.TakeAll(started_ + std::chrono::microseconds(next_us - started_wall_us_));
    if (events.empty() && events_.IsDone()) return;
    for (const Event& event : events) Handle(event);
    if (NowUs() >= cluster_.NextTimeUs()) Handle(on_time);
  }
}

void Driver::OnJournaled(const JournalRecord& record, ClusterMachine* cluster, int64_t now_us, Actions* actions) {
  cluster->OnJournaled(record, now_us, actions);
  if (record.has_job_updated()) {
    const std::string& id = record.job_updated().job_id();
    const JobMachine* job = cluster->FindJob(id);
    std::deque<std::promise<absl::StatusOr<JobParts>>>& waiting = updating_[id];
    if (job == nullptr || waiting.empty()) return;
    waiting.front().set_value(TakeReplaced(*job));
    waiting.pop_front();
  }
  if (record.has_job_failed() || record.has_job_cancelled()) {
    const std::string& id = record.has_job_failed() ? record.job_failed().job_id() : record.job_cancelled().job_id();
    for (auto& waiting : updating_[id]) waiting.set_value(absl::FailedPreconditionError("the job is over"));
    updating_.erase(id);
  }
  if (!record.has_job_submitted()) return;
  const std::string& id = record.job_submitted().job_id();
  const absl::Status opened = OpenJob(*cluster->jobs().at(id));
  if (const auto it = submitting_.find(id); it != submitting_.end()) {
    for (std::promise<absl::Status>& waiting : it->second) waiting.set_value(opened);
    submitting_.erase(it);
  }
}

absl::Status Driver::OpenJob(const JobMachine& machine) {
  const JournalledJob& job = machine.job();
  if (parts_.contains(job.job_id)) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<JobTopics>> topics = JobTopics::Create(job.spec, LogOf(job.spec), stop_.get_token());
  if (!topics.ok()) return topics.status();
  JobParts& parts = parts_[job.job_id];
  parts.topics = *std::move(topics);
  parts.spec = job.spec;
  OpenSinks(job, &parts);
  if (job.last_batch.batch() > 0) parts.topics->SetGroupOffsets(job.partitions, NextOffsetsOf(job.last_batch));
  committed_.Set(job.job_id, job.last_batch.batch());
  return absl::OkStatus();
}

void Driver::OpenSinks(const JournalledJob& job, JobParts* parts) {
  parts->sinks =
      std::make_shared<JobSinks>(JobSinks::Options{job.job_id, job.spec, job.sinks_after, &options_.places}, journal_.get());
  if (job.last_batch.batch() > 0) parts->sinks->OnCommitted(job.last_batch.batch(), job.partitions);
}

Driver::JobParts Driver::TakeReplaced(const JobMachine& machine) {
  using google::protobuf::util::MessageDifferencer;
  const JournalledJob& job = machine.job();
  const auto it = parts_.find(job.job_id);
  if (it == parts_.end()) return {};
  JobParts& parts = it->second;
  const JobSpec before = std::exchange(parts.spec, job.spec);
  JobParts replaced;
  if (!std::ranges::equal(before.sinks(), job.spec.sinks(), MessageDifferencer::Equals))
    replaced.sinks = std::move(parts.sinks);
  if (MessageDifferencer::Equals(before.source(), job.spec.source())) return replaced;
  // Where no client can be made of the new spec the parts go, and are opened again when they are needed, with the reason.
  absl::StatusOr<std::unique_ptr<JobTopics>> topics = JobTopics::Create(job.spec, LogOf(job.spec), stop_.get_token());
  if (!topics.ok()) {
    replaced.topics = std::move(parts.topics);
    if (parts.sinks != nullptr) replaced.sinks = std::move(parts.sinks);
    parts_.erase(it);
    return replaced;
  }
  replaced.topics = std::exchange(parts.topics, *std::move(topics));
  return replaced;
}

// ---- actions ----

template <typename Request>
void Driver::Do(const Send<Request>& send) {
  const auto& workers = cluster_.view().workers;
  const auto worker = workers.find(send.worker);
  const std::string address = worker == workers.end() ? "" : worker->second.address;
  workers_->Call(address, send.request, [this, send](absl::StatusOr<ReplyOf<Request>> reply) {
    Post([send, reply = std::move(reply)](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
      cluster->OnReply(send, reply, now_us, actions);
    });
  });
}

void Driver::Do(const QueryEnds& query) {
  const JobMachine* job = cluster_.FindJob(query.job_id);
  if (job == nullptr) return;
  const auto done = [this, query](const Ends& ends) {
    Post([query, ends](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
      cluster->OnEnds(query, ends, now_us, actions);
    });
  };
  if (absl::Status opened = OpenJob(*job); !opened.ok()) return done(Ends(job->job().partitions.size(), opened));
  parts_.at(query.job_id).topics->QueryEnds(job->job().partitions, done);
}

void Driver::Do(const FindPartitions& find) {
  const JobMachine* job = cluster_.FindJob(find.job_id);
  if (job == nullptr) return;
  if (absl::Status opened = OpenJob(*job); !opened.ok()) {
    Post([find, opened](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
      cluster->OnPartitions(find.job_id, opened, now_us, actions);
    });
    return;
  }
  const std::shared_ptr<JobTopics>& topics = parts_.at(find.job_id).topics;
  const auto done = [this, find, asked = std::weak_ptr(topics)](const absl::StatusOr<FoundPartitions>& found) {
    PostFound(find.job_id, asked, found);
  };
  topics->FindPartitions(job->job().partitions, done);
}

void Driver::PostFound(const std::string& job_id, std::weak_ptr<JobTopics> asked,
                       const absl::StatusOr<FoundPartitions>& found) {
  Post([this, job_id, asked = std::move(asked), found](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
    const auto parts = parts_.find(job_id);
    const bool present =
        parts != parts_.end() && !asked.owner_before(parts->second.topics) && !parts->second.topics.owner_before(asked);
    if (present) cluster->OnPartitions(job_id, found, now_us, actions);
  });
}

void Driver::Do(const QuerySinks& query) {
  const JobMachine* job = cluster_.FindJob(query.job_id);
  if (job == nullptr) return;
  SinkStatus slowest;
  // If the parts cannot be opened, the job learns the reason when it asks for the ends.
  slowest.set_delivered_batch(job->job().last_batch.batch());
  if (const auto parts = parts_.find(query.job_id); parts != parts_.end() && parts->second.sinks != nullptr) {
    for (const SinkStatus& sink : parts->second.sinks->Status()) {
      if (sink.delivered_batch() < slowest.delivered_batch()) slowest = sink;
    }
  }
  Post([query, slowest](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
    cluster->OnSinks(query.job_id, slowest, now_us, actions);
  });
}

void Driver::Do(const AppendRecord& append) {
  JournalRecord record = append.record;
  record.set_time_us(NowUs());
  writer_->Append(std::move(record));
}

void Driver::Do(const PublishBatch& publish) {
  const uint64_t batch = publish.batch.batch();
  committed_.Set(publish.job_id, batch);
  const auto parts = parts_.find(publish.job_id);
  const JobMachine* job = cluster_.FindJob(publish.job_id);
  if (parts == parts_.end() || job == nullptr) return;
  parts->second.topics->SetGroupOffsets(job->job().partitions, NextOffsetsOf(publish.batch));
  if (parts->second.sinks == nullptr) return;
  parts->second.sinks->OnCommitted(batch, job->job().partitions);
  if (batch % kTrimEvery == 0 && batch > options_.kept_batches) {
    writer_->TrimLater(publish.job_id, std::min(batch - options_.kept_batches, parts->second.sinks->DeliveredByAll()) + 1);
  }
}

void Driver::Do(const CloseJob& close) {
  auto closing = std::make_shared<Closing>();
  if (const auto it = parts_.find(close.job_id); it != parts_.end()) {
    closing->parts = std::move(it->second);
    parts_.erase(it);
  }
  committed_.Erase(close.job_id);
  writer_->TrimLater(close.job_id, kAllBatches);
  // Closing the parts takes a while, so the calls that wait for the cancel do it on their threads.
  const auto waiting = cancelling_.find(close.job_id);
  if (waiting == cancelling_.end()) return;
  for (const auto& promise : waiting->second) promise->set_value(closing);
  cancelling_.erase(waiting);
}

// ---- requests ----

absl::StatusOr<HeartbeatReply> Driver::Heartbeat(const HeartbeatRequest& request) {
  return Ask<HeartbeatReply>([&request](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
    return cluster->OnHeartbeat(request, now_us, actions);
  });
}

absl::StatusOr<SubmitReply> Driver::Submit(const SubmitRequest& request) {
  const JobSpec& spec = request.spec();
  if (const std::string unsound = CheckJobSpec(spec); !unsound.empty()) return absl::InvalidArgumentError(unsound);
  if (absl::Status sinks = JobSinks::Check(spec, options_.places); !sinks.ok()) return sinks;
  if (!request.job_id().empty() && !IsRandomId(request.job_id()))
    return absl::InvalidArgumentError("the job id of the request is not 16 hexadecimal digits");
  JobSubmitted submitted;
  submitted.set_job_id(request.job_id().empty() ? RandomId() : request.job_id());
  *submitted.mutable_spec() = spec;
  const CallSlot slot(&waiting_calls_);
  if (!slot.status().ok()) return slot.status();
  const absl::StatusOr<std::vector<Partition>> partitions = Resolve(spec);
  if (!partitions.ok()) return partitions.status();
  submitted.mutable_partitions()->Add(partitions->begin(), partitions->end());
  std::promise<absl::Status> promise;
  std::future<absl::Status> journaled = promise.get_future();
  const absl::StatusOr<bool> taken =
      Ask<bool>([&](ClusterMachine* cluster, int64_t, Actions* actions) -> absl::StatusOr<bool> {
        // The same request may have come meanwhile, or be under way to the journal.
        const JobMachine* job = cluster->FindJob(submitted.job_id());
        if (job != nullptr && google::protobuf::util::MessageDifferencer::Equals(job->job().spec, spec)) {
          promise.set_value(absl::OkStatus());
          return true;
        }
        if (!submitting_.contains(submitted.job_id())) {
          if (absl::Status submit = cluster->Submit(submitted, actions); !submit.ok()) return submit;
        }
        submitting_[submitted.job_id()].push_back(std::move(promise));
        return true;
      });
  if (!taken.ok()) return taken.status();
  if (absl::Status opened = journaled.get(); !opened.ok()) return opened;
  SubmitReply reply;
  reply.set_job_id(submitted.job_id());
  return reply;
}

LogConfig Driver::LogOf(const JobSpec& spec) const {
  LogConfig log;
  log.brokers = BrokersOf(spec, options_.cluster.kafka);
  log.properties = {spec.source().properties().begin(), spec.source().properties().end()};
  log.property_dirs = options_.property_dirs;
  return log;
}

absl::StatusOr<std::vector<Partition>> Driver::Resolve(const JobSpec& spec) {
  const absl::StatusOr<std::unique_ptr<JobTopics>> topics = JobTopics::Create(spec, LogOf(spec), stop_.get_token());
  if (!topics.ok()) return topics.status();
  const absl::Time deadline = absl::Now() + kResolveTimeout;
  absl::StatusOr<std::vector<Partition>> partitions = (*topics)->Resolve(deadline);
  if (!partitions.ok()) return partitions.status();
  if (absl::Status compacted = (*topics)->CheckCompacted(deadline); !compacted.ok()) return compacted;
  return partitions;
}

absl::StatusOr<UpdateReply> Driver::Update(const UpdateRequest& request) {
  const JobSpec& spec = request.spec();
  if (const std::string unsound = CheckJobSpec(spec); !unsound.empty()) return absl::InvalidArgumentError(unsound);
  if (absl::Status sinks = JobSinks::Check(spec, options_.places); !sinks.ok()) return sinks;
  const absl::StatusOr<JobSpec> before = Ask<JobSpec>([&](ClusterMachine*, int64_t, Actions*) -> absl::StatusOr<JobSpec> {
    const absl::StatusOr<const JobMachine*> job = FindJob(spec.name());
    if (!job.ok()) return job.status();
    return (*job)->job().spec;
  });
  if (!before.ok()) return before.status();
  if (const std::string wrong = CheckUpdate(*before, spec); !wrong.empty()) return absl::FailedPreconditionError(wrong);
  const CallSlot slot(&waiting_calls_);
  if (!slot.status().ok()) return slot.status();
  if (!google::protobuf::util::MessageDifferencer::Equals(before->source(), spec.source())) {
    if (const auto resolved = Resolve(spec); !resolved.ok()) return resolved.status();
  }
  MutexLock one(&update_mutex_);
  std::promise<absl::StatusOr<JobParts>> promise;
  std::future<absl::StatusOr<JobParts>> journaled = promise.get_future();
  const absl::StatusOr<std::string> job_id =
      Ask<std::string>([&](ClusterMachine* cluster, int64_t now_us, Actions* actions) -> absl::StatusOr<std::string> {
        const absl::StatusOr<const JobMachine*> found = FindJob(spec.name());
        if (!found.ok()) return found.status();
        const JournalledJob& job = (*found)->job();
        // The job may be another one by now.
        if (const std::string wrong = CheckUpdate(job.spec, spec); !wrong.empty())
          return absl::FailedPreconditionError(wrong);
        JobUpdated updated;
        updated.set_job_id(job.job_id);
        *updated.mutable_spec() = spec;
        const std::vector<uint64_t> after =
            JobSinks::After({job.job_id, job.spec, job.sinks_after, nullptr}, spec, job.last_batch.batch());
        updated.mutable_sinks_after()->Add(after.begin(), after.end());
        std::string id = job.job_id;
        updating_[id].push_back(std::move(promise));
        if (absl::Status update = cluster->Update(std::move(updated), now_us, actions); !update.ok()) {
          updating_[id].pop_back();
          return update;
        }
        return id;
      });
  if (!job_id.ok()) return job_id.status();
  absl::StatusOr<JobParts> replaced = journaled.get();
  if (!replaced.ok()) return replaced.status();
  // Ending them takes a while, so this call does it on its thread; the sinks' files are then free for the new ones.
  *replaced = {};
  const absl::StatusOr<bool> opened = Ask<bool>([&](ClusterMachine* cluster, int64_t, Actions*) -> absl::StatusOr<bool> {
    const JobMachine* job = cluster->FindJob(*job_id);
    const auto parts = parts_.find(*job_id);
    if (job != nullptr && parts != parts_.end() && parts->second.sinks == nullptr) OpenSinks(job->job(), &parts->second);
    return true;
  });
  if (!opened.ok()) return opened.status();
  UpdateReply reply;
  reply.set_job_id(*job_id);
  return reply;
}

absl::StatusOr<CancelReply> Driver::Cancel(const CancelRequest& request) {
  const CallSlot slot(&waiting_calls_);
  if (!slot.status().ok()) return slot.status();
  CancelReply reply;
  auto promise = std::make_shared<std::promise<std::shared_ptr<Closing>>>();
  std::future<std::shared_ptr<Closing>> closed = promise->get_future();
  const absl::StatusOr<std::string> job_id = Ask<std::string>([&](ClusterMachine* cluster, int64_t,
                                                                  Actions* actions) -> absl::StatusOr<std::string> {
    if (const JobStatus* done = cluster->FindCancelled(request.job()); done != nullptr && done->job_id() == request.job()) {
      promise->set_value(std::make_shared<Closing>());
      return done->job_id();
    }
    const absl::StatusOr<const JobMachine*> job = FindJob(request.job());
    if (!job.ok()) return job.status();
    const std::string id = (*job)->job().job_id;
    cancelling_[id].push_back(promise);
    if (absl::Status cancelled = cluster->Cancel(id, actions); !cancelled.ok()) return cancelled;
    return id;
  });
  if (!job_id.ok()) return job_id.status();
  const std::shared_ptr<Closing> closing = closed.get();
  std::call_once(closing->once, [&] { closing->parts = {}; });
  reply.set_job_id(*job_id);
  return reply;
}

absl::StatusOr<const JobMachine*> Driver::FindJob(const std::string& job) const {
  const JobMachine* found = cluster_.FindJob(job);
  if (const JobStatus* cancelled = cluster_.FindCancelled(job); found == nullptr && cancelled != nullptr) {
    return absl::NotFoundError(absl::StrCat("job ", cancelled->job(), " was cancelled after batch ", cancelled->batch(),
                                            "; `tenfold list` shows the jobs there are"));
  }
  if (found == nullptr)
    return absl::NotFoundError(absl::StrCat("there is no job ", job, "; `tenfold list` shows those there are"));
  return found;
}

JobStatus Driver::StatusOf(const JobMachine& job) const {
  JobStatus status = job.Status();
  if (const std::optional<RocksDisk::Wait> wait = disk_.Waiting(); wait && !job.job().IsOver()) {
    status.set_state(JOB_WAITING);
    Waiting* waiting = status.mutable_waiting();
    waiting->Clear();
    waiting->set_kind(WAITING_DISK);
    waiting->set_subject(wait->what);
    waiting->set_detail(wait->reason);
    waiting->set_since_us(absl::ToUnixMicros(wait->since));
  }
  if (const auto it = parts_.find(job.job().job_id); it != parts_.end() && it->second.sinks != nullptr) {
    for (SinkStatus& sink : it->second.sinks->Status()) *status.add_sinks() = std::move(sink);
  }
  return status;
}

absl::StatusOr<ListJobsReply> Driver::ListJobs() {
  return Ask<ListJobsReply>([this](ClusterMachine* cluster, int64_t, Actions*) -> absl::StatusOr<ListJobsReply> {
    std::map<std::string, JobStatus> by_name;
    for (const auto& [id, job] : cluster->jobs()) by_name[job->name()] = StatusOf(*job);
    ListJobsReply reply;
    for (auto& [name, status] : by_name) *reply.add_jobs() = std::move(status);
    for (const JobStatus& cancelled : cluster->cancelled()) *reply.add_jobs() = cancelled;
    // With very many jobs the message would become too large.
    for (JobStatus& job : *reply.mutable_jobs()) {
      job.clear_spec();
      job.clear_last_batch();
      job.clear_partitions();
      job.clear_shards();
      job.clear_sinks();
    }
    return reply;
  });
}

absl::StatusOr<JobStatus> Driver::GetStatus(const GetStatusRequest& request) {
  return Ask<JobStatus>([&](ClusterMachine* cluster, int64_t, Actions*) -> absl::StatusOr<JobStatus> {
    if (const JobMachine* job = cluster->FindJob(request.job())) return StatusOf(*job);
    if (const JobStatus* cancelled = cluster->FindCancelled(request.job())) return *cancelled;
    return FindJob(request.job()).status();
  });
}

absl::StatusOr<GetBatchReply> Driver::GetBatch(const GetBatchRequest& request, const std::function<bool()>& is_cancelled) {
  std::string job_id;
  const auto look = [&](ClusterMachine*, int64_t, Actions*) -> absl::StatusOr<GetBatchReply> {
    const absl::StatusOr<const JobMachine*> machine = FindJob(job_id.empty() ? request.job() : job_id);
    if (!machine.ok()) return machine.status();
    const JournalledJob& job = (*machine)->job();
    job_id = job.job_id;
    GetBatchReply reply;
    reply.set_job(job.spec.name());
    *reply.mutable_spec() = WithoutSecrets(job.spec);
    reply.set_brokers(job.brokers());
    reply.mutable_partitions()->Add(job.partitions.begin(), job.partitions.end());
    *reply.mutable_batch() = job.last_batch;
    reply.set_lag((*machine)->lag());
    (*machine)->ends().AddStuck(reply.mutable_stuck());
    return reply;
  };
  absl::StatusOr<GetBatchReply> reply = Ask<GetBatchReply>(look);
  if (!reply.ok()) return reply;
  const uint64_t last = reply->batch().batch();
  const uint64_t wanted = request.batch() == 0 ? std::max<uint64_t>(1, last) : request.batch();
  if (last < wanted) {
    if (request.wait_ms() == 0) {
      return absl::NotFoundError(
          last == 0 ? absl::StrCat("job ", reply->job(), " has no batch yet")
                    : absl::StrCat("job ", reply->job(), " has no batch ", wanted, " yet; the last is ", last));
    }
    const CallSlot slot(&waiting_calls_);
    if (!slot.status().ok()) return slot.status();
    const absl::Time deadline = absl::Now() + absl::Milliseconds(std::min(request.wait_ms(), kMaxWaitMs));
    if (absl::Status waited = committed_.Wait(job_id, wanted, deadline, is_cancelled); !waited.ok()) return waited;
    reply = Ask<GetBatchReply>(look);
    if (!reply.ok()) return reply;
  }
  if (reply->batch().batch() != wanted) {
    absl::StatusOr<BatchCommitted> batch = journal_->ReadBatch(job_id, wanted);
    if (!batch.ok()) return batch.status();
    *reply->mutable_batch() = *std::move(batch);
  }
  // An update may have changed how many keys a result has, since the batch.
  if (reply->batch().k() != 0) reply->mutable_spec()->set_top(reply->batch().k());
  // Partitions may have been added since the batch.
  const int partitions = reply->batch().next_offsets_size();
  reply->mutable_partitions()->DeleteSubrange(partitions, reply->partitions_size() - partitions);
  return reply;
}

absl::StatusOr<GetEndsReply> Driver::GetEnds(const GetEndsRequest& request) {
  struct Job {
    std::string id;
    std::shared_ptr<JobTopics> topics;
    std::vector<Partition> partitions;
  };
  const absl::StatusOr<Job> job = Ask<Job>([&](ClusterMachine*, int64_t, Actions*) -> absl::StatusOr<Job> {
    const absl::StatusOr<const JobMachine*> found = FindJob(request.job());
    if (!found.ok()) return found.status();
    if (absl::Status opened = OpenJob(**found); !opened.ok()) return opened;
    const JournalledJob& of = (*found)->job();
    return Job{of.job_id, parts_.at(of.job_id).topics, of.partitions};
  });
  if (!job.ok()) return job.status();
  const CallSlot slot(&waiting_calls_);
  if (!slot.status().ok()) return slot.status();
  const absl::StatusOr<FoundPartitions> found = job->topics->Find(job->partitions);
  if (!found.ok()) return found.status();
  PostFound(job->id, job->topics, found);
  const absl::StatusOr<std::vector<std::pair<TopicPartition, int64_t>>> watermarks = job->topics->HighWatermarks();
  if (!watermarks.ok()) return watermarks.status();
  GetEndsReply reply;
  for (const auto& [partition, offset] : *watermarks) {
    EndOffset* end = reply.add_ends();
    end->set_topic(partition.topic);
    end->set_partition(partition.partition);
    end->set_end_offset(offset);
  }
  return reply;
}

absl::StatusOr<ListWorkersReply> Driver::ListWorkers() {
  return Ask<ListWorkersReply>([](ClusterMachine* cluster, int64_t, Actions*) { return cluster->Workers(); });
}

}  // namespace tenfold
