#include "common/kafka/rdkafka_reader.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/kafka_handles.h"
#include "common/kafka/record_hash.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// librdkafka uncompresses a batch to at most so many bytes. It takes no longer answers either, so the limit is below the 352
// MB that the first bytes of TLS seem to announce where plaintext is expected.
constexpr size_t kMostUncompressed = 256 << 20;
constexpr size_t kMaxRecordsPerPoll = 1'000;
// How far to fetch ahead. librdkafka requests more of a partition until its queue has this many records or bytes of it, so
// that it exceeds them by the size of one response. A record takes kRecordBytes there besides its own bytes.
struct ReadAhead {
  size_t records = 50'000;
  size_t bytes = 64 << 20;
  size_t fetch_bytes = 1 << 20;
};
constexpr size_t kRecordBytes = 400;
// How many full partitions may come in one response. All its records are in memory at once, at ten times their size there.
constexpr size_t kPartitionsPerFetch = 4;
// The least fetch size that librdkafka allows, which is its message.max.bytes.
constexpr size_t kLeastFetchMaxBytes = 1'000'000;
// How long a broker without new records holds back its response, for a reader without patience; and how many bytes must
// have come before it responds to one with patience.
constexpr int kWaitMs = 20;
constexpr size_t kPatientFetchBytes = 64 << 10;

// Whether the job's properties say how to fetch.
bool SetsItsFetches(const LogConfig& config) {
  return std::ranges::any_of(config.properties, [](const auto& property) {
    return property.first == "max.partition.fetch.bytes" ||
           (property.first.starts_with("fetch.") && property.first != "fetch.error.backoff.ms");
  });
}

ReadAhead ReadAheadWithin(size_t bytes) {
  if (bytes == 0) return {};
  return {std::clamp<size_t>(bytes / 2 / kRecordBytes, 1'000, ReadAhead{}.records), std::max<size_t>(bytes / 4, 64 << 10),
          std::clamp<size_t>(bytes / 32, 16 << 10, 1 << 20)};
}

constexpr int kAskMs = 1;
// How long a partition may be silent before a broker is asked whether it exists: brokers learn of a new partition one after
// the other, and librdkafka does not report every missing one.
constexpr absl::Duration kDoubtAfter = absl::Seconds(3);
constexpr int kVerifyMs = 1'000;

// What an error of a partition means: kNone for those that librdkafka retries by itself.
enum class Trouble { kNone, kOffsetLost, kMissing, kFailed };

Trouble Classify(rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      return Trouble::kOffsetLost;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return Trouble::kMissing;
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    // librdkafka would continue after a record that it cannot read.
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      return Trouble::kFailed;
    default:
      return Trouble::kNone;
  }
}

class KafkaLogReader : public LogReader {
 public:
  KafkaLogReader(const ReadAhead& read_ahead, std::string why)
      : why_(std::move(why)), read_ahead_(read_ahead), messages_(std::min(kMaxRecordsPerPoll, read_ahead.records)) {}

  ~KafkaLogReader() override {
    // Messages go before the consumer, whose destructor would otherwise wait for them for ever.
    DestroyMessages();
    topics_.clear();
    queue_.reset();
    handle_.reset();
  }

  absl::Status Open(const LogConfig& config) {
    KafkaHandle::Options options;
    options.defaults = {{"fetch.wait.max.ms", absl::StrCat(kWaitMs)},
                        {"fetch.min.bytes", "1"},
                        {"fetch.message.max.bytes", absl::StrCat(read_ahead_.fetch_bytes)},
                        {"fetch.error.backoff.ms", "100"}};
    // A job that sets one of these properties sets all that matter, since they depend on each other.
    if (!SetsItsFetches(config)) {
      const size_t most = std::max(kPartitionsPerFetch * read_ahead_.fetch_bytes, kLeastFetchMaxBytes);
      options.defaults.emplace_back("fetch.max.bytes", absl::StrCat(most));
      options.defaults.emplace_back("receive.message.max.bytes", absl::StrCat(kMostUncompressed));
      if (config.patience > absl::ZeroDuration()) {
        const size_t worthwhile = std::min(kPatientFetchBytes, read_ahead_.fetch_bytes);
        options.defaults.emplace_back("fetch.wait.max.ms", absl::StrCat(absl::ToInt64Milliseconds(config.patience)));
        options.defaults.emplace_back("fetch.min.bytes", absl::StrCat(worthwhile));
      }
    }
    // No consumer group is joined, but librdkafka assigns no partition without the name of one.
    options.required = {{"group.id", "tenfold-reader"},
                        {"isolation.level", "read_committed"},
                        {"auto.offset.reset", "error"},
                        {"enable.auto.commit", "false"},
                        {"enable.auto.offset.store", "false"},
                        {"enable.partition.eof", "true"},
                        {"allow.auto.create.topics", "false"},
                        {"check.crcs", "true"},
                        {"queued.min.messages", absl::StrCat(read_ahead_.records)},
                        {"queued.max.messages.kbytes", absl::StrCat(read_ahead_.bytes / 1024)}};
    options.on_error = [this](rd_kafka_resp_err_t error, const std::string& message) {
      errors_.emplace_back(error, message);
    };
    absl::StatusOr<std::unique_ptr<KafkaHandle>> handle = KafkaHandle::Create(config, std::move(options));
    if (!handle.ok()) return handle.status();
    handle_ = *std::move(handle);
    // From here on errors of brokers and topics come through the same queue as records.
    rd_kafka_poll_set_consumer(handle_->get());
    queue_.reset(rd_kafka_queue_get_consumer(handle_->get()));
    return absl::OkStatus();
  }

