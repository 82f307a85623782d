#include "common/kafka/open_transaction.h"

#include <librdkafka/rdkafka.h>

#include <limits>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "common/kafka/wire_connection.h"
#include "common/kafka/wire_format.h"

namespace tenfold {
namespace {

// Kafka's numbers of the calls.
constexpr int16_t kDescribeProducers = 61;
constexpr int16_t kListTransactions = 66;

absl::StatusOr<std::string> Ask(const Address& broker, const WireSession& session, int16_t call, const WireOutput& question,
                                absl::Time deadline) {
  absl::StatusOr<WireConnection> connection = WireConnection::Connect(broker, session, deadline);
  if (!connection.ok()) return connection.status();
  return connection->Call(call, /*version=*/0, question.bytes(), deadline);
}

}  // namespace

absl::StatusOr<int64_t> ReadDescribeProducers(std::string_view answer, const TopicPartition& partition) {
  const std::string name = partition.Name();
  WireInput in(answer);
  in.Take<int32_t>();  // throttle time
  bool found = false;
  int64_t producer = -1;
  int64_t first = std::numeric_limits<int64_t>::max();
  for (uint32_t topics = in.TakeCompactArray(); topics > 0 && !in.failed(); --topics) {
    const bool is_topic = in.TakeCompactString() == partition.topic;
    for (uint32_t partitions = in.TakeCompactArray(); partitions > 0 && !in.failed(); --partitions) {
      const bool is_it = in.Take<int32_t>() == partition.partition && is_topic;
      const auto error = in.Take<int16_t>();
      in.TakeCompactString();  // the error in words
      if (is_it && error != 0 && !in.failed()) {
        return absl::FailedPreconditionError(absl::StrCat("its leader does not tell the producers of ", name, ": ",
                                                          rd_kafka_err2str(static_cast<rd_kafka_resp_err_t>(error))));
      }
      found |= is_it;
      for (uint32_t producers = in.TakeCompactArray(); producers > 0 && !in.failed(); --producers) {
        const auto id = in.Take<int64_t>();
        in.Take<int32_t>();  // producer epoch
        in.Take<int32_t>();  // last sequence
        in.Take<int64_t>();  // last timestamp
        in.Take<int32_t>();  // coordinator epoch
        const auto start = in.Take<int64_t>();
        in.SkipTags();
        if (!is_it || start < 0 || start >= first) continue;
        first = start;
        producer = id;
      }
      in.SkipTags();
    }
    in.SkipTags();
  }
  if (in.failed() || !found)
    return absl::FailedPreconditionError(absl::StrCat("its leader's answer says nothing of the producers of ", name));
  return producer;
}

std::string ReadListTransactions(std::string_view answer, int64_t producer) {
  WireInput in(answer);
  in.Take<int32_t>();  // throttle time
  if (in.Take<int16_t>() != 0) return "";
  for (uint32_t unknown = in.TakeCompactArray(); unknown > 0 && !in.failed(); --unknown) in.TakeCompactString();
  for (uint32_t transactions = in.TakeCompactArray(); transactions > 0 && !in.failed(); --transactions) {
    const std::string_view id = in.TakeCompactString();
    const bool is_it = in.Take<int64_t>() == producer;
    in.TakeCompactString();  // its state
    in.SkipTags();
    if (is_it && !in.failed()) return std::string(id);
  }
  return "";
}

absl::StatusOr<std::string> FindOpenTransaction(const TopicPartition& partition, int32_t leader,
                                                const std::map<int32_t, Address>& brokers, const WireSession& session,
                                                absl::Time deadline) {
  const auto at = brokers.find(leader);
  if (at == brokers.end()) return absl::UnavailableError("it has no leader");
  WireOutput describe;
  describe.BeginCompactArray(1);
  describe.AddCompactString(partition.topic);
  describe.BeginCompactArray(1);
  describe.Add(partition.partition);
  describe.AddNoTags();
  describe.AddNoTags();
  const absl::StatusOr<std::string> answer = Ask(at->second, session, kDescribeProducers, describe, deadline);
  if (!answer.ok()) return answer.status();
  const absl::StatusOr<int64_t> producer = ReadDescribeProducers(*answer, partition);
  if (!producer.ok()) return producer.status();
  if (*producer < 0) return "";

  WireOutput list;
  list.BeginCompactArray(0);
  list.BeginCompactArray(1);
  list.Add(*producer);
  list.AddNoTags();
  const std::string found = absl::StrCat("producer ", *producer);
  for (const auto& [id, broker] : brokers) {
    const absl::StatusOr<std::string> listed = Ask(broker, session, kListTransactions, list, deadline);
    const std::string transactional_id = listed.ok() ? ReadListTransactions(*listed, *producer) : "";
    if (!transactional_id.empty()) return absl::StrCat(found, " (transactional.id ", transactional_id, ")");
  }
  return found;
}

}  // namespace tenfold
