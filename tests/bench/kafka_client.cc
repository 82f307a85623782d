#include "tests/bench/kafka_client.h"

#include <array>
#include <cstdlib>
#include <iostream>

namespace tenfold::bench {

void Fail(const std::string& message) {
  std::cerr << "bench: " << message << std::endl;
  // Without destructors: they would wait for Kafka.
  std::_Exit(1);
}

void CheckKafka(rd_kafka_resp_err_t error, const std::string& tried) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) Fail(tried + ": " + rd_kafka_err2str(error));
}

rd_kafka_conf_t* MakeKafkaConf(const std::string& brokers, KafkaProperties properties) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::array<char, 512> error;
  const auto set = [&](const char* name, const std::string& value) {
    if (rd_kafka_conf_set(conf, name, value.c_str(), error.data(), error.size()) != RD_KAFKA_CONF_OK) Fail(error.data());
  };
  set("bootstrap.servers", brokers);
  // Only errors: a broker that still loads is asked again.
  set("log_level", "3");
  for (const auto& [name, value] : properties) set(name, value);
  return conf;
}

rd_kafka_t* MakeKafkaClient(rd_kafka_type_t type, rd_kafka_conf_t* conf) {
  std::array<char, 512> error;
  rd_kafka_t* client = rd_kafka_new(type, conf, error.data(), error.size());
  if (client == nullptr) Fail(error.data());
  return client;
}

}  // namespace tenfold::bench
