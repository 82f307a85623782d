#include "tests/cluster/record_writer.h"

#include "absl/strings/str_cat.h"
#include "tests/cluster/local_kafka.h"

namespace tenfold {
namespace {

constexpr int kTimeoutMs = 60'000;

std::string Letters(std::minstd_rand* random, size_t most) {
  std::string letters((*random)() % (most + 1), 'x');
  for (char& letter : letters) letter = static_cast<char>('a' + (*random)() % 26);
  return letters;
}

absl::Status FromError(const std::string& what, rd_kafka_error_t* error) {
  if (error == nullptr) return absl::OkStatus();
  absl::Status status = absl::UnavailableError(absl::StrCat(what, ": ", rd_kafka_error_string(error)));
  rd_kafka_error_destroy(error);
  return status;
}

// librdkafka takes mutable bytes, and copies them.
void* Bytes(const std::optional<std::string>& text) { return text ? const_cast<char*>(text->data()) : nullptr; }
size_t Size(const std::optional<std::string>& text) { return text ? text->size() : 0; }

}  // namespace

RecordToWrite RandomRecord(std::minstd_rand* random, int keys, size_t most_bytes) {
  std::minstd_rand& next = *random;
  RecordToWrite record;
  if (next() % 8 != 0) record.key = absl::StrCat("key", next() % static_cast<unsigned>(keys));
  if (next() % 16 == 0) record.key = "";
  if (next() % 12 != 0) record.value = Letters(random, most_bytes);
  if (next() % 6 == 0) {
    for (size_t headers = 1 + next() % 3; headers > 0; --headers) {
      auto& [name, value] = record.headers.emplace_back(Letters(random, 8), std::nullopt);
      if (next() % 4 != 0) value = Letters(random, 30);
    }
  }
  // Brokers take none of the future.
  if (next() % 10 == 0) record.timestamp_ms = 1 + static_cast<int64_t>(next()) * 700;
  return record;
}

RecordWriter::RecordWriter(const std::string& codec, const std::string& transactional_id) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char error[512];
  const auto set = [&](const char* name, const std::string& value) {
    if (rd_kafka_conf_set(conf, name, value.c_str(), error, sizeof(error)) != RD_KAFKA_CONF_OK)
      status_.Update(absl::InvalidArgumentError(error));
  };
  set("bootstrap.servers", KafkaBrokers());
  set("compression.codec", codec);
  set("linger.ms", "2");
  set("message.max.bytes", "8000000");
  set("enable.idempotence", "true");
  if (!transactional_id.empty()) set("transactional.id", transactional_id);
  rd_kafka_conf_set_opaque(conf, this);
  rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* record, void* opaque) {
    if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    static_cast<RecordWriter*>(opaque)->failure_.Update(absl::UnavailableError(rd_kafka_err2str(record->err)));
  });
  kafka_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error)));
  if (kafka_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    status_ = absl::InternalError(error);
  } else if (!transactional_id.empty()) {
    status_ = FromError("begin to write in transactions", rd_kafka_init_transactions(kafka_.get(), kTimeoutMs));
  }
}

absl::Status RecordWriter::Append(const std::string& topic, int32_t partition, const RecordToWrite& record) {
  while (true) {
    rd_kafka_headers_t* headers = rd_kafka_headers_new(record.headers.size());
    for (const auto& [name, value] : record.headers) {
      rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), Bytes(value),
                          value ? static_cast<ssize_t>(value->size()) : -1);
    }
    const rd_kafka_resp_err_t error =
        rd_kafka_producev(kafka_.get(), RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(Bytes(record.key), Size(record.key)),
                          RD_KAFKA_V_VALUE(Bytes(record.value), Size(record.value)),
                          RD_KAFKA_V_TIMESTAMP(record.timestamp_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    rd_kafka_poll(kafka_.get(), 0);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
    rd_kafka_headers_destroy(headers);
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) return absl::UnavailableError(rd_kafka_err2str(error));
    rd_kafka_poll(kafka_.get(), 5);
  }
}

absl::Status RecordWriter::Flush() {
  const rd_kafka_resp_err_t error = rd_kafka_flush(kafka_.get(), kTimeoutMs);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) failure_.Update(absl::UnavailableError(rd_kafka_err2str(error)));
  return std::exchange(failure_, absl::OkStatus());
}

absl::Status RecordWriter::Begin() { return FromError("begin", rd_kafka_begin_transaction(kafka_.get())); }

absl::Status RecordWriter::Commit() { return FromError("commit", rd_kafka_commit_transaction(kafka_.get(), kTimeoutMs)); }

absl::Status RecordWriter::Abort() {
  absl::Status aborted = FromError("abort", rd_kafka_abort_transaction(kafka_.get(), kTimeoutMs));
  // Records that the abort has purged are no failed deliveries.
  failure_ = absl::OkStatus();
  return aborted;
}

}  // namespace tenfold
