#include "tests/cluster/published_stream.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/log.h"
#include "common/number/units.h"
#include "jobs/oracle/oracle.h"
#include "jobs/plan/pane_calendar.h"
#include "jobs/plan/sources.h"
#include "jobs/show/result_json.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

using nlohmann::json;

// A record with copies of all its parts, which `parts` are views of.
struct Kept {
  int64_t offset = 0;
  std::string value;
  std::deque<std::string> texts = {};
  RecordParts parts = {};

  std::optional<std::string_view> Copy(const std::optional<std::string_view>& text) {
    if (!text) return std::nullopt;
    return texts.emplace_back(*text);
  }
};
// By partition index, in offset order.
using Log = std::vector<std::deque<Kept>>;

std::vector<TopicPartition> PartitionsOf(const json& batch) {
  std::vector<TopicPartition> partitions;
  for (const json& offset : batch.at("offsets")) partitions.push_back({offset.at("topic"), offset.at("partition")});
  return partitions;
}

std::vector<int64_t> OffsetsOf(const json& batch) {
  std::vector<int64_t> offsets;
  for (const json& offset : batch.at("offsets")) offsets.push_back(offset.at("next_offset"));
  return offsets;
}

// All committed records below `ends`.
absl::StatusOr<Log> ReadLog(const std::string& brokers, const std::vector<TopicPartition>& partitions,
                            const std::vector<int64_t>& ends) {
  const LogConfig config{.brokers = brokers, .properties = {}};
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(config);
  if (!reader.ok()) return reader.status();
  std::vector<LogReader::Start> starts;
  for (const TopicPartition& partition : partitions) starts.push_back({partition, 0});
  absl::Status assigned = (*reader)->Assign(starts);
  if (!assigned.ok()) return assigned;

  Log log(partitions.size());
  std::vector<int64_t> reached(partitions.size(), 0);
  const auto done = [&] {
    for (size_t i = 0; i < ends.size(); ++i) {
      if (reached[i] < ends[i]) return false;
    }
    return true;
  };
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  absl::Status polled;
  while (!done()) {
    if (absl::Now() > deadline)
      return absl::DeadlineExceededError(
          absl::StrCat("the log could not be read to the published offsets in 60 s: ", std::string(polled.message())));
    std::vector<LogRecord> records;
    std::vector<LogReader::Event> events;
    polled = (*reader)->Poll(absl::Milliseconds(200), &records, &events);
    // librdkafka may ask a dead broker first, and says that none is there.
    if (!polled.ok() && !absl::IsUnavailable(polled)) return polled;
    for (const LogRecord& record : records) {
      reached[record.position] = record.offset + 1;
      if (record.offset >= ends[record.position]) continue;
      Kept& kept = log[record.position].emplace_back();
      kept.offset = record.offset;
      kept.value = std::string(record.value);
      RecordParts parts;
      (*reader)->ReadParts(record, &parts);
      kept.parts.timestamp_ms = parts.timestamp_ms;
      kept.parts.key = kept.Copy(parts.key);
      for (const auto& [name, value] : parts.headers) kept.parts.headers.push_back({*kept.Copy(name), kept.Copy(value)});
    }
    for (const LogReader::Event& event : events) {
      if (event.kind != LogReader::Event::Kind::kEnd) return absl::DataLossError(event.message);
      reached[event.position] = std::max(reached[event.position], event.next_offset);
    }
  }
  return log;
}

// The parts of a frame of several, as a line has them. No test has a key with a zero byte.
json PartsOf(const std::string& key) {
  json parts = json::array();
  const std::string end("\0\1", 2);
  for (size_t begin = 0; begin < key.size(); begin = key.find(end, begin) + end.size())
    parts.push_back(key.substr(begin, key.find(end, begin) - begin));
  return parts;
}

