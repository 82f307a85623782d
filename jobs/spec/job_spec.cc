#include "jobs/spec/job_spec.h"

#include <algorithm>
#include <functional>
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
#include "common/text/suggestion.h"
#include "common/text/utf8.h"
#include "common/text/yaml_tree.h"
#include "fmt/format.h"
#include "google/protobuf/util/message_differencer.h"
#include "jobs/spec/kafka_properties.h"
#include "jobs/spec/score_expression.h"
#include "jobs/spec/spec_rules.h"

namespace tenfold {
namespace {

// Must be raised when equal records fold to another state than before, or when rows get another form on disk.
constexpr uint64_t kFoldVersion = 3;

constexpr uint32_t kDefaultTop = 10;
constexpr uint32_t kDefaultBatchIntervalMs = 2000;
// A JobSpec message has at most this many times the bytes of its YAML text.
constexpr size_t kMaxMessageGrowth = 4;

// Whether the path `inner` is `outer` or lies below it.
bool IsWithin(std::string_view inner, std::string_view outer) {
  return inner.starts_with(outer) &&
         (inner.size() == outer.size() || inner[outer.size()] == '.' || inner[outer.size()] == '[');
}

// Fills a JobSpec from a YAML tree and remembers the place of every value, so that violations can be located.
class SpecReader {
 public:
  SpecReader(std::string_view text, JobSpec* spec, std::vector<YamlProblem>* problems)
      : text_(text), spec_(spec), problems_(problems) {}

  void Read(const YamlNode& root) {
    places_[""] = root.offset;
    spec_->set_top(kDefaultTop);
    spec_->set_batch_interval_ms(kDefaultBatchIntervalMs);
    ReadMap(
        root, "",
        {{"name", [this](auto&... at) { ReadText(at..., spec_->mutable_name()); }},
         {"source", [this](auto&... at) { ReadSource(at...); }},
         {"key", [this](auto&... at) { ReadText(at..., spec_->mutable_fold()->mutable_key()); }},
         {"score", [this](auto&... at) { ReadScore(at...); }},
         {"top", [this](auto&... at) { ReadTop(at...); }},
         {"batch", [this](auto&... at) { ReadMap(at..., {{"interval", [this](auto&... in) { ReadInterval(in...); }}}); }},
         {"initial", [this](auto&... at) { ReadInitial(at...); }},
         {"state", [this](auto&... at) { ReadMap(at..., {{"wal", [this](auto&... in) { ReadWal(in...); }}}); }},
         {"on_bad_record", [this](auto&... at) { ReadOnBadRecord(at...); }},
         {"on_stuck_partition", [this](auto&... at) { ReadOnStuckPartition(at...); }},
         {"sinks", [this](auto&... at) { ReadSinks(at...); }}});
  }

  // Adds the violations of the rules, except those that concern a value that could not be read.
  void ApplyRules() {
    for (SpecViolation& violation : CheckSpecRules(*spec_)) {
      const bool hidden = std::any_of(unread_.begin(), unread_.end(), [&violation](const std::string& path) {
        return IsWithin(path, violation.path) || IsWithin(violation.path, path) ||
               (!violation.relies_on.empty() &&
                (IsWithin(path, violation.relies_on) || IsWithin(violation.relies_on, path)));
      });
      if (hidden) continue;
      const size_t offset = PlaceOfPath(violation.path);
      // All terms of a score stand in one text, which has one place.
      if (violation.path.starts_with("score[")) violation.path = "score";
      problems_->push_back({offset, std::move(violation.path), std::move(violation.message)});
    }
  }

 private:
  using ReadValue = std::function<void(const YamlNode&, const std::string& path)>;
  using Keys = std::vector<std::pair<std::string, ReadValue>>;

  // Returns the place of the path or, for a missing key, of the mapping that lacks it.
  size_t PlaceOfPath(std::string path) const {
    while (true) {
      const auto place = places_.find(path);
      if (place != places_.end()) return place->second;
      const size_t end = path.find_last_of(".[");
      path.resize(end == std::string::npos ? 0 : end);
    }
  }

