#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/kafka/kafka_handles.h"
#include "common/kafka/log.h"

namespace tenfold {
namespace {

class MockBroker : public EmbeddedBroker {
 public:
  explicit MockBroker(std::unique_ptr<KafkaHandle> handle) : handle_(std::move(handle)) {}

  std::string brokers() const override { return rd_kafka_mock_cluster_bootstraps(cluster()); }
  rd_kafka_mock_cluster_t* cluster() const { return rd_kafka_handle_mock_cluster(handle_->get()); }

 private:
  // The client that owns the mock cluster and stops it.
  const std::unique_ptr<KafkaHandle> handle_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<EmbeddedBroker>> EmbeddedBroker::Start(const std::string& topic, int partitions) {
  LogConfig config;
  // A client needs an address, but the mock cluster replaces it.
  config.brokers = "127.0.0.1:1";
  KafkaHandle::Options options;
  options.type = RD_KAFKA_PRODUCER;
  options.required = {{"test.mock.num.brokers", "1"}};
  absl::StatusOr<std::unique_ptr<KafkaHandle>> handle = KafkaHandle::Create(config, std::move(options));
  if (!handle.ok()) return handle.status();
  auto broker = std::make_unique<MockBroker>(*std::move(handle));
  const rd_kafka_resp_err_t error = rd_kafka_mock_topic_create(broker->cluster(), topic.c_str(), partitions, 1);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::InvalidArgumentError(absl::StrCat("the embedded broker cannot have topic '", topic, "' with ", partitions,
                                                   " partitions: ", rd_kafka_err2str(error)));
  }
  return broker;
}

}  // namespace tenfold
