#include <utility>

#include "absl/strings/str_cat.h"
#include "common/kafka/kafka_handles.h"
#include "common/kafka/log.h"

namespace tenfold {

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
  if ((event == nullptr && error == RD_KAFKA_RESP_ERR_NO_ERROR) || IsTransient(error)) return handle_->Unreachable();
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::FailedPreconditionError(absl::StrCat(what, ": ", rd_kafka_err2str(error)));
  }
  const rd_kafka_topic_partition_list_t* results = rd_kafka_event_topic_partition_list(event.get());
  for (int i = 0; results != nullptr && i < results->cnt; ++i) {
    const rd_kafka_topic_partition_t& result = results->elems[i];
    if (result.err == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(what, ": ", PartitionName(result.topic, result.partition), ": ", rd_kafka_err2str(result.err)));
  }
  handle_->MarkUp();
  return absl::OkStatus();
}

}  // namespace tenfold
