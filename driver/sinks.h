// Publish: the sinks of one job, each fed its committed batches in order and without a gap by a thread of its own, so that
// a slow or broken one delays only itself. They read the batches from the journal. A line is `TopLine` and a newline.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "driver.pb.h"
#include "driver/journal.h"
#include "driver/sink_file.h"
#include "job_spec.pb.h"

namespace tenfold {

class JobSinks {
 public:
  struct Options {
    std::string job_id;
    JobSpec spec;
    // Outlives the object.
    const SinkPlaces* places = nullptr;
  };

  // INVALID_ARGUMENT for a path that is not allowed ("..", absolute outside the allowed directories): what a submit is
  // refused with.
  static absl::Status Check(const JobSpec& spec, const SinkPlaces& places);

  // Starts the threads; `journal` outlives the object. Trouble with a sink is no error: it is retried, and told by Status.
  static std::unique_ptr<JobSinks> Start(const Options& options, Journal* journal);
  // Stops within a second, also in the middle of trouble.
  virtual ~JobSinks() = default;

  // Batches up to this one are committed; `partitions` is the job's set by then. Never blocks.
  virtual void OnCommitted(uint64_t batch, const std::vector<Partition>& partitions) = 0;

  virtual std::vector<SinkStatus> Status() const = 0;
  // Every sink has this batch and all before it.
  virtual uint64_t DeliveredByAll() const = 0;
};

}  // namespace tenfold
