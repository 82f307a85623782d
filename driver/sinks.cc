#include "driver/sinks.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <set>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "glog/logging.h"
#include "jobs/result_json.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kFirstRetry(200);
constexpr std::chrono::milliseconds kLastRetry(2000);
// For how long a full standard output is waited for before that is told.
constexpr int kStdoutWaitMs = 200;

// As in SinkStatus, and its name in the journal; unique within a job.
std::string SinkName(const Sink& sink) {
  return sink.has_file() ? absl::StrCat("file ", fs::path(sink.file().path()).lexically_normal().string()) : "stdout";
}

// Where lines go.
class Target {
 public:
  virtual ~Target() = default;
  // Gets it ready; returns the last batch it is seen to have, 0 if that is not known.
  virtual absl::StatusOr<uint64_t> Prepare() = 0;
  virtual absl::Status Append(const std::string& line, const std::stop_token& stop) = 0;
};

class FileTarget : public Target {
 public:
  explicit FileTarget(const SinkFile::Options& options) : file_(options) {}
  absl::StatusOr<uint64_t> Prepare() override { return file_.Prepare(); }
  absl::Status Append(const std::string& line, const std::stop_token&) override { return file_.Append(line); }

 private:
  SinkFile file_;
};

// Standard output belongs to all jobs, a line at a time. It may be a pipe that nobody reads and is left blocking, as it is
// shared with other processes: so it is only written what it is ready to take, which for a pipe is PIPE_BUF bytes.
class StdoutTarget : public Target {
 public:
  // A line that is not whole by now never will be: the next one begins on a line of its own.
  ~StdoutTarget() override {
    const std::lock_guard lock(mutex_);
    if (unfinished_ != this) return;
    unfinished_ = nullptr;
    rest_ = "\n";
    torn_ = !WriteSome(0).ok() || !rest_.empty();
  }

  absl::StatusOr<uint64_t> Prepare() override { return 0; }