template <typename Entries>
json ExpectedTop(const JobSpec& spec, const Entries& entries) {
  json top = json::array();
  const GeneralFold& general = spec.fold().general();
  const std::vector<oracle::MeasureOfRow> measures = oracle::ReadMeasures(spec.fold());
  for (const Entry& entry : entries) {
    top.push_back({{"rank", top.size() + 1}, {"key", entry.key()}});
    if (general.key_size() > 1 || !general.group().empty()) {
      json parts = PartsOf(entry.key());
      if (!general.group().empty()) parts.erase(0);
      top.back()["key"] = general.key_size() > 1 ? parts : parts[0];
    }
    std::vector<oracle::BigInt> sums = {oracle::UnitsOf(entry.sum())};
    for (const Int128& other : entry.others()) sums.push_back(oracle::UnitsOf(other));
    for (const oracle::MeasureOfRow& measure : measures) {
      const std::optional<oracle::Rational> value = measure.ValueOf(sums);
      const json shown = value ? json(FormatUnits(FromProto(oracle::UnitsMessage(oracle::Nearest(*value))))) : json();
      if (spec.fold().has_general()) top.back()["measures"][measure.name] = shown;
      if (measure.name == spec.rank() || (spec.rank().empty() && &measure == measures.data())) top.back()["score"] = shown;
    }
  }
  return top;
}

// A result with groups, as its lines have it together.
json ExpectedResult(const JobSpec& spec, const oracle::ExpectedResult& result) {
  if (spec.fold().general().group().empty()) return ExpectedTop(spec, result.top);
  json groups = json::array();
  for (const GroupTop& group : result.groups)
    groups.push_back({{"group", group.group()}, {"top", ExpectedTop(spec, group.top())}});
  return {{"groups", groups}, {"cut", result.groups_cut}};
}

// Makes one line of those of a result with groups, whose `top` has them all. Others stay as they are.
absl::StatusOr<std::vector<json>> JoinGroups(const JobSpec& spec, std::vector<json> lines) {
  if (spec.fold().general().group().empty()) return lines;
  std::vector<json> joined;
  size_t missing = 0;
  for (json& line : lines) {
    const size_t count = line.at("group_count");
    const size_t number = line.at("group_number");
    if (number != (missing == 0 ? std::min<size_t>(count, 1) : count - missing + 1))
      return absl::DataLossError(absl::StrCat("a group has the number ", number, " of ", count));
    json top = json::array();
    if (count > 0) top.push_back({{"group", line.at("group")}, {"top", line.at("top")}});
    if (missing == 0) {
      missing = count;
      line["top"] = {{"groups", top}, {"cut", line.at("groups_cut")}};
      joined.push_back(std::move(line));
    } else {
      for (const char* same : {"batch", "records"}) {
        if (line.at(same) != joined.back().at(same)) return absl::DataLossError("groups of one result are of several");
      }
      if (line.contains("offsets")) joined.back()["offsets"] = line.at("offsets");
      joined.back()["top"]["groups"].push_back(top[0]);
    }
    missing -= count > 0;
  }
  if (missing > 0) return absl::DataLossError(absl::StrCat(missing, " groups of the last result are missing"));
  return joined;
}

absl::Status Differs(uint64_t batch, const std::string& what, const json& published, const json& expected) {
  return absl::DataLossError(
      absl::StrCat("batch ", batch, ": ", what, " is ", published.dump(), " where it should be ", expected.dump()));
}

// A batch's place in the stream: batch `number` of its job, after `before`.
absl::Status CheckPlace(const std::string& job, const json& batch, const json& before, uint64_t number, bool refolded) {
  if (batch.at("batch") != number) return Differs(number, "its number", batch.at("batch"), number);
  if (batch.at("job") != job) return Differs(number, "job", batch.at("job"), job);
  if (before.is_null()) return absl::OkStatus();
  if (batch.at("job_id") != before.at("job_id")) return Differs(number, "job_id", batch.at("job_id"), before.at("job_id"));
  const std::vector<TopicPartition> partitions = PartitionsOf(batch), partitions_before = PartitionsOf(before);
  const std::vector<int64_t> offsets = OffsetsOf(batch), offsets_before = OffsetsOf(before);
  // But for one of a job with windows, which may have finals that the batch before had no room for.
  if (offsets == offsets_before && !batch.contains("window") && !refolded)
    return absl::DataLossError(absl::StrCat("batch ", number, " moves no offset"));
  for (size_t i = 0; i < offsets_before.size(); ++i) {
    if (i >= offsets.size() || partitions[i] != partitions_before[i] || offsets[i] < offsets_before[i]) {
      return absl::DataLossError(absl::StrCat("batch ", number, " goes back from ", before.at("offsets").dump(), " to ",
                                              batch.at("offsets").dump()));
    }
  }
  return absl::OkStatus();
}

