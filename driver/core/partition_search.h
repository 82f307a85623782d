// The search for partitions that were added to a job's topics: when to ask Kafka, and what was found and is not journalled
// yet. Times are microseconds of the decisions' clock. Pure; used by one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "driver/core/journalled_job.h"
#include "state.pb.h"

namespace tenfold {

// What a search finds.
struct FoundPartitions {
  // Partitions that the job does not have.
  std::vector<Partition> added;
  // The first offsets that Kafka still has of those that it has, by partition index; -1 for those that are gone, or
  // of which it is not known.
  std::vector<int64_t> begins;
  // The indexes of partitions that the job has and its topics, which are there, do not.
  std::vector<uint32_t> gone;
  // The high watermarks of those that it has, by partition index, -1 where not known; empty if they were not asked for.
  std::vector<int64_t> high_watermarks = {};
  // By index, who holds a partition's records back with an open transaction, of those for which Kafka was asked that.
  std::map<uint32_t, std::string> holders = {};
  // A topic that is compacted although the spec does not allow it; empty if there is none.
  std::string compacted;
};

class PartitionSearch {
 public:
  // `job` outlives the object.
  explicit PartitionSearch(const JournalledJob* job) : job_(job) {}

  // Whether a search is due; if so it is under way from now on, until OnAnswer.
  bool Begin(int64_t now_us);
  // The job's topics may be others now: a search is due, and until it has an answer what was found does not count. A hold
  // remains where the spec does not allow compacted topics.
  void Restart();
  // The answer to a search, or to somebody else's question for the same.
  void OnAnswer(const absl::StatusOr<FoundPartitions>& found, int64_t now_us);
  // Partitions to be journalled, each once.
  std::vector<Partition> Take();
  // Why the job must fail, or "": for a while its topics have fewer partitions than it. A broker that has just started may
  // not have heard of all.
  std::string Failure(int64_t now_us) const;
  // The process stood still for so long.
  void OnPaused(int64_t paused_us);
  // Whether a search has succeeded since the start, or Restart.
  bool answered() const { return answered_; }
  // Why the last search had no answer, or "".
  const std::string& trouble() const { return trouble_; }
  // Why the job must not go on as long as its patterns match more topics than a job has, or "".
  const std::string& too_many() const { return too_many_; }
  // A topic that the job must not read on as long as it is compacted, or "".
  const std::string& compacted() const { return compacted_; }

  // When the next search is due; the maximum while one is under way.
  int64_t NextTimeUs() const;

 private:
  const JournalledJob* const job_;
  bool under_way_ = false;
  bool answered_ = false;
  int64_t next_us_ = 0;
  std::vector<Partition> found_;
  std::string compacted_;
  std::string too_many_;
  std::string trouble_;
  // The first partition that is gone, and since when; unset if none is.
  std::optional<uint32_t> gone_;
  int64_t gone_since_us_ = 0;
};

}  // namespace tenfold
