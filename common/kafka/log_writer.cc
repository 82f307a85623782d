#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/kafka_handles.h"
#include "common/kafka/log.h"

namespace tenfold {
namespace {

constexpr absl::Duration kInitTimeout = absl::Seconds(10);
constexpr int kQueueFullWaitMs = 5;
// How many records are appended between two collections of delivery reports.
constexpr uint32_t kServeEvery = 1'000;

class KafkaLogWriter : public LogWriter {
 public:
  ~KafkaLogWriter() override {
    topics_.clear();
    handle_.reset();
  }

  absl::Status Open(const LogConfig& config, const Options& options) {
    KafkaHandle::Options settings;
    settings.type = RD_KAFKA_PRODUCER;
    settings.defaults = {{"linger.ms", "5"},
                         {"compression.type", "lz4"},
                         {"message.max.bytes", "8388608"},
                         {"message.timeout.ms", "60000"},
                         {"queue.buffering.max.messages", "500000"},
                         {"queue.buffering.max.kbytes", "131072"}};
    settings.required = {{"acks", "all"}, {"enable.idempotence", "true"}, {"delivery.report.only.error", "true"}};
    if (!options.transactional_id.empty()) settings.required.emplace_back("transactional.id", options.transactional_id);
    settings.on_undelivered = [this](const rd_kafka_message_t& record) { Fail(record); };
    absl::StatusOr<std::unique_ptr<KafkaHandle>> handle = KafkaHandle::Create(config, std::move(settings));
    if (!handle.ok()) return handle.status();
    handle_ = *std::move(handle);
    if (options.transactional_id.empty()) return absl::OkStatus();
    return FromError("begin to write in transactions",
                     rd_kafka_init_transactions(handle_->get(), KafkaMilliseconds(kInitTimeout)));
  }

  absl::Status Append(const std::string& topic, int32_t partition, std::string_view value) override {
    KafkaTopic& to = topics_[topic];
    if (to == nullptr) to.reset(rd_kafka_topic_new(handle_->get(), topic.c_str(), nullptr));
    if (to == nullptr) return absl::InvalidArgumentError(absl::StrCat("'", topic, "' is no name of a Kafka topic"));
    if (++appended_ % kServeEvery == 0) handle_->Serve(0);
    // librdkafka's interface takes mutable bytes, but it only copies them.
    void* bytes = const_cast<char*>(value.data());
    while (rd_kafka_produce(to.get(), partition < 0 ? RD_KAFKA_PARTITION_UA : partition, RD_KAFKA_MSG_F_COPY, bytes,
                            value.size(), nullptr, 0, nullptr) != 0) {
      const rd_kafka_resp_err_t error = rd_kafka_last_error();
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) return AppendError(topic, partition, error);
      handle_->Serve(kQueueFullWaitMs);
    }
    return absl::OkStatus();
  }

  absl::Status Flush(absl::Duration timeout) override {
    const rd_kafka_resp_err_t error = rd_kafka_flush(handle_->get(), KafkaMilliseconds(timeout));
    handle_->Serve(0);
    if (absl::Status failure = std::exchange(failure_, absl::OkStatus()); !failure.ok()) return failure;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      handle_->MarkUp();
      return absl::OkStatus();
    }
    if (handle_->AllDown()) return handle_->Unreachable();
    return absl::UnavailableError(
        absl::StrCat(rd_kafka_outq_len(handle_->get()), " records are not delivered after ", absl::FormatDuration(timeout)));
  }

  absl::Status BeginTransaction() override {
    return FromError("begin a transaction", rd_kafka_begin_transaction(handle_->get()));
  }

  absl::Status CommitTransaction(absl::Duration timeout) override {
    return FromError("commit a transaction", rd_kafka_commit_transaction(handle_->get(), KafkaMilliseconds(timeout)));
  }

  absl::Status AbortTransaction(absl::Duration timeout) override {
    const absl::Status status =
        FromError("abort a transaction", rd_kafka_abort_transaction(handle_->get(), KafkaMilliseconds(timeout)));
    // The abort purged records from the queue, which must not count as failed deliveries.
    if (status.ok()) failure_ = absl::OkStatus();
    return status;
  }

 private:
  static absl::Status AppendError(const std::string& topic, int32_t partition, rd_kafka_resp_err_t error) {
    const std::string what =
        absl::StrCat("append to ", partition < 0 ? topic : TopicPartition{topic, partition}.Name(), ": ");
    switch (error) {
      case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
      case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return absl::NotFoundError(absl::StrCat(what, "topic ", topic, " does not exist"));
      case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return absl::NotFoundError(absl::StrCat(what, "topic ", topic, " has no such partition"));
      case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return absl::InvalidArgumentError(absl::StrCat(what, "the record is larger than the producer or the topic allows"));
      case RD_KAFKA_RESP_ERR__FENCED:
        return absl::AbortedError(absl::StrCat(what, "another writer has taken over this transactional id"));
      case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
        return absl::UnavailableError(absl::StrCat(what, "not delivered in time"));
      default:
        if (IsTransient(error)) return absl::UnavailableError(absl::StrCat(what, rd_kafka_err2str(error)));
        return absl::FailedPreconditionError(absl::StrCat(what, rd_kafka_err2str(error)));
    }
  }

  // Called within Append, Flush and the transactions, when they poll the client.
  void Fail(const rd_kafka_message_t& record) {
    if (failure_.ok()) failure_ = AppendError(rd_kafka_topic_name(record.rkt), record.partition, record.err);
  }

  absl::Status FromError(const char* what, rd_kafka_error_t* raw) {
    const KafkaError error(raw);
    if (error == nullptr) return absl::OkStatus();
    handle_->Serve(0);
    const std::string message = absl::StrCat(what, ": ", rd_kafka_error_string(error.get()));
    const rd_kafka_resp_err_t code = rd_kafka_error_code(error.get());
    if (code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED) {
      return absl::AbortedError(absl::StrCat(what, ": another writer has taken over this transactional id"));
    }
    if (rd_kafka_error_is_retriable(error.get())) {
      if (handle_->AllDown()) return handle_->Unreachable();
      return absl::UnavailableError(message);
    }
    return absl::FailedPreconditionError(message);
  }

  std::unique_ptr<KafkaHandle> handle_;
  std::map<std::string, KafkaTopic, std::less<>> topics_;
  uint32_t appended_ = 0;
  // The first failure since the last Flush.
  absl::Status failure_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LogWriter>> LogWriter::Create(const LogConfig& config, const Options& options) {
  auto writer = std::make_unique<KafkaLogWriter>();
  if (absl::Status status = writer->Open(config, options); !status.ok()) return status;
  return writer;
}

}  // namespace tenfold