json WindowOf(const JobSpec& spec, int64_t window, bool final, bool decreed = false) {
  const PaneCalendar::Times times = PaneCalendar(spec.fold().general().window()).TimesOf(window);
  return {{"start", FormatTime(times.begin_us)}, {"end", FormatTime(times.end_us)}, {"final", final}, {"decreed", decreed}};
}

// Every window that all partitions have passed is final, once, in the batch at whose offsets they had; where partitions
// may be idle, windows behind these are final by decree. `closed` is the last one that was final before.
absl::Status CheckFinals(const JobSpec& spec, uint64_t batch, const std::vector<json>& finals, const Oracle& oracle,
                         std::optional<int64_t>* closed) {
  if (!spec.fold().general().has_window()) {
    return finals.empty() ? absl::OkStatus() : absl::DataLossError("a job without windows has a final one");
  }
  json published = json::array();
  for (const json& final : finals) published.push_back({{"window", final.at("window")}, {"top", final.at("top")}});
  json expected = json::array();
  std::vector<int64_t> windows;
  const std::optional<int64_t> passed = oracle.Passed();
  for (const int64_t window : oracle.Windows()) {
    const bool has_passed = passed && window <= *passed;
    if ((!has_passed && spec.idle_us() == 0) || (*closed && window <= **closed)) continue;
    windows.push_back(window);
    expected.push_back({{"window", WindowOf(spec, window, true, !has_passed)},
                        {"top", ExpectedResult(spec, oracle.ResultOfWindow(window))}});
  }
  // A batch may leave some to the next one.
  const size_t has = published.size();
  json first = json::array();
  for (size_t i = 0; i < std::min(has, expected.size()); ++i) first.push_back(expected[i]);
  if (published != first) return Differs(batch, "its final windows", published, expected);
  if (has > 0) *closed = windows[has - 1];
  if (has == windows.size() || !passed || windows[has] > *passed) *closed = std::max(*closed, passed);
  return absl::OkStatus();
}

absl::Status CheckContents(const JobSpec& spec, const json& batch, uint64_t records_before, const Oracle::Result& result) {
  std::map<std::string, json> expected = {{"top", ExpectedResult(spec, result)},
                                          {"records", result.records},
                                          {"bad_records", result.bad_records},
                                          {"batch_records", result.records - records_before}};
  if (spec.fold().has_general()) expected["filtered_records"] = result.filtered_records;
  if (spec.fold().general().has_window()) {
    expected["late_records"] = result.late_records;
    expected["window"] = result.window ? WindowOf(spec, *result.window, false) : json();
  }
  for (const auto& [what, value] : expected) {
    if (batch.at(what) != value) return Differs(batch.at("batch"), what, batch.at(what), value);
  }
  return absl::OkStatus();
}

// The last of a spec's windows that ends at the time or before.
int64_t LastEnded(const JobSpec& spec, int64_t us) {
  const PaneCalendar calendar(spec.fold().general().window());
  int64_t window = calendar.PaneOf(us) + 2;
  while (calendar.TimesOf(window).end_us > us) --window;
  return window;
}

// The same lines, those of one result together.
absl::StatusOr<std::vector<json>> JoinGroups(const SpecsByBatch& specs, const std::vector<json>& published) {
  std::vector<json> joined;
  for (auto spec = specs.begin(); spec != specs.end(); ++spec) {
    const auto next = std::next(spec);
    std::vector<json> of_spec;
    for (const json& line : published) {
      const uint64_t batch = line.at("batch");
      if (batch >= spec->first && (next == specs.end() || batch < next->first)) of_spec.push_back(line);
    }
    absl::StatusOr<std::vector<json>> lines = JoinGroups(spec->second, std::move(of_spec));
    if (!lines.ok()) return lines.status();
    joined.insert(joined.end(), lines->begin(), lines->end());
  }
  return joined;
}