  absl::Status Assign(const std::vector<Start>& starts) override {
    std::map<TopicPartition, uint32_t> positions;
    for (size_t i = 0; i < starts.size(); ++i) {
      const TopicPartition& partition = starts[i].partition;
      const std::string name = partition.Name();
      if (starts[i].offset < 0) {
        return absl::InvalidArgumentError(absl::StrCat("read ", name, " at ", starts[i].offset, ", which is no offset"));
      }
      if (!positions.emplace(partition, static_cast<uint32_t>(i)).second) {
        return absl::InvalidArgumentError(absl::StrCat("read ", name, " twice at once"));
      }
    }
    connections_ = handle_->connections();
    leader_answers_ = handle_->leader_answers();
    moved_ = false;
    DestroyMessages();
    last_topic_ = nullptr;
    errors_.clear();
    if (positions == positions_) {
      // What is known of the partitions remains, as a reader may begin again and again while one of them is missing.
      for (size_t i = 0; i < starts.size(); ++i) {
        reading_[i].next_offset = starts[i].offset;
        reading_[i].broker = -1;
        if (!std::exchange(reading_[i].stopped, false)) continue;
        SetHeard(&reading_[i], false);
        verify_at_ = absl::Now() + kDoubtAfter;
      }
      return AssignReading();
    }
    positions_ = std::move(positions);
    reading_.clear();
    for (const Start& start : starts) reading_.push_back({start.partition, start.offset});
    unheard_ = reading_.size();
    verify_at_ = absl::Now() + kDoubtAfter;
    if (absl::Status status = AssignReading(); !status.ok()) return status;
    std::map<std::string, KafkaTopic> before = std::exchange(topics_, {});
    for (const Start& start : starts) {
      const std::string& name = start.partition.topic;
      KafkaTopic& topic = topics_[name];
      if (topic != nullptr) continue;
      topic = std::move(before[name]);
      if (topic != nullptr) continue;
      topic.reset(rd_kafka_topic_new(handle_->get(), name.c_str(), nullptr));
      // Asks at once, since librdkafka would look for the topic's leaders up to a second later.
      AskMetadata(topic.get());
    }
    return absl::OkStatus();
  }

