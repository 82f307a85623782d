#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/kafka_handles.h"
#include "common/kafka/log.h"
#include "common/kafka/open_transaction.h"
#include "common/kafka/property_value.h"
#include "common/kafka/wire_security.h"
#include "common/text/address.h"
#include "common/thread/mutex.h"

namespace tenfold {
namespace {

constexpr absl::Duration kRetryPause = absl::Milliseconds(50);
// How often a client is made to ask for partitions that it does not know.
constexpr int kMostRefreshes = 3;
// How long a broker that did not answer is left alone.
constexpr absl::Duration kAskLeaderAfter = absl::Seconds(3);

absl::Status MissingTopic(const std::string& topic, const std::string& brokers) {
  return absl::NotFoundError(absl::StrCat("topic ", topic, " does not exist on Kafka at ", brokers));
}

bool AllKnown(const std::vector<absl::StatusOr<int64_t>>& offsets) {
  return std::ranges::all_of(offsets, [](const auto& offset) { return offset.ok(); });
}

// The clients of librdkafka that LogClients with the same brokers and properties share. Thread-safe.
struct SharedHandles {
  // A client that sees what a read_committed consumer sees; it also serves all requests for which that does not matter.
  std::unique_ptr<KafkaHandle> committed;
  Mutex mutex;
  // A read_uncommitted client, created when the high watermark is first asked for.
  std::shared_ptr<KafkaHandle> uncommitted ABSL_GUARDED_BY(mutex);
};

class KafkaLogClient : public LogClient {
 public:
  KafkaLogClient(LogConfig config, std::shared_ptr<SharedHandles> handles)
      : config_(std::move(config)), handles_(std::move(handles)), committed_(handles_->committed.get()) {}

  static absl::StatusOr<std::shared_ptr<SharedHandles>> MakeHandles(const LogConfig& config) {
    absl::StatusOr<std::unique_ptr<KafkaHandle>> committed = MakeHandle(config, "read_committed");
    if (!committed.ok()) return committed.status();
    auto handles = std::make_shared<SharedHandles>();
    handles->committed = *std::move(committed);
    return handles;
  }

  absl::StatusOr<std::vector<std::string>> Topics(absl::Duration timeout) override {
    const absl::Time deadline = absl::Now() + timeout;
    std::vector<std::string> topics;
    const rd_kafka_resp_err_t error = Retry(*committed_, deadline, [&] {
      const rd_kafka_metadata_t* raw = nullptr;
      const rd_kafka_resp_err_t failure =
          rd_kafka_metadata(committed_->get(), 1, nullptr, &raw, KafkaMilliseconds(deadline - absl::Now()));
      if (failure != RD_KAFKA_RESP_ERR_NO_ERROR) return failure;
      const KafkaMetadata metadata(raw);
      topics.clear();
      for (int i = 0; i < metadata->topic_cnt; ++i) {
        // One that has no leader, say, is there all the same.
        if (metadata->topics[i].err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
          topics.emplace_back(metadata->topics[i].topic);
      }
      return RD_KAFKA_RESP_ERR_NO_ERROR;
    });
    if (IsTransient(error)) return committed_->Unreachable();
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
      return absl::FailedPreconditionError(absl::StrCat("list topics: ", rd_kafka_err2str(error)));
    std::ranges::sort(topics);
    return topics;
  }

  std::vector<absl::StatusOr<int32_t>> EachPartitionCount(const std::vector<std::string>& topics,
                                                          absl::Duration timeout) override {
    const absl::Time deadline = absl::Now() + timeout;
    std::vector<absl::StatusOr<int32_t>> counts;
    for (const std::string& topic : topics) {
      const absl::StatusOr<std::vector<Leader>> leaders = Leaders(topic, deadline);
      counts.push_back(leaders.ok() ? absl::StatusOr<int32_t>(static_cast<int32_t>(leaders->size())) : leaders.status());
    }
    return counts;
  }

  absl::StatusOr<std::string> FindCompacted(const std::vector<std::string>& topics, absl::Duration timeout) override {
    if (IsMock(timeout)) return "";
    using ConfigResource = KafkaPtr<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy>;
    std::vector<ConfigResource> resources;
    std::vector<rd_kafka_ConfigResource_t*> asked;
    for (const std::string& topic : topics) {
      resources.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
      asked.push_back(resources.back().get());
    }
    absl::StatusOr<KafkaEvent> event =
        Ask("ask for cleanup policies", RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout,
            [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
              rd_kafka_DescribeConfigs(committed_->get(), asked.data(), asked.size(), options, queue);
            });
    if (!event.ok()) return event.status();
    size_t count = 0;
    const rd_kafka_ConfigResource_t** results =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event->get()), &count);
    std::set<std::string_view> compacted;
    absl::Status refused;
    for (size_t i = 0; i < count; ++i) {
      if (const rd_kafka_resp_err_t error = rd_kafka_ConfigResource_error(results[i]); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (IsTransient(error)) return committed_->Unreachable();
        refused = absl::FailedPreconditionError(absl::StrCat("ask for the cleanup policy of topic ",
                                                             rd_kafka_ConfigResource_name(results[i]), ": ",
                                                             rd_kafka_err2str(error)));
      }
      size_t entries = 0;
      const rd_kafka_ConfigEntry_t** configs = rd_kafka_ConfigResource_configs(results[i], &entries);
      for (size_t e = 0; e < entries; ++e) {
        const char* value = rd_kafka_ConfigEntry_value(configs[e]);
        if (rd_kafka_ConfigEntry_name(configs[e]) != std::string_view("cleanup.policy") || value == nullptr) continue;
        if (absl::StrContains(value, "compact")) compacted.insert(rd_kafka_ConfigResource_name(results[i]));
      }
    }
    const auto first = std::ranges::find_if(topics, [&](const std::string& topic) { return compacted.contains(topic); });
    if (first != topics.end()) return *first;
    if (!refused.ok()) return refused;
    return "";
  }

