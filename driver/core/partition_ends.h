// How far the partitions of a job go, as last seen, and which of them give nothing, why and since when. Times are
// microseconds of the decisions' clock. Pure; used by one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "driver.pb.h"
#include "driver/core/action.h"
#include "driver/core/journalled_job.h"
#include "waiting.pb.h"

namespace tenfold {

class PartitionEnds {
 public:
  // `job` outlives the object.
  explicit PartitionEnds(const JournalledJob* job) : job_(job) {}

  // One for each partition. What lies behind the job's end in it does not count.
  void Take(const Ends& ends, int64_t now_us);
  // By partition index, -1 where not known. Where one stays beyond the same end, records wait for the end of a transaction.
  // Also who holds them back, by index, where Kafka was asked.
  void TakeHighWatermarks(const std::vector<int64_t>& watermarks, const std::map<uint32_t, std::string>& holders,
                          int64_t now_us);
  // The partitions' ends now; of those of which it is not known, how far they are folded.
  std::vector<int64_t> Known() const;
  // As last seen; -1 if never.
  int64_t end(uint32_t partition) const { return partition < ends_.size() ? ends_[partition] : -1; }
  // Offsets between the last batch and the ends as last seen.
  uint64_t lag() const;

  // Partitions, by index, that end below what is folded of them, and what becomes of the job: it waits at first, as a new
  // leader reports older ends for a moment; the topic may have been created again or truncated.
  struct Truncated {
    Waiting waiting;
    // Not empty if the job must fail.
    std::string failure;
  };
  std::optional<Truncated> CheckTruncated(const std::vector<uint32_t>& truncated, int64_t now_us);
  // Whatever is truncated is so from now on at the earliest.
  void ForgetTruncated() { truncated_since_us_.reset(); }
  // The process stood still for so long.
  void OnPaused(int64_t paused_us);

  // Whether no partition's end is known, although there are partitions.
  bool nothing_known() const { return !ends_.empty() && stuck_.size() == ends_.size(); }
  // By partition index, its next offset if that has been its end, as Kafka told it, since `since_us`, with no records that
  // wait for the end of a transaction; -1 otherwise. Empty if none has.
  std::vector<int64_t> IdleSince(int64_t since_us) const;
  // Returns what the job goes on without: of kind WAITING_STUCK, with the first partition that gives nothing, or
  // WAITING_NOT if all give something.
  Waiting Stuck() const;
  // Returns the partition's status without its counters.
  PartitionStatus Status(uint32_t partition) const;
  // Adds the status of each partition that gives nothing.
  void AddStuck(google::protobuf::RepeatedPtrField<PartitionStatus>* stuck) const;

 private:
  struct Problem {
    std::string why;
    int64_t since_us = 0;
  };

  const JournalledJob* const job_;
  std::vector<int64_t> ends_;
  // By partition index.
  std::map<uint32_t, Problem> stuck_;
  // An end that is below the high watermark, since when, and how many records before the watermark were still not readable
  // when ends were asked for later: those that come between the two questions are no sign of a transaction.
  struct Held {
    int64_t end = 0;
    int64_t watermark = 0;
    int64_t since_us = 0;
    int64_t records = 0;
    // Empty if it is not known.
    std::string by = {};
  };
  std::map<uint32_t, Held> held_;
  // An end that is the next offset, and since when it has been seen so.
  struct Reached {
    int64_t end = 0;
    int64_t since_us = 0;
  };
  std::map<uint32_t, Reached> reached_;
  std::optional<int64_t> truncated_since_us_;
};

}  // namespace tenfold
