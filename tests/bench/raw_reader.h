// Reads ranges of a topic as fast as librdkafka goes, which is what the baselines are made of: the C API, records in
// batches from one queue. Used by one thread. A failure of Kafka ends the program with a sentence.
#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tenfold::bench {

struct RawRange {
  int32_t partition = 0;
  // Half open.
  int64_t begin = 0;
  int64_t end = 0;
};

// Every partition from its begin to its end now.
std::vector<RawRange> WholeTopic(const std::string& brokers, const std::string& topic);

struct RawQueue {
  // About how many records, at least 3, wait in librdkafka's queue; of a range that ends before its partition does, so many
  // at most are fetched in vain.
  uint64_t ahead = 1'000'000;
  // How much of a partition is fetched at once.
  uint32_t fetch_bytes = 4 << 20;
};

// Calls `take` with each record's value and returns how many there were. Each partition at most once in `ranges`. The client
// stays as it is, so that its end costs no time: leave the process by _Exit.
uint64_t ReadRanges(const std::string& brokers, const std::string& topic, const std::vector<RawRange>& ranges,
                    const RawQueue& size, const std::function<void(std::string_view value)>& take);

}  // namespace tenfold::bench
