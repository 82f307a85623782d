// bench-fold: decodes and aggregates events, made before, with the loop of production (worker/fold/record_fold.h), for
// tests/bench/instructions to count what an event takes. Needs no Kafka. Prints the nanoseconds an event took; exits 1 if
// the sums are not the exact ones.
#include <algorithm>
#include <iostream>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "common/kafka/log.h"
#include "common/kafka/record_batch.h"
#include "common/kafka/wire_messages.h"
#include "glog/logging.h"
#include "tests/bench/event_stream.h"
#include "tests/unit/common/wire_fixture.h"
#include "worker/fold/delta_table.h"
#include "worker/fold/record_fold.h"

namespace tenfold::bench {

// As many records as a poll hands over at most, and as a producer of many puts into a batch.
constexpr size_t kPoll = 10'000;
constexpr size_t kBatch = 1'000;

// The log of one partition, from memory: what the production loop needs of it besides its records.
class MemoryLog : public LogReader {
 public:
  absl::Status Assign(const std::vector<Start>&) override { return absl::OkStatus(); }
  absl::Status Poll(absl::Duration, std::vector<LogRecord>*, std::vector<Event>*) override { return absl::OkStatus(); }
  void ReadParts(const LogRecord&, RecordParts*) const override {}
  uint64_t Hash(const LogRecord&) const override { return 0; }
  absl::Duration TakeWaited() override { return absl::ZeroDuration(); }
  std::string WhyRdkafka() const override { return ""; }
  bool TakeChanged() override { return false; }
  absl::StatusOr<int64_t> Begin(uint32_t, absl::Duration) override { return 0; }
};

// The count begins and ends with this function: it may neither be inlined nor cloned, and has a plain name to ask for.
extern "C" [[gnu::noipa]] bool FoldEvents(std::span<const LogRecord> records, RecordFold* fold,
                                          std::vector<Cursor>* cursors) {
  const MemoryLog log;
  return !fold->Fold(records, log, /*exact=*/false, cursors).has_value();
}

// The same from the answer to a Fetch on, as the wire reader takes it apart.
extern "C" [[gnu::noipa]] bool FetchAndFoldEvents(std::string_view answer, RecordFold* fold, std::vector<Cursor>* cursors) {
  const MemoryLog log;
  const absl::StatusOr<WireFetched> fetched = ReadFetched(kFetchVersions.most, answer);
  if (!fetched.ok()) return false;
  std::vector<LogRecord> records;
  for (const WireFetched::Partition& partition : fetched->partitions) {
    std::string_view batches = partition.records.substr(0, FindExtent(partition.records).whole_bytes);
    RecordBatch batch;
    for (uint32_t number = 0;; ++number) {
      const absl::StatusOr<bool> taken = TakeBatch(&batches, &batch);
      if (!taken.ok()) return false;
      if (*taken && !BatchRecords(batch, batch.records, 0).Read(0, number, kPoll, &records).ok()) return false;
      if (*taken && records.size() < kPoll) continue;
      if (fold->Fold(records, log, /*exact=*/false, cursors)) return false;
      records.clear();
      if (!*taken) break;
    }
  }
  return true;
}

namespace {

// An answer with the records in batches of one partition.
std::string Answer(const std::vector<LogRecord>& records) {
  std::string batches;
  for (size_t begin = 0; begin < records.size(); begin += kBatch) {
    MadeBatch batch;
    batch.base_offset = records[begin].offset;
    for (size_t i = begin; i < std::min(records.size(), begin + kBatch); ++i) {
      MadeRecord& record = batch.records.emplace_back();
      record.delta = static_cast<int64_t>(i - begin);
      record.value = records[i].value;
    }
    batches += BatchBytes(batch);
  }
  WireFetched fetched;
  WireFetched::Partition& partition = fetched.partitions.emplace_back();
  partition.id = {'i', 'd'};
  partition.records = batches;
  return FetchedBytes(kFetchVersions.most, fetched);
}

// The records' format, and whether they are decoded directly or by a plan.
enum class Format { kDirect, kDelimited, kJson, kRegex, kAvro, kProtobuf };

// The same fold by expressions.
GeneralFold MakeGeneral(Format format) {
  GeneralFold general;
  if (format == Format::kJson) {
    general.mutable_format()->mutable_json();
  } else if (format == Format::kAvro) {
    general.mutable_format()->mutable_avro()->set_schema(kAvroSchema);
  } else if (format == Format::kProtobuf) {
    general.mutable_format()->mutable_protobuf()->set_descriptors(Descriptors());
    general.mutable_format()->mutable_protobuf()->set_message("Event");
  } else if (format == Format::kRegex) {
    general.mutable_format()->mutable_regex()->set_pattern(
        R"((?P<page>[^|]*)\|(?P<clicks>[^|]*)\|(?P<minutes>[^|]*)\|(?P<like>[^|]*))");
  } else {
    DelimitedFormat* const delimited = general.mutable_format()->mutable_delimited();
    delimited->set_separator("|");
    for (const char* field : {"page", "clicks", "minutes", "like"}) delimited->add_fields(field);
  }
  for (const auto& [name, type] : {std::pair("page", FIELD_TEXT), std::pair("clicks", FIELD_INTEGER),
                                   std::pair("minutes", FIELD_DECIMAL), std::pair("like", FIELD_INTEGER)}) {
    Field* const field = general.add_fields();
    field->set_name(name);
    field->set_place(name);
    field->set_type(type);
  }
  general.add_key("page");
  Measure* const measure = general.add_measures();
  measure->set_name("score");
  measure->set_expression("sum(0.8 * clicks + 0.8 * minutes + like)");
  return general;
}

RecordFold MakeFold(Format format) {
  JobSpec spec;
  if (format != Format::kDirect) {
    *spec.mutable_fold()->mutable_general() = MakeGeneral(format);
    absl::StatusOr<RecordFold> fold = RecordFold::Create(spec);
    CHECK(fold.ok()) << fold.status();
    return *std::move(fold);
  }
  spec.mutable_fold()->mutable_format()->set_separator("|");
  for (const char* field : {"page", "clicks", "minutes", "like"}) spec.mutable_fold()->mutable_format()->add_fields(field);
  spec.mutable_fold()->set_key("page");
  for (const auto& [constant, field] : {std::pair("0.8", "clicks"), std::pair("0.8", "minutes"), std::pair("1", "like")}) {
    ScoreTerm* const term = spec.mutable_fold()->add_score();
    term->set_constant(constant);
    term->set_field(field);
  }
  absl::StatusOr<RecordFold> fold = RecordFold::Create(spec);
  CHECK(fold.ok()) << fold.status();
  return *std::move(fold);
}

// Count and sum of each key.
using ExactDeltas = std::map<std::string, std::pair<uint64_t, Units>>;

bool Equal(std::vector<Delta> deltas, const ExactDeltas& exact) {
  std::ranges::sort(deltas, {}, &Delta::key);
  return std::equal(deltas.begin(), deltas.end(), exact.begin(), exact.end(), [](const Delta& delta, const auto& entry) {
    return delta.key == entry.first && delta.count == entry.second.first && delta.sum == entry.second.second;
  });
}

int Run(int argc, char** argv) {
  CLI::App app("Folds events from memory.", "bench-fold");
  size_t count = 0;
  uint32_t pages = 0;
  double exponent = 0;
  app.add_option("COUNT", count, "Events")->required();
  app.add_option("PAGES", pages)->required()->check(CLI::PositiveNumber);
  app.add_option("EXPONENT", exponent, "Of the pages' Zipf distribution; 0: all alike")->required();
  bool fetched = false;
  app.add_flag("--fetched", fetched, "They come as the answer to a Fetch");
  Format format = Format::kDirect;
  const std::map<std::string, Format> formats = {{"direct", Format::kDirect}, {"delimited", Format::kDelimited},
                                                 {"json", Format::kJson},     {"regex", Format::kRegex},
                                                 {"avro", Format::kAvro},     {"protobuf", Format::kProtobuf}};
  app.add_option("--format", format, "direct, or by a plan: delimited, json, regex, avro, protobuf")
      ->transform(CLI::CheckedTransformer(formats));
  CLI11_PARSE(app, argc, argv);

  const ZipfKeys draw(pages, exponent);
  Random random(1);
  ExactDeltas exact;
  // Records lie one after the other, as in a poll of a log.
  std::vector<char> text(count * Event::kMaxJsonBytes);
  std::vector<LogRecord> records(count);
  char* end = text.data();
  for (size_t i = 0; i < count; ++i) {
    const Event event = Event::Draw(draw.Draw(&random), &random);
    char* const begin = end;
    if (format == Format::kAvro || format == Format::kProtobuf) {
      end = std::ranges::copy(format == Format::kAvro ? event.FormatAvro() : event.FormatProtobuf(), begin).out;
    } else {
      end = format == Format::kJson ? event.FormatJson(begin) : event.Format(begin);
    }
    records[i].offset = static_cast<int64_t>(i);
    records[i].value = {begin, end};
    auto& [events, sum] = exact[PageName(event.page)];
    ++events;
    sum += event.Contribution();
  }

  RecordFold fold = MakeFold(format);
  DeltaTable table;
  PartitionState partition;
  std::vector<Cursor> cursors(1);
  cursors[0].state = &partition;
  cursors[0].table = &table;
  cursors[0].end = static_cast<int64_t>(count);
  const std::string answer = fetched ? Answer(records) : "";
  const absl::Time start = absl::Now();
  const bool folded = fetched ? FetchAndFoldEvents(answer, &fold, &cursors) : FoldEvents(records, &fold, &cursors);
  const absl::Duration taken = absl::Now() - start;
  if (!folded || partition.bad_size() != 0 || !Equal(table.Deltas(), exact)) {
    std::cerr << "bench-fold: the sums are not the exact ones\n";
    return 1;
  }
  std::cout << absl::ToDoubleNanoseconds(taken) / static_cast<double>(count) << " ns an event\n";
  return 0;
}

}  // namespace
}  // namespace tenfold::bench

int main(int argc, char** argv) { return tenfold::bench::Run(argc, argv); }
