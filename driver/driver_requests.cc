// What the CLI and the workers ask of the driver.
#include <algorithm>
#include <chrono>
#include <future>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/limits.h"
#include "common/process/random_id.h"
#include "driver/call_slot.h"
#include "driver/driver.h"
#include "google/protobuf/util/message_differencer.h"
#include "jobs/spec/batch_spec.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {
namespace {

constexpr uint32_t kMaxWaitMs = 60'000;
// How long Kafka may take to tell of a spec's topics. The caller waits 10 s.
constexpr absl::Duration kResolveTimeout = absl::Seconds(8);

}  // namespace

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
  const auto promise = std::make_shared<std::promise<absl::Status>>();
  const absl::StatusOr<bool> taken =
      Ask<bool>([&](ClusterMachine* cluster, int64_t, Actions* actions) -> absl::StatusOr<bool> {
        // The same request may have come meanwhile, or be under way to the journal.
        const JobMachine* job = cluster->FindJob(submitted.job_id());
        if (job != nullptr && google::protobuf::util::MessageDifferencer::Equals(job->job().spec, spec)) {
          promise->set_value(absl::OkStatus());
          return true;
        }
        if (!submitting_.contains(submitted.job_id())) {
          if (absl::Status submit = cluster->Submit(submitted, actions); !submit.ok()) return submit;
        }
        submitting_[submitted.job_id()].push_back(promise);
        return true;
      });
  if (!taken.ok()) return taken.status();
  if (absl::Status opened = Await(promise->get_future()); !opened.ok()) return opened;
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
  if (const std::string wrong = CheckUpdate(*before, spec, request.refold()); !wrong.empty())
    return absl::FailedPreconditionError(wrong);
  const CallSlot slot(&waiting_calls_);
  if (!slot.status().ok()) return slot.status();
  if (!google::protobuf::util::MessageDifferencer::Equals(before->source(), spec.source())) {
    // Where the job began is journalled, and may be gone by now.
    JobSpec present = spec;
    present.mutable_source()->clear_start_at();
    present.mutable_source()->clear_until();
    for (SourceTopics& other : *present.mutable_source()->mutable_others()) {
      other.clear_start_at();
      other.clear_until();
    }
    if (const auto resolved = Resolve(present); !resolved.ok()) return resolved.status();
  }
  bool refolds = false;
  bool ends_refold = false;
  const auto promise = std::make_shared<std::promise<absl::Status>>();
  const absl::StatusOr<std::string> job_id =
      Ask<std::string>([&](ClusterMachine* cluster, int64_t now_us, Actions* actions) -> absl::StatusOr<std::string> {
        const absl::StatusOr<const JobMachine*> found = FindJob(spec.name());
        if (!found.ok()) return found.status();
        const JournalledJob& job = (*found)->job();
        // The job may be another one by now.
        if (const std::string wrong = CheckUpdate(job.spec, spec, request.refold()); !wrong.empty())
          return absl::FailedPreconditionError(wrong);
        refolds = !FoldDifference(job.spec, spec).empty() || (request.refold() && job.WouldAskAgain(spec));
        ends_refold = (*found)->refold() != nullptr;
        const auto under_way = [&](const Refold* refold) {
          return refold != nullptr && google::protobuf::util::MessageDifferencer::Equals(refold->job().spec, spec);
        };
        if (refolds && under_way((*found)->refold()) && !(*found)->has_changes() && !(*found)->is_ending_refold()) {
          ends_refold = false;
          promise->set_value(absl::OkStatus());
          return job.job_id;
        }
        JournalRecord change;
        const auto fill = [&](auto* record, uint64_t last) {
          record->set_job_id(job.job_id);
          *record->mutable_spec() = spec;
          const std::vector<uint64_t> after = JobSinks::After(SinksOf(job), spec, last);
          record->mutable_sinks_after()->Add(after.begin(), after.end());
        };
        if (refolds) {
          change.mutable_refold_begun()->set_states_id(RefoldStatesId(job.job_id, RandomId()));
          fill(change.mutable_refold_begun(), std::numeric_limits<uint64_t>::max());
        } else {
          fill(change.mutable_job_updated(), job.last_batch.batch());
        }
        return Change(cluster, job.job_id, std::move(change), promise, now_us, actions);
      });
  if (!job_id.ok()) return job_id.status();
  if (absl::Status updated = Await(promise->get_future()); !updated.ok()) return updated;
  UpdateReply reply;
  reply.set_job_id(*job_id);
  reply.set_refolds(refolds);
  reply.set_ends_refold(ends_refold);
  return reply;
}

absl::StatusOr<std::string> Driver::Change(ClusterMachine* cluster, std::string job_id, JournalRecord change,
                                           const Journalled& journalled, int64_t now_us, Actions* actions) {
  changing_[job_id].push_back(journalled);
  if (absl::Status changed = cluster->Change(std::move(change), now_us, actions); !changed.ok()) {
    changing_[job_id].pop_back();
    return changed;
  }
  return job_id;
}

absl::StatusOr<SetPausedReply> Driver::SetPaused(const SetPausedRequest& request) {
  const CallSlot slot(&waiting_calls_);
  if (!slot.status().ok()) return slot.status();
  const auto promise = std::make_shared<std::promise<absl::Status>>();
  const absl::StatusOr<std::string> job_id =
      Ask<std::string>([&](ClusterMachine* cluster, int64_t now_us, Actions* actions) -> absl::StatusOr<std::string> {
        const absl::StatusOr<const JobMachine*> job = FindJob(request.job());
        if (!job.ok()) return job.status();
        const std::string& id = (*job)->job().job_id;
        if ((*job)->job().IsPaused() == request.paused() && !(*job)->is_changing() && !(*job)->job().IsOver()) {
          promise->set_value(absl::OkStatus());
          return id;
        }
        JournalRecord change;
        (request.paused() ? *change.mutable_job_paused()->mutable_job_id()
                          : *change.mutable_job_resumed()->mutable_job_id()) = id;
        return Change(cluster, id, std::move(change), promise, now_us, actions);
      });
  if (!job_id.ok()) return job_id.status();
  if (absl::Status changed = Await(promise->get_future()); !changed.ok()) return changed;
  SetPausedReply reply;
  reply.set_job_id(*job_id);
  return reply;
}

