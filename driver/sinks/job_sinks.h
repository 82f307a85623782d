// Publish: the sinks of one job, each fed its committed batches in order and without a gap by a thread of its own, so that
// a slow or broken one delays only itself. They read the batches from the journal. Lines are `BatchLines`.
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/thread/mutex.h"
#include "driver.pb.h"
#include "driver/journal/journal.h"
#include "driver/sinks/file_target.h"
#include "driver/sinks/sink_target.h"
#include "job_spec.pb.h"
#include "jobs/show/result_json.h"

namespace tenfold {

class JobSinks {
 public:
  struct Options {
    std::string job_id;
    JobSpec spec;
    // Those of the batches that were made before refolds, by BatchCommitted's `fold`.
    std::vector<JobSpec> former_specs;
    // What batches were made by that do not say it.
    ResultSpec first_result;
    // As in JobUpdated: entry i is of the spec's sink i, which gets the batches after this one; may be empty.
    std::vector<uint64_t> after;
    // Outlives the object.
    const SinkPlaces* places = nullptr;
    // Called by a sink's thread where the sink ("sink file top.jsonl") knows a batch that the journal has not, or has
    // otherwise: what follows "sink file top.jsonl". The sink gets nothing more then.
    std::function<void(const std::string& sink, const std::string& knows)> forked;
  };

  // INVALID_ARGUMENT for a path that is not allowed ("..", absolute outside the allowed directories): what a submit is
  // refused with.
  static absl::Status Check(const JobSpec& spec, const SinkPlaces& places);

  // `sinks_after` of the record that gives a job the spec `update` after the batch `last`: a sink that it had goes on.
  static std::vector<uint64_t> After(const Options& job, const JobSpec& update, uint64_t last);

  // Starts the threads; `journal` outlives the object. Trouble with a sink is no error: it is retried, and told by Status.
  JobSinks(const Options& options, Journal* journal);
  // Stops within a second, also in the middle of trouble.
  ~JobSinks() { Stop(); }
  // The threads end, and are not waited for.
  void Stop();

  // Batches up to this one are committed; `partitions` is the job's set by then. Never blocks.
  void OnCommitted(uint64_t batch, const std::vector<Partition>& partitions);

  std::vector<SinkStatus> Status() const;
  // Every sink has this batch and all before it.
  uint64_t DeliveredByAll() const;

 private:
  struct Feed {
    std::string name;
    // Used by its thread alone.
    std::unique_ptr<SinkTarget> target;
    // What it had when it was last looked at, until that is compared with the journal.
    SinkTarget::Last last;
    // Guarded by the sinks' mutex_.
    uint64_t delivered = 0;
    std::string problem;
    std::jthread thread;
  };

  void Run(Feed* feed, const std::stop_token& stop);
  // Delivers until the sink has every committed batch.
  absl::Status DeliverAll(Feed* feed, const std::stop_token& stop);
  // What the sink knows that the journal does not (Options::forked), or "".
  std::string FindFork(const SinkTarget::Last& last, uint64_t committed, const std::vector<Partition>& partitions) const;
  void Tell(Feed* feed, const absl::Status& status);

  // All lines of a batch, as it was made.
  std::vector<std::string> LinesOf(BatchCommitted batch, const std::vector<Partition>& partitions) const;

  const std::string job_;
  const std::string job_id_;
  // By BatchCommitted's `fold`, of some time while the job folds so; a batch says what of it was otherwise.
  const std::vector<JobSpec> specs_;
  const std::vector<ResultForm> forms_;
  const ResultSpec first_result_;
  Journal* const journal_;
  const std::function<void(const std::string& sink, const std::string& knows)> forked_;

  mutable Mutex mutex_;
  CondVar changed_;
  uint64_t committed_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Partition> partitions_ ABSL_GUARDED_BY(mutex_);
  // Last, so that the threads end before what they use. The vector itself is constant.
  std::vector<std::unique_ptr<Feed>> feeds_;
};

}  // namespace tenfold
