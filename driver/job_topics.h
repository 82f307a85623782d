// What the driver asks of Kafka for one job (the partitions' ends, new partitions) and tells it (the group's offsets). Each
// has a thread of its own, so that a slow call of one kind does not hold up a batch. Completions are called on these
// threads; the receiver only posts them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "common/thread/event_queue.h"
#include "common/thread/mutex.h"
#include "driver/core/action.h"
#include "driver/core/partition_search.h"
#include "job_spec.pb.h"
#include "jobs/plan/sources.h"
#include "state.pb.h"

namespace tenfold {

class JobTopics {
 public:
  // Once `stop` is asked for no further call to Kafka is begun: what needs one is UNAVAILABLE, or is not done.
  static absl::StatusOr<std::unique_ptr<JobTopics>> Create(const JobSpec& spec, const LogConfig& log, std::stop_token stop);
  // Waits for the call in flight, which ends by its timeout of 3 s; no other is begun.
  ~JobTopics();

  // The partitions of the job's topics, resolved to start and end offsets as the spec says; none of a topic that the job
  // waits for. NOT_FOUND for one that it does not wait for.
  absl::StatusOr<std::vector<Partition>> Resolve(absl::Time deadline);
  // Why the spec does not allow the topics, or OK: one of them is compacted. OK as well where Kafka refuses to tell.
  absl::Status CheckCompacted(absl::Time deadline);
  // High watermarks of all partitions that the topics have now.
  absl::StatusOr<std::vector<std::pair<TopicPartition, int64_t>>> HighWatermarks();
  // The partitions that are new, and the offsets at which the known ones begin.
  absl::StatusOr<FoundPartitions> Find(const std::vector<Partition>& known);

  // Gets the end of each partition, or why it is not known.
  using EndsDone = std::function<void(Ends)>;
  void QueryEnds(const std::vector<Partition>& partitions, EndsDone done);
  using FoundDone = std::function<void(absl::StatusOr<FoundPartitions>)>;
  void FindPartitions(const std::vector<Partition>& known, FoundDone done);

  // Tells lag tools how far the job is: commits the latest of these in group `tenfold-JOB`, at most once a second. Advisory:
  // failures are logged, and tried again while they may pass.
  void SetGroupOffsets(const std::vector<Partition>& partitions, std::vector<int64_t> next_offsets);

 private:
  JobTopics(const JobSpec& spec, const LogConfig& log, std::unique_ptr<LogClient> client, std::stop_token stop);
  // The time, or a longer one, where brokers are so far away that it is too short for a few round trips.
  absl::Duration Scaled(absl::Duration time) const;
  // The high watermarks of the partitions, -1 where not known; empty but for now and then.
  std::vector<int64_t> AskHighWatermarks(const std::vector<TopicPartition>& partitions, absl::Time deadline);
  // By index, who holds back the records of those partitions whose stable end has stayed below the high watermark since the
  // watermarks were last asked for; of the first few, where Kafka tells.
  std::map<uint32_t, std::string> AskHolders(const std::vector<TopicPartition>& partitions,
                                             const std::vector<int64_t>& watermarks, absl::Time deadline);
  // How long a call to Kafka may take that has to end by the deadline; UNAVAILABLE if none may begin.
  absl::StatusOr<absl::Duration> CallTime(absl::Time deadline) const;
  struct Topic {
    std::string name;
    size_t source = 0;
    absl::StatusOr<int32_t> partitions = 0;
  };
  // The topics of all sources: those that each names, and then by name those that it matches. RESOURCE_EXHAUSTED if they are
  // too many.
  absl::StatusOr<std::vector<Topic>> TopicsNow(absl::Time deadline);
  // The topics of these partitions.
  absl::StatusOr<std::vector<Topic>> TopicsOf(const std::vector<Partition>& partitions, absl::Time deadline);
  // Asks Kafka how many partitions each of them has.
  absl::StatusOr<std::vector<Topic>> WithPartitions(std::vector<Topic> topics, absl::Time deadline);
  // Those that are there.
  static std::vector<std::string> NamesOf(const std::vector<Topic>& topics);
  // Sets where the partitions of a source begin and end.
  absl::Status SetRange(size_t source, const std::vector<Partition*>& partitions, absl::Time deadline);
  // The offset that a start or an end of the spec (`what` says which of them) is in each of the partitions, whose logs have
  // offsets from `begins` to `ends`.
  absl::StatusOr<std::vector<int64_t>> Places(const LogPosition& position, const std::string& what,
                                              const std::vector<TopicPartition>& partitions,
                                              const std::vector<int64_t>& begins, const std::vector<int64_t>& ends,
                                              absl::Time deadline);
  // The first of the topics that is compacted although the spec does not allow it, or "". Asks Kafka at most once a minute
  // while they are the same; an error as long as it has never answered.
  absl::StatusOr<std::string> FindCompacted(std::vector<std::string> topics, absl::Time deadline);
  absl::StatusOr<std::vector<int64_t>> Offsets(const std::vector<TopicPartition>& partitions, LogClient::Position position,
                                               absl::Time deadline);
  void RunGroup();

  struct GroupOffsets {
    std::vector<TopicPartition> partitions;
    std::vector<int64_t> next_offsets;
  };

  const KafkaSource kafka_;
  const TopicMatcher matcher_;
  // Its connections are shared with other jobs.
  const std::unique_ptr<LogClient> client_;
  const std::stop_token stop_;
  std::stop_source closing_;

  Mutex mutex_;
  // Unset as long as Kafka has not answered.
  std::optional<std::string> compacted_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> asked_compacted_ ABSL_GUARDED_BY(mutex_);
  absl::Time ask_compacted_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time ask_watermarks_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  // The stable ends as they were last told, and those that were below the high watermark when that was last asked for.
  std::map<TopicPartition, int64_t> ends_told_ ABSL_GUARDED_BY(mutex_);
  std::map<TopicPartition, int64_t> held_ends_ ABSL_GUARDED_BY(mutex_);

  TaskThread ends_;
  TaskThread metadata_;

  EventQueue<GroupOffsets> group_offsets_;
  // Whether the job commits to a group at all.
  const bool has_group_;
  // Used by its thread alone.
  LogGroup group_;
  std::jthread group_thread_;
};

}  // namespace tenfold
