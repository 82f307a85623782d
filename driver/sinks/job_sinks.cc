#include "driver/sinks/job_sinks.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/process/fault_point.h"
#include "driver/sinks/stdout_target.h"
#include "glog/logging.h"
#include "jobs/show/result_json.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kFirstRetry(200);
constexpr std::chrono::milliseconds kLastRetry(2000);
constexpr char kNoKind[] = "a sink is of a kind that this driver does not know; start the version that journalled its job";

// Returns the sink's name in SinkStatus and in the journal, which is unique within a job.
std::string SinkName(const Sink& sink) {
  switch (sink.kind_case()) {
    case Sink::kStdout:
      return "stdout";
    case Sink::kFile:
      return absl::StrCat("file ", fs::path(sink.file().path()).lexically_normal().string());
    case Sink::KIND_NOT_SET:
      break;
  }
  LOG(FATAL) << kNoKind;
}

std::unique_ptr<SinkTarget> MakeTarget(const Sink& sink, const JobSinks::Options& job) {
  switch (sink.kind_case()) {
    case Sink::kStdout:
      return std::make_unique<StdoutTarget>();
    case Sink::kFile:
      return std::make_unique<FileTarget>(FileTarget::Options{
          .job = job.spec.name(), .job_id = job.job_id, .path = sink.file().path(), .places = job.places});
    case Sink::KIND_NOT_SET:
      break;
  }
  LOG(FATAL) << kNoKind;
}

// Returns why this driver cannot have the sink, to follow the name of the field; "" if it can.
std::string CheckPlace(const Sink& sink, const SinkPlaces& places) {
  switch (sink.kind_case()) {
    case Sink::kFile: {
      const std::string wrong = FileTarget::CheckPath(sink.file().path(), places);
      return wrong.empty() ? "" : ".file.path: " + wrong;
    }
    case Sink::kStdout:
    case Sink::KIND_NOT_SET:
      break;
  }
  return "";
}

std::vector<JobSpec> SpecsOf(const JobSinks::Options& job) {
  std::vector<JobSpec> specs = job.former_specs;
  specs.push_back(job.spec);
  return specs;
}

std::vector<ResultForm> FormsOf(const std::vector<JobSpec>& specs) {
  std::vector<ResultForm> forms;
  for (const JobSpec& spec : specs) forms.push_back(ResultFormOf(spec));
  return forms;
}

}  // namespace

JobSinks::JobSinks(const Options& options, Journal* journal)
    : job_(options.spec.name()),
      job_id_(options.job_id),
      specs_(SpecsOf(options)),
      forms_(FormsOf(specs_)),
      first_result_(options.first_result),
      journal_(journal),
      forked_(options.forked) {
  for (const Sink& sink : options.spec.sinks()) {
    auto feed = std::make_unique<Feed>();
    feed->name = SinkName(sink);
    const size_t i = feeds_.size();
    feed->delivered = std::max(journal->Delivered(job_id_, feed->name), i < options.after.size() ? options.after[i] : 0);
    feed->target = MakeTarget(sink, options);
    feeds_.push_back(std::move(feed));
  }
  for (const std::unique_ptr<Feed>& feed : feeds_) {
    feed->thread = std::jthread([this, f = feed.get()](std::stop_token stop) { Run(f, stop); });
    pthread_setname_np(feed->thread.native_handle(), "sink");
  }
}

std::vector<uint64_t> JobSinks::After(const Options& job, const JobSpec& update, uint64_t last) {
  std::map<std::string, uint64_t> had;
  for (int i = 0; i < job.spec.sinks_size(); ++i) {
    const size_t place = static_cast<size_t>(i);
    had[SinkName(job.spec.sinks(i))] = place < job.after.size() ? job.after[place] : 0;
  }
  std::vector<uint64_t> after;
  for (const Sink& sink : update.sinks()) {
    const auto it = had.find(SinkName(sink));
    after.push_back(it == had.end() ? last : it->second);
  }
  return after;
}

void JobSinks::Stop() {
  for (const std::unique_ptr<Feed>& feed : feeds_) feed->thread.request_stop();
}

void JobSinks::OnCommitted(uint64_t batch, const std::vector<Partition>& partitions) {
  MutexLock lock(&mutex_);
  committed_ = std::max(committed_, batch);
  if (partitions.size() > partitions_.size()) partitions_ = partitions;
  changed_.NotifyAll();
}

std::vector<SinkStatus> JobSinks::Status() const {
  std::vector<SinkStatus> statuses;
  MutexLock lock(&mutex_);
  for (const std::unique_ptr<Feed>& feed : feeds_) {
    SinkStatus& status = statuses.emplace_back();
    status.set_sink(feed->name);
    status.set_delivered_batch(feed->delivered);
    status.set_problem(feed->problem);
  }
  return statuses;
}

