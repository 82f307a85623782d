#include "jobs/spec/job_spec.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "common/limits.h"
#include "common/number/framed_hash.h"
#include "common/number/units.h"
#include "common/text/duration.h"
#include "common/text/shown_text.h"
#include "common/text/utf8.h"
#include "common/text/yaml_tree.h"
#include "fmt/format.h"
#include "google/protobuf/util/message_differencer.h"
#include "jobs/plan/having.h"
#include "jobs/plan/measures.h"
#include "jobs/plan/plan.h"
#include "jobs/spec/fold_reader.h"
#include "jobs/spec/kafka_properties.h"
#include "jobs/spec/spec_rules.h"

namespace tenfold {
namespace {

// Must be raised when equal records fold to another state than before, or when rows get another form on disk.
constexpr uint64_t kFoldVersion = 3;

constexpr uint32_t kDefaultTop = 10;
constexpr uint32_t kDefaultBatchIntervalMs = 2000;
// A JobSpec message has at most this many times the bytes of its YAML text.
constexpr size_t kMaxMessageGrowth = 4;

// Brings what a spec that has passed the rules says in texts into its one form.
void MakeSpecCanonical(JobSpec* spec) {
  if (spec->fold().has_general()) MakeCanonical(spec->mutable_fold()->mutable_general());
  MakeHavingCanonical(spec);
  if (MeasuresOf(*spec).ranked == 0) spec->clear_rank();
}

// Fills a JobSpec from a YAML tree.
class SpecReader : private FoldReader {
 public:
  SpecReader(std::string_view text, JobSpec* spec, std::vector<YamlProblem>* problems)
      : FoldReader(text, problems), spec_(spec) {}

  void Read(const YamlNode& root) {
    SetPlace("", root.offset);
    spec_->set_top(kDefaultTop);
    spec_->set_batch_interval_ms(kDefaultBatchIntervalMs);
    ReadMap(
        root, "",
        {{"name", [this](auto&... at) { ReadText(at..., spec_->mutable_name()); }},
         {"source", [this](auto&... at) { ReadSource(at...); }},
         {"where", [this](auto&... at) { ReadWhere(at...); }},
         {"let", [this](auto&... at) { ReadLet(at...); }},
         {"key", [this](auto&... at) { ReadKey(at...); }},
         {"score", [this](auto&... at) { ReadScore(at...); }},
         {"measures", [this](auto&... at) { ReadMeasures(at...); }},
         {"rank", [this](auto&... at) { ReadText(at..., spec_->mutable_rank()); }},
         {"order",
          [this](auto&... at) {
            if (const auto word = ReadWord(at..., {"descending", "ascending", "desc", "asc"}))
              spec_->set_order(*word % 2 == 0 ? ORDER_DESCENDING : ORDER_ASCENDING);
          }},
         {"having", [this](auto&... at) { ReadHaving(at..., spec_->mutable_having()); }},
         {"top", [this](auto&... at) { ReadTop(at...); }},
         {"window", [this](auto&... at) { ReadWindow(at...); }},
         {"batch", [this](auto&... at) { ReadMap(at..., {{"interval", [this](auto&... in) { ReadInterval(in...); }}}); }},
         {"initial", [this](auto&... at) { ReadInitial(at...); }},
         {"state", [this](auto&... at) { ReadMap(at..., {{"wal", [this](auto&... in) { ReadWal(in...); }}}); }},
         {"on_bad_record", [this](auto&... at) { ReadOnBadRecord(at...); }},
         {"on_stuck_partition", [this](auto&... at) { ReadOnStuckPartition(at...); }},
         {"sinks", [this](auto&... at) { ReadSinks(at...); }}});
    Settle(spec_->mutable_fold());
    spec_->set_idle_us(idle_us());
  }

  // Adds the violations of the rules, except those that concern a value that could not be read.
  void ApplyRules() {
    const size_t before = problems()->size();
    for (SpecViolation& violation : CheckSpecRules(*spec_)) {
      if (IsUnread(violation.path) || (!violation.relies_on.empty() && IsUnread(violation.relies_on))) continue;
      const size_t offset = PlaceOf(&violation);
      // All terms of a score stand in one text, which has one place.
      if (violation.path.starts_with("score[")) violation.path = "score";
      problems()->push_back(
          {offset, std::move(violation.path), std::move(violation.message), violation.end - violation.begin});
    }
    if (problems()->size() == before) MakeSpecCanonical(spec_);
  }

