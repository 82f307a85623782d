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
#include "common/process.h"
#include "common/random_id.h"
#include "driver/waiting_place.h"
#include "glog/logging.h"
#include "jobs/job_spec.h"

namespace tenfold {
namespace {

constexpr uint32_t kMaxWaitMs = 60'000;
// How often the journal is relieved of old batches, in batches.
constexpr uint64_t kTrimEvery = 100;

std::vector<int64_t> NextOffsetsOf(const BatchCommitted& batch) {
  return {batch.next_offsets().begin(), batch.next_offsets().end()};
}

absl::Status NotFreeError(const std::string& name) {
  return absl::FailedPreconditionError(
      absl::StrCat("the files of the job ", name, " cancelled before are just being put aside; submit again in a moment"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Driver>> Driver::Start(const Options& options) {
  std::unique_ptr<Driver> driver(new Driver(options));
  absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(options.data_dir);
  if (!journal.ok()) return journal.status();
  driver->journal_ = *std::move(journal);
  std::set<std::string> cancelled;
  std::map<std::string, std::string> latest;
  const absl::Status replayed = driver->journal_->Replay([&](const JournalRecord& record) {
    driver->coordinator_.Replay(record);
    if (record.has_job_cancelled()) cancelled.insert(record.job_cancelled().job_id());
    if (record.has_job_submitted()) latest[record.job_submitted().spec().name()] = record.job_submitted().job_id();
  });
  if (!replayed.ok()) return replayed;
  driver->writer_ =
      std::make_unique<JournalWriter>(driver->journal_.get(), [d = driver.get()](std::vector<JournalRecord> records) {
        d->Post([d, records = std::move(records)] {
          for (const JournalRecord& record : records) d->OnJournaled(record);
        });
      });
  // What an earlier process may not have come to after it journalled a cancel. A folder belongs to the latest job of its
  // name: that was taken only when the folders of those before were put aside.
  for (const std::string& job_id : cancelled) driver->writer_->TrimLater(job_id, std::numeric_limits<uint64_t>::max());
  for (const auto& [name, job_id] : latest) {
    if (!cancelled.contains(job_id)) continue;
    const absl::Status retired = JobSinks::Retire(options.data_dir, name, job_id);
    if (retired.ok()) continue;
    LOG(ERROR) << "the name " << name << " is not free: " << retired.message();
    driver->retiring_[name] = {job_id, false, {}};
  }
  driver->workers_ = std::make_unique<WorkerClient>();
  for (const auto& [id, job] : driver->coordinator_.jobs()) {
    // The others go on; this one is tried again whenever it is due.
    if (absl::Status opened = driver->OpenJob(*job); !opened.ok()) {
      LOG(ERROR) << "job " << job->name() << " waits: " << opened.message();
    }
  }
  driver->loop_thread_ = std::thread([d = driver.get()] { d->RunLoop(); });
  driver->Post([d = driver.get()] {
    Actions actions;
    d->coordinator_.Start(RandomId(), d->NowMs(), &actions);
    d->Do(&actions);
  });
  return driver;
}

Driver::Driver(const Options& options)
    : options_(options),
      started_wall_ms_(absl::ToUnixMillis(absl::Now())),
      started_(std::chrono::steady_clock::now()),
      coordinator_({options.lease_ms, options.sink_backlog, options.merge_memory, kLeastMergeBytes, kMergeFloorEntries}) {}

Driver::~Driver() {
  Stop();
  // Completions of calls still post to the loop.
  if (loop_thread_.joinable()) {
    {
      std::lock_guard lock(mutex_);
      loop_ends_ = true;
    }
    posted_.notify_all();
    loop_thread_.join();
  }
  writer_.reset();
  workers_.reset();
  parts_.clear();
}

void Driver::Stop() {
  stop_.request_stop();
  std::lock_guard lock(committed_mutex_);
  committed_.notify_all();
}

int64_t Driver::NowMs() const {
  const auto since = std::chrono::steady_clock::now() - started_;
  return started_wall_ms_ + std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

bool Driver::Post(std::function<void()> event) {
  {
    std::lock_guard lock(mutex_);
    if (loop_ends_) return false;
    events_.push_back(std::move(event));
  }
  posted_.notify_one();
  return true;
}

template <typename Answer>
absl::StatusOr<Answer> Driver::Ask(std::function<absl::StatusOr<Answer>()> question) {
  auto answer = std::make_shared<std::promise<absl::StatusOr<Answer>>>();
  std::future<absl::StatusOr<Answer>> future = answer->get_future();
  if (stop_.stop_requested() || !Post([answer, question] { answer->set_value(question()); }))
    return absl::UnavailableError("the driver is stopping");
  return future.get();
}

void Driver::RunLoop() {
  while (true) {
    std::deque<std::function<void()>> events;
    {
      std::unique_lock lock(mutex_);
      const int64_t next_ms = coordinator_.NextTimeMs();
      const auto wake = [&] { return loop_ends_ || !events_.empty(); };
      if (next_ms == std::numeric_limits<int64_t>::max()) {
        posted_.wait(lock, wake);
      } else {
        posted_.wait_until(lock, started_ + std::chrono::milliseconds(next_ms - started_wall_ms_), wake);
      }
      if (loop_ends_ && events_.empty()) return;
      events.swap(events_);
    }
    for (const auto& event : events) event();
    if (NowMs() >= coordinator_.NextTimeMs()) {
      Actions actions;
      coordinator_.OnTime(NowMs(), &actions);
      Do(&actions);
    }
  }
}

void Driver::OnJournaled(const JournalRecord& record) {
  Actions actions;
  coordinator_.OnJournaled(record, NowMs(), &actions);
  if (record.has_job_submitted()) {
    const std::string& id = record.job_submitted().job_id();
    const absl::Status opened = OpenJob(*coordinator_.jobs().at(id));
    if (const auto it = submitting_.find(id); it != submitting_.end()) {
      it->second.set_value(opened);
      submitting_.erase(it);
    }
  }
  Do(&actions);
}

absl::Status Driver::OpenJob(const JobMachine& job) {
  if (parts_.contains(job.job_id())) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<JobLog>> log = JobLog::Create(job.spec(), job.brokers(), stop_.get_token());
  if (!log.ok()) return log.status();
  JobSinks::Options options;
  options.job_id = job.job_id();
  options.spec = job.spec();
  options.data_dir = options_.data_dir;
  options.allowed_folders = options_.sink_folders;
  JobParts& parts = parts_[job.job_id()];
  parts.log = *std::move(log);
  parts.sinks = JobSinks::Start(options, journal_.get());
  if (job.last_batch().batch() > 0) {
    parts.sinks->OnCommitted(job.last_batch().batch(), job.partitions());
    parts.log->SetGroupOffsets(job.partitions(), NextOffsetsOf(job.last_batch()));
  }
  std::lock_guard lock(committed_mutex_);
  committed_batches_[job.job_id()] = job.last_batch().batch();
  return absl::OkStatus();
}

// ---- actions ----

void Driver::Do(Actions* actions) {
  for (const Action& action : *actions) std::visit([this](const auto& a) { Do(a); }, action);
}

std::string Driver::AddressOf(const std::string& worker) const {
  const auto it = coordinator_.cluster().workers.find(worker);
  return it == coordinator_.cluster().workers.end() ? "" : it->second.address;
}

void Driver::Do(const SendAssign& send) {
  workers_->Send(AddressOf(send.worker), send, [this, send](absl::StatusOr<AssignReply> reply) {
    Post([this, send, reply = std::move(reply)] {
      Actions actions;
      coordinator_.OnAssignReply(send, reply, NowMs(), &actions);
      Do(&actions);
    });
  });
}

void Driver::Do(const SendPrepare& send) {
  workers_->Send(AddressOf(send.worker), send, [this, send](absl::StatusOr<PrepareReply> reply) {
    Post([this, send, reply = std::move(reply)] {
      Actions actions;
      coordinator_.OnPrepareReply(send, reply, NowMs(), &actions);
      Do(&actions);
    });
  });
}

void Driver::Do(const SendFold& send) {
  workers_->Send(AddressOf(send.worker), send, [this, send](absl::StatusOr<FoldReply> reply) {
    Post([this, send, reply = std::move(reply)] {
      Actions actions;
      coordinator_.OnFoldReply(send, reply, NowMs(), &actions);
      Do(&actions);
    });
  });
}

void Driver::Do(const SendLookUp& send) {
  workers_->Send(AddressOf(send.worker), send, [this, send](absl::StatusOr<LookUpReply> reply) {
    Post([this, send, reply = std::move(reply)] {
      Actions actions;
      coordinator_.OnLookUpReply(send, reply, NowMs(), &actions);
      Do(&actions);
    });
  });
}

void Driver::Do(const QueryEnds& query) {
  const JobMachine* job = coordinator_.FindJob(query.job_id);
  if (job == nullptr) return;
  if (absl::Status opened = OpenJob(*job); !opened.ok()) {
    Post([this, query, opened] {
      Actions actions;
      coordinator_.OnEnds(query, opened, NowMs(), &actions);
      Do(&actions);
    });
    return;
  }
  const auto parts = parts_.find(query.job_id);
  parts->second.log->QueryEnds(job->partitions(), [this, query](absl::StatusOr<std::vector<int64_t>> ends) {
    Post([this, query, ends = std::move(ends)] {
      Actions actions;
      coordinator_.OnEnds(query, ends, NowMs(), &actions);
      Do(&actions);
    });
  });
}

void Driver::Do(const FindPartitions& find) {
  const JobMachine* job = coordinator_.FindJob(find.job_id);
  if (job == nullptr) return;
  if (absl::Status opened = OpenJob(*job); !opened.ok()) {
    Post([this, find, opened] {
      Actions actions;
      coordinator_.OnPartitions(find.job_id, opened, NowMs(), &actions);
      Do(&actions);
    });
    return;
  }
  const auto parts = parts_.find(find.job_id);
  parts->second.log->FindPartitions(job->partitions(), [this, find](absl::StatusOr<JobMachine::Found> found) {
    Post([this, find, found = std::move(found)] {
      Actions actions;
      coordinator_.OnPartitions(find.job_id, found, NowMs(), &actions);
      Do(&actions);
    });
  });
}

void Driver::Do(const QuerySinks& query) {
  const JobMachine* job = coordinator_.FindJob(query.job_id);
  if (job == nullptr) return;
  SinkStatus slowest;
  // What keeps its parts from being opened the job learns when it asks for the ends.
  slowest.set_delivered_batch(job->last_batch().batch());
  if (const auto parts = parts_.find(query.job_id); parts != parts_.end()) {
    for (const SinkStatus& sink : parts->second.sinks->Status()) {
      if (sink.delivered_batch() < slowest.delivered_batch()) slowest = sink;
    }
  }
  Post([this, query, slowest] {
    Actions actions;
    coordinator_.OnSinks(query.job_id, slowest, NowMs(), &actions);
    Do(&actions);
  });
}

void Driver::Do(const AppendRecord& append) {
  JournalRecord record = append.record;
  record.set_time_ms(NowMs());
  writer_->Append(std::move(record));
}

void Driver::Do(const PublishBatch& publish) {
  const uint64_t batch = publish.batch.batch();
  {
    std::lock_guard lock(committed_mutex_);
    committed_batches_[publish.job_id] = batch;
  }
  committed_.notify_all();
  const auto parts = parts_.find(publish.job_id);
  const JobMachine* job = coordinator_.FindJob(publish.job_id);
  if (parts == parts_.end() || job == nullptr) return;
  parts->second.sinks->OnCommitted(batch, job->partitions());
  parts->second.log->SetGroupOffsets(job->partitions(), NextOffsetsOf(publish.batch));
  if (batch % kTrimEvery == 0 && batch > options_.kept_batches) {
    writer_->TrimLater(publish.job_id, std::min(batch - options_.kept_batches, parts->second.sinks->DeliveredByAll()) + 1);
  }
}

void Driver::Do(const CloseJob& close) {
  JobParts parts;
  if (const auto it = parts_.find(close.job_id); it != parts_.end()) {
    parts = std::move(it->second);
    parts_.erase(it);
  }
  {
    std::lock_guard lock(committed_mutex_);
    committed_batches_.erase(close.job_id);
  }
  committed_.notify_all();
  const auto waiting = cancelling_.find(close.job_id);
  Retiring& retiring = retiring_[close.name] = {close.job_id, waiting != cancelling_.end(), {}};
  if (waiting == cancelling_.end()) return;
  parts.retires = true;
  // The parts end, which takes a while, on the first thread that waits; the others wait for that one.
  retiring.waiting.assign(waiting->second.begin() + 1, waiting->second.end());
  waiting->second.front()(std::move(parts));
  cancelling_.erase(waiting);
}

// ---- requests ----

absl::StatusOr<HeartbeatReply> Driver::Heartbeat(const HeartbeatRequest& request) {
  return Ask<HeartbeatReply>([this, &request]() {
    Actions actions;
    absl::StatusOr<HeartbeatReply> reply = coordinator_.OnHeartbeat(request, NowMs(), &actions);
    Do(&actions);
    return reply;
  });
}

std::string Driver::BrokersOf(const JobSpec& spec) const {
  return spec.source().brokers().empty() ? options_.kafka : spec.source().brokers();
}

absl::StatusOr<SubmitReply> Driver::Submit(const SubmitRequest& request) {
  const JobSpec& spec = request.spec();
  if (const std::string unsound = CheckJobSpec(spec); !unsound.empty()) return absl::InvalidArgumentError(unsound);
  if (absl::Status sinks = JobSinks::Check(spec, options_.sink_folders); !sinks.ok()) return sinks;
  JobSubmitted submitted;
  submitted.set_job_id(RandomId());
  *submitted.mutable_spec() = spec;
  submitted.set_brokers(BrokersOf(spec));
  const WaitingPlace place(&waiting_calls_);
  if (!place.status().ok()) return place.status();
  {
    const absl::StatusOr<std::unique_ptr<JobLog>> log = JobLog::Create(spec, submitted.brokers(), stop_.get_token());
    if (!log.ok()) return log.status();
    const absl::StatusOr<std::vector<Partition>> partitions = (*log)->Resolve();
    if (!partitions.ok()) return partitions.status();
    submitted.mutable_partitions()->Add(partitions->begin(), partitions->end());
  }
  if (absl::Status free = FreeName(spec.name()); !free.ok()) return free;
  auto promise = std::make_shared<std::promise<absl::Status>>();
  std::future<absl::Status> journaled = promise->get_future();
  const absl::StatusOr<bool> taken = Ask<bool>([&]() -> absl::StatusOr<bool> {
    if (retiring_.contains(spec.name())) return NotFreeError(spec.name());
    Actions actions;
    if (absl::Status submit = coordinator_.Submit(submitted, &actions); !submit.ok()) return submit;
    submitting_[submitted.job_id()] = std::move(*promise);
    Do(&actions);
    return true;
  });
  if (!taken.ok()) return taken.status();
  if (absl::Status opened = journaled.get(); !opened.ok()) return opened;
  SubmitReply reply;
  reply.set_job_id(submitted.job_id());
  return reply;
}

absl::StatusOr<CancelReply> Driver::Cancel(const CancelRequest& request) {
  auto promise = std::make_shared<std::promise<JobParts>>();
  std::future<JobParts> closed = promise->get_future();
  const CancelDone done = [promise](JobParts parts) { promise->set_value(std::move(parts)); };
  std::string name;
  const absl::StatusOr<std::string> job_id = Ask<std::string>([&]() -> absl::StatusOr<std::string> {
    const absl::StatusOr<const JobMachine*> job = FindJob(request.job());
    if (const auto it = retiring_.find(request.job()); !job.ok() && it != retiring_.end() && it->second.under_way) {
      it->second.waiting.push_back(done);
      return it->second.job_id;
    }
    if (!job.ok()) return job.status();
    name = (*job)->name();
    const std::string id = (*job)->job_id();
    cancelling_[id].push_back(done);
    Actions actions;
    if (absl::Status cancelled = coordinator_.Cancel(id, &actions); !cancelled.ok()) return cancelled;
    Do(&actions);
    return id;
  });
  if (!job_id.ok()) return job_id.status();
  JobParts parts = closed.get();
  if (parts.retires) {
    parts = JobParts();
    if (const absl::Status retired = Retire(name, *job_id); !retired.ok()) {
      LOG(ERROR) << "the name " << name << " is not free: " << retired.message();
    }
    writer_->TrimLater(*job_id, std::numeric_limits<uint64_t>::max());
  }
  CancelReply reply;
  reply.set_job_id(*job_id);
  return reply;
}

absl::Status Driver::Retire(const std::string& name, const std::string& job_id) {
  absl::Status retired = JobSinks::Retire(options_.data_dir, name, job_id);
  Post([this, name, free = retired.ok()] {
    const auto it = retiring_.find(name);
    if (it == retiring_.end()) return;
    it->second.under_way = false;
    for (const CancelDone& done : std::exchange(it->second.waiting, {})) done(JobParts());
    if (free) retiring_.erase(it);
  });
  return retired;
}

absl::Status Driver::FreeName(const std::string& name) {
  const absl::StatusOr<std::string> left = Ask<std::string>([&]() -> absl::StatusOr<std::string> {
    const auto it = retiring_.find(name);
    if (it == retiring_.end()) return "";
    if (std::exchange(it->second.under_way, true)) return NotFreeError(name);
    return it->second.job_id;
  });
  if (!left.ok()) return left.status();
  if (left->empty()) return absl::OkStatus();
  const absl::Status retired = Retire(name, *left);
  if (retired.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the name ", name, " is not free: the files of the cancelled job ",
                                                    *left, " still have it; ", retired.message()));
}

absl::StatusOr<const JobMachine*> Driver::FindJob(const std::string& job) const {
  const JobMachine* found = coordinator_.FindJob(job);
  if (const JobStatus* cancelled = coordinator_.FindCancelled(job); found == nullptr && cancelled != nullptr) {
    return absl::NotFoundError(absl::StrCat("job ", cancelled->job(), " was cancelled after batch ", cancelled->batch(),
                                            "; `tenfold list` shows the jobs there are"));
  }
  if (found == nullptr)
    return absl::NotFoundError(absl::StrCat("there is no job ", job, "; `tenfold list` shows those there are"));
  return found;
}

JobStatus Driver::StatusOf(const JobMachine& job) const {
  JobStatus status = job.Status();
  if (const auto it = parts_.find(job.job_id()); it != parts_.end()) {
    for (SinkStatus& sink : it->second.sinks->Status()) *status.add_sinks() = std::move(sink);
  }
  return status;
}

absl::StatusOr<ListJobsReply> Driver::ListJobs() {
  return Ask<ListJobsReply>([this]() -> absl::StatusOr<ListJobsReply> {
    std::map<std::string, JobStatus> by_name;
    for (const auto& [id, job] : coordinator_.jobs()) by_name[job->name()] = StatusOf(*job);
    ListJobsReply reply;
    for (auto& [name, status] : by_name) *reply.add_jobs() = std::move(status);
    for (const JobStatus& cancelled : coordinator_.cancelled()) *reply.add_jobs() = cancelled;
    // Of very many jobs it would not go into a message.
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
  return Ask<JobStatus>([&]() -> absl::StatusOr<JobStatus> {
    if (const JobMachine* job = coordinator_.FindJob(request.job())) return StatusOf(*job);
    if (const JobStatus* cancelled = coordinator_.FindCancelled(request.job())) return *cancelled;
    return FindJob(request.job()).status();
  });
}

absl::StatusOr<GetBatchReply> Driver::GetBatch(const GetBatchRequest& request, const std::function<bool()>& is_cancelled) {
  std::string job_id;
  const auto look = [&]() -> absl::StatusOr<GetBatchReply> {
    const absl::StatusOr<const JobMachine*> job = FindJob(job_id.empty() ? request.job() : job_id);
    if (!job.ok()) return job.status();
    job_id = (*job)->job_id();
    GetBatchReply reply;
    reply.set_job((*job)->name());
    *reply.mutable_spec() = WithoutSecrets((*job)->spec());
    reply.set_brokers((*job)->brokers());
    reply.mutable_partitions()->Add((*job)->partitions().begin(), (*job)->partitions().end());
    *reply.mutable_batch() = (*job)->last_batch();
    reply.set_lag((*job)->lag());
    return reply;
  };
  absl::StatusOr<GetBatchReply> reply = Ask<GetBatchReply>(look);
  if (!reply.ok()) return reply;
  const uint64_t wanted = request.batch() == 0 ? std::max<uint64_t>(1, reply->batch().batch()) : request.batch();
  if (reply->batch().batch() < wanted) {
    if (request.wait_ms() == 0) {
      return absl::NotFoundError(reply->batch().batch() == 0 ? absl::StrCat("job ", reply->job(), " has no batch yet")
                                                             : absl::StrCat("job ", reply->job(), " has no batch ", wanted,
                                                                            " yet; the last is ", reply->batch().batch()));
    }
    const absl::Time deadline = absl::Now() + absl::Milliseconds(std::min(request.wait_ms(), kMaxWaitMs));
    bool there = true;
    const WaitingPlace place(&waiting_calls_);
    if (!place.status().ok()) return place.status();
    std::unique_lock lock(committed_mutex_);
    while (!stop_.stop_requested()) {
      const auto it = committed_batches_.find(job_id);
      there = it != committed_batches_.end();
      if (!there || it->second >= wanted || is_cancelled()) break;
      if (absl::Now() >= deadline)
        return absl::DeadlineExceededError(absl::StrCat("batch ", wanted, " of job ", reply->job(), " is not there yet"));
      // Wakes now and then to see whether anybody still waits.
      committed_.wait_for(lock,
                          std::min(absl::ToChronoMilliseconds(deadline - absl::Now()), std::chrono::milliseconds(200)));
    }
    lock.unlock();
    if (stop_.stop_requested()) return absl::UnavailableError("the driver is stopping");
    reply = Ask<GetBatchReply>(look);
    if (!reply.ok()) return reply;
  }
  if (reply->batch().batch() != wanted) {
    absl::StatusOr<BatchCommitted> batch = journal_->ReadBatch(job_id, wanted);
    if (!batch.ok()) return batch.status();
    *reply->mutable_batch() = *std::move(batch);
  }
  // Some may have been added since.
  const int partitions = reply->batch().next_offsets_size();
  reply->mutable_partitions()->DeleteSubrange(partitions, reply->partitions_size() - partitions);
  return reply;
}

absl::StatusOr<GetEndsReply> Driver::GetEnds(const GetEndsRequest& request) {
  struct Job {
    std::string id;
    std::shared_ptr<JobLog> log;
    std::vector<Partition> partitions;
  };
  const absl::StatusOr<Job> job = Ask<Job>([&]() -> absl::StatusOr<Job> {
    const absl::StatusOr<const JobMachine*> found = FindJob(request.job());
    if (!found.ok()) return found.status();
    if (absl::Status opened = OpenJob(**found); !opened.ok()) return opened;
    return Job{(*found)->job_id(), parts_.at((*found)->job_id()).log, (*found)->partitions()};
  });
  if (!job.ok()) return job.status();
  const WaitingPlace place(&waiting_calls_);
  if (!place.status().ok()) return place.status();
  absl::StatusOr<JobMachine::Found> found = job->log->Find(job->partitions);
  if (!found.ok()) return found.status();
  Post([this, id = job->id, found = *std::move(found)] {
    Actions actions;
    coordinator_.OnPartitions(id, found, NowMs(), &actions);
    Do(&actions);
  });
  const absl::StatusOr<std::vector<std::pair<TopicPartition, int64_t>>> watermarks = job->log->HighWatermarks();
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
  return Ask<ListWorkersReply>([this]() -> absl::StatusOr<ListWorkersReply> { return coordinator_.Workers(); });
}

}  // namespace tenfold
