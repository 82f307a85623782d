#include "jobs/spec/job_spec.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "common/limits.h"
#include "common/number/decimal.h"
#include "common/number/framed_hash.h"
#include "common/number/units.h"
#include "common/text/duration.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "common/text/utf8.h"
#include "common/text/yaml_tree.h"
#include "fmt/format.h"
#include "google/protobuf/util/message_differencer.h"
#include "jobs/plan/field_value.h"
#include "jobs/plan/having.h"
#include "jobs/plan/measures.h"
#include "jobs/plan/plan.h"
#include "jobs/plan/sources.h"
#include "jobs/spec/fold_reader.h"
#include "jobs/spec/kafka_properties.h"
#include "jobs/spec/result_rules.h"
#include "jobs/spec/spec_rules.h"
#include "jobs/spec/spec_writer.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

// Must be raised when equal records fold to another state than before, or when rows get another form on disk.
constexpr uint64_t kFoldVersion = 3;

constexpr uint32_t kDefaultTop = 10;
constexpr uint32_t kDefaultGroups = 100;
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
// A percentage above 0 and below 100 with at most four decimals, in parts of a million.
std::optional<uint32_t> PercentPpm(std::string_view text) {
  int64_t mantissa = 0;
  int scale = 0;
  if (!text.ends_with('%') || !ReadPlainNumber(text.substr(0, text.size() - 1), &mantissa, &scale) || scale > 4)
    return std::nullopt;
  for (; scale < 4; ++scale) {
    if (mantissa >= 1'000'000) return std::nullopt;
    mantissa *= 10;
  }
  if (mantissa <= 0 || mantissa >= 1'000'000) return std::nullopt;
  return static_cast<uint32_t>(mantissa);
}

class SpecReader : private FoldReader {
 public:
  SpecReader(std::string_view text, JobSpec* spec, std::vector<YamlProblem>* problems, const SpecFiles* files)
      : FoldReader(text, problems), spec_(spec) {
    SetFiles(files);
  }