  absl::Status Poll(absl::Duration timeout, std::vector<LogRecord>* records, std::vector<Event>* events) override {
    records->clear();
    events->clear();
    DestroyMessages();
    Receive(KafkaMilliseconds(timeout));
    bool stale = false;
    for (size_t i = 0; i < message_count_; ++i) {
      Take(messages_[i], records, events, &stale);
      // Once for all records of a partition in a row: if their leader changed in between, the last one tells.
      const bool is_last = i + 1 == message_count_ || messages_[i + 1]->err != RD_KAFKA_RESP_ERR_NO_ERROR ||
                           messages_[i + 1]->rkt != messages_[i]->rkt ||
                           messages_[i + 1]->partition != messages_[i]->partition;
      if (is_last && messages_[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) NoteBroker(messages_[i]);
    }
    for (const auto& [error, message] : std::exchange(errors_, {})) TakeError(error, message, events);
    if (stale) {
      if (absl::Status status = AssignReading(); !status.ok()) return status;
    }
    if (unheard_ > 0 && absl::Now() >= verify_at_) Verify(events);
    if (message_count_ > 0) {
      handle_->MarkUp();
    } else if (handle_->RefusesAnswers() || (handle_->AllDown() && !Probe())) {
      return handle_->Unreachable();
    }
    return absl::OkStatus();
  }

  absl::Duration TakeWaited() override { return std::exchange(waited_, absl::ZeroDuration()); }

  std::string WhyRdkafka() const override { return why_; }

  bool TakeChanged() override {
    const uint64_t connections = handle_->connections();
    bool changed = std::exchange(moved_, false);
    changed |= std::exchange(connections_, connections) != connections;
    // While a partition is missing librdkafka asks for its leader all the time. Then this waits until it is there again;
    // a leader that another broker follows shows by its records in any case.
    if (unheard_ > 0 || std::ranges::any_of(reading_, &Reading::stopped)) return changed;
    const uint64_t answers = handle_->leader_answers();
    return (std::exchange(leader_answers_, answers) != answers) || changed;
  }

  absl::StatusOr<int64_t> Begin(uint32_t position, absl::Duration timeout) override {
    const TopicPartition& partition = reading_[position].partition;
    int64_t begin = 0;
    int64_t end = 0;
    const rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
        handle_->get(), partition.topic.c_str(), partition.partition, &begin, &end, KafkaMilliseconds(timeout));
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return begin;
    return absl::UnavailableError(absl::StrCat("ask where ", partition.Name(), " begins: ", rd_kafka_err2str(error)));
  }

