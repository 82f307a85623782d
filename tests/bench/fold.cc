// bench-fold: decodes and aggregates events, made before, with the production Decoder and DeltaTable, for
// tests/bench/instructions to count what an event takes. Needs no Kafka. Exits 1 if the sums are not the exact ones.
#include <algorithm>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "common/log.h"
#include "glog/logging.h"
#include "tests/bench/event_stream.h"
#include "worker/decoder.h"
#include "worker/delta_table.h"

namespace tenfold::bench {

// What BatchTask::FoldThread::FoldRecord (worker/batch_task.cc) does with each record of a poll, less what needs Kafka;
// where that changes, this follows. Returns how many were bad. The count begins and ends with this function: it may neither
// be inlined nor cloned, and has a plain name to ask for.
extern "C" [[gnu::noipa]] uint64_t FoldEvents(const std::vector<LogRecord>& records, Decoder* decoder, DeltaTable* table,
                                              PartitionState* partition) {
  uint64_t bad = 0;
  for (const LogRecord& record : records) {
    if (record.offset < partition->next_offset()) continue;
    std::string_view key;
    int64_t units = 0;
    if (decoder->Decode(record.value, &key, &units) == BAD_NONE) {
      table->Add(key, units);
    } else {
      ++bad;
    }
    partition->set_next_offset(record.offset + 1);
  }
  return bad;
}

namespace {

Decoder MakeDecoder() {
  JobSpec spec;
  spec.mutable_format()->set_separator("|");
  for (const char* field : {"page", "clicks", "minutes", "like"}) spec.mutable_format()->add_fields(field);
  spec.set_key("page");
  for (const auto& [constant, field] : {std::pair("0.8", "clicks"), std::pair("0.8", "minutes"), std::pair("1", "like")}) {
    ScoreTerm* const term = spec.add_score();
    term->set_constant(constant);
    term->set_field(field);
  }
  absl::StatusOr<Decoder> decoder = Decoder::Create(spec);
  CHECK(decoder.ok()) << decoder.status();
  return *std::move(decoder);
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
  CLI11_PARSE(app, argc, argv);

  const ZipfKeys draw(pages, exponent);
  Random random(1);
  ExactDeltas exact;
  // Records lie one after the other, as in a poll of a log.
  std::vector<char> text(count * Event::kMaxBytes);
  std::vector<LogRecord> records(count);
  char* end = text.data();
  for (size_t i = 0; i < count; ++i) {
    const Event event = Event::Draw(draw.Draw(&random), &random);
    char* const begin = end;
    end = event.Format(begin);
    records[i].offset = static_cast<int64_t>(i);
    records[i].value = {begin, end};
    auto& [events, sum] = exact[PageName(event.page)];
    ++events;
    sum += event.Contribution();
  }

  Decoder decoder = MakeDecoder();
  DeltaTable table;
  PartitionState partition;
  const uint64_t bad = FoldEvents(records, &decoder, &table, &partition);
  if (bad != 0 || !Equal(table.Deltas(), exact)) {
    std::cerr << "bench-fold: the sums are not the exact ones\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace tenfold::bench

int main(int argc, char** argv) { return tenfold::bench::Run(argc, argv); }
