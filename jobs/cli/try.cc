// The verb try: what each step of a job makes of records of a file or of its topics.
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "common/kafka/property_value.h"
#include "common/number/units.h"
#include "common/process/process.h"
#include "common/text/framed_key.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "jobs/cli/output.h"
#include "jobs/cli/spec_file.h"
#include "jobs/cli/topic_sample.h"
#include "jobs/cli/verbs.h"
#include "jobs/decode/bad_record_text.h"
#include "jobs/decode/learned_schemas.h"
#include "jobs/decode/record_decoder.h"
#include "jobs/plan/field_value.h"
#include "jobs/plan/sources.h"
#include "jobs/registry/schema_registry.h"
#include "jobs/show/result_json.h"
#include "jobs/show/status_json.h"
#include "jobs/spec/spec_rules.h"

namespace tenfold {
namespace {

struct Options {
  std::string file;
  std::string records = "-";
  // Brokers of the topics whose last records are tried in place of a file's; empty for a file.
  std::string kafka;
  // What the lines of a file are records of; empty for the spec's first topic.
  std::string topic;
  uint64_t limit = 20;
};

// Prints what each step makes of records.
class Trial {
 public:
  // `topic` is what lines are of; empty where records are of a topic.
  Trial(const JobSpec& spec, std::vector<RecordDecoder> decoders, std::string topic)
      : spec_(spec),
        form_(ResultFormOf(spec)),
        decoders_(std::move(decoders)),
        matcher_(spec.source()),
        topic_(std::move(topic)) {}

  // A line of a file. False once nobody reads any more.
  bool ShowLine(const std::string& value) {
    return Show(std::to_string(records_ + 1),
                {.value = value, .topic = topic_, .partition = 0, .offset = records_, .parts = &parts_});
  }

  bool Show(const std::string& name, const Record& record) {
    ++records_;
    PaneClock* const clock = ClockOf(record);
    std::string text = fmt::format("{}  {}\n", name, Shown(record.value));
    const size_t source = matcher_.SourceOf(record.topic).value_or(0);
    RecordDecoder& decoder = decoders_[source];
    if (const std::optional<uint32_t> schema = decoder.MissingSchema(record.value); schema && !Learn(*schema, &text))
      return false;
    const Contribution& made = decoder.Decode(record, clock);
    if (decoder.general() != nullptr) text += Fields(*decoder.general());
    const std::string subject(made.subject);
    if (made.reason != BAD_NONE) {
      text += fmt::format("   bad, {}: {}\n", BadReasonText(made.reason, subject),
                          Printable(BadRecordText(spec_, record.value, made.reason, subject, source)));
    } else if (made.filtered) {
      text +=
          made.unmatched ? "   filtered: the pattern of the format does not match it\n" : "   filtered: where is not true\n";
    } else if (made.late) {
      text += fmt::format("   late: all its windows up to {} had passed\n", WindowText(*clock->passed(), *form_.calendar));
    } else {
      if (made.pane) text += "   " + Windows(*made.pane) + "\n";
      for (const Contribution::Event& event : made.events) {
        const std::string group = form_.has_group ? " of " + Shown(PartsOfKey(event.key)[0]) : "";
        text += fmt::format("   adds to {}{}: {}\n", Printable(KeyText(std::string(event.key), form_)), group,
                            Contributions(event));
      }
      without_events_ += made.events.empty();
      if (made.events.empty()) text += "   adds to no key: its list has no element that is kept\n";
    }
    bad_ += made.reason != BAD_NONE;
    filtered_ += made.filtered;
    late_ += made.late;
    return PrintData(text);
  }

  // Why no more is shown, if that is not because nobody reads any more.
  const std::string& failure() const { return failure_; }

  std::string Summary() {
    const GeneralDecoder* const general = decoders_[matcher_.SourceOf(topic_).value_or(0)].general();
    const bool parts = !topic_.empty() && general != nullptr && general->plan().reads_parts;
    const std::string late = form_.calendar != nullptr ? fmt::format(", {} late", late_) : "";
    return fmt::format("{} records: {} bad, {} filtered{}, {} add to a key{}{}\n", records_, bad_, filtered_, late,
                       records_ - bad_ - filtered_ - late_ - without_events_,
                       without_events_ == 0 ? "" : fmt::format(", {} to none", without_events_),
                       parts ? "; lines have no key and no headers, and the present as their timestamp" : "");
  }

