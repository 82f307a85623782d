#include "driver/driver.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/process/process.h"
#include "common/process/random_id.h"
#include "driver/core/lineage.h"
#include "glog/logging.h"
#include "google/protobuf/util/message_differencer.h"

namespace tenfold {
namespace {

// After how many batches of a job the old ones are trimmed from the journal.
constexpr uint64_t kTrimEvery = 100;
constexpr uint64_t kAllBatches = std::numeric_limits<uint64_t>::max();

std::vector<int64_t> NextOffsetsOf(const BatchCommitted& batch) {
  return {batch.next_offsets().begin(), batch.next_offsets().end()};
}

}  // namespace

Driver::Driver(Options options)
    : options_(std::move(options)),
      started_wall_us_(absl::ToUnixMicros(absl::Now())),
      started_(std::chrono::steady_clock::now()),
      disk_({.fail = [](const std::string& sentence) { EndWith("driver", sentence); }, .is_ending = IsEnding, .files = {}}),
      cluster_(options_.cluster) {}

absl::Status Driver::Open() {
  absl::StatusOr<std::unique_ptr<Journal>> journal =
      Journal::Open(options_.places.data_dir, [this] { return NowUs(); }, disk_.env());
  if (!journal.ok()) return journal.status();
  journal_ = *std::move(journal);
  std::set<std::string> cancelled;
  const absl::Status replayed = journal_->Replay([&](const JournalRecord& record) {
    cluster_.Replay(record);
    if (record.has_job_cancelled()) cancelled.insert(record.job_cancelled().job_id());
  });
  if (!replayed.ok()) return replayed;
  writer_ = std::make_unique<JournalWriter>(journal_.get(), [this](std::vector<JournalRecord> records) {
    Post([this, records = std::move(records)](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
      for (const JournalRecord& record : records) OnJournaled(record, cluster, now_us, actions);
    });
  });
  // An earlier process may have ended between journalling a cancel and trimming the batches.
  for (const std::string& job_id : cancelled) writer_->TrimLater(job_id, kAllBatches);
  workers_ = std::make_unique<WorkerClient>();
  for (const auto& [id, job] : cluster_.jobs()) {
    // The other jobs go on; this one is retried whenever it is due.
    if (absl::Status opened = OpenJob(*job); !opened.ok()) {
      LOG(ERROR) << "job " << job->name() << " waits: " << opened.message();
    }
  }
  loop_thread_ = std::jthread([this] { RunLoop(); });
  Post([](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
    cluster->Start(RandomId(), RandomNumber(), now_us, actions);
  });
  is_open_ = true;
  return absl::OkStatus();
}

absl::Status Driver::CheckOpen() const {
  if (is_open_) return absl::OkStatus();
  const std::optional<RocksDisk::Wait> disk = disk_.Waiting();
  if (!disk) return absl::UnavailableError("the driver is starting: it reads its journal");
  return absl::UnavailableError(
      absl::StrCat("the driver is starting: it waits for ", disk->what, " to open its journal (", disk->reason, ")"));
}

Driver::~Driver() {
  Close();
  parts_.clear();
  ending_.clear();
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

void Driver::LogJob(const JournalRecord& record, const ClusterMachine& cluster) {
  const auto name = [&](const std::string& id) {
    const JobMachine* job = cluster.FindJob(id);
    return absl::StrCat("job ", job == nullptr ? "" : absl::StrCat(job->name(), " "), "(", id, ")");
  };
  if (record.has_job_submitted()) LOG(INFO) << name(record.job_submitted().job_id()) << " is submitted";
  if (record.has_job_updated()) LOG(INFO) << name(record.job_updated().job_id()) << " is updated";
  if (record.has_refold_begun()) LOG(INFO) << name(record.refold_begun().job_id()) << " is refolded for another spec";
  if (record.has_refold_switched())
    LOG(INFO) << name(record.refold_switched().job_id()) << " has switched to the spec that it was refolded for";
  if (record.has_refold_ended()) {
    LOG(ERROR) << name(record.refold_ended().job_id())
               << " goes on with its spec, as it cannot be refolded: " << record.refold_ended().reason();
  }
  if (record.has_schema_learned()) {
    const SchemaLearned& learned = record.schema_learned();
    LOG(INFO) << name(learned.job_id()) << " has learned schema " << learned.schema().id()
              << (learned.schema().avro().empty() ? absl::StrCat(": ", learned.schema().problem(), ", its records are bad")
                                                  : "");
  }
  if (record.has_job_paused()) LOG(INFO) << name(record.job_paused().job_id()) << " is paused";
  if (record.has_job_resumed()) LOG(INFO) << name(record.job_resumed().job_id()) << " goes on";
  if (record.has_job_cancelled()) LOG(INFO) << name(record.job_cancelled().job_id()) << " is cancelled";
  if (record.has_job_finished()) LOG(INFO) << name(record.job_finished().job_id()) << " is finished";
  if (record.has_job_failed())
    LOG(ERROR) << name(record.job_failed().job_id()) << " has failed: " << record.job_failed().reason();
}

void Driver::OnJournaled(const JournalRecord& record, ClusterMachine* cluster, int64_t now_us, Actions* actions) {
  cluster->OnJournaled(record, now_us, actions);
  LogJob(record, *cluster);
  if (record.has_job_updated()) {
    const std::string& id = record.job_updated().job_id();
    std::deque<Journalled>& waiting = changing_[id];
    if (waiting.empty()) return;
    ReplaceParts(id, waiting.front());
    waiting.pop_front();
  }
  if (record.has_refold_switched()) ReplaceParts(record.refold_switched().job_id(), nullptr);
  if (record.has_job_paused() || record.has_job_resumed() || record.has_refold_begun()) {
    std::deque<Journalled>& waiting = changing_[record.has_job_paused()    ? record.job_paused().job_id()
                                                : record.has_job_resumed() ? record.job_resumed().job_id()
                                                                           : record.refold_begun().job_id()];
    if (waiting.empty()) return;
    waiting.front()->set_value(absl::OkStatus());
    waiting.pop_front();
  }
  if (record.has_job_failed() || record.has_job_cancelled() || record.has_job_finished()) {
    const std::string& id = record.has_job_failed()      ? record.job_failed().job_id()
                            : record.has_job_cancelled() ? record.job_cancelled().job_id()
                                                         : record.job_finished().job_id();
    for (const Journalled& waiting : changing_[id]) waiting->set_value(absl::FailedPreconditionError("the job is over"));
    changing_.erase(id);
  }
  if (!record.has_job_submitted()) return;
  const std::string& id = record.job_submitted().job_id();
  const absl::Status opened = OpenJob(*cluster->jobs().at(id));
  if (const auto it = submitting_.find(id); it != submitting_.end()) {
    for (const Journalled& waiting : it->second) waiting->set_value(opened);
    submitting_.erase(it);
  }
}

void Driver::ReplaceParts(const std::string& job_id, const Journalled& journalled) {
  const JobMachine* job = cluster_.FindJob(job_id);
  if (job == nullptr) return;
  // The sinks' files are then free for the new ones.
  EndLater(job_id, TakeReplaced(*job), [this, job_id, journalled] {
    Post([this, job_id, journalled](ClusterMachine* cluster_then, int64_t, Actions*) {
      const JobMachine* updated = cluster_then->FindJob(job_id);
      const auto parts = parts_.find(job_id);
      if (updated != nullptr && parts != parts_.end() && parts->second.sinks == nullptr)
        OpenSinks(updated->job(), &parts->second);
      if (journalled != nullptr) journalled->set_value(absl::OkStatus());
    });
  });
}

absl::Status Driver::OpenJob(const JobMachine& machine) {
  const JournalledJob& job = machine.job();
  if (parts_.contains(job.job_id)) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<JobTopics>> topics = JobTopics::Create(job.spec, LogOf(job.spec), stop_.get_token());
  if (!topics.ok()) return topics.status();
  JobParts& parts = parts_[job.job_id];
  parts.topics = *std::move(topics);
  parts.spec = job.spec;
  parts.fold = job.fold();
  OpenSinks(job, &parts);
  if (job.last_batch.batch() > 0) parts.topics->SetGroupOffsets(job.partitions, NextOffsetsOf(job.last_batch));
  committed_.Set(job.job_id, job.last_batch.batch());
  return absl::OkStatus();
}

JobSinks::Options Driver::SinksOf(const JournalledJob& job) {
  return {job.job_id, job.spec, job.former_specs, job.first_result, job.sinks_after, nullptr, nullptr};
}

void Driver::OpenSinks(const JournalledJob& job, JobParts* parts) {
  auto forked = [this, id = job.job_id](const std::string& sink, const std::string& knows) {
    Post([id, sink, knows](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
      cluster->OnForked(id, sink, knows, now_us, actions);
    });
  };
  JobSinks::Options options = SinksOf(job);
  options.places = &options_.places;
  options.forked = std::move(forked);
  parts->sinks = std::make_shared<JobSinks>(options, journal_.get());
  if (job.last_batch.batch() > 0) parts->sinks->OnCommitted(job.last_batch.batch(), job.partitions);
}

Driver::JobParts Driver::TakeReplaced(const JobMachine& machine) {
  using google::protobuf::util::MessageDifferencer;
  const JournalledJob& job = machine.job();
  const auto it = parts_.find(job.job_id);
  if (it == parts_.end()) return {};
  JobParts& parts = it->second;
  const JobSpec before = std::exchange(parts.spec, job.spec);
  const bool refolded = std::exchange(parts.fold, job.fold()) != job.fold();
  JobParts replaced;
  // What it was asked is asked again.
  if (!MessageDifferencer::Equals(before.registry(), job.spec.registry())) replaced.registry = std::move(parts.registry);
  // Sinks write what batches are by the specs that they were made by.
  if (refolded || !std::ranges::equal(before.sinks(), job.spec.sinks(), MessageDifferencer::Equals))
    replaced.sinks = std::move(parts.sinks);
  if (MessageDifferencer::Equals(before.source(), job.spec.source())) return replaced;
  // Where no client can be made of the new spec the parts go, and are opened again when they are needed, with the reason.
  absl::StatusOr<std::unique_ptr<JobTopics>> topics = JobTopics::Create(job.spec, LogOf(job.spec), stop_.get_token());
  if (!topics.ok()) {
    replaced.topics = std::move(parts.topics);
    if (parts.registry != nullptr) replaced.registry = std::move(parts.registry);
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

void Driver::Do(const AskSchema& ask) {
  const JobMachine* job = cluster_.FindJob(ask.job_id);
  if (job == nullptr) return;
  const auto done = [this, ask, name = job->name()](const absl::StatusOr<LearnedSchema>& answer) {
    if (!answer.ok()) {
      LOG_EVERY_T(WARNING, 10) << "job " << name << ": schema " << ask.id << ": " << answer.status().message();
    }
    Post([ask, answer](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
      cluster->OnSchema(ask, answer, now_us, actions);
    });
  };
  if (absl::Status opened = OpenJob(*job); !opened.ok()) return done(absl::UnavailableError(opened.message()));
  const bool is_of_refold = job->refold() != nullptr && job->refold()->job().states_id == ask.states_id;
  const JobSpec& spec = is_of_refold ? job->refold()->job().spec : job->job().spec;
  std::shared_ptr<RegistryClient>& registry = parts_.at(ask.job_id).registry;
  if (registry == nullptr) registry = std::make_shared<RegistryClient>(options_.property_dirs, stop_.get_token());
  registry->Ask(spec.registry(), ask.id, done);
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

void Driver::Do(const CompareLineage& compare) {
  const uint64_t number = compare.lineage.batch();
  const absl::StatusOr<BatchCommitted> batch = journal_->ReadBatch(compare.job_id, number);
  if (!batch.ok() || LineageOf(*batch).hash() == compare.lineage.hash()) return;
  Post([compare, number](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
    cluster->OnForked(compare.job_id, absl::StrCat("worker ", compare.worker),
                      absl::StrCat("knows another batch ", number, " of the job than the journal has"), now_us, actions);
  });
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
  JobParts parts;
  if (const auto it = parts_.find(close.job_id); it != parts_.end()) {
    parts = std::move(it->second);
    parts_.erase(it);
  }
  committed_.Erase(close.job_id);
  writer_->TrimLater(close.job_id, kAllBatches);
  std::vector<Journalled> waiting = std::exchange(cancelling_[close.job_id], {});
  cancelling_.erase(close.job_id);
  EndLater(close.job_id, std::move(parts), [waiting = std::move(waiting)] {
    for (const Journalled& cancel : waiting) cancel->set_value(absl::OkStatus());
  });
}

void Driver::EndLater(const std::string& job_id, JobParts parts, std::function<void()> sinks_ended) {
  std::erase_if(ending_, [](const auto& thread) {
    return thread.second.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  });
  std::shared_future<void>& last = ending_[job_id];
  auto end = [before = last, ended = std::move(parts), sinks_ended = std::move(sinks_ended)]() mutable {
    if (before.valid()) before.wait();
    ended.sinks.reset();
    sinks_ended();
    ended = {};
  };
  last = std::async(std::launch::async, std::move(end)).share();
}

}  // namespace tenfold