  void ReadParts(const LogRecord& record, RecordParts* parts) const override {
    const auto* message = static_cast<const rd_kafka_message_t*>(record.handle);
    parts->timestamp_ms = rd_kafka_message_timestamp(message, nullptr);
    parts->key = View(message->key, message->key_len);
    parts->headers.clear();
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++i)
      parts->headers.push_back({name, View(value, size)});
  }

  uint64_t Hash(const LogRecord& record) const override {
    const auto* message = static_cast<const rd_kafka_message_t*>(record.handle);
    RecordParts parts;
    ReadParts(record, &parts);
    return RecordHash::Of(parts, View(message->payload, message->len));
  }

 private:
  struct Reading {
    TopicPartition partition;
    // The lowest offset that the next record, or the end, may have.
    int64_t next_offset;
    // Set by kOffsetLost or kFailed: nothing that comes after is delivered.
    bool stopped = false;
    // Whether the partition is known to exist, because a record or its end was read.
    bool heard = false;
    // The id of the broker that the last record came from; -1 if none came since Assign.
    int32_t broker = -1;
  };

  static std::optional<std::string_view> View(const void* bytes, size_t size) {
    if (bytes == nullptr) return std::nullopt;
    return std::string_view(static_cast<const char*>(bytes), size);
  }

  void DestroyMessages() {
    for (size_t i = 0; i < message_count_; ++i) rd_kafka_message_destroy(messages_[i]);
    message_count_ = 0;
  }

  // Replaces what librdkafka has assigned. What was fetched before is of an older version and is dropped from the queue:
  // the version is raised before rd_kafka_assign returns.
  absl::Status AssignReading() {
    const KafkaPartitions list = MakeList();
    const rd_kafka_resp_err_t error = rd_kafka_assign(handle_->get(), list.get());
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return absl::InternalError(absl::StrCat("assign ", list->cnt, " partitions: ", rd_kafka_err2str(error)));
    }
    AwaitFetchers();
    return absl::OkStatus();
  }

  // Waits until the old fetchers are stopped and the new ones started. librdkafka 2.0.2 aborts the process if it is to
  // assign again before (rd_kafka_assignment_partition_stopped: rktp_started). Each question below queues behind what its
  // main thread has been told so far: stop, stopped, start.
  void AwaitFetchers() {
    for (int step = 0; step < 3; ++step) {
      rd_kafka_topic_partition_list_t* list = nullptr;
      if (rd_kafka_assignment(handle_->get(), &list) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_topic_partition_list_destroy(list);
      }
    }
  }

  // A batch is only returned when it is full or its time is over (2.0.2), so the waiting is for one message.
  void Receive(int timeout_ms) {
    const absl::Time asked = absl::Now();
    messages_[0] = rd_kafka_consume_queue(queue_.get(), timeout_ms);
    waited_ += absl::Now() - asked;
    if (messages_[0] == nullptr) return;
    const ssize_t more = rd_kafka_consume_batch_queue(queue_.get(), 0, messages_.data() + 1, messages_.size() - 1);
    message_count_ = 1 + static_cast<size_t>(std::max<ssize_t>(more, 0));
    for (size_t i = 0; i < message_count_; ++i) taken_bytes_ += messages_[i]->len + messages_[i]->key_len;
    taken_records_ += message_count_;
    if (taken_records_ >= read_ahead_.records / 2 || taken_bytes_ >= read_ahead_.bytes / 2) WakeFetchers();
  }

  // A fetcher that has found the queue full looks again after a second (2.0.2, #2879), or when there is anything to do
  // for its broker. So each broker is asked something, of which the answer is not waited for.
  void WakeFetchers() {
    taken_records_ = 0;
    taken_bytes_ = 0;
    const KafkaPartitions list = MakeList(RD_KAFKA_OFFSET_BEGINNING);
    if (list->cnt > 0) rd_kafka_offsets_for_times(handle_->get(), list.get(), 0);
  }

  // Returns the partitions being read, at their next offsets or at `offset`.
  KafkaPartitions MakeList(std::optional<int64_t> offset = std::nullopt) const {
    KafkaPartitions list(rd_kafka_topic_partition_list_new(static_cast<int>(reading_.size())));
    for (const Reading& reading : reading_) {
      if (reading.stopped) continue;
      rd_kafka_topic_partition_list_add(list.get(), reading.partition.topic.c_str(), reading.partition.partition)->offset =
          offset.value_or(reading.next_offset);
    }
    return list;
  }

  void Take(const rd_kafka_message_t* message, std::vector<LogRecord>* records, std::vector<Event>* events, bool* stale) {
    if (message->rkt == nullptr || !Find(message)) return;
    Reading& reading = reading_[last_position_];
    if (reading.stopped) return;
    switch (message->err) {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        if (!reading.heard) SetHeard(&reading, true);
        if (message->offset < reading.next_offset) return;
        reading.next_offset = message->offset + 1;
        records->push_back({last_position_, 0, message->offset,
                            std::string_view(static_cast<const char*>(message->payload), message->len), message});
        return;
      case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (!reading.heard) SetHeard(&reading, true);
        reading.next_offset = message->offset;
        events->push_back({Event::Kind::kEnd, last_position_, message->offset, ""});
        return;
      case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        // librdkafka also delivers this one if it is of an earlier assignment (2.0.2, it carries no version). What is
        // really lost is lost again when asked for again.
        if (message->offset != reading.next_offset) {
          *stale = true;
          return;
        }
        break;
      default:
        break;
    }
    React(last_position_, message->err, rd_kafka_message_errstr(message), events);
  }

  // Notes which broker the record came from.
  void NoteBroker(const rd_kafka_message_t* record) {
    if (record->rkt == nullptr || !Find(record)) return;
    int32_t& known = reading_[last_position_].broker;
    const int32_t broker = rd_kafka_message_broker_id(record);
    moved_ |= known >= 0 && broker != known;
    known = broker;
  }

  // Sets last_position_ to the message's position; records come in runs of a partition.
  bool Find(const rd_kafka_message_t* message) {
    if (message->rkt == last_topic_ && message->partition == last_partition_) return true;
    const auto found = positions_.find({rd_kafka_topic_name(message->rkt), message->partition});
    if (found == positions_.end()) return false;
    last_topic_ = message->rkt;
    last_partition_ = message->partition;
    last_position_ = found->second;
    return true;
  }

  // An error of a topic names the partition only in its text: "topic [2]: ...".
  void TakeError(rd_kafka_resp_err_t error, const std::string& message, std::vector<Event>* events) {
    for (uint32_t i = 0; i < reading_.size(); ++i) {
      const TopicPartition& partition = reading_[i].partition;
      const std::string prefix = absl::StrCat(partition.topic, " [", partition.partition, "]: ");
      if (reading_[i].stopped || !absl::StartsWith(message, prefix)) continue;
      React(i, error, message.c_str(), events);
    }
  }

  void React(uint32_t position, rd_kafka_resp_err_t error, const char* message, std::vector<Event>* events) {
    Reading& reading = reading_[position];
    const std::string name = reading.partition.Name();
    switch (Classify(error)) {
      case Trouble::kNone:
        VLOG(1) << name << " at " << reading.next_offset << ": " << message;
        return;
      case Trouble::kMissing:
        if (!reading.heard) return;
        SetHeard(&reading, false);
        verify_at_ = absl::Now() + kDoubtAfter;
        return;
      case Trouble::kOffsetLost:
        Stop(position, Event::Kind::kOffsetLost,
             absl::StrCat(name, ": offset ", reading.next_offset, " is not in the log (any more)"), events);
        return;
      case Trouble::kFailed:
        Stop(position, Event::Kind::kFailed, absl::StrCat("read ", name, " at ", reading.next_offset, ": ", message),
             events);
        return;
    }
  }

  void Stop(uint32_t position, Event::Kind kind, std::string message, std::vector<Event>* events) {
    Reading& reading = reading_[position];
    if (!reading.heard) SetHeard(&reading, true);
    reading.stopped = true;
    events->push_back({kind, position, reading.next_offset, std::move(message)});
  }

  void SetHeard(Reading* reading, bool heard) {
    reading->heard = heard;
    if (heard) {
      --unheard_;
    } else {
      ++unheard_;
    }
  }

  // Reports kFailed for partitions that are silent because they do not exist.
  void Verify(std::vector<Event>* events) {
    for (const auto& [topic_name, topic] : topics_) {
      const std::string& name = topic_name;
      const auto is_doubtful = [&](const Reading& reading) { return !reading.heard && reading.partition.topic == name; };
      if (std::none_of(reading_.begin(), reading_.end(), is_doubtful)) continue;
      const rd_kafka_metadata_t* raw = nullptr;
      if (rd_kafka_metadata(handle_->get(), 0, topic.get(), &raw, kVerifyMs) != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      const KafkaMetadata metadata(raw);
      if (metadata->topic_cnt != 1) continue;
      const bool missing = Classify(metadata->topics[0].err) == Trouble::kMissing;
      if (!missing && metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      const int count = missing ? 0 : metadata->topics[0].partition_cnt;
      for (uint32_t i = 0; i < reading_.size(); ++i) {
        const int32_t partition = reading_[i].partition.partition;
        if (!is_doubtful(reading_[i]) || partition < count) continue;
        const std::string reason = missing ? " does not exist (any more)" : absl::StrCat(" has ", count, " partitions");
        Stop(i, Event::Kind::kFailed,
             absl::StrCat("read ", TopicPartition{name, partition}.Name(), ": topic ", name, reason), events);
      }
    }
    verify_at_ = absl::Now() + kDoubtAfter;
  }

  // Makes librdkafka request the topic's metadata. Returns false if no broker is connected.
  bool AskMetadata(rd_kafka_topic_t* topic) {
    const rd_kafka_metadata_t* metadata = nullptr;
    const rd_kafka_resp_err_t error = rd_kafka_metadata(handle_->get(), 0, topic, &metadata, kAskMs);
    if (metadata != nullptr) rd_kafka_metadata_destroy(metadata);
    return error != RD_KAFKA_RESP_ERR__TRANSPORT;
  }

  // Whether a broker answers again, which without new records nothing else would show.
  bool Probe() {
    if (topics_.empty() || !AskMetadata(topics_.begin()->second.get())) return false;
    handle_->MarkUp();
    return true;
  }

  std::unique_ptr<KafkaHandle> handle_;
  KafkaQueue queue_;
  // The topics of the assigned partitions.
  std::map<std::string, KafkaTopic> topics_;

  std::vector<Reading> reading_;
  std::map<TopicPartition, uint32_t> positions_;
  // The client's counts that were last looked at, and whether a partition's records come from another broker than before.
  uint64_t connections_ = 0;
  uint64_t leader_answers_ = 0;
  bool moved_ = false;

  // The messages of the last poll, to which its records refer.
  const std::string why_;
  const ReadAhead read_ahead_;
  std::vector<rd_kafka_message_t*> messages_;
  size_t message_count_ = 0;
  absl::Duration waited_;
  // What was taken from the queue since the fetchers were last woken.
  size_t taken_records_ = 0;
  size_t taken_bytes_ = 0;
  // Errors that the client reported during a poll.
  std::vector<std::pair<rd_kafka_resp_err_t, std::string>> errors_;

  // How many partitions were not heard of yet, and when to ask whether they exist.
  size_t unheard_ = 0;
  absl::Time verify_at_;

  const rd_kafka_topic_t* last_topic_ = nullptr;
  int32_t last_partition_ = -1;
  uint32_t last_position_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LogReader>> MakeRdkafkaReader(const LogConfig& config, std::string why) {
  auto reader = std::make_unique<KafkaLogReader>(ReadAheadWithin(config.read_ahead_bytes), std::move(why));
  if (absl::Status status = reader->Open(config); !status.ok()) return status;
  return reader;
}

}  // namespace tenfold