 private:
  // Asks the job's registry, and adds what it says to the text.
  bool Learn(uint32_t schema, std::string* text) {
    const absl::StatusOr<LearnedSchema> answer = AskRegistry(spec_.registry(), schema, access_);
    LearnedSchema* const learned = learned_.Add();
    learned->set_id(schema);
    if (absl::IsNotFound(answer.status())) learned->set_problem(std::string(answer.status().message()));
    if (answer.ok()) *learned = *answer;
    const absl::StatusOr<std::shared_ptr<const LearnedSchemas>> schemas = ReadLearnedSchemas(learned_);
    if (!schemas.ok() || (!answer.ok() && !absl::IsNotFound(answer.status()))) {
      failure_ = fmt::format("the registry {} does not tell of schema {}: {}", spec_.registry().url(), schema,
                             std::string((answer.ok() ? schemas.status() : answer.status()).message()));
      return false;
    }
    for (RecordDecoder& decoder : decoders_) decoder.SetSchemas(*schemas);
    *text +=
        fmt::format("   schema {}: {}\n", schema, Printable(learned->avro().empty() ? learned->problem() : learned->avro()));
    return true;
  }

  // nullptr in a job without windows.
  PaneClock* ClockOf(const Record& record) {
    if (form_.calendar == nullptr) return nullptr;
    const std::pair partition(std::string(record.topic), record.partition);
    return &clocks_.try_emplace(partition, form_.calendar.get(), std::nullopt).first->second;
  }

  // Which windows a row is of.
  std::string Windows(const RowPane& pane) const {
    const int64_t first = pane.first(form_.calendar->window().panes());
    const std::string text = WindowText(pane.last(), *form_.calendar);
    if (first == pane.last()) return "in the window " + text;
    return fmt::format("in {} windows, from {} on to {}", pane.last() - first + 1, WindowText(first, *form_.calendar), text);
  }

  // What an event adds to each measure.
  std::string Contributions(const Contribution::Event& event) const {
    std::string text;
    const auto added = [&event](size_t sum, const std::optional<size_t>& present) {
      return present && event.units[*present] == 0 ? std::string("null") : FormatUnits(event.units[sum]);
    };
    for (const RowMeasure& measure : form_.measures.measures) {
      // Behind a height is the number itself.
      const size_t sum = measure.sum + (measure.is_height() ? 1 : 0);
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", measure.name, added(sum, measure.present));
      // Of an average what is divided by says whether there was a number.
      if (measure.quotient) text += " / " + added(measure.quotient->divisor, measure.quotient->divisor_present);
    }
    return text;
  }

  // The fields that were read of the last record.
  static std::string Fields(const GeneralDecoder& general) {
    std::string text;
    for (size_t i = 0; i < general.plan().fields.size(); ++i) {
      const Value* const value = general.FieldValue(static_cast<uint32_t>(i));
      if (value == nullptr) continue;
      const bool quoted = std::holds_alternative<std::string>(*value);
      const std::string shown = IsNull(*value) ? "null" : quoted ? Quoted(ValueText(*value)) : ValueText(*value);
      text += fmt::format("   {} = {}\n", general.plan().fields[i].name, shown);
    }
    return text;
  }