  std::vector<absl::StatusOr<int64_t>> EachOffset(const std::vector<TopicPartition>& partitions, Position position,
                                                  absl::Duration timeout) override {
    if (partitions.empty()) return {};
    absl::StatusOr<std::shared_ptr<KafkaHandle>> handle = HandleFor(position);
    if (!handle.ok()) return std::vector<absl::StatusOr<int64_t>>(partitions.size(), handle.status());
    const int64_t query = position == Position::kBegin ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END;
    const absl::Time deadline = absl::Now() + timeout;
    // Trouble of the client that asks for high watermarks says nothing of the other one.
    const bool informs = position == Position::kHighWatermark;
    if (informs || !trouble_) {
      std::vector<absl::StatusOr<int64_t>> offsets = QueryOffsets(**handle, partitions, query, absl::Now() + timeout / 2);
      if (AllKnown(offsets)) return offsets;
      // A client that is asked now and then may go on to know nothing of a partition whose only broker was away.
      if (informs && misses_partition_.exchange(false)) {
        Forget(**handle);
        handle = HandleFor(position);
        if (handle.ok()) return QueryOffsets(**handle, partitions, query, deadline);
      }
    }
    std::vector<absl::StatusOr<int64_t>> offsets = OffsetsByLeader(**handle, partitions, query, deadline);
    if (!informs) trouble_ = !AllKnown(offsets);
    return offsets;
  }

