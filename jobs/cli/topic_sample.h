// The last records of topics, read without a cluster.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "common/kafka/log.h"
#include "job_spec.pb.h"
#include "jobs/decode/record.h"

namespace tenfold {

// Visits the last records of a job's topics, about as many of each partition and at most `limit` in all, those of a
// partition in their order; `visit` returns whether to go on. UNAVAILABLE if Kafka does not answer in time, NOT_FOUND for a
// topic that is not there.
absl::Status ReadLastRecords(const LogConfig& config, const KafkaSource& source, uint64_t limit,
                             const std::function<bool(const Record& record)>& visit);

}  // namespace tenfold
