// Appends records to a topic of its own at full speed, through librdkafka's C API as an ordinary producer would. Used by one
// thread at a time. A failure of Kafka ends the program with a sentence.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tenfold::bench {

class TopicWriter {
 public:
  struct Options {
    std::string brokers;
    std::string topic;
    int32_t partitions = 3;
    std::string codec = "none";
    int linger_ms = 20;
    // Called within Append, Poll and Flush for each record that is in the log.
    std::function<void(int32_t partition, int64_t offset, void* opaque)> on_delivered;
  };

  // Creates the topic, which must not exist.
  explicit TopicWriter(const Options& options);
  ~TopicWriter();

  TopicWriter(const TopicWriter&) = delete;
  TopicWriter& operator=(const TopicWriter&) = delete;

  // Copies the record; waits while the queue is full.
  void Append(int32_t partition, std::string_view record, void* opaque = nullptr);
  void Poll() { rd_kafka_poll(client_, 0); }
  // Until all is in the log.
  void Flush();
  // Deletes the topic.
  void Delete();

 private:
  static void OnDelivery(rd_kafka_t* client, const rd_kafka_message_t* record, void* self);
  void Create();
  // What an administrative request came to: its error for the topic, or "".
  std::string AwaitTopicResult(rd_kafka_queue_t* queue, rd_kafka_event_type_t type);

  const Options options_;
  rd_kafka_t* client_;
  rd_kafka_topic_t* topic_;
};

}  // namespace tenfold::bench
