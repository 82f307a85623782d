#include "jobs/spec/spec_rules.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "common/limits.h"
#include "common/number/decimal.h"
#include "common/number/units.h"
#include "common/text/address.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "common/text/utf8.h"
#include "common/text/yaml_tree.h"
#include "fmt/format.h"
#include "jobs/plan/field_value.h"
#include "jobs/plan/pattern.h"
#include "jobs/plan/sources.h"
#include "jobs/spec/fold_rules.h"
#include "jobs/spec/kafka_properties.h"
#include "jobs/spec/result_rules.h"
#include "jobs/spec/score_expression.h"
#include "re2/re2.h"

namespace tenfold {
namespace {

constexpr size_t kMaxNameBytes = 63;
constexpr size_t kMaxTopicBytes = 249;
constexpr size_t kMaxPathBytes = 1024;
constexpr size_t kMaxUrlBytes = 1024;

bool IsLowerOrDigit(char c) {
  return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c));
}

// Whether the name has the form [a-z0-9][a-z0-9-]{0,62}.
bool IsJobName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) { return IsLowerOrDigit(c) || c == '-'; });
}

class RuleChecker {
 public:
  explicit RuleChecker(const JobSpec& spec) : spec_(spec) {}

  std::vector<SpecViolation> Check() {
    CheckName();
    CheckSource();
    std::ranges::move(CheckFoldRules(spec_.fold()), std::back_inserter(violations_));
    std::ranges::move(CheckResultRules(spec_), std::back_inserter(violations_));
    CheckRegistry();
    CheckPace();
    CheckSinks();
    return std::move(violations_);
  }

 private:
  void Violation(std::string path, std::string message, std::string relies_on = "") {
    violations_.push_back({std::move(path), std::move(message), std::move(relies_on)});
  }

  void CheckName() {
    if (spec_.name().empty()) return Violation("name", "is missing; give the job a name");
    if (!IsJobName(spec_.name())) {
      Violation("name", Quoted(spec_.name()) + " is no job name; one matches [a-z0-9][a-z0-9-]{0,62}");
    }
  }

  void CheckSource() {
    const KafkaSource& source = spec_.source();
    std::map<std::string, size_t> topics;
    for (size_t i = 0; i <= static_cast<size_t>(source.others_size()); ++i) {
      CheckTopics(TopicsOfSource(source, i), i, &topics);
      CheckRange(TopicsOfSource(source, i), i);
    }
    if (topics.size() > kMaxTopics)
      Violation(SourcePath(source, 0), fmt::format("names {} topics; {} are allowed", topics.size(), kMaxTopics));
    if (source.others_size() != spec_.fold().general().others_size()) Violation("sources", "have each topics and a format");
    CheckCluster(source);
  }

  void CheckTopics(const SourceTopics& of, size_t source, std::map<std::string, size_t>* all) {
    const KafkaSource& kafka = spec_.source();
    const std::string list = SourcePath(kafka, source) + ".kafka.topics";
    if (of.topics().empty() && of.topics_matching().empty())
      Violation(list, "is missing; list at least one topic", SourcePath(kafka, source) + ".kafka.topics_matching");
    std::string error;
    if (!of.topics_matching().empty() && CompilePattern(of.topics_matching(), &error) == nullptr)
      Violation(list + "_matching", error);
    for (int i = 0; i < of.topics_size(); ++i) {
      const std::string& topic = of.topics(i);
      const std::string path = ItemPath(list, static_cast<size_t>(i));
      const std::string problem = CheckTopicName(topic);
      if (!problem.empty()) Violation(path, problem);
      if (IsInternalTopic(topic) && !kafka.allow_internal()) {
        Violation(path, Quoted(topic) + " is a topic of Kafka's own; read it with allow_internal: true",
                  SourcePath(kafka, 0) + ".kafka.allow_internal");
      }
      const auto [before, is_new] = all->emplace(topic, source);
      if (is_new) continue;
      Violation(path, before->second == source ? Quoted(topic) + " is listed twice"
                                               : fmt::format("{} is of {} already; a topic has one source", Quoted(topic),
                                                             SourcePath(kafka, before->second)));
    }
  }

  static bool IsSound(const LogPosition& position) {
    const auto& offsets = position.offsets().offsets();
    const auto place = [](const NamedOffset& named) { return std::pair(named.topic(), named.partition()); };
    const bool ordered = std::ranges::adjacent_find(offsets, std::ranges::greater_equal(), place) == offsets.end();
    return position.kind_case() != LogPosition::KIND_NOT_SET && (!position.has_end() || position.end()) &&
           (!position.has_offsets() || !offsets.empty()) && ordered;
  }