 private:
  void ReadSource(const YamlNode& node, const std::string& path) {
    ReadMap(node, path,
            {{"kafka", [this](auto&... at) { ReadKafka(at...); }},
             {"format", [this](auto&... at) { ReadFormat(at...); }},
             {"fields", [this](auto&... at) { ReadFields(at...); }},
             {"time", [this](auto&... at) { ReadTime(at...); }}});
  }

  void ReadKafka(const YamlNode& node, const std::string& path) {
    KafkaSource* const source = spec_->mutable_source();
    ReadMap(
        node, path,
        {{"topics", [&](auto&... at) { ReadList(at..., [&](auto&... item) { ReadText(item..., source->add_topics()); }); }},
         {"start",
          [&](auto&... at) {
            if (const auto word = ReadWord(at..., {"earliest", "latest"}))
              source->set_start(*word == 0 ? START_EARLIEST : START_LATEST);
          }},
         {"brokers",
          [&](const YamlNode& value, const std::string& at) {
            if (ReadText(value, at, source->mutable_brokers()) && source->brokers().empty()) {
              Problem(value.offset, at, "is empty; leave it out to read from the driver's brokers");
            }
          }},
         {"allow_compacted", [&](auto&... at) { source->set_allow_compacted(ReadBool(at...)); }},
         {"allow_internal", [&](auto&... at) { source->set_allow_internal(ReadBool(at...)); }},
         {"group", [&](auto&... at) { ReadText(at..., source->mutable_group()); }},
         {"properties", [this](auto&... at) { ReadProperties(at...); }}});
  }

  void ReadProperties(const YamlNode& node, const std::string& path) {
    if (!ExpectMap(node, path)) return;
    for (size_t i = 0; i < node.items.size(); ++i) {
      const std::string& name = node.keys[i].text;
      const std::string child = KeyPath(path, name);
      SetPlace(child, node.keys[i].offset);
      // Such a name is not echoed, as it may be a secret; the rules report it.
      if (!LooksLikeKafkaProperty(name)) SetPlace(path, node.keys[i].offset);
      std::string value;
      if (!LooksLikeKafkaProperty(name) || ReadText(node.items[i], child, &value)) {
        (*spec_->mutable_source()->mutable_properties())[name] = value;
      }
    }
  }

  void ReadTop(const YamlNode& node, const std::string& path) {
    std::string text;
    if (!ReadText(node, path, &text)) return;
    uint32_t top = 0;
    // 0 stands for a text that is no number, as the rules refuse it too.
    if (text.find_first_not_of("0123456789") != std::string::npos || !absl::SimpleAtoi(text, &top)) top = 0;
    spec_->set_top(top);
  }

  void ReadInterval(const YamlNode& node, const std::string& path) {
    std::string text;
    if (!ReadText(node, path, &text)) return;
    const absl::StatusOr<absl::Duration> interval = ParseDuration(text);
    if (!interval.ok()) return Problem(node.offset, path, std::string(interval.status().message()));
    spec_->set_batch_interval_ms(
        static_cast<uint32_t>(std::min<int64_t>(absl::ToInt64Milliseconds(*interval), kMaxBatchIntervalMs + 1)));
  }

  void ReadWal(const YamlNode& node, const std::string& path) {
    constexpr WalMode kModes[] = {WAL_SYNC, WAL_ASYNC, WAL_OFF};
    if (const auto word = ReadWord(node, path, {"sync", "async", "off"})) spec_->set_wal(kModes[*word]);
  }

  void ReadOnBadRecord(const YamlNode& node, const std::string& path) {
    if (const auto word = ReadWord(node, path, {"skip", "fail"})) {
      spec_->set_on_bad_record(*word == 0 ? BAD_RECORD_SKIP : BAD_RECORD_FAIL);
    }
  }