  void Problem(size_t offset, const std::string& path, std::string message) {
    problems_->push_back({offset, path, std::move(message)});
    unread_.push_back(path);
  }

  // Returns false and adds an error unless the node is of this kind.
  bool Expect(const YamlNode& node, const std::string& path, YamlNode::Kind kind, std::string_view kind_name) {
    if (node.kind == kind) return true;
    if (node.kind == YamlNode::Kind::kRefused) {
      unread_.push_back(path);
    } else if (node.kind == YamlNode::Kind::kNull) {
      Problem(PlaceOfPath(path), path, fmt::format("has no value; it must be {}", kind_name));
    } else {
      Problem(node.offset, path, fmt::format("must be {}", kind_name));
    }
    return false;
  }

  bool ExpectMap(const YamlNode& node, const std::string& path) {
    return Expect(node, path, YamlNode::Kind::kMap,
                  path.empty() ? "a job spec, a mapping of keys to values" : "a mapping of keys to values");
  }

  // Returns the place of a value. yaml-cpp places an absent value at what follows, so its key's place is used.
  static size_t ValueOffset(const YamlNode& map, size_t i) {
    return map.items[i].kind == YamlNode::Kind::kNull ? map.keys[i].offset : map.items[i].offset;
  }

  void ReadMap(const YamlNode& node, const std::string& path, const Keys& keys) {
    if (!ExpectMap(node, path)) return;
    std::vector<std::string> names;
    for (const auto& [name, read] : keys) names.push_back(name);
    for (size_t i = 0; i < node.items.size(); ++i) {
      const YamlNode::Key& key = node.keys[i];
      const std::string child = KeyPath(path, key.text);
      const auto found = std::find(names.begin(), names.end(), key.text);
      if (found != names.end()) {
        places_[child] = ValueOffset(node, i);
        keys[static_cast<size_t>(found - names.begin())].second(node.items[i], child);
        continue;
      }
      problems_->push_back({key.offset, child, "unknown key" + DidYouMean(key.text, names)});
      // A key that was misspelled is not reported as missing, too.
      for (const std::string& name : names) {
        if (!DidYouMean(key.text, {name}).empty()) unread_.push_back(KeyPath(path, name));
      }
    }
  }

  void ReadList(const YamlNode& node, const std::string& path, const ReadValue& read) {
    if (!Expect(node, path, YamlNode::Kind::kList, "a list")) return;
    for (size_t i = 0; i < node.items.size(); ++i) {
      const std::string child = ItemPath(path, i);
      places_[child] = node.items[i].offset;
      read(node.items[i], child);
    }
  }

  bool ReadText(const YamlNode& node, const std::string& path, std::string* text) {
    if (!Expect(node, path, YamlNode::Kind::kScalar, "one value")) return false;
    *text = node.text;
    return true;
  }

  // Returns the index of the node's text among the words.
  std::optional<size_t> ReadWord(const YamlNode& node, const std::string& path, const std::vector<std::string>& words) {
    std::string word;
    if (!ReadText(node, path, &word)) return std::nullopt;
    const auto found = std::find(words.begin(), words.end(), word);
    if (found != words.end()) return static_cast<size_t>(found - words.begin());
    Problem(node.offset, path,
            fmt::format("{} is none of {}{}", Quoted(word), fmt::join(words, ", "), DidYouMean(word, words)));
    return std::nullopt;
  }

  void ReadSource(const YamlNode& node, const std::string& path) {
    ReadMap(node, path,
            {{"kafka", [this](auto&... at) { ReadKafka(at...); }}, {"format", [this](auto&... at) { ReadFormat(at...); }}});
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
         {"properties", [this](auto&... at) { ReadProperties(at...); }}});
  }