  // From where on and up to where a source is read.
  void CheckRange(const SourceTopics& of, size_t source) {
    const std::string kafka = SourcePath(spec_.source(), source) + ".kafka";
    if (!StartPosition_IsValid(of.start())) Violation(kafka + ".start", "must be earliest or latest");
    for (const auto& [position, path] : {std::pair(&of.start_at(), kafka + ".start"), {&of.until(), kafka + ".until"}}) {
      if (position->has_time_ms() && (position->time_ms() < 0 || position->time_ms() >= kTimestampEnd / 1000))
        Violation(path, "is no time from 1970 on and before 2200");
      for (const NamedOffset& named : position->offsets().offsets()) {
        const bool known = std::ranges::find(of.topics(), named.topic()) != of.topics().end();
        if (!known && of.topics_matching().empty()) {
          Violation(KeyPath(path, named.topic()), Quoted(named.topic()) + " is none of the source's topics" +
                                                      DidYouMean(named.topic(), {of.topics().begin(), of.topics().end()}));
        }
        if (named.partition() < 0 || named.offset() < 0) Violation(KeyPath(path, named.topic()), "an offset is not below 0");
      }
    }
    if (of.has_until() && !IsSound(of.until())) Violation(kafka + ".until", "is no place, or has offsets twice");
    if (of.has_start_at() && (!IsSound(of.start_at()) || of.start_at().end() || of.start() != START_EARLIEST))
      Violation(kafka + ".start", "is no place, is two, or has offsets twice");
    for (const std::string& topic : of.topics()) {
      const auto is_of = [&topic](const NamedOffset& named) { return named.topic() == topic; };
      if (of.until().has_offsets() && std::ranges::none_of(of.until().offsets().offsets(), is_of))
        Violation(kafka + ".until", fmt::format("has no offset of {}, which so has no end", Quoted(topic)));
    }
    if (of.has_until() != TopicsOfSource(spec_.source(), 0).has_until())
      Violation(kafka + ".until", "is of one source and not of another; a job that ends does so in all");
    if (of.has_until() && spec_.source().wait_for_topics())
      Violation(kafka + ".until", "goes with topics that are there; a job that waits for some has no end yet");
  }

  // What is said once, for all sources.
  void CheckCluster(const KafkaSource& source) {
    const std::string kafka = SourcePath(source, 0) + ".kafka";
    if (source.group().size() > kMaxTopicBytes || Printable(source.group()) != source.group())
      Violation(kafka + ".group", fmt::format("is a printable name of at most {} bytes, or none", kMaxTopicBytes));
    if (!source.brokers().empty()) {
      const std::string problem = CheckBrokers(source.brokers());
      if (!problem.empty()) Violation(kafka + ".brokers", problem);
    }
    const std::string path = kafka + ".properties";
    for (const auto& [name, value] :
         std::map<std::string_view, std::string_view>(source.properties().begin(), source.properties().end())) {
      if (!LooksLikeKafkaProperty(name)) {
        Violation(path, "a property's name has only lower case letters, digits, dots and underscores");
        continue;
      }
      const std::string problem = CheckKafkaProperty(name, value);
      if (!problem.empty()) Violation(KeyPath(path, name), problem);
    }
  }