  absl::StatusOr<std::vector<std::optional<int64_t>>> OffsetsAt(const std::vector<TopicPartition>& partitions,
                                                                int64_t time_ms, absl::Duration timeout) override {
    std::vector<std::optional<int64_t>> found(partitions.size());
    if (partitions.empty()) return found;
    const absl::Time deadline = absl::Now() + timeout;
    std::string failed;
    const rd_kafka_resp_err_t error = Retry(*committed_, deadline, [&] {
      const KafkaPartitions list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
      for (const TopicPartition& partition : partitions) {
        rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition)->offset = time_ms;
      }
      const rd_kafka_resp_err_t failure =
          rd_kafka_offsets_for_times(committed_->get(), list.get(), KafkaMilliseconds(deadline - absl::Now()));
      if (failure != RD_KAFKA_RESP_ERR_NO_ERROR) return failure;
      for (int i = 0; i < list->cnt; ++i) {
        rd_kafka_resp_err_t of_one = list->elems[i].err;
        // librdkafka 2.0.2 reports success although this partition was not answered in time; then the time stays there.
        if (of_one == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[i].offset == time_ms) of_one = RD_KAFKA_RESP_ERR__TIMED_OUT;
        failed = partitions[static_cast<size_t>(i)].Name();
        if (of_one != RD_KAFKA_RESP_ERR_NO_ERROR) return of_one;
        const int64_t offset = list->elems[i].offset;
        found[static_cast<size_t>(i)] = offset < 0 ? std::nullopt : std::optional(offset);
      }
      return RD_KAFKA_RESP_ERR_NO_ERROR;
    });
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return found;
    if (IsTransient(error)) return committed_->Unreachable();
    return absl::FailedPreconditionError(absl::StrCat("look up a time in ", failed, ": ", rd_kafka_err2str(error)));
  }

  absl::StatusOr<std::string> FindOpenTransaction(const TopicPartition& partition, absl::Duration timeout) override {
    if (const std::string unfit = WireSecurity::Unfit(config_); !unfit.empty())
      return absl::UnimplementedError(absl::StrCat("librdkafka alone cannot ask for open transactions: ", unfit));
    const absl::StatusOr<WireSession> session = WireSecurity(config_).ForConnection();
    if (!session.ok()) return session.status();
    const absl::Time deadline = absl::Now() + timeout;
    std::map<int32_t, Address> brokers;
    const absl::StatusOr<std::vector<Leader>> leaders = Leaders(partition.topic, deadline, &brokers);
    if (!leaders.ok()) return leaders.status();
    const auto p = static_cast<size_t>(partition.partition);
    return tenfold::FindOpenTransaction(partition, p < leaders->size() ? (*leaders)[p] : -1, brokers, *session, deadline);
  }

  absl::Duration RoundTrip() const override { return committed_->round_trip(); }

