// Checks what a job has published, whole: every batch recomputed by the oracle from the log, at the batch's own offsets.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "job_spec.pb.h"

namespace tenfold {

// `lines` are all lines of a file sink. OK if they are the batches 1, 2, 3, ... of one job id, each once, with offsets
// that never go back, and result and counts equal, bit for bit, to what `spec` makes of the log of `brokers` from its start
// to these offsets; in a job with windows each final one once, in the batch at whose offsets all partitions have passed it.
// The error names the first batch that differs, and how.
absl::Status CheckPublished(const std::string& brokers, const JobSpec& spec, const std::vector<std::string>& lines);
// The same of a job that was refolded: by the number of the first batch that each spec made. A window that ends when or
// before one that was final is not final again.
using SpecsByBatch = std::map<uint64_t, JobSpec>;
absl::Status CheckPublished(const std::string& brokers, const SpecsByBatch& specs, const std::vector<std::string>& lines);

}  // namespace tenfold
