#include "tests/cluster/log_content.h"

#include <algorithm>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/cluster/local_kafka.h"

namespace tenfold {
namespace {

constexpr absl::Duration kWait = absl::Seconds(30);

}  // namespace

LogConfig ReaderConfig(ReaderChoice reader, size_t read_ahead_bytes) {
  return {.brokers = KafkaBrokers(), .properties = {}, .read_ahead_bytes = read_ahead_bytes, .reader = reader};
}

std::vector<LogReader::Start> Begins(const std::string& topic, int32_t partitions) {
  std::vector<LogReader::Start> starts;
  for (int32_t p = 0; p < partitions; ++p) starts.push_back({{topic, p}, 0});
  return starts;
}

std::map<uint32_t, LogContent> ReadAll(const LogConfig& config, const std::vector<LogReader::Start>& starts) {
  std::map<uint32_t, LogContent> contents;
  const absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(config);
  EXPECT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE((*reader)->Assign(starts).ok());
  size_t ended = 0;
  const absl::Time deadline = absl::Now() + kWait;
  while (ended < starts.size() && absl::Now() < deadline) {
    std::vector<LogRecord> records;
    std::vector<LogReader::Event> events;
    const absl::Status polled = (*reader)->Poll(absl::Milliseconds(100), &records, &events);
    EXPECT_TRUE(polled.ok()) << polled;
    for (const LogRecord& record : records)
      contents[record.position].records.emplace_back(record.offset, record.value, (*reader)->Hash(record));
    for (const LogReader::Event& event : events) {
      EXPECT_EQ(event.kind, LogReader::Event::Kind::kEnd) << event.message;
      ended += contents[event.position].end < 0 ? 1 : 0;
      contents[event.position].end = event.next_offset;
    }
  }
  EXPECT_EQ(ended, starts.size()) << "not every end was reached";
  return contents;
}

// Says where the two differ first; "" if they do not.
std::string Difference(const std::map<uint32_t, LogContent>& one, const std::map<uint32_t, LogContent>& other) {
  std::set<uint32_t> positions;
  for (const auto* contents : {&one, &other}) {
    for (const auto& [position, content] : *contents) positions.insert(position);
  }
  for (const uint32_t p : positions) {
    const LogContent a = one.contains(p) ? one.at(p) : LogContent();
    const LogContent b = other.contains(p) ? other.at(p) : LogContent();
    if (a.end != b.end) return absl::StrCat("partition ", p, " ends at ", a.end, " and ", b.end);
    const size_t both = std::min(a.records.size(), b.records.size());
    for (size_t i = 0; i < both; ++i) {
      if (a.records[i] == b.records[i]) continue;
      return absl::StrCat("record ", i, " of partition ", p, " is at ", std::get<0>(a.records[i]), " and ",
                          std::get<0>(b.records[i]), ", with hash ", std::get<2>(a.records[i]), " and ",
                          std::get<2>(b.records[i]));
    }
    if (a.records.size() != b.records.size()) {
      const auto& rest = a.records.size() > both ? a.records[both] : b.records[both];
      return absl::StrCat("partition ", p, " has ", a.records.size(), " and ", b.records.size(),
                          " records; one lacks that at ", std::get<0>(rest));
    }
  }
  return "";
}

}  // namespace tenfold