uint64_t JobSinks::DeliveredByAll() const {
  MutexLock lock(&mutex_);
  uint64_t least = committed_;
  for (const std::unique_ptr<Feed>& feed : feeds_) least = std::min(least, feed->delivered);
  return least;
}

void JobSinks::Run(Feed* feed, const std::stop_token& stop) {
  std::chrono::milliseconds retry = kFirstRetry;
  while (!stop.stop_requested()) {
    const absl::Status status = DeliverAll(feed, stop);
    if (stop.stop_requested()) return;
    Tell(feed, status);
    MutexLock lock(&mutex_);
    if (status.ok()) {
      retry = kFirstRetry;
      while (committed_ <= feed->delivered && changed_.Wait(&mutex_, stop)) continue;
    } else {
      changed_.Sleep(&mutex_, stop, retry);
      retry = std::min(retry * 2, kLastRetry);
    }
  }
}

absl::Status JobSinks::DeliverAll(Feed* feed, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    absl::StatusOr<SinkTarget::Last> has = feed->target->Prepare();
    if (!has.ok()) return has.status();
    if (has->batch > 0) feed->last = *std::move(has);
    uint64_t next = 0;
    uint64_t committed = 0;
    std::vector<Partition> partitions;
    {
      MutexLock lock(&mutex_);
      if (committed_ == 0) return absl::OkStatus();
      committed = committed_;
      partitions = partitions_;
    }
    if (feed->last.batch > 0) {
      if (const std::string knows = FindFork(feed->last, committed, partitions); !knows.empty()) {
        if (forked_) forked_(absl::StrCat("sink ", feed->name), knows);
        return absl::DataLossError(knows);
      }
    }
    {
      MutexLock lock(&mutex_);
      feed->delivered = std::max(feed->delivered, std::exchange(feed->last, {}).batch);
      if (feed->delivered >= committed_) return absl::OkStatus();
      next = feed->delivered + 1;
    }
    const absl::StatusOr<BatchCommitted> batch = journal_->ReadBatch(job_id_, next);
    if (!batch.ok()) return batch.status();
    absl::Status status = feed->target->Append(absl::StrJoin(LinesOf(*batch, partitions), "\n"), stop);
    if (!status.ok()) return status;
    FaultPoint("driver.sink_appended");
    // Noted before the driver is told, since batches that every sink has may then be trimmed.
    status = journal_->SetDelivered(job_id_, feed->name, next);
    if (!status.ok()) return status;
    MutexLock lock(&mutex_);
    feed->delivered = next;
  }
  return absl::OkStatus();
}

std::vector<std::string> JobSinks::LinesOf(BatchCommitted batch, const std::vector<Partition>& partitions) const {
  if (!batch.has_result()) *batch.mutable_result() = first_result_;
  const size_t fold = std::min<size_t>(batch.fold(), specs_.size() - 1);
  return BatchLines(job_, partitions, batch, FormOfBatch(forms_[fold], specs_[fold], batch));
}

std::string JobSinks::FindFork(const SinkTarget::Last& last, uint64_t committed,
                               const std::vector<Partition>& partitions) const {
  if (last.batch > committed)
    return absl::StrCat("has batch ", last.batch, " of the job, and the journal ends at batch ", committed);
  const absl::StatusOr<BatchCommitted> batch = journal_->ReadBatch(job_id_, last.batch);
  // One that is no longer kept cannot be compared.
  if (!batch.ok() || SaysTheSame(last.line, LinesOf(*batch, partitions).back())) return "";
  return absl::StrCat("has another batch ", last.batch, " of the job than the journal");
}

void JobSinks::Tell(Feed* feed, const absl::Status& status) {
  const std::string problem(status.message());
  {
    MutexLock lock(&mutex_);
    if (feed->problem == problem) return;
    feed->problem = problem;
  }
  if (problem.empty()) {
    LOG(INFO) << "job " << job_ << ", sink " << feed->name << ": goes on";
  } else {
    LOG(WARNING) << "job " << job_ << ", sink " << feed->name << ": " << problem;
  }
}

absl::Status JobSinks::Check(const JobSpec& spec, const SinkPlaces& places) {
  std::set<std::string> names;
  for (int i = 0; i < spec.sinks_size(); ++i) {
    const Sink& sink = spec.sinks(i);
    const std::string wrong = CheckPlace(sink, places);
    if (!wrong.empty()) return absl::InvalidArgumentError(absl::StrCat("sinks[", i, "]", wrong));
    if (!names.insert(SinkName(sink)).second) {
      return absl::InvalidArgumentError(absl::StrCat("sinks[", i, "]: the sink ", SinkName(sink), " is there twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace tenfold
