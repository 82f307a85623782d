#include <utility>

#include "absl/strings/str_cat.h"
#include "common/kafka/kafka_handles.h"
#include "common/kafka/log.h"

namespace tenfold {
namespace {

using KafkaMessage = KafkaPtr<rd_kafka_message_t, rd_kafka_message_destroy>;

// Whether the client was told that Kafka refuses the group while it looked for the group's coordinator; a commit says only
// that there was none.
bool WasRefused(rd_kafka_t* client) {
  bool refused = false;
  while (const KafkaMessage told{rd_kafka_consumer_poll(client, 0)})
    refused |= told->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
  return refused;
}

}  // namespace

LogGroup::LogGroup(LogConfig config, std::string group) : config_(std::move(config)), group_(std::move(group)) {}
LogGroup::~LogGroup() = default;

// Not by AlterConsumerGroupOffsets, which aborts the process when brokers go during the call (librdkafka 2.0.2:
// rd_kafka_enq_once_del_source_return): by a consumer that is assigned nothing.
absl::Status LogGroup::Commit(const std::vector<TopicPartition>& partitions, const std::vector<int64_t>& next_offsets,
                              absl::Duration timeout) {
  if (partitions.empty()) return absl::OkStatus();
  if (handle_ == nullptr) {
    KafkaHandle::Options options;
    options.required = {{"group.id", group_}, {"enable.auto.commit", "false"}, {"allow.auto.create.topics", "false"}};
    absl::StatusOr<std::unique_ptr<KafkaHandle>> created = KafkaHandle::Create(config_, std::move(options));
    if (!created.ok()) return created.status();
    handle_ = *std::move(created);
  }
  KafkaPartitions list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (size_t i = 0; i < partitions.size(); ++i) {
    rd_kafka_topic_partition_list_add(list.get(), partitions[i].topic.c_str(), partitions[i].partition)->offset =
        next_offsets[i];
  }
  const KafkaQueue queue(rd_kafka_queue_new(handle_->get()));
  const std::string what = absl::StrCat("commit offsets of group ", group_);
  rd_kafka_resp_err_t error = rd_kafka_commit_queue(handle_->get(), list.get(), queue.get(), nullptr, nullptr);
  const KafkaEvent event(error == RD_KAFKA_RESP_ERR_NO_ERROR ? rd_kafka_queue_poll(queue.get(), KafkaMilliseconds(timeout))
                                                             : nullptr);
  handle_->Serve(0);
  if (event != nullptr) error = rd_kafka_event_error(event.get());
  refused_ |= WasRefused(handle_->get());
  const bool timed_out = (event == nullptr && error == RD_KAFKA_RESP_ERR_NO_ERROR) || IsTransient(error);
  if (refused_ && timed_out) {
    return absl::PermissionDeniedError(absl::StrCat("Kafka at ", config_.brokers, " refuses access to group ", group_,
                                                    "; allow READ on it, if they are to see it"));
  }
  if (timed_out) return handle_->Unreachable();
  refused_ = false;
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::FailedPreconditionError(absl::StrCat(what, ": ", rd_kafka_err2str(error)));
  }
  const rd_kafka_topic_partition_list_t* results = rd_kafka_event_topic_partition_list(event.get());
  for (int i = 0; results != nullptr && i < results->cnt; ++i) {
    const rd_kafka_topic_partition_t& result = results->elems[i];
    if (result.err == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(what, ": ", TopicPartition{result.topic, result.partition}.Name(), ": ", rd_kafka_err2str(result.err)));
  }
  handle_->MarkUp();
  return absl::OkStatus();
}

}  // namespace tenfold
