#include "tests/bench/topic_writer.h"

#include <array>

#include "tests/bench/kafka_client.h"

namespace tenfold::bench {
namespace {

constexpr int kAnswerMs = 30'000;
constexpr int kFlushMs = 120'000;

}  // namespace

TopicWriter::TopicWriter(const Options& options) : options_(options) {
  // Idempotence keeps a retry from making a record twice, which the reference would not have.
  rd_kafka_conf_t* conf = MakeKafkaConf(options_.brokers, {{"enable.idempotence", "true"},
                                                           {"compression.codec", options_.codec},
                                                           {"linger.ms", std::to_string(options_.linger_ms)},
                                                           {"queue.buffering.max.messages", "1000000"},
                                                           {"queue.buffering.max.kbytes", "1000000"},
                                                           {"batch.num.messages", "20000"},
                                                           {"batch.size", "500000"}});
  rd_kafka_conf_set_opaque(conf, this);
  rd_kafka_conf_set_dr_msg_cb(conf, &TopicWriter::OnDelivery);
  client_ = MakeKafkaClient(RD_KAFKA_PRODUCER, conf);
  Create();
  topic_ = rd_kafka_topic_new(client_, options_.topic.c_str(), nullptr);
}

TopicWriter::~TopicWriter() {
  rd_kafka_topic_destroy(topic_);
  rd_kafka_destroy(client_);
}

std::string TopicWriter::AwaitTopicResult(rd_kafka_queue_t* queue, rd_kafka_event_type_t type) {
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, kAnswerMs);
  if (event == nullptr || rd_kafka_event_type(event) != type) return "Kafka does not answer";
  std::string error = rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR ? "" : rd_kafka_event_error_string(event);
  size_t count = 0;
  const rd_kafka_topic_result_t** results =
      type == RD_KAFKA_EVENT_CREATETOPICS_RESULT
          ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
          : rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
  for (size_t i = 0; i < count; ++i) {
    if (rd_kafka_topic_result_error(results[i]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      error = rd_kafka_err2str(rd_kafka_topic_result_error(results[i]));
    }
  }
  rd_kafka_event_destroy(event);
  return error;
}

void TopicWriter::Create() {
  std::array<char, 512> error;
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client_);
  rd_kafka_NewTopic_t* topic =
      rd_kafka_NewTopic_new(options_.topic.c_str(), options_.partitions, 1, error.data(), error.size());
  rd_kafka_CreateTopics(client_, &topic, 1, nullptr, queue);
  const std::string failure = AwaitTopicResult(queue, RD_KAFKA_EVENT_CREATETOPICS_RESULT);
  rd_kafka_NewTopic_destroy(topic);
  rd_kafka_queue_destroy(queue);
  if (!failure.empty()) Fail("create topic " + options_.topic + ": " + failure);
}

void TopicWriter::Delete() {
  rd_kafka_queue_t* queue = rd_kafka_queue_new(client_);
  rd_kafka_DeleteTopic_t* topic = rd_kafka_DeleteTopic_new(options_.topic.c_str());
  rd_kafka_DeleteTopics(client_, &topic, 1, nullptr, queue);
  const std::string failure = AwaitTopicResult(queue, RD_KAFKA_EVENT_DELETETOPICS_RESULT);
  rd_kafka_DeleteTopic_destroy(topic);
  rd_kafka_queue_destroy(queue);
  if (!failure.empty()) Fail("delete topic " + options_.topic + ": " + failure);
}

void TopicWriter::OnDelivery(rd_kafka_t*, const rd_kafka_message_t* record, void* self) {
  const auto& options = static_cast<TopicWriter*>(self)->options_;
  CheckKafka(record->err, "append to " + options.topic);
  if (options.on_delivered) options.on_delivered(record->partition, record->offset, record->_private);
}

void TopicWriter::Append(int32_t partition, std::string_view record, void* opaque) {
  // librdkafka does not write through it; it only lacks the const.
  char* payload = const_cast<char*>(record.data());
  while (rd_kafka_produce(topic_, partition, RD_KAFKA_MSG_F_COPY, payload, record.size(), nullptr, 0, opaque) != 0) {
    const rd_kafka_resp_err_t error = rd_kafka_last_error();
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) CheckKafka(error, "append to " + options_.topic);
    rd_kafka_poll(client_, 10);
  }
}

void TopicWriter::Flush() { CheckKafka(rd_kafka_flush(client_, kFlushMs), "append to " + options_.topic); }

}  // namespace tenfold::bench
