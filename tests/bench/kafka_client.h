// librdkafka's clients as the benchmark makes them. A failure of Kafka ends the program with a sentence: a benchmark has
// nothing to go on with.
#pragma once

#include <librdkafka/rdkafka.h>

#include <initializer_list>
#include <string>
#include <utility>

namespace tenfold::bench {

using KafkaProperties = std::initializer_list<std::pair<const char*, std::string>>;

[[noreturn]] void Fail(const std::string& message);
// Fails with what was tried, unless there is no error.
void CheckKafka(rd_kafka_resp_err_t error, const std::string& tried);

// A configuration with those properties.
rd_kafka_conf_t* MakeKafkaConf(const std::string& brokers, KafkaProperties properties);
// Takes the configuration.
rd_kafka_t* MakeKafkaClient(rd_kafka_type_t type, rd_kafka_conf_t* conf);

}  // namespace tenfold::bench