absl::Status Check(const std::string& brokers, const SpecsByBatch& specs, const std::vector<json>& published) {
  const absl::StatusOr<std::vector<json>> lines = JoinGroups(specs, published);
  if (!lines.ok()) return lines.status();
  const std::string& name = specs.begin()->second.name();
  // Lines of final windows stand before the line of their batch.
  std::vector<json> batches;
  std::vector<std::vector<json>> finals(1);
  for (const json& line : *lines) {
    const auto window = line.find("window");
    if (window != line.end() && window->is_object() && window->at("final").get<bool>()) {
      finals.back().push_back(line);
      continue;
    }
    for (const json& final : finals.back()) {
      if (final.at("batch") != line.at("batch"))
        return Differs(line.at("batch"), "a final's batch", final.at("batch"), line.at("batch"));
    }
    batches.push_back(line);
    finals.emplace_back();
  }
  if (!finals.back().empty()) return absl::DataLossError("the last batch has no line of its own");
  std::optional<int64_t> closed;
  if (batches.empty()) return absl::NotFoundError(absl::StrCat(name, " has published nothing"));
  for (size_t i = 0; i < batches.size(); ++i) {
    absl::Status placed = CheckPlace(name, batches[i], i == 0 ? json() : batches[i - 1], i + 1, specs.contains(i + 1));
    if (!placed.ok()) return placed;
  }
  absl::StatusOr<Log> log = ReadLog(brokers, PartitionsOf(batches.back()), OffsetsOf(batches.back()));
  if (!log.ok()) return log.status();

  std::optional<Oracle> made;
  std::vector<size_t> added;
  // The end of the last window that was final.
  std::optional<int64_t> closed_until_us;
  uint64_t records_before = 0;
  const std::vector<int64_t> last_offsets = OffsetsOf(batches.back());
  for (const json& batch : batches) {
    const JobSpec& spec = std::prev(specs.upper_bound(batch.at("batch")))->second;
    const bool has_windows = spec.fold().general().has_window();
    if (specs.contains(batch.at("batch").get<uint64_t>())) {
      made.emplace(spec, log->size());
      added.assign(log->size(), 0);
      closed = closed_until_us && has_windows ? std::optional(LastEnded(spec, *closed_until_us)) : std::nullopt;
    }
    Oracle& oracle = *made;
    const std::vector<int64_t> offsets = OffsetsOf(batch);
    for (size_t p = 0; p < offsets.size(); ++p) {
      const std::deque<Kept>& records = (*log)[p];
      for (; added[p] < records.size() && records[added[p]].offset < offsets[p]; ++added[p]) {
        const TopicPartition partition = PartitionsOf(batch)[p];
        oracle.Add(p, records[added[p]].value,
                   {.topic = partition.topic,
                    .partition = partition.partition,
                    .offset = records[added[p]].offset,
                    .parts = &records[added[p]].parts,
                    .source = SourceOfTopic(spec.source(), partition.topic).value_or(0)});
      }
      // A job that ends does so at the offsets of its last batch.
      if (spec.source().has_until() && offsets[p] == last_offsets[p]) oracle.End(p);
    }
    Oracle::Result result = oracle.Compute();
    // Behind windows that were final before, though some are left of them, the next one is current.
    if (result.window && closed && *closed >= *result.window) {
      result.window = *closed + 1;
      static_cast<oracle::ExpectedResult&>(result) = oracle.ResultOfWindow(*closed + 1);
    }
    absl::Status checked = CheckContents(spec, batch, records_before, result);
    if (checked.ok())
      checked = CheckFinals(spec, batch.at("batch"), finals[batch.at("batch").get<size_t>() - 1], oracle, &closed);
    if (!checked.ok()) return checked;
    if (closed && has_windows)
      closed_until_us =
          std::max(closed_until_us, std::optional(PaneCalendar(spec.fold().general().window()).TimesOf(*closed).end_us));
    records_before = result.records;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPublished(const std::string& brokers, const JobSpec& spec, const std::vector<std::string>& lines) {
  return CheckPublished(brokers, SpecsByBatch{{1, spec}}, lines);
}

absl::Status CheckPublished(const std::string& brokers, const SpecsByBatch& specs, const std::vector<std::string>& lines) {
  // The JSON library throws what a malformed line deserves.
  try {
    std::vector<json> batches;
    for (const std::string& line : lines) batches.push_back(json::parse(line));
    return Check(brokers, specs, batches);
  } catch (const json::exception& e) {
    return absl::DataLossError(absl::StrCat("a published line is not a batch: ", e.what()));
  }
}

}  // namespace tenfold
