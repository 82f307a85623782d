#include "jobs/cli/topic_sample.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "jobs/plan/sources.h"

namespace tenfold {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr absl::Duration kPollTimeout = absl::Milliseconds(200);

}  // namespace

absl::Status ReadLastRecords(const LogConfig& config, const KafkaSource& source, uint64_t limit,
                             const std::function<bool(const Record& record)>& visit) {
  absl::StatusOr<std::unique_ptr<LogClient>> client = LogClient::Create(config);
  if (!client.ok()) return client.status();
  const absl::Time deadline = absl::Now() + kTimeout;
  std::vector<std::string> topics = NamedTopics(source);
  if (const TopicMatcher matcher(source); matcher.has_patterns()) {
    const absl::StatusOr<std::vector<std::string>> all = (*client)->Topics(deadline - absl::Now());
    if (!all.ok()) return all.status();
    for (const std::string& topic : *all) {
      if (matcher.SourceOf(topic) && std::ranges::find(topics, topic) == topics.end()) topics.push_back(topic);
    }
  }
  const absl::StatusOr<std::vector<int32_t>> counts = (*client)->PartitionCounts(topics, deadline - absl::Now());
  if (!counts.ok()) return counts.status();
  std::vector<TopicPartition> partitions;
  for (size_t i = 0; i < topics.size(); ++i) {
    for (int32_t partition = 0; partition < (*counts)[i]; ++partition) partitions.push_back({topics[i], partition});
  }
  const auto begins = (*client)->Offsets(partitions, LogClient::Position::kBegin, deadline - absl::Now());
  if (!begins.ok()) return begins.status();
  const auto ends = (*client)->Offsets(partitions, LogClient::Position::kStableEnd, deadline - absl::Now());
  if (!ends.ok()) return ends.status();

  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(config);
  if (!reader.ok()) return reader.status();
  const auto each = static_cast<int64_t>((limit + partitions.size() - 1) / std::max<size_t>(partitions.size(), 1));
  std::vector<LogReader::Start> starts;
  std::vector<bool> done;
  for (size_t i = 0; i < partitions.size(); ++i) {
    starts.push_back({partitions[i], std::max((*begins)[i], (*ends)[i] - each)});
    done.push_back(starts[i].offset >= (*ends)[i]);
  }
  if (absl::Status assigned = (*reader)->Assign(starts); !assigned.ok()) return assigned;
  absl::Time moved = absl::Now();
  while (std::ranges::find(done, false) != done.end()) {
    std::vector<LogRecord> records;
    std::vector<LogReader::Event> events;
    const absl::Status polled = (*reader)->Poll(kPollTimeout, &records, &events);
    if (!polled.ok() && !absl::IsUnavailable(polled)) return polled;
    for (const LogRecord& record : records) {
      const TopicPartition& of = partitions[record.position];
      if (record.offset >= (*ends)[record.position]) {
        done[record.position] = true;
        continue;
      }
      if (limit == 0) return absl::OkStatus();
      RecordParts parts;
      (*reader)->ReadParts(record, &parts);
      if (!visit({.value = record.value,
                  .topic = of.topic,
                  .partition = of.partition,
                  .offset = record.offset,
                  .parts = &parts}))
        return absl::OkStatus();
      --limit;
      done[record.position] = record.offset + 1 >= (*ends)[record.position];
      moved = absl::Now();
    }
    for (const LogReader::Event& event : events) {
      if (event.kind != LogReader::Event::Kind::kEnd) return absl::FailedPreconditionError(event.message);
      // What is left are markers of transactions.
      done[event.position] = true;
    }
    if (absl::Now() - moved > kTimeout) return absl::UnavailableError("Kafka at " + config.brokers + " delivers nothing");
  }
  return absl::OkStatus();
}

}  // namespace tenfold