  absl::Status Append(const std::string& line, const std::stop_token& stop) override {
    std::unique_lock lock(mutex_, std::try_to_lock);
    while (!lock.owns_lock()) {
      if (stop.stop_requested()) return absl::CancelledError("stopped");
      poll(nullptr, 0, 1);
      lock.try_lock();
    }
    if (unfinished_ != nullptr && unfinished_ != this) {
      return absl::UnavailableError("standard output is in the middle of a line of another job");
    }
    // A line that got stuck goes on where it stopped.
    if (unfinished_ == nullptr) rest_ = absl::StrCat(torn_ ? "\n" : "", line, "\n");
    while (!rest_.empty()) {
      if (stop.stop_requested()) return absl::CancelledError("stopped");
      absl::Status status = WriteSome(kStdoutWaitMs);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  // Writes what standard output takes of `rest_`.
  absl::Status WriteSome(int wait_ms) {
    struct stat out;
    if (fstat(STDOUT_FILENO, &out) != 0) return absl::ErrnoToStatus(errno, "cannot write to standard output");
    std::string_view text = rest_;
    if (!S_ISREG(out.st_mode)) {
      text = text.substr(0, PIPE_BUF);
      pollfd ready{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      const int polled = poll(&ready, 1, wait_ms);
      if (polled == 0) return absl::UnavailableError("standard output is full, nobody reads it");
      if (polled < 0) return absl::OkStatus();
    }
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written > 0) {
      rest_.erase(0, static_cast<size_t>(written));
      torn_ = false;
      unfinished_ = rest_.empty() ? nullptr : this;
    } else if (written < 0 && errno != EINTR && errno != EAGAIN) {
      return absl::ErrnoToStatus(errno, "cannot write to standard output");
    }
    return absl::OkStatus();
  }

  static std::mutex mutex_;
  // Whose line is only begun, if one is.
  static StdoutTarget* unfinished_;  // guarded by mutex_
  // The last line has no newline.
  static bool torn_;  // guarded by mutex_

  // What of the line is not written.
  std::string rest_;
};

std::mutex StdoutTarget::mutex_;
StdoutTarget* StdoutTarget::unfinished_ = nullptr;
bool StdoutTarget::torn_ = false;

class JobSinksThreads : public JobSinks {
 public:
  JobSinksThreads(const Options& options, Journal* journal)
      : job_(options.spec.name()), job_id_(options.job_id), journal_(journal) {
    for (const Sink& sink : options.spec.sinks()) {
      auto feed = std::make_unique<Feed>();
      feed->name = SinkName(sink);
      feed->delivered = journal->Delivered(job_id_, feed->name);
      if (sink.has_file()) {
        feed->target = std::make_unique<FileTarget>(
            SinkFile::Options{.job = job_, .job_id = job_id_, .path = sink.file().path(), .places = options.places});
      } else {
        feed->target = std::make_unique<StdoutTarget>();
      }
      feeds_.push_back(std::move(feed));
    }
    for (const std::unique_ptr<Feed>& feed : feeds_) {
      feed->thread = std::jthread([this, f = feed.get()](std::stop_token stop) { Run(f, stop); });
      pthread_setname_np(feed->thread.native_handle(), "sink");
    }
  }

  ~JobSinksThreads() override {
    for (const std::unique_ptr<Feed>& feed : feeds_) feed->thread.request_stop();
  }

  void OnCommitted(uint64_t batch, const std::vector<Partition>& partitions) override {
    std::lock_guard lock(mutex_);
    committed_ = std::max(committed_, batch);
    if (partitions.size() > partitions_.size()) partitions_ = partitions;
    changed_.notify_all();
  }

  std::vector<SinkStatus> Status() const override {
    std::vector<SinkStatus> statuses;
    std::lock_guard lock(mutex_);
    for (const std::unique_ptr<Feed>& feed : feeds_) {
      SinkStatus& status = statuses.emplace_back();
      status.set_sink(feed->name);
      status.set_delivered_batch(feed->delivered);
      status.set_problem(feed->problem);
    }
    return statuses;
  }

  uint64_t DeliveredByAll() const override {
    std::lock_guard lock(mutex_);
    uint64_t least = committed_;
    for (const std::unique_ptr<Feed>& feed : feeds_) least = std::min(least, feed->delivered);
    return least;
  }

 private:
  struct Feed {
    std::string name;
    // Used by its thread alone.
    std::unique_ptr<Target> target;
    // Guarded by mutex_.
    uint64_t delivered = 0;
    std::string problem;
    std::jthread thread;
  };

  void Run(Feed* feed, const std::stop_token& stop) {
    std::chrono::milliseconds retry = kFirstRetry;
    while (!stop.stop_requested()) {
      const absl::Status status = DeliverAll(feed, stop);
      if (stop.stop_requested()) return;
      Tell(feed, status);
      std::unique_lock lock(mutex_);
      if (status.ok()) {
        retry = kFirstRetry;
        changed_.wait(lock, stop, [&] { return committed_ > feed->delivered; });
      } else {
        changed_.wait_for(lock, stop, retry, [] { return false; });
        retry = std::min(retry * 2, kLastRetry);
      }
    }
  }

  // Until the sink has all that is committed.
  absl::Status DeliverAll(Feed* feed, const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const absl::StatusOr<uint64_t> has = feed->target->Prepare();
      if (!has.ok()) return has.status();
      uint64_t next = 0;
      std::vector<Partition> partitions;
      {
        std::lock_guard lock(mutex_);
        feed->delivered = std::max(feed->delivered, *has);
        if (feed->delivered >= committed_) return absl::OkStatus();
        next = feed->delivered + 1;
        partitions = partitions_;
      }
      const absl::StatusOr<BatchCommitted> batch = journal_->ReadBatch(job_id_, next);
      if (!batch.ok()) return batch.status();
      absl::Status status = feed->target->Append(TopLine(job_, partitions, *batch), stop);
      if (!status.ok()) return status;
      // Before it is told: what every sink has is trimmed.
      status = journal_->SetDelivered(job_id_, feed->name, next);
      if (!status.ok()) return status;
      std::lock_guard lock(mutex_);
      feed->delivered = next;
    }
    return absl::OkStatus();
  }

  void Tell(Feed* feed, const absl::Status& status) {
    const std::string problem(status.message());
    {
      std::lock_guard lock(mutex_);
      if (feed->problem == problem) return;
      feed->problem = problem;
    }
    if (problem.empty()) {
      LOG(INFO) << "job " << job_ << ", sink " << feed->name << ": goes on";
    } else {
      LOG(WARNING) << "job " << job_ << ", sink " << feed->name << ": " << problem;
    }
  }

  const std::string job_;
  const std::string job_id_;
  Journal* const journal_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  uint64_t committed_ = 0;
  std::vector<Partition> partitions_;
  // Last, so that the threads end before what they use. The vector itself is constant.
  std::vector<std::unique_ptr<Feed>> feeds_;
};

}  // namespace

absl::Status JobSinks::Check(const JobSpec& spec, const SinkPlaces& places) {
  std::set<std::string> names;
  for (int i = 0; i < spec.sinks_size(); ++i) {
    const Sink& sink = spec.sinks(i);
    const std::string wrong = sink.has_file() ? SinkFile::CheckPath(sink.file().path(), places) : "";
    if (!wrong.empty()) return absl::InvalidArgumentError(absl::StrCat("sinks[", i, "].file.path: ", wrong));
    if (!names.insert(SinkName(sink)).second) {
      return absl::InvalidArgumentError(absl::StrCat("sinks[", i, "]: the sink ", SinkName(sink), " is there twice"));
    }
  }
  return absl::OkStatus();
}

std::unique_ptr<JobSinks> JobSinks::Start(const Options& options, Journal* journal) {
  return std::make_unique<JobSinksThreads>(options, journal);
}

}  // namespace tenfold