  void ReadOnStuckPartition(const YamlNode& node, const std::string& path) {
    if (const auto word = ReadWord(node, path, {"continue", "wait"})) {
      spec_->set_on_stuck_partition(*word == 0 ? STUCK_PARTITION_CONTINUE : STUCK_PARTITION_WAIT);
    }
  }

  void ReadInitial(const YamlNode& node, const std::string& path) {
    std::map<std::string, std::string> scores;
    ReadNames(node, path, [&](const YamlNode::Key& key, const YamlNode& value, const std::string& child) {
      std::string text;
      if (!ReadText(value, child, &text)) return;
      const absl::StatusOr<Units> units = ParseUnits(text);
      scores[key.text] = units.ok() ? FormatUnits(*units) : text;
    });
    for (auto& [key, score] : scores) {
      InitialScore* const initial = spec_->mutable_fold()->add_initial();
      initial->set_key(key);
      initial->set_score(std::move(score));
    }
  }

  void ReadSinks(const YamlNode& node, const std::string& path) {
    ReadList(node, path, [this](const YamlNode& item, const std::string& at) {
      Sink* const sink = spec_->add_sinks();
      if (item.kind == YamlNode::Kind::kMap && item.items.size() > 1) {
        return Problem(item.offset, at, "is several sinks; give each its own item of the list");
      }
      ReadMap(item, at,
              {{"stdout",
                [&](const YamlNode& value, const std::string& in) {
                  sink->mutable_stdout();
                  if (value.kind != YamlNode::Kind::kNull) ReadMap(value, in, {});
                }},
               {"file", [&](auto&... in) {
                  std::string* const file = sink->mutable_file()->mutable_path();
                  ReadMap(in..., {{"path", [&](auto&... value) { ReadText(value..., file); }}});
                }}});
    });
  }