absl::StatusOr<CancelReply> Driver::Cancel(const CancelRequest& request) {
  const CallSlot slot(&waiting_calls_);
  if (!slot.status().ok()) return slot.status();
  CancelReply reply;
  const auto promise = std::make_shared<std::promise<absl::Status>>();
  const absl::StatusOr<std::string> job_id = Ask<std::string>([&](ClusterMachine* cluster, int64_t,
                                                                  Actions* actions) -> absl::StatusOr<std::string> {
    if (const JobStatus* done = cluster->FindCancelled(request.job()); done != nullptr && done->job_id() == request.job()) {
      promise->set_value(absl::OkStatus());
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
  if (absl::Status cancelled = Await(promise->get_future()); !cancelled.ok()) return cancelled;
  reply.set_job_id(*job_id);
  return reply;
}

absl::Status Driver::Await(std::future<absl::Status> journalled) const {
  constexpr std::chrono::milliseconds kLook(50);
  constexpr absl::Duration kDiskWait = absl::Seconds(2);
  while (!stop_.stop_requested()) {
    const bool done = journalled.wait_for(kLook) == std::future_status::ready;
    // What is not done when the decisions end is never done.
    if (done && !stop_.stop_requested()) return journalled.get();
    const std::optional<RocksDisk::Wait> disk = disk_.Waiting();
    if (!disk || absl::Now() - disk->since < kDiskWait) continue;
    return absl::UnavailableError(absl::StrCat("the driver waits for ", disk->what, " to write its journal (", disk->reason,
                                               "); it does what was asked once it has that"));
  }
  return absl::UnavailableError("the driver is stopping");
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
  if (const std::optional<RocksDisk::Wait> wait = disk_.Waiting(); wait && !job.job().IsOver() && !job.job().IsPaused()) {
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
      job.clear_schemas();
      if (job.has_refold()) job.mutable_refold()->clear_spec();
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
  ResultSpec first_result;
  // The batch that is asked for, where it is not the last.
  std::optional<BatchCommitted> other;
  const auto look = [&](ClusterMachine*, int64_t, Actions*) -> absl::StatusOr<GetBatchReply> {
    const absl::StatusOr<const JobMachine*> machine = FindJob(job_id.empty() ? request.job() : job_id);
    if (!machine.ok()) return machine.status();
    const JournalledJob& job = (*machine)->job();
    job_id = job.job_id;
    first_result = job.first_result;
    GetBatchReply reply;
    reply.set_job(job.spec.name());
    *reply.mutable_batch() = other ? *other : job.last_batch;
    JobSpec spec = job.SpecOf(reply.batch());
    // Its log is read as the present spec says, whatever a refold has changed.
    *spec.mutable_source() = job.spec.source();
    *reply.mutable_spec() = WithoutSecrets(spec);
    reply.set_brokers(job.brokers());
    if (request.with_schemas()) {
      const std::vector<LearnedSchema>& schemas = job.SchemasOf(reply.batch());
      reply.mutable_schemas()->Add(schemas.begin(), schemas.end());
    }
    reply.mutable_partitions()->Add(job.partitions.begin(), job.partitions.end());
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
    other = *std::move(batch);
    if (!other->has_result()) *other->mutable_result() = first_result;
    if (other->fold() != reply->batch().fold()) {
      // A refold has changed what the job folds, since the batch.
      reply = Ask<GetBatchReply>(look);
      if (!reply.ok()) return reply;
    }
    *reply->mutable_batch() = *std::move(other);
  }
  // An update may have changed what the result is, since the batch.
  *reply->mutable_spec() = SpecOfBatch(std::move(*reply->mutable_spec()), reply->batch());
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
  GetEndsReply reply;
  const auto add = [&reply](const std::string& topic, int32_t partition, int64_t offset) {
    EndOffset* const end = reply.add_ends();
    end->set_topic(topic);
    end->set_partition(partition);
    end->set_end_offset(offset);
  };
  // A job that ends does so in all of its partitions, whatever Kafka has behind that.
  if (!job->partitions.empty() && job->partitions[0].has_end_offset()) {
    for (const Partition& partition : job->partitions) add(partition.topic(), partition.partition(), partition.end_offset());
    return reply;
  }
  const CallSlot slot(&waiting_calls_);
  if (!slot.status().ok()) return slot.status();
  const absl::StatusOr<FoundPartitions> found = job->topics->Find(job->partitions);
  if (!found.ok()) return found.status();
  PostFound(job->id, job->topics, found);
  const absl::StatusOr<std::vector<std::pair<TopicPartition, int64_t>>> watermarks = job->topics->HighWatermarks();
  if (!watermarks.ok()) return watermarks.status();
  for (const auto& [partition, offset] : *watermarks) add(partition.topic, partition.partition, offset);
  return reply;
}

absl::StatusOr<ListWorkersReply> Driver::ListWorkers() {
  return Ask<ListWorkersReply>([](ClusterMachine* cluster, int64_t, Actions*) { return cluster->Workers(); });
}

}  // namespace tenfold