  const JobSpec spec_;
  const ResultForm form_;
  // By source.
  std::vector<RecordDecoder> decoders_;
  const TopicMatcher matcher_;
  const std::string topic_;
  // Of the present, without key and headers, as lines of a file have none.
  const RecordParts parts_ = {.timestamp_ms = absl::ToUnixMillis(absl::Now())};
  // What the registry has said of schemas.
  google::protobuf::RepeatedPtrField<LearnedSchema> learned_;
  std::string failure_;
  // Who tries another's spec sends out no other files.
  const RegistryAccess access_ = {.file_dirs = DefaultPropertyDirs()};
  int64_t records_ = 0;
  int64_t bad_ = 0;
  int64_t filtered_ = 0;
  int64_t late_ = 0;
  int64_t without_events_ = 0;
  // Of a job with windows, by partition.
  std::map<std::pair<std::string, int32_t>, PaneClock> clocks_;
};

// What the verb exits with where the trial shows no more.
int Ended(const Trial& trial) {
  if (trial.failure().empty()) return kExitOk;
  PrintError(trial.failure());
  return kExitUnavailable;
}

// A line is a record or, if it is `binary`, the base64 of one.
int TryLines(const Options& options, bool binary, Trial* trial) {
  std::ifstream file;
  if (options.records != "-") {
    file.open(options.records, std::ios::binary);
    if (!file.is_open()) {
      PrintError(fmt::format("cannot read the records {}: {}", options.records, std::strerror(errno)));
      return kExitData;
    }
  }
  std::istream& lines = options.records == "-" ? std::cin : file;
  std::string line;
  for (int64_t number = 1; std::getline(lines, line); ++number) {
    std::string record;
    if (binary && !absl::Base64Unescape(line, &record)) {
      PrintError(fmt::format("{}:{}: is no base64, as which each line has a record of Avro or Protocol Buffers",
                             options.records == "-" ? "standard input" : options.records, number));
      return kExitData;
    }
    if (!trial->ShowLine(binary ? record : line)) return Ended(*trial);
  }
  PrintData(trial->Summary());
  return kExitOk;
}

int TryTopics(const Options& options, const JobSpec& spec, Trial* trial) {
  LogConfig config;
  config.brokers = options.kafka;
  for (const auto& [name, value] : spec.source().properties()) config.properties[name] = value;
  const absl::Status read = ReadLastRecords(config, spec.source(), options.limit, [trial](const Record& record) {
    return trial->Show(fmt::format("{}[{}] {}", record.topic, record.partition, record.offset), record);
  });
  if (!read.ok()) {
    PrintError(std::string(read.message()));
    return absl::IsUnavailable(read) ? kExitUnavailable : kExitRefused;
  }
  if (!trial->failure().empty()) return Ended(*trial);
  PrintData(trial->Summary());
  return kExitOk;
}

int RunTry(const Options& options) {
  JobSpec spec;
  if (const int code = ReadSpecFile(options.file, &spec); code != kExitOk) return code;
  absl::StatusOr<std::vector<RecordDecoder>> decoders = RecordDecoder::CreateAll(spec);
  if (!decoders.ok()) {
    PrintError(std::string(decoders.status().message()));
    return kExitData;
  }
  const std::vector<std::string> topics = NamedTopics(spec.source());
  if (!options.topic.empty() && !SourceOfTopic(spec.source(), options.topic)) {
    PrintError(
        fmt::format("no source of the spec has the topic {}{}", Quoted(options.topic), DidYouMean(options.topic, topics)));
    return kExitData;
  }
  // Lines are of some topic.
  std::string topic = options.topic.empty() && !topics.empty() ? topics[0] : options.topic;
  if (options.kafka.empty() && topic.empty()) topic = "-";
  const RecordFormat format = FoldOfSource(spec.fold().general(), SourceOfTopic(spec.source(), topic).value_or(0)).format();
  Trial trial(spec, *std::move(decoders), options.kafka.empty() ? topic : "");
  return options.kafka.empty() ? TryLines(options, format.has_avro() || format.has_protobuf(), &trial)
                               : TryTopics(options, spec, &trial);
}

}  // namespace

void AddTry(CLI::App* app, const CliGlobals*, RunVerb* run) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app->add_subcommand(
      "try", "show what each step of a job makes of sample records, of a file or of its topics; needs no driver");
  verb->add_option("FILE", options->file, "the job spec, in YAML, or in SQL if its name ends with .sql")->required();
  CLI::Option* const records =
      verb->add_option("--records", options->records,
                       "a file with a record a line, of Avro and Protocol Buffers in base64; - for the standard input")
          ->capture_default_str()
          ->type_name("FILE");
  verb->add_option("--topic", options->topic, "which topic the lines of the file are of; the first of the spec if not given")
      ->type_name("TOPIC");
  CLI::Option* const kafka =
      verb->add_option("--kafka", options->kafka, "the last records of the job's topics, from these brokers")
          ->type_name("HOST:PORT[,HOST:PORT]")
          ->check([](const std::string& text) { return CheckBrokers(text); })
          ->excludes(records);
  verb->add_option("--limit", options->limit, "how many of them")
      ->capture_default_str()
      ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000}))
      ->needs(kafka);
  verb->callback([=] { *run = [=] { return RunTry(*options); }; });
}

}  // namespace tenfold