  JobSpec* const spec_;
};

// Returns the first part in which two folds differ.
std::string GeneralDifference(const GeneralFold& before, const GeneralFold& after) {
  using google::protobuf::util::MessageDifferencer;
  const auto equals = MessageDifferencer::Equals;
  if (!equals(before.format(), after.format())) return "source.format";
  if (!std::ranges::equal(before.fields(), after.fields(), equals)) return "source.fields";
  if (before.time() != after.time()) return "source.time";
  if (!equals(before.window(), after.window())) return "window";
  if (before.where() != after.where()) return "where";
  if (!std::ranges::equal(before.let(), after.let(), equals)) return "let";
  return std::ranges::equal(before.key(), after.key()) ? "measures" : "key";
}

// Returns why the text cannot be parsed as YAML at all, and where; "" if it can.
std::string CheckText(std::string_view text, size_t* offset) {
  *offset = 0;
  if (text.size() > kMaxSpecBytes)
    return fmt::format("has more than {} bytes, the most that a job spec may have", kMaxSpecBytes);
  if (!IsUtf8(text)) return "is not UTF-8";
  // Control characters are not YAML, and yaml-cpp takes 0x04 for the end of the file.
  for (*offset = 0; *offset < text.size(); ++*offset) {
    const char c = text[*offset];
    if ((c >= 0 && c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == '\x7f') return "holds a control character";
  }
  return "";
}

std::vector<SpecError> ErrorsOf(std::string_view text, std::vector<YamlProblem> problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  std::vector<SpecError> errors;
  for (YamlProblem& problem : problems) {
    const TextPlace place = PlaceOf(text, problem.offset);
    errors.push_back({place.line, place.column, problem.length, std::move(problem.path), std::move(problem.message)});
  }
  return errors;
}

void ReadTree(const YamlNode& root, std::string_view text, JobSpec* spec, std::vector<YamlProblem>* problems) {
  SpecReader reader(text, spec, problems);
  reader.Read(root);
  if (root.kind == YamlNode::Kind::kMap) reader.ApplyRules();
}

}  // namespace

std::vector<SpecError> ReadJobSpecTree(const YamlNode& root, std::string_view text, JobSpec* spec) {
  spec->Clear();
  std::vector<YamlProblem> problems;
  ReadTree(root, text, spec, &problems);
  return ErrorsOf(text, std::move(problems));
}

std::vector<SpecError> ReadJobSpec(std::string_view yaml, JobSpec* spec) {
  spec->Clear();
  if (yaml.starts_with("\xef\xbb\xbf")) yaml.remove_prefix(3);
  std::vector<YamlProblem> problems;
  size_t offset = 0;
  std::string refusal = CheckText(yaml, &offset);
  if (!refusal.empty()) {
    problems.push_back({offset, "", std::move(refusal)});
  } else if (YamlNode root; !ReadYaml(yaml, &root, &problems)) {
    // The problems say what is wrong.
  } else if (root.kind == YamlNode::Kind::kNull) {
    problems.push_back({0, "", "is empty; a job spec is a mapping of keys to values"});
  } else {
    ReadTree(root, yaml, spec, &problems);
  }
  return ErrorsOf(yaml, std::move(problems));
}

std::string FormatSpecError(std::string_view file, const SpecError& error) {
  return fmt::format("{}:{}:{}: {}{}{}", file, error.line, error.column, Shown(error.path), error.path.empty() ? "" : ": ",
                     error.message);
}

std::string CheckJobSpec(const JobSpec& spec) {
  if (spec.ByteSizeLong() > kMaxMessageGrowth * kMaxSpecBytes) {
    return fmt::format("the job spec has {} bytes; {} are allowed", spec.ByteSizeLong(), kMaxMessageGrowth * kMaxSpecBytes);
  }
  const std::vector<SpecViolation> violations = CheckSpecRules(spec);
  if (!violations.empty()) return fmt::format("{}: {}", Shown(violations[0].path), violations[0].message);
  JobSpec canonical = spec;
  MakeSpecCanonical(&canonical);
  const bool same = google::protobuf::util::MessageDifferencer::Equals(canonical, spec);
  return same ? ""
              : "the expressions are not in the form in which they are hashed; submit the spec with this version's tenfold";
}

std::string CheckUpdate(const JobSpec& before, const JobSpec& after) {
  using google::protobuf::util::MessageDifferencer;
  std::string part;
  if (before.name() != after.name()) {
    part = "name";
  } else if (!MessageDifferencer::Equals(before.fold().format(), after.fold().format())) {
    part = "source.format";
  } else if (before.fold().key() != after.fold().key()) {
    part = "key";
  } else if (!std::ranges::equal(before.fold().score(), after.fold().score(), MessageDifferencer::Equals)) {
    part = "score";
  } else if (!std::ranges::equal(before.fold().initial(), after.fold().initial(), MessageDifferencer::Equals)) {
    part = "initial";
  } else if (!std::ranges::equal(before.source().topics(), after.source().topics())) {
    part = "source.kafka.topics";
  } else if (before.source().start() != after.source().start()) {
    part = "source.kafka.start";
  } else if (!MessageDifferencer::Equals(before.fold().general(), after.fold().general())) {
    part = GeneralDifference(before.fold().general(), after.fold().general());
  } else if (before.rank() != after.rank()) {
    part = "rank";
  } else if (before.order() != after.order()) {
    part = "order";
  } else if (before.having() != after.having()) {
    part = "having";
  } else if (FoldHash(before) != FoldHash(after)) {
    part = "what is folded";
  }
  if (part.empty()) return "";
  return fmt::format(
      "{} differs from the job's, {}. Submit the spec under another name, or cancel the job and submit it anew", part,
      part == "rank" || part == "order" || part == "having" ? "which cannot be changed while it runs"
                                                            : "whose state was folded by it");
}

uint64_t FoldHash(const JobSpec& spec) {
  FramedHash hash;
  hash.Add(kFoldVersion);
  for (const uint64_t limit :
       {uint64_t{kMaxNumberDigits}, uint64_t{kMaxNumberExponent}, uint64_t{kMaxRecordBytes}, uint64_t{kMaxKeyBytes},
        uint64_t{kShards}, uint64_t{kMaxBadSamples}, uint64_t{kMaxSampleBytes}}) {
    hash.Add(limit);
  }
  hash.Add(spec.fold());
  return hash.Finish();
}

JobSpec WithoutSecrets(const JobSpec& spec) {
  JobSpec shown = spec;
  for (auto& [name, value] : *shown.mutable_source()->mutable_properties()) {
    if (IsSecretKafkaProperty(name, value)) value = kMaskedSecret;
  }
  return shown;
}

}  // namespace tenfold