  void CheckRegistry() {
    const GeneralFold& fold = spec_.fold().general();
    std::optional<size_t> of;
    for (size_t source = SourceCount(fold); source-- > 0;) {
      if (FoldOfSource(fold, source).format().avro().registry()) of = source;
    }
    const SchemaRegistry& registry = spec_.registry();
    if (!of) {
      if (spec_.has_registry()) Violation("source.format", "reads no records by the registry that the job has");
      return;
    }
    const std::string path = SourcePath(spec_.source(), *of) + ".format.avro.registry";
    static const RE2* const url =
        new RE2(R"(https?://(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(?:/[A-Za-z0-9._~%/-]*)?)");
    std::string port;
    const bool is_url = registry.url().size() <= kMaxUrlBytes && RE2::FullMatch(registry.url(), *url, &port);
    if (registry.url().empty()) {
      Violation(path, "needs the URL of a registry, as http://HOST:8081 is, or https://HOST/PATH");
    } else if (!is_url || (!port.empty() && std::stoi(port.substr(1)) > 65'535)) {
      Violation(path, registry.url().find('@') != std::string::npos
                          ? "has a user in its URL; write {url: .., user: NAME, password: REFERENCE}"
                          : "is no URL of one registry, as http://HOST:8081 is, or https://HOST/PATH");
    }
    if (registry.user().find_first_of(std::string_view(":\0", 2)) != std::string::npos ||
        registry.user().size() > kMaxUrlBytes)
      Violation(path + ".user", "holds a colon, which no user of HTTP's basic authentication has");
    if (!registry.password().empty()) {
      if (const std::string problem = CheckSecret(registry.password()); !problem.empty())
        Violation(path + ".password", problem);
      if (registry.user().empty()) Violation(path + ".user", "is missing beside a password");
    }
    if (!registry.ca().empty() && (registry.ca()[0] != '/' || registry.ca().find('\0') != std::string::npos))
      Violation(path + ".ca", "is a file on the host of the driver, with certificates in PEM: give its absolute path");
    if (!registry.ca().empty() && registry.url().starts_with("http:"))
      Violation(path + ".ca", "goes with https://, and the URL begins with http://");
  }

  void CheckPace() {
    if (spec_.batch_interval_ms() < kMinBatchIntervalMs || spec_.batch_interval_ms() > kMaxBatchIntervalMs) {
      Violation("batch.interval",
                fmt::format("must be from {}ms to {}h", kMinBatchIntervalMs, kMaxBatchIntervalMs / 3'600'000));
    }
    if (!WalMode_IsValid(spec_.wal())) Violation("state.wal", "must be sync, async or off");
    if (!BadRecordPolicy_IsValid(spec_.on_bad_record()))
      Violation("on_bad_record", "must be skip, fail or {fail_above: 5%}");
    if (spec_.fail_above_ppm() >= 1'000'000) Violation("on_bad_record.fail_above", "must be below 100%");
    if (spec_.fail_above_ppm() > 0 && spec_.on_bad_record() == BAD_RECORD_FAIL)
      Violation("on_bad_record.fail_above", "is of a job that skips bad records");
    if (!StuckPartitionPolicy_IsValid(spec_.on_stuck_partition()))
      Violation("on_stuck_partition", "must be continue or wait");
  }

  void CheckSinks() {
    bool has_stdout = false;
    std::set<std::filesystem::path> files;
    for (int i = 0; i < spec_.sinks_size(); ++i) {
      const std::string path = ItemPath("sinks", static_cast<size_t>(i));
      switch (spec_.sinks(i).kind_case()) {
        case Sink::kStdout:
          if (has_stdout) Violation(path, "stdout is listed twice");
          has_stdout = true;
          break;
        case Sink::kFile:
          CheckFileSink(path + ".file.path", spec_.sinks(i).file().path(), &files);
          break;
        case Sink::KIND_NOT_SET:
          Violation(path, "is no sink; one is {stdout: {}} or {file: {path: PATH}}");
          break;
      }
    }
  }

  void CheckFileSink(const std::string& path, const std::string& file, std::set<std::filesystem::path>* files) {
    if (file.empty()) return Violation(path, "is missing; name the file");
    if (file.size() > kMaxPathBytes)
      return Violation(path, fmt::format("has {} bytes; {} are allowed", file.size(), kMaxPathBytes));
    if (file.find('\0') != std::string::npos) return Violation(path, "holds a zero byte");
    const std::filesystem::path parsed = file;
    if (std::find(parsed.begin(), parsed.end(), "..") != parsed.end()) {
      return Violation(path, Quoted(file) + " leaves its directory with '..'; name a file below it");
    }
    const std::filesystem::path normal = parsed.lexically_normal();
    if (!normal.has_filename() || normal == ".") return Violation(path, Quoted(file) + " is a directory; name a file");
    if (!files->insert(normal).second) Violation(path, Quoted(file) + " is written by two sinks");
  }

  const JobSpec& spec_;
  std::vector<SpecViolation> violations_;
};

}  // namespace

std::vector<SpecViolation> CheckSpecRules(const JobSpec& spec) { return RuleChecker(spec).Check(); }

std::string CheckTopicName(std::string_view topic) {
  const bool sound = !topic.empty() && topic.size() <= kMaxTopicBytes && topic != "." && topic != ".." &&
                     std::all_of(topic.begin(), topic.end(), [](char c) {
                       return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
                     });
  if (sound) return "";
  return fmt::format("{} is no topic name; one has 1 to {} letters, digits, dots, underscores and dashes", Quoted(topic),
                     kMaxTopicBytes);
}

std::string CheckBrokers(std::string_view brokers) {
  while (true) {
    const size_t comma = brokers.find(',');
    const std::string_view broker = brokers.substr(0, comma);
    if (std::string wrong = CheckPeerAddress(broker); !wrong.empty()) return wrong;
    if (comma == std::string_view::npos) return "";
    brokers.remove_prefix(comma + 1);
  }
}

}  // namespace tenfold
