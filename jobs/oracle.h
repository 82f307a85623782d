// The oracle: what any batch must equal, recomputed by brute force from the records before its offset vector. Serves
// `verify`, the simulator and the tests. Shares no code with decode, aggregate, digest or top k on purpose: std::map,
// big decimals (Boost.Multiprecision), regular expressions, its own reading of R1 and R4. Slow, and meant to be.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"
#include "journal.pb.h"

namespace tenfold {

class Oracle {
 public:
  // `partitions`: how many the job's journalled set has; the initial scores are in shard 0 from the start.
  Oracle(const JobSpec& spec, size_t partitions);

  // The next record of partition index `partition`, in offset order; the caller stops at the offset vector.
  void Add(size_t partition, std::string_view value);

  struct Result {
    // What the batch's journal record must say.
    std::vector<Entry> top;
    std::vector<Digest> digests;
    uint64_t records = 0;
    uint64_t bad_records = 0;
    // By partition index, then by reason.
    std::vector<std::map<BadReason, uint64_t>> bad;
  };
  Result Compute() const;

  // Empty if `batch` says what Compute() says; else a sentence that names the first difference and both values.
  std::string Difference(const BatchCommitted& batch) const;

 private:
  // Filled in by the implementation.
};

}  // namespace tenfold