  bool ReadBool(const YamlNode& node, const std::string& path) {
    return ReadWord(node, path, {"true", "false"}) == std::optional<size_t>(0);
  }

  void ReadProperties(const YamlNode& node, const std::string& path) {
    if (!ExpectMap(node, path)) return;
    for (size_t i = 0; i < node.items.size(); ++i) {
      const std::string& name = node.keys[i].text;
      const std::string child = KeyPath(path, name);
      places_[child] = node.keys[i].offset;
      // Such a name is not echoed, as it may be a secret; the rules report it.
      if (!LooksLikeKafkaProperty(name)) places_[path] = node.keys[i].offset;
      std::string value;
      if (!LooksLikeKafkaProperty(name) || ReadText(node.items[i], child, &value)) {
        (*spec_->mutable_source()->mutable_properties())[name] = value;
      }
    }
  }

  void ReadFormat(const YamlNode& node, const std::string& path) {
    ReadMap(node, path, {{"delimited", [this](const YamlNode& delimited, const std::string& at) {
                            DelimitedFormat* const format = spec_->mutable_fold()->mutable_format();
                            ReadMap(delimited, at,
                                    {{"separator", [&](auto&... in) { ReadText(in..., format->mutable_separator()); }},
                                     {"fields", [&](auto&... in) {
                                        ReadList(in..., [&](auto&... item) { ReadText(item..., format->add_fields()); });
                                      }}});
                          }}});
  }

  void ReadScore(const YamlNode& node, const std::string& path) {
    std::string text;
    if (!ReadText(node, path, &text) || text.empty()) return;
    ParsedScore score = ParseScore(text);
    if (!score.error.empty()) return Problem(OffsetInScalar(text_, node, score.error_at), path, std::move(score.error));
    for (size_t i = 0; i < score.terms.size(); ++i) {
      ParsedScore::Term& term = score.terms[i];
      places_[ItemPath(path, i) + ".constant"] = OffsetInScalar(text_, node, term.constant_at);
      places_[ItemPath(path, i) + ".field"] = OffsetInScalar(text_, node, term.field_at);
      ScoreTerm* const added = spec_->mutable_fold()->add_score();
      added->set_constant(std::move(term.constant));
      added->set_field(std::move(term.field));
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
    if (!ExpectMap(node, path)) return;
    std::map<std::string, std::string> scores;
    for (size_t i = 0; i < node.items.size(); ++i) {
      const std::string child = KeyPath(path, node.keys[i].text);
      places_[child] = ValueOffset(node, i);
      std::string text;
      if (!ReadText(node.items[i], child, &text)) continue;
      const absl::StatusOr<Units> units = ParseUnits(text);
      scores[node.keys[i].text] = units.ok() ? FormatUnits(*units) : text;
    }
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

  const std::string_view text_;
  JobSpec* const spec_;
  std::vector<YamlProblem>* const problems_;
  std::map<std::string, size_t> places_;
  // Paths whose value could not be read, and so is missing from the spec.
  std::vector<std::string> unread_;
};

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

}  // namespace

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
    SpecReader reader(yaml, spec, &problems);
    reader.Read(root);
    if (root.kind == YamlNode::Kind::kMap) reader.ApplyRules();
  }
  std::stable_sort(problems.begin(), problems.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  std::vector<SpecError> errors;
  for (YamlProblem& problem : problems) {
    const TextPlace place = PlaceOf(yaml, problem.offset);
    errors.push_back({place.line, place.column, std::move(problem.path), std::move(problem.message)});
  }
  return errors;
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
  return violations.empty() ? "" : fmt::format("{}: {}", Shown(violations[0].path), violations[0].message);
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
  } else if (FoldHash(before) != FoldHash(after)) {
    part = "what is folded";
  }
  if (part.empty()) return "";
  return fmt::format(
      "{} differs from the job's, whose state was folded by it. Submit the spec under another name, or cancel "
      "the job and submit it anew",
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
  return shown;
}

}  // namespace tenfold