  void Read(const YamlNode& root) {
    SetPlace("", root.offset);
    spec_->set_top(kDefaultTop);
    spec_->set_batch_interval_ms(kDefaultBatchIntervalMs);
    ReadMap(
        root, "",
        {{"name", [this](auto&... at) { ReadText(at..., spec_->mutable_name()); }},
         {"source",
          [this](auto&... at) {
            has_source_ = true;
            ReadSource(at..., 0);
          }},
         {"sources", [this](auto&... at) { ReadSources(at...); }},
         {"tables", [this](auto&... at) { ReadTables(at...); }},
         {"where", [this](auto&... at) { ReadWhere(at...); }},
         {"let", [this](auto&... at) { ReadLet(at...); }},
         {"explode", [this](auto&... at) { ReadExplode(at...); }},
         {"key", [this](auto&... at) { ReadKey(at...); }},
         {"group", [this](auto&... at) { ReadGroup(at...); }},
         {"groups",
          [this](auto&... at) {
            if (const std::optional<uint32_t> groups = ReadCount(at..., kMaxGroups, "; what has a top each is group"))
              spec_->set_groups(*groups);
          }},
         {"limits", [this](auto&... at) { ReadLimits(at...); }},
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
    if (has_source_ && has_sources_)
      Problem(PlaceOfPath("sources"), "sources", "stands beside source; write that one as the first of them");
    Settle(spec_->mutable_fold());
    spec_->set_idle_us(idle_us());
    if (registry()) *spec_->mutable_registry() = *registry();
    if (!spec_->fold().general().group().empty() && spec_->groups() == 0)
      spec_->set_groups(std::clamp(MostGroups(*spec_), 1u, kDefaultGroups));
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
  void ReadSources(const YamlNode& node, const std::string& path) {
    const bool one = node.kind == YamlNode::Kind::kList && node.items.size() == 1;
    size_t source = 0;
    ReadList(node, path, [&](const YamlNode& item, const std::string& at) {
      // One alone is as if it stood under `source`.
      if (one) SetPlace("source", item.offset);
      if (source > 0) {
        NextSource();
        spec_->mutable_source()->add_others();
      }
      ReadSource(item, one ? "source" : at, source++);
    });
    has_sources_ = true;
    if (node.kind == YamlNode::Kind::kList && node.items.empty()) Problem(node.offset, path, "is an empty list");
  }

  void ReadSource(const YamlNode& node, const std::string& path, size_t source) {
    ReadMap(node, path,
            {{"kafka",
              [&](auto&... at) {
                if (source == 0) ReadKafka(at...);
                if (source > 0) ReadTopics(at..., spec_->mutable_source()->mutable_others(static_cast<int>(source) - 1));
              }},
             {"format", [this](auto&... at) { ReadFormat(at...); }},
             {"fields", [this](auto&... at) { ReadFields(at...); }},
             {"time", [this](auto&... at) { ReadTime(at...); }}});
  }

  // The keys of a source's own part of `kafka`.
  template <typename Source>
  Keys TopicKeys(Source* source) {
    return {
        {"topics",
         [=, this](auto&... at) { ReadList(at..., [=, this](auto&... item) { ReadText(item..., source->add_topics()); }); }},
        {"topics_matching", [=, this](auto&... at) { ReadText(at..., source->mutable_topics_matching()); }},
        {"start",
         [=, this](const YamlNode& value, const std::string& at) {
           if (value.kind == YamlNode::Kind::kScalar && value.text == "earliest") return;
           LogPosition position;
           if (!ReadLogPosition(value, at, "earliest, latest", &position)) return;
           if (position.end()) return source->set_start(START_LATEST);
           *source->mutable_start_at() = std::move(position);
         }},
        {"until", [=, this](auto&... at) { ReadLogPosition(at..., "latest", source->mutable_until()); }}};
  }

  void ReadTopics(const YamlNode& node, const std::string& path, SourceTopics* source) {
    Keys keys = TopicKeys(source);
    for (const char* const key : {"brokers", "properties", "group", "allow_compacted", "allow_internal", "missing_topics"}) {
      keys.emplace_back(key, [this](const YamlNode& value, const std::string& at) {
        Problem(value.offset, at, "stands in the first of the sources, and holds for all");
      });
    }
    ReadMap(node, path, keys);
  }

  bool ReadLogPosition(const YamlNode& node, const std::string& path, std::string_view words, LogPosition* position) {
    if (node.kind == YamlNode::Kind::kMap) return ReadOffsets(node, path, position->mutable_offsets());
    std::string text;
    if (!ReadText(node, path, &text)) return false;
    if (text == "latest") {
      position->set_end(true);
      return true;
    }
    Value time;
    if (ReadFieldText(text, FIELD_TIMESTAMP, TIMESTAMP_TEXT, &time) == FieldError::kNone) {
      // Records have milliseconds: the first one at that time or later.
      position->set_time_ms((std::get<Timestamp>(time).us + 999) / 1000);
      return true;
    }
    Problem(node.offset, path,
            fmt::format("{} is none of {}, a time like 2026-11-28T03:00:00Z, and {{TOPIC: {{PARTITION: OFFSET}}}}{}",
                        Quoted(text), words, words == "latest" ? "" : DidYouMean(text, {"earliest", "latest"})));
    return false;
  }

  bool ReadOffsets(const YamlNode& node, const std::string& path, PartitionOffsets* offsets) {
    const size_t before = problems()->size();
    const auto whole = [](const std::string& text, int64_t most) -> std::optional<int64_t> {
      int64_t number = 0;
      const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
      if (!digits || !absl::SimpleAtoi(text, &number) || number > most) return std::nullopt;
      return number;
    };
    ReadNames(node, path, [&](const YamlNode::Key& topic, const YamlNode& of_topic, const std::string& in) {
      ReadNames(of_topic, in, [&](const YamlNode::Key& partition, const YamlNode& value, const std::string& at) {
        std::string text;
        if (!ReadText(value, at, &text)) return;
        const std::optional<int64_t> number = whole(partition.text, std::numeric_limits<int32_t>::max());
        const std::optional<int64_t> offset = whole(text, std::numeric_limits<int64_t>::max());
        if (!number) return Problem(partition.offset, at, Quoted(partition.text) + " is no number of a partition");
        if (!offset) return Problem(value.offset, at, Quoted(text) + " is no offset");
        NamedOffset* const named = offsets->add_offsets();
        named->set_topic(topic.text);
        named->set_partition(static_cast<int32_t>(*number));
        named->set_offset(*offset);
      });
    });
    std::ranges::sort(*offsets->mutable_offsets(), {},
                      [](const NamedOffset& named) { return std::pair(named.topic(), named.partition()); });
    if (offsets->offsets().empty() && problems()->size() == before) Problem(node.offset, path, "names no offset");
    return problems()->size() == before;
  }

  void ReadKafka(const YamlNode& node, const std::string& path) {
    KafkaSource* const source = spec_->mutable_source();
    Keys keys = TopicKeys(source);
    const Keys common = {{"brokers",
                          [&](const YamlNode& value, const std::string& at) {
                            if (ReadText(value, at, source->mutable_brokers()) && source->brokers().empty()) {
                              Problem(value.offset, at, "is empty; leave it out to read from the driver's brokers");
                            }
                          }},
                         {"allow_compacted", [&](auto&... at) { source->set_allow_compacted(ReadBool(at...)); }},
                         {"allow_internal", [&](auto&... at) { source->set_allow_internal(ReadBool(at...)); }},
                         {"group", [&](auto&... at) { ReadText(at..., source->mutable_group()); }},
                         {"missing_topics",
                          [&](auto&... at) {
                            if (const auto word = ReadWord(at..., {"refuse", "wait"}))
                              source->set_wait_for_topics(*word == 1);
                          }},
                         {"properties", [this](auto&... at) { ReadProperties(at...); }}};
    keys.insert(keys.end(), common.begin(), common.end());
    ReadMap(node, path, keys);
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
    if (node.kind == YamlNode::Kind::kMap) {
      if (node.items.empty()) return Problem(node.offset, path, "is an empty map; {fail_above: 5%} is what it may say");
      return ReadMap(node, path, {{"fail_above", [this](auto&... at) { ReadFailAbove(at...); }}});
    }
    if (const auto word = ReadWord(node, path, {"skip", "fail"})) {
      spec_->set_on_bad_record(*word == 0 ? BAD_RECORD_SKIP : BAD_RECORD_FAIL);
    }
  }

  void ReadFailAbove(const YamlNode& node, const std::string& path) {
    std::string text;
    if (!ReadText(node, path, &text)) return;
    const std::optional<uint32_t> ppm = PercentPpm(text);
    if (!ppm)
      return Problem(node.offset, path,
                     "must be a percentage above 0% and below 100%, like 5% or 0.25%, with at most four decimals");
    spec_->set_fail_above_ppm(*ppm);
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
  bool has_source_ = false;
  bool has_sources_ = false;
};

// Returns which part of where the records are differs; "" if none does.
std::string ChangedTopics(const KafkaSource& before, const KafkaSource& after) {
  const auto equals = google::protobuf::util::MessageDifferencer::Equals;
  if (before.others_size() != after.others_size()) return "sources";
  for (size_t i = 0; i <= static_cast<size_t>(before.others_size()); ++i) {
    const SourceTopics old = TopicsOfSource(before, i);
    const SourceTopics now = TopicsOfSource(after, i);
    const std::string path = SourcePath(after, i) + ".kafka.";
    if (!std::ranges::equal(old.topics(), now.topics())) return path + "topics";
    if (old.topics_matching() != now.topics_matching()) return path + "topics_matching";
    if (!equals(old.until(), now.until())) return path + "until";
    if (!equals(old, now)) return path + "start";
  }
  return "";
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

void ReadTree(const YamlNode& root, std::string_view text, const SpecFiles* files, JobSpec* spec,
              std::vector<YamlProblem>* problems) {
  SpecReader reader(text, spec, problems, files);
  reader.Read(root);
  if (root.kind == YamlNode::Kind::kMap) reader.ApplyRules();
}

}  // namespace

std::vector<SpecError> ReadJobSpecTree(const YamlNode& root, std::string_view text, JobSpec* spec, const SpecFiles* files) {
  spec->Clear();
  std::vector<YamlProblem> problems;
  ReadTree(root, text, files, spec, &problems);
  return ErrorsOf(text, std::move(problems));
}

std::vector<SpecError> ReadJobSpec(std::string_view yaml, JobSpec* spec, const SpecFiles* files) {
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
    ReadTree(root, yaml, files, spec, &problems);
  }
  return ErrorsOf(yaml, std::move(problems));
}

std::string FormatSpecError(std::string_view file, const SpecError& error) {
  return fmt::format("{}:{}:{}: {}{}{}", file, error.line, error.column, Shown(error.path), error.path.empty() ? "" : ": ",
                     error.message);
}

namespace {

// What the files that a fold names may have together.
size_t EmbeddedBytes(const GeneralFold& fold) {
  const auto bytes = [](const RecordFormat& format) {
    return format.has_avro() || format.has_protobuf() ? kMaxSchemaBytes : size_t{0};
  };
  size_t most = (fold.tables().empty() ? 0 : kMaxTableBytes) + bytes(fold.format());
  for (const SourceRecords& records : fold.others()) most += bytes(records.format());
  return most;
}

}  // namespace

std::string CheckJobSpec(const JobSpec& spec) {
  const size_t most = kMaxMessageGrowth * (kMaxSpecBytes + EmbeddedBytes(spec.fold().general()));
  if (spec.ByteSizeLong() > most) return fmt::format("the job spec has {} bytes; {} are allowed", spec.ByteSizeLong(), most);
  const std::vector<SpecViolation> violations = CheckSpecRules(spec);
  if (!violations.empty()) return fmt::format("{}: {}", Shown(violations[0].path), violations[0].message);
  JobSpec canonical = spec;
  MakeSpecCanonical(&canonical);
  const bool same = google::protobuf::util::MessageDifferencer::Equals(canonical, spec);
  return same
             ? ""
             : "expressions, schemas or descriptors are not in the form in which they are hashed; submit the spec with this "
               "version's tenfold";
}

std::string FoldDifference(const JobSpec& before, const JobSpec& after) {
  if (FoldHash(before) == FoldHash(after)) return "";
  const nlohmann::ordered_json old = SpecJson(before);
  const nlohmann::ordered_json now = SpecJson(after);
  const auto differs = [&](const nlohmann::ordered_json::json_pointer& at) {
    return old.value(at, nlohmann::ordered_json()) != now.value(at, nlohmann::ordered_json());
  };
  // With an expression a job has fields and a time where it had none: that is what was written elsewhere.
  for (const char* part :
       {"window", "where", "let", "explode", "group", "key", "score", "measures", "tables", "initial", "limits"}) {
    if (differs(nlohmann::ordered_json::json_pointer(std::string("/") + part))) return part;
  }
  for (const char* part : {"format", "fields", "time"}) {
    if (differs(nlohmann::ordered_json::json_pointer(std::string("/source/") + part))) return std::string("source.") + part;
  }
  return old != now ? "sources" : "time zones";
}

std::string CheckUpdate(const JobSpec& before, const JobSpec& after, bool refolds) {
  // Another log makes another job, whatever it folds.
  const std::string log = before.name() != after.name() ? "name" : ChangedTopics(before.source(), after.source());
  if (!log.empty()) {
    return fmt::format(
        "{} differs from the job's, which goes on with the log that it has. Submit the spec under another name, or cancel "
        "the job and submit it anew",
        log);
  }
  const std::string part = refolds ? "" : FoldDifference(before, after);
  if (part.empty()) return "";
  return fmt::format(
      "{} differs from the job's, whose state was folded by it. Add --refold to have the state built anew from the log, "
      "while the job goes on as it is, or submit the spec under another name",
      part);
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
  // The rules take nothing but references, which are no secrets; a newer program's may be others.
  std::string* const password = shown.has_registry() ? shown.mutable_registry()->mutable_password() : nullptr;
  if (password != nullptr && !password->empty() && !CheckSecret(*password).empty()) *password = kMaskedSecret;
  return shown;
}

}  // namespace tenfold
