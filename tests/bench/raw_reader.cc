#include "tests/bench/raw_reader.h"

#include "tests/bench/kafka_client.h"

namespace tenfold::bench {
namespace {

constexpr int kAnswerMs = 10'000;
constexpr size_t kRecordsACall = 10'000;

rd_kafka_t* MakeConsumer(const std::string& brokers, const RawQueue& size) {
  return MakeKafkaClient(RD_KAFKA_CONSUMER,
                         MakeKafkaConf(brokers, {{"group.id", "tenfold-bench"},
                                                 {"enable.auto.commit", "false"},
                                                 {"enable.auto.offset.store", "false"},
                                                 {"enable.partition.eof", "true"},
                                                 {"auto.offset.reset", "error"},
                                                 {"fetch.wait.max.ms", "20"},
                                                 {"fetch.message.max.bytes", std::to_string(size.fetch_bytes)},
                                                 {"queued.min.messages", std::to_string(size.ahead)},
                                                 {"queued.max.messages.kbytes", "1048576"}}));
}

// A full queue makes librdkafka 2.0.2 pause a partition for up to a second (#2879), or until there is something to do for
// its broker: to be asked for an offset, of which the answer is not waited for.
void WakeFetchers(rd_kafka_t* client, rd_kafka_topic_partition_list_t* assigned) {
  for (int i = 0; i < assigned->cnt; ++i) assigned->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
  rd_kafka_offsets_for_times(client, assigned, 0);
}

// Stops fetching a partition whose range ends before the partition does.
void Pause(rd_kafka_t* client, const std::string& topic, int32_t partition) {
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic.c_str(), partition);
  CheckKafka(rd_kafka_pause_partitions(client, list), "pause " + topic);
  rd_kafka_topic_partition_list_destroy(list);
}

}  // namespace

std::vector<RawRange> WholeTopic(const std::string& brokers, const std::string& topic) {
  rd_kafka_t* client = MakeConsumer(brokers, {.ahead = 1});
  rd_kafka_topic_t* handle = rd_kafka_topic_new(client, topic.c_str(), nullptr);
  const rd_kafka_metadata_t* metadata = nullptr;
  CheckKafka(rd_kafka_metadata(client, 0, handle, &metadata, kAnswerMs), "find the partitions of " + topic);
  std::vector<RawRange> ranges;
  for (int32_t partition = 0; partition < metadata->topics[0].partition_cnt; ++partition) {
    RawRange range{.partition = partition};
    CheckKafka(rd_kafka_query_watermark_offsets(client, topic.c_str(), partition, &range.begin, &range.end, kAnswerMs),
               "find the ends of " + topic);
    ranges.push_back(range);
  }
  rd_kafka_metadata_destroy(metadata);
  rd_kafka_topic_destroy(handle);
  rd_kafka_destroy(client);
  return ranges;
}

uint64_t ReadRanges(const std::string& brokers, const std::string& topic, const std::vector<RawRange>& ranges,
                    const RawQueue& size, const std::function<void(std::string_view value)>& take) {
  rd_kafka_t* client = MakeConsumer(brokers, size);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(static_cast<int>(ranges.size()));
  std::vector<int64_t> ends;
  size_t open = 0;
  for (const RawRange& range : ranges) {
    const auto partition = static_cast<size_t>(range.partition);
    if (ends.size() <= partition) ends.resize(partition + 1);
    if (range.begin == range.end) continue;
    ends[partition] = range.end;
    ++open;
    rd_kafka_topic_partition_list_add(list, topic.c_str(), range.partition)->offset = range.begin;
  }
  CheckKafka(rd_kafka_assign(client, list), "assign " + topic);
  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(client);

  std::vector<rd_kafka_message_t*> records(kRecordsACall);
  uint64_t read = 0;
  uint64_t awake_until = size.ahead / 3;
  while (open > 0) {
    if (read >= awake_until) {
      WakeFetchers(client, list);
      awake_until = read + size.ahead / 3;
    }
    const ssize_t count = rd_kafka_consume_batch_queue(queue, 100, records.data(), records.size());
    for (ssize_t i = 0; i < count; ++i) {
      rd_kafka_message_t* record = records[static_cast<size_t>(i)];
      if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        int64_t& end = ends[static_cast<size_t>(record->partition)];
        if (record->offset < end) {
          take({static_cast<const char*>(record->payload), record->len});
          ++read;
          if (record->offset + 1 == end) {
            --open;
            if (open > 0) Pause(client, topic, record->partition);
          }
        }
      } else if (record->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        CheckKafka(record->err, "read " + topic);
      }
      rd_kafka_message_destroy(record);
    }
  }
  rd_kafka_topic_partition_list_destroy(list);
  // To drop what is still in the queues would be a part of the baseline's time; the end of the process does it.
  rd_kafka_queue_destroy(queue);
  return read;
}

}  // namespace tenfold::bench
