// What a reader delivers of partitions, to compare one reader with another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "common/kafka/log.h"

namespace tenfold {

// Of a partition: offset, value and hash of each record, and where it ended, -1 if no end was told.
struct LogContent {
  std::vector<std::tuple<int64_t, std::string, uint64_t>> records;
  int64_t end = -1;
};

// Reads the Kafka of local_kafka.h with one of the readers.
LogConfig ReaderConfig(ReaderChoice reader, size_t read_ahead_bytes = 0);
// All partitions of a topic from their offset 0 on.
std::vector<LogReader::Start> Begins(const std::string& topic, int32_t partitions);

// Reads the partitions to their ends; by position. A test that cannot fails.
std::map<uint32_t, LogContent> ReadAll(const LogConfig& config, const std::vector<LogReader::Start>& starts);

// Says where the two differ first; "" if they do not.
std::string Difference(const std::map<uint32_t, LogContent>& one, const std::map<uint32_t, LogContent>& other);

}  // namespace tenfold
