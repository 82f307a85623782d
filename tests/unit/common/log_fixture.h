// What the tests of common/kafka/log.h share.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "common/kafka/log.h"
#include "gtest/gtest.h"

namespace tenfold {

inline constexpr char kTopic[] = "events";
// Nothing listens on port 1.
inline constexpr char kNobody[] = "127.0.0.1:1";
inline constexpr absl::Duration kTimeout = absl::Seconds(10);
inline constexpr absl::Duration kShort = absl::Milliseconds(300);

inline LogConfig At(const std::string& brokers) { return {.brokers = brokers, .properties = {}}; }

inline std::string Message(const absl::Status& status) { return std::string(status.message()); }

// What a reader found, copied out of it.
struct Found {
  std::map<uint32_t, std::vector<std::pair<int64_t, std::string>>> records;
  std::vector<LogReader::Event> events;
};

// Polls until `enough` says so, or the time is over.
inline Found PollUntil(LogReader* reader, const std::function<bool(const Found&)>& enough) {
  Found found;
  std::vector<LogRecord> records;
  std::vector<LogReader::Event> events;
  const absl::Time deadline = absl::Now() + kTimeout;
  while (!enough(found) && absl::Now() < deadline) {
    EXPECT_TRUE(reader->Poll(absl::Milliseconds(100), &records, &events).ok());
    for (const LogRecord& record : records) found.records[record.position].emplace_back(record.offset, record.value);
    found.events.insert(found.events.end(), events.begin(), events.end());
  }
  return found;
}

inline std::function<bool(const Found&)> Events(size_t count) {
  return [count](const Found& found) { return found.events.size() >= count; };
}

}  // namespace tenfold
