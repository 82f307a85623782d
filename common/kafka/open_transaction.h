// Who holds a partition's records back with a transaction that is open. librdkafka 2.0.2 cannot ask that, so that brokers
// are asked over connections of our own.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "common/kafka/wire_security.h"
#include "common/text/address.h"

namespace tenfold {

// Returns "producer 4711 (transactional.id payments)" of the transaction that began first, without the part in brackets
// where no broker tells it; or "" if none is open. Blocks, until the deadline at most. `brokers` are all, by id. UNAVAILABLE
// or FAILED_PRECONDITION if the leader does not tell.
absl::StatusOr<std::string> FindOpenTransaction(const TopicPartition& partition, int32_t leader,
                                                const std::map<int32_t, Address>& brokers, const WireSession& session,
                                                absl::Time deadline);

// Reads the leader's answer to DescribeProducers, which is a broker's bytes: the producer whose transaction began first, or
// -1 if none is open. FAILED_PRECONDITION if it says nothing of the partition, or is no such answer.
absl::StatusOr<int64_t> ReadDescribeProducers(std::string_view answer, const TopicPartition& partition);
// Reads a broker's answer to ListTransactions: the transactional.id of the producer, or "".
std::string ReadListTransactions(std::string_view answer, int64_t producer);

}  // namespace tenfold