  absl::Status CreateTopic(const std::string& topic, int partitions, int replication, absl::Duration timeout) override {
    const absl::Time deadline = absl::Now() + timeout;
    const auto count_now = [&] { return EachPartitionCount({topic}, deadline - absl::Now()).front(); };
    absl::StatusOr<int32_t> count = count_now();
    if (absl::IsNotFound(count.status())) {
      if (absl::Status status = RequestTopic(topic, partitions, replication, deadline); !status.ok()) return status;
      // Brokers learn of a new topic one after the other.
      do {
        count = count_now();
        if (!absl::IsNotFound(count.status())) break;
        absl::SleepFor(kRetryPause);
      } while (absl::Now() < deadline);
    }
    if (!count.ok()) return count.status();
    if (*count >= partitions) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("topic ", topic, " exists with ", *count, " partitions, fewer than ",
                                                      partitions, "; give another topic or that many"));
  }

 private:
  using SendRequest = std::function<void(const rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>;

  static absl::StatusOr<std::unique_ptr<KafkaHandle>> MakeHandle(const LogConfig& config, const char* isolation_level) {
    KafkaHandle::Options options;
    options.required = {{"isolation.level", isolation_level}, {"allow.auto.create.topics", "false"}};
    return KafkaHandle::Create(config, std::move(options));
  }

  absl::StatusOr<std::shared_ptr<KafkaHandle>> HandleFor(Position position) {
    if (position != Position::kHighWatermark) return std::shared_ptr<KafkaHandle>(handles_, committed_);
    MutexLock lock(&handles_->mutex);
    if (handles_->uncommitted == nullptr) {
      absl::StatusOr<std::unique_ptr<KafkaHandle>> handle = MakeHandle(config_, "read_uncommitted");
      if (!handle.ok()) return handle.status();
      handles_->uncommitted = *std::move(handle);
    }
    return handles_->uncommitted;
  }
  // The next HandleFor makes another one.
  void Forget(const KafkaHandle& uncommitted) {
    std::shared_ptr<KafkaHandle> last;
    MutexLock lock(&handles_->mutex);
    if (handles_->uncommitted.get() == &uncommitted) last = std::move(handles_->uncommitted);
  }

  // Repeats a request until it succeeds, fails for good, or the deadline has passed.
  static rd_kafka_resp_err_t Retry(KafkaHandle& handle, absl::Time deadline,
                                   const std::function<rd_kafka_resp_err_t()>& ask) {
    while (true) {
      const rd_kafka_resp_err_t error = ask();
      handle.Serve(0);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) handle.MarkUp();
      const absl::Duration left = deadline - absl::Now();
      if (!IsTransient(error) || left <= absl::ZeroDuration()) return error;
      absl::SleepFor(std::min(left, kRetryPause));
    }
  }

  // A partition's leader, -1 if it has none.
  using Leader = int32_t;

  // Returns the leaders of the topic's partitions, in their order; and the brokers by id, if asked for.
  absl::StatusOr<std::vector<Leader>> Leaders(const std::string& name, absl::Time deadline,
                                              std::map<Leader, Address>* brokers = nullptr) {
    const KafkaTopic topic(rd_kafka_topic_new(committed_->get(), name.c_str(), nullptr));
    if (topic == nullptr) return absl::InvalidArgumentError(absl::StrCat("'", name, "' is no name of a Kafka topic"));
    std::vector<Leader> leaders;
    const rd_kafka_resp_err_t error = Retry(*committed_, deadline, [&] {
      const rd_kafka_metadata_t* raw = nullptr;
      const rd_kafka_resp_err_t failure =
          rd_kafka_metadata(committed_->get(), 0, topic.get(), &raw, KafkaMilliseconds(deadline - absl::Now()));
      if (failure != RD_KAFKA_RESP_ERR_NO_ERROR) return failure;
      const KafkaMetadata metadata(raw);
      for (int i = 0; brokers != nullptr && i < metadata->broker_cnt; ++i) {
        const rd_kafka_metadata_broker_t& broker = metadata->brokers[i];
        (*brokers)[broker.id] = {broker.host, broker.port};
      }
      if (metadata->topic_cnt != 1) return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
      const rd_kafka_metadata_topic_t& found = metadata->topics[0];
      leaders.assign(static_cast<size_t>(found.partition_cnt), -1);
      for (int i = 0; i < found.partition_cnt; ++i) {
        const rd_kafka_metadata_partition_t& partition = found.partitions[i];
        if (partition.id >= 0 && partition.id < found.partition_cnt)
          leaders[static_cast<size_t>(partition.id)] = partition.leader;
      }
      return found.err;
    });
    switch (error) {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        return leaders;
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        return MissingTopic(name, config_.brokers);
      case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return absl::PermissionDeniedError(absl::StrCat("Kafka at ", config_.brokers, " refuses access to topic ", name));
      case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        return absl::InvalidArgumentError(absl::StrCat("'", name, "' is no name of a Kafka topic"));
      default:
        if (IsTransient(error)) return committed_->Unreachable();
        return absl::FailedPreconditionError(absl::StrCat("look up topic ", name, ": ", rd_kafka_err2str(error)));
    }
  }

  // Has the client ask what partitions the topics have.
  static void Refresh(const KafkaHandle& handle, const std::vector<TopicPartition>& partitions, absl::Time deadline) {
    std::set<std::string> topics;
    for (const TopicPartition& partition : partitions) topics.insert(partition.topic);
    for (const std::string& name : topics) {
      const KafkaTopic topic(rd_kafka_topic_new(handle.get(), name.c_str(), nullptr));
      const rd_kafka_metadata_t* raw = nullptr;
      const int timeout_ms = KafkaMilliseconds(deadline - absl::Now());
      if (topic != nullptr &&
          rd_kafka_metadata(handle.get(), 0, topic.get(), &raw, timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(raw);
    }
  }

  // Asks for all of them with one request, until all are known or it is no use.
  std::vector<absl::StatusOr<int64_t>> QueryOffsets(KafkaHandle& handle, const std::vector<TopicPartition>& partitions,
                                                    int64_t query, absl::Time deadline) {
    std::vector<absl::StatusOr<int64_t>> offsets(partitions.size(), absl::UnknownError("not asked"));
    int refreshes = 0;
    const rd_kafka_resp_err_t error = Retry(handle, deadline, [&] {
      const KafkaPartitions list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
      for (const TopicPartition& partition : partitions) {
        rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition)->offset = query;
      }
      const rd_kafka_resp_err_t failure =
          rd_kafka_offsets_for_times(handle.get(), list.get(), KafkaMilliseconds(deadline - absl::Now()));
      if (failure != RD_KAFKA_RESP_ERR_NO_ERROR) return failure;
      rd_kafka_resp_err_t first = RD_KAFKA_RESP_ERR_NO_ERROR;
      for (int i = 0; i < list->cnt; ++i) {
        rd_kafka_resp_err_t of_one = list->elems[i].err;
        // librdkafka 2.0.2 reports success although this partition was not answered in time.
        if (of_one == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[i].offset < 0) of_one = RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (of_one == RD_KAFKA_RESP_ERR_NO_ERROR) {
          offsets[static_cast<size_t>(i)] = list->elems[i].offset;
        } else if (first == RD_KAFKA_RESP_ERR_NO_ERROR) {
          first = of_one;
        }
      }
      // Each client learns of a new partition by itself, within seconds; and a broker that has just started tells of none.
      if (first != RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || ++refreshes > kMostRefreshes) return first;
      Refresh(handle, partitions, deadline);
      return RD_KAFKA_RESP_ERR__WAIT_CACHE;
    });
    if (error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) misses_partition_ = true;
    for (size_t i = 0; i < partitions.size(); ++i) {
      if (offsets[i].ok()) continue;
      const std::string name = partitions[i].Name();
      if (error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) {
        // Of one that does not exist OffsetsByLeader tells.
        offsets[i] = absl::UnavailableError(absl::StrCat(name, " has no leader"));
      } else if (IsTransient(error)) {
        offsets[i] = handle.Unreachable();
      } else {
        offsets[i] =
            absl::FailedPreconditionError(absl::StrCat("look up the offset of ", name, ": ", rd_kafka_err2str(error)));
      }
    }
    return offsets;
  }

  // Asks each broker for the partitions that it leads; those that failed last come last, and one that has just failed is not
  // asked for a moment. A broker that is silent leaves time for those that follow.
  std::vector<absl::StatusOr<int64_t>> OffsetsByLeader(KafkaHandle& handle, const std::vector<TopicPartition>& partitions,
                                                       int64_t query, absl::Time deadline) {
    std::map<std::string, absl::StatusOr<std::vector<Leader>>> topics;
    for (const TopicPartition& partition : partitions) {
      if (!topics.contains(partition.topic)) topics.emplace(partition.topic, Leaders(partition.topic, deadline));
    }
    std::vector<absl::StatusOr<int64_t>> offsets(partitions.size(), absl::UnknownError("not asked"));
    std::map<Leader, std::vector<size_t>> by_leader;
    for (size_t i = 0; i < partitions.size(); ++i) {
      const TopicPartition& partition = partitions[i];
      const std::string name = partition.Name();
      const absl::StatusOr<std::vector<Leader>>& leaders = topics.at(partition.topic);
      if (!leaders.ok()) {
        offsets[i] = leaders.status();
      } else if (static_cast<size_t>(partition.partition) >= leaders->size()) {
        offsets[i] = absl::NotFoundError(
            absl::StrCat(name, " does not exist: topic ", partition.topic, " has ", leaders->size(), " partitions"));
      } else if (const Leader leader = (*leaders)[static_cast<size_t>(partition.partition)]; leader < 0) {
        offsets[i] = absl::UnavailableError(absl::StrCat(name, " has no leader"));
      } else {
        by_leader[leader].push_back(i);
      }
    }
    size_t not_asked = by_leader.size();
    for (const Leader leader : BestFirst(by_leader)) {
      const std::vector<size_t>& indexes = by_leader.at(leader);
      const absl::Duration left = deadline - absl::Now();
      const absl::Duration share = left / static_cast<double>(not_asked--);
      std::vector<TopicPartition> led;
      for (const size_t i : indexes) led.push_back(partitions[i]);
      std::vector<absl::StatusOr<int64_t>> asked(led.size(), absl::UnavailableError("not asked"));
      if (!FailedJustNow(leader) && left > absl::ZeroDuration()) {
        asked = QueryOffsets(handle, led, query, absl::Now() + share);
        NoteLeader(leader, std::ranges::none_of(asked, [](const auto& one) { return absl::IsUnavailable(one.status()); }));
      }
      for (size_t i = 0; i < led.size(); ++i) {
        offsets[indexes[i]] = std::move(asked[i]);
        if (!absl::IsUnavailable(offsets[indexes[i]].status())) continue;
        offsets[indexes[i]] =
            absl::UnavailableError(absl::StrCat(led[i].Name(), ": its leader, broker ", leader, ", does not answer"));
      }
    }
    return offsets;
  }

  // The leaders, those that answered when they were asked last first.
  std::vector<Leader> BestFirst(const std::map<Leader, std::vector<size_t>>& by_leader) {
    MutexLock lock(&mutex_);
    std::vector<Leader> leaders;
    std::vector<Leader> failed;
    for (const auto& [leader, indexes] : by_leader) (ask_leader_at_.contains(leader) ? failed : leaders).push_back(leader);
    leaders.insert(leaders.end(), failed.begin(), failed.end());
    return leaders;
  }
  bool FailedJustNow(Leader leader) {
    MutexLock lock(&mutex_);
    const auto it = ask_leader_at_.find(leader);
    return it != ask_leader_at_.end() && absl::Now() < it->second;
  }
  void NoteLeader(Leader leader, bool answered) {
    MutexLock lock(&mutex_);
    if (answered) {
      ask_leader_at_.erase(leader);
    } else {
      ask_leader_at_[leader] = absl::Now() + kAskLeaderAfter;
    }
  }

  // Whether this is librdkafka's mock cluster, which leaves some admin requests without an answer.
  bool IsMock(absl::Duration timeout) {
    using ClusterId = std::unique_ptr<char, decltype(&std::free)>;
    const ClusterId id(rd_kafka_clusterid(committed_->get(), KafkaMilliseconds(timeout)), &std::free);
    return id != nullptr && std::string_view(id.get()).starts_with("mockCluster");
  }

  // Sends an admin request and waits for its result.
  absl::StatusOr<KafkaEvent> Ask(const std::string& what, rd_kafka_admin_op_t operation, absl::Duration timeout,
                                 const SendRequest& send) {
    using AdminOptions = KafkaPtr<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
    const int timeout_ms = std::max(1, KafkaMilliseconds(timeout));
    const AdminOptions options(rd_kafka_AdminOptions_new(committed_->get(), operation));
    rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms, nullptr, 0);
    if (operation == RD_KAFKA_ADMIN_OP_CREATETOPICS) {
      rd_kafka_AdminOptions_set_operation_timeout(options.get(), timeout_ms, nullptr, 0);
    }
    const KafkaQueue queue(rd_kafka_queue_new(committed_->get()));
    send(options.get(), queue.get());
    // librdkafka ends the request in time by itself; the margin lets it report the reason.
    KafkaEvent event(rd_kafka_queue_poll(queue.get(), timeout_ms + 500));
    committed_->Serve(0);
    if (event == nullptr) return committed_->Unreachable();
    const rd_kafka_resp_err_t error = rd_kafka_event_error(event.get());
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return event;
    if (IsTransient(error)) return committed_->Unreachable();
    return absl::FailedPreconditionError(absl::StrCat(what, ": ", rd_kafka_event_error_string(event.get())));
  }

  absl::Status RequestTopic(const std::string& topic, int partitions, int replication, absl::Time deadline) {
    using NewTopic = KafkaPtr<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy>;
    char message[256];
    const NewTopic wanted(rd_kafka_NewTopic_new(topic.c_str(), partitions, replication, message, sizeof(message)));
    if (wanted == nullptr) return absl::InvalidArgumentError(absl::StrCat("create topic ", topic, ": ", message));
    rd_kafka_NewTopic_t* request = wanted.get();
    const std::string what = absl::StrCat("create topic ", topic);
    absl::StatusOr<KafkaEvent> event = Ask(what, RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline - absl::Now(),
                                           [&](const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                                             rd_kafka_CreateTopics(committed_->get(), &request, 1, options, queue);
                                           });
    if (!event.ok()) return event.status();
    size_t count = 0;
    const rd_kafka_topic_result_t** results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event->get()), &count);
    for (size_t i = 0; i < count; ++i) {
      const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) continue;
      const char* reason = rd_kafka_topic_result_error_string(results[i]);
      return absl::FailedPreconditionError(absl::StrCat(what, ": ", reason != nullptr ? reason : rd_kafka_err2str(error)));
    }
    return absl::OkStatus();
  }

  const LogConfig config_;
  const std::shared_ptr<SharedHandles> handles_;
  KafkaHandle* const committed_;

  // The last offsets asked for were not all known.
  std::atomic<bool> trouble_ = false;
  // A client did not know of a partition that it was asked for, even when it had asked for what there is.
  std::atomic<bool> misses_partition_ = false;

  Mutex mutex_;
  // When brokers that did not answer are asked again.
  std::map<Leader, absl::Time> ask_leader_at_ ABSL_GUARDED_BY(mutex_);
};

// Returns all values, or the first error.
template <typename Value>
absl::StatusOr<std::vector<Value>> AllOf(const std::vector<absl::StatusOr<Value>>& each) {
  std::vector<Value> all;
  for (const absl::StatusOr<Value>& one : each) {
    if (!one.ok()) return one.status();
    all.push_back(*one);
  }
  return all;
}

}  // namespace

absl::StatusOr<std::vector<int32_t>> LogClient::PartitionCounts(const std::vector<std::string>& topics,
                                                                absl::Duration timeout) {
  return AllOf(EachPartitionCount(topics, timeout));
}

absl::StatusOr<std::vector<int64_t>> LogClient::Offsets(const std::vector<TopicPartition>& partitions, Position position,
                                                        absl::Duration timeout) {
  return AllOf(EachOffset(partitions, position, timeout));
}

absl::StatusOr<std::unique_ptr<LogClient>> LogClient::Shared(const LogConfig& config) {
  static auto* const mutex = new Mutex;
  static auto* const clients = new std::map<std::string, std::weak_ptr<SharedHandles>>;
  std::string key = config.brokers;
  for (const auto& [name, value] : config.properties) {
    // A file may hold another secret by now than when a client was made of it.
    const absl::StatusOr<std::string> resolved = PropertyValue(name, value, config.property_dirs);
    if (!resolved.ok()) return resolved.status();
    absl::StrAppend(&key, ";", name, ";", resolved->size(), ";", *resolved);
  }
  MutexLock lock(mutex);
  std::erase_if(*clients, [](const auto& entry) { return entry.second.expired(); });
  std::shared_ptr<SharedHandles> handles = (*clients)[key].lock();
  if (handles == nullptr) {
    absl::StatusOr<std::shared_ptr<SharedHandles>> made = KafkaLogClient::MakeHandles(config);
    if (!made.ok()) return made.status();
    handles = *std::move(made);
    (*clients)[key] = handles;
  }
  return std::make_unique<KafkaLogClient>(config, std::move(handles));
}

absl::StatusOr<std::unique_ptr<LogClient>> LogClient::Create(const LogConfig& config) {
  absl::StatusOr<std::shared_ptr<SharedHandles>> handles = KafkaLogClient::MakeHandles(config);
  if (!handles.ok()) return handles.status();
  return std::make_unique<KafkaLogClient>(config, *std::move(handles));
}

}  // namespace tenfold
