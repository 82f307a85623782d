#include "jobs/spec/fold_rules.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/number/decimal.h"
#include "common/number/units.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "common/text/utf8.h"
#include "common/text/yaml_tree.h"
#include "fmt/format.h"
#include "jobs/plan/avro_schema.h"
#include "jobs/plan/expression.h"
#include "jobs/plan/field_value.h"
#include "jobs/plan/measures.h"
#include "jobs/plan/plan.h"
#include "jobs/plan/protobuf_schema.h"
#include "jobs/plan/record_columns.h"
#include "jobs/plan/sources.h"
#include "jobs/spec/score_expression.h"

namespace tenfold {
namespace {

constexpr size_t kMaxFieldNameBytes = 100;
constexpr size_t kMaxSeparatorBytes = 16;
constexpr size_t kMaxZoneBytes = 100;
// Zones that expressions name.
constexpr size_t kMaxZones = 16;
// Panes that windows wait for late records of.
constexpr int64_t kMaxOpenPanes = 4096;

class FoldRuleChecker {
 public:
  explicit FoldRuleChecker(const Fold& fold) : fold_(fold) {}

  std::vector<SpecViolation> Check() {
    if (fold_.has_general()) {
      CheckGeneral();
    } else {
      CheckFormat();
      CheckKey();
      CheckScore();
    }
    CheckInitial();
    return std::move(violations_);
  }

 private:
  void Violation(std::string path, std::string message, std::string relies_on = "") {
    violations_.push_back({.path = std::move(path), .message = std::move(message), .relies_on = std::move(relies_on)});
  }

  void CheckGeneral() {
    const GeneralFold& general = fold_.general();
    if (fold_.has_format() || !fold_.key().empty() || !fold_.score().empty())
      return Violation("", "has two forms of a fold, and is to have one");
    const size_t before = violations_.size();
    if (SourceCount(general) > kMaxSources)
      return Violation("sources", fmt::format("has {} sources; {} are allowed", SourceCount(general), kMaxSources));
    for (size_t source = 0; source < SourceCount(general); ++source) CheckRecords(general, source);
    CheckWindow(general);
    CheckZones(general);
    CheckTables(general);
    if (general.has_explode()) {
      CheckExpressionName("explode." + general.explode().name(), general.explode().name());
      if (general.explode().list().empty())
        Violation("explode", "has no list; e.g. {tag: tags}, or {word: split(text, \" \")}");
    }
    for (const Let& let : general.let()) CheckExpressionName("let." + let.name(), let.name());
    for (const Measure& measure : general.measures()) CheckExpressionName("measures." + measure.name(), measure.name());
    CheckCount("let", general.let_size(), kMaxLets, "values");
    CheckCount("key", general.key_size(), kMaxKeyParts, "parts");
    CheckCount("measures", general.measures_size(), kMaxMeasures, "measures");
    if (general.key_bytes() > kMaxKeyBytes)
      Violation("limits.key_bytes", fmt::format("must be a whole number from 1 to {}", kMaxKeyBytes));
    const auto parts = static_cast<size_t>(general.key_size() + (general.group().empty() ? 0 : 1));
    if (general.key_bytes() > 0 && parts > 1 && general.key_bytes() <= 2 * parts)
      Violation("limits.key_bytes",
                fmt::format("leaves no room: {} parts of a key, with its group, take two bytes each beside "
                            "their own",
                            parts));
    if (general.key().empty()) Violation("key", "is missing; name the field whose values are ranked");
    if (general.measures().empty())
      Violation("score", "is missing, and there are no measures; e.g. 0.8*clicks + like, or measures: {events: count()}",
                "measures");
    for (size_t source = 1; source < SourceCount(general); ++source) CheckDeclared(general, source);
    // A plan of what breaks these rules would only tell of them again.
    if (violations_.size() > before) return;
    std::vector<std::shared_ptr<const Plan>> plans;
    for (size_t source = 0; source < SourceCount(general); ++source) plans.push_back(CheckPlan(general, source));
    if (violations_.size() > before) return;
    CheckSums();
    for (size_t source = 1; source < plans.size(); ++source) CheckSameFields(*plans[0], *plans[source], source);
  }

  // The fold has a plan for each source.
  void CheckSums() {
    JobSpec spec;
    *spec.mutable_fold()->mutable_general() = fold_.general();
    // Says which measures may be null.
    MakeCanonical(spec.mutable_fold()->mutable_general());
    const JobMeasures of = MeasuresOf(spec);
    if (of.ranking.sums > kMaxSums)
      Violation(
          "measures",
          fmt::format("have {} sums in a row, of which a quotient takes two to four, max and min two or three; at most "
                      "{} are allowed",
                      of.ranking.sums, kMaxSums));
    first_is_sum_ = !of.measures[0].quotient && !of.measures[0].is_height();
    for (const RowMeasure& measure : of.measures) {
      if (measure.is_height() && fold_.general().window().panes() > 1)
        Violation(
            "measures." + measure.name,
            "is a max or min, from which nothing can be taken as a window slides on; it goes with tumbling windows, or "
            "without windows");
    }
    first_may_be_null_ = of.measures[0].nullable();
  }

  // How paths name a source.
  std::string PathOf(size_t source) const {
    return fold_.general().others().empty() ? "source" : fmt::format("sources[{}]", source);
  }

  void CheckRecords(const GeneralFold& fold, size_t source) {
    source_ = PathOf(source);
    const GeneralFold general = FoldOfSource(fold, source);
    switch (general.format().kind_case()) {
      case RecordFormat::kDelimited:
        CheckDelimited(general.format().delimited(), kMaxSeparatorBytes);
        break;
      case RecordFormat::kRegex: {
        std::string error;
        if (ReadRecordPattern(general.format().regex(), &error).pattern == nullptr)
          Violation(source_ + ".format.regex.pattern", std::move(error));
        for (const std::string& name : ColumnsOf(general.format())) CheckColumnName(source_ + ".format.regex.pattern", name);
        break;
      }
      case RecordFormat::kAvro: {
        std::string error;
        if (general.format().avro().registry()) {
          if (!general.format().avro().schema().empty())
            Violation(source_ + ".format.avro.schema", "goes without a registry, which has the schemas");
          if (general.format().avro().confluent())
            Violation(source_ + ".format.avro.confluent", "goes without saying where there is a registry; leave it out");
        } else if (general.format().avro().schema().empty()) {
          Violation(source_ + ".format.avro.schema",
                    "is missing, or empty; name the file of the schema that records are written by, or by registry the URL "
                    "of the one that has them");
        } else if (!ReadAvroSchema(general.format().avro().schema(), &error)) {
          Violation(source_ + ".format.avro.schema", std::move(error));
        }
        break;
      }
      case RecordFormat::kProtobuf: {
        const ProtobufFormat& protobuf = general.format().protobuf();
        std::string error;
        if (protobuf.descriptors().empty() || protobuf.message().empty()) {
          Violation(
              source_ + ".format.protobuf",
              "needs descriptors, the file that protoc --include_imports --descriptor_set_out writes, and message, the "
              "full name of what a record is");
        } else if (ReadProtobufSchema(protobuf, &error) == nullptr) {
          Violation(source_ + ".format.protobuf", std::move(error));
        }
        break;
      }
      case RecordFormat::kJson:
      case RecordFormat::kText:
        break;
      case RecordFormat::KIND_NOT_SET:
        Violation(
            source_ + ".format",
            "is missing; e.g. {json: {}}, {delimited: {separator: \"|\", fields: [page, clicks]}}, {regex: {pattern: "
            "'..'}}, "
            "{avro: {schema: FILE}}, {avro: {registry: URL}}, {protobuf: {descriptors: FILE, message: NAME}} or {text: {}}");
    }
    for (const Field& field : general.fields()) CheckFieldOf(field);
    CheckCount(source_ + ".fields", general.fields_size(), kMaxFields, "fields");
    if (general.has_window() != !general.time().empty()) Violation("window", "goes with the time of records");
  }

  // Expressions are checked for the records of each source, and what is wrong in all is told once.
  std::shared_ptr<const Plan> CheckPlan(const GeneralFold& fold, size_t source) {
    const std::string path = PathOf(source);
    std::vector<PlanProblem> problems;
    std::shared_ptr<const Plan> plan = MakePlan(FoldOfSource(fold, source), &problems);
    for (PlanProblem& problem : problems) {
      const bool of_source = problem.path.starts_with("source.");
      if (of_source) problem.path.replace(0, std::string_view("source").size(), path);
      const auto is_known = [&](const SpecViolation& known) {
        return known.path == problem.path && known.begin == problem.begin && known.message.ends_with(problem.message);
      };
      if (std::ranges::any_of(violations_, is_known)) continue;
      const bool says_which = source > 0 && !of_source;
      violations_.push_back({.path = std::move(problem.path),
                             .message = says_which ? fmt::format("of the records of {}: {}", path, problem.message)
                                                   : std::move(problem.message),
                             .relies_on = fold.others().empty() ? "source" : "sources",
                             .begin = problem.begin,
                             .end = problem.end});
    }
    return plan;
  }

  // Those that are declared, so that no expression has to tell of what another source lacks.
  void CheckDeclared(const GeneralFold& fold, size_t source) {
    const GeneralFold first = FoldOfSource(fold, 0);
    const GeneralFold other = FoldOfSource(fold, source);
    const auto has = [](const GeneralFold& of, const std::vector<std::string>& columns, const std::string& name) {
      return std::ranges::find(of.fields(), name, &Field::name) != of.fields().end() ||
             std::ranges::find(columns, name) != columns.end();
    };
    const std::vector<std::string> first_columns = ColumnsOf(first.format());
    const std::vector<std::string> other_columns = ColumnsOf(other.format());
    const std::string path = PathOf(source) + ".fields";
    for (const Field& field : first.fields()) {
      const auto same = std::ranges::find(other.fields(), field.name(), &Field::name);
      if (!has(other, other_columns, field.name())) {
        Violation(path, fmt::format("has no {}, which {} has; sources have the same fields", field.name(), PathOf(0)));
      } else if (same != other.fields().end() && same->type() != field.type()) {
        Violation(path + "." + field.name(),
                  fmt::format("is {}, and in {} it is {}; sources have the same fields", FieldTypeName(same->type()),
                              PathOf(0), FieldTypeName(field.type())));
      }
    }
    for (const Field& field : other.fields()) {
      if (!has(first, first_columns, field.name()))
        Violation(path + "." + field.name(), fmt::format("is no field of {}; sources have the same fields", PathOf(0)));
    }
  }

  // A field has one name and one type, whichever source an event is of, also where expressions say which.
  void CheckSameFields(const Plan& first, const Plan& other, size_t source) {
    const auto of_record = [](const PlannedField& field) { return field.name.starts_with("record."); };
    const auto find = [](const Plan& plan, const std::string& name) {
      const auto found = std::ranges::find(plan.fields, name, &PlannedField::name);
      return found == plan.fields.end() ? nullptr : &*found;
    };
    const std::string path = PathOf(source) + ".fields";
    for (const PlannedField& field : first.fields) {
      const PlannedField* const same = find(other, field.name);
      if (of_record(field)) continue;
      if (same == nullptr) {
        Violation(path, fmt::format("has no {}, which {} has; sources have the same fields", field.name, PathOf(0)));
      } else if (same->type != field.type) {
        Violation(path + "." + field.name, fmt::format("is {}, and in {} it is {}; sources have the same fields",
                                                       FieldTypeName(same->type), PathOf(0), FieldTypeName(field.type)));
      }
    }
    for (const PlannedField& field : other.fields) {
      if (!of_record(field) && find(first, field.name) == nullptr)
        Violation(path + "." + field.name, fmt::format("is no field of {}; sources have the same fields", PathOf(0)));
    }
  }

  void CheckTables(const GeneralFold& general) {
    CheckCount("tables", general.tables_size(), kMaxTables, "tables");
    size_t bytes = 0;
    for (const LookupTable& table : general.tables()) {
      const std::string path = "tables." + table.name();
      CheckExpressionName(path, table.name());
      if (!table.values().empty() && table.values_size() != table.keys_size())
        Violation(path, "has not one value for each key");
      const auto is_sound = [](const std::string& text) { return IsUtf8(text); };
      if (!std::ranges::all_of(table.keys(), is_sound) || !std::ranges::all_of(table.values(), is_sound))
        Violation(path, "is not UTF-8");
      if (std::ranges::adjacent_find(table.keys(), std::ranges::greater_equal()) != table.keys().end())
        Violation(path, "keys must be sorted, each once");
      for (const std::string& key : table.keys()) bytes += key.size();
      for (const std::string& value : table.values()) bytes += value.size();
    }
    if (bytes > kMaxTableBytes)
      Violation("tables", fmt::format("have {} bytes together; {} are allowed", bytes, kMaxTableBytes));
  }

  // What the reader of a spec says better; a driver is told by others.
  void CheckWindow(const GeneralFold& general) {
    if (!general.has_window()) return;
    const FoldWindow& window = general.window();
    if (window.panes() < 1 || window.panes() > kMaxPanes)
      Violation("window", fmt::format("has {} panes; 1 to {} are allowed", window.panes(), kMaxPanes));
    constexpr int64_t kLeastPaneUs = 1000;
    const bool fixed = window.unit() == PANE_FIXED;
    if (!PaneUnit_IsValid(window.unit()) || (fixed ? window.pane_us() < kLeastPaneUs : window.pane_us() != 0) ||
        window.pane_us() > kTimestampEnd) {
      Violation("window", "has no length that is known; the shortest is 1ms");
    }
    if (window.lateness_us() < 0 || window.lateness_us() > kMaxLatenessUs) {
      Violation("window.lateness", "is at most 366d");
    } else if (fixed && window.pane_us() > 0 && window.lateness_us() / window.pane_us() > kMaxOpenPanes) {
      Violation("window.lateness", fmt::format("keeps over {} windows open; let windows begin less often", kMaxOpenPanes));
    }
    if (window.ahead_us() <= 0 || window.ahead_us() > kTimestampEnd) Violation("window.ahead", "is above 0");
    if (!IsClock(window.zone(), window.utc_offset_s(), window.changes()) || (fixed && !window.zone().empty()))
      Violation("window.zone", "has changes of the clock that no zone has");
  }

  // Whether a zone's clock may say that.
  template <typename Changes>
  static bool IsClock(const std::string& name, int32_t utc_offset_s, const Changes& changes) {
    // Clocks differ from UTC by less than a day and are changed by less.
    constexpr int32_t kMostOffset = 26 * 3600;
    const auto is_sound = [](int32_t offset) { return offset >= -kMostOffset && offset <= kMostOffset; };
    bool sound = is_sound(utc_offset_s) && static_cast<size_t>(changes.size()) <= kMaxZoneChanges;
    int64_t last = 0;
    for (const ZoneChange& change : changes) {
      sound &= is_sound(change.utc_offset_s()) && change.from_s() > last && change.from_s() < kTimestampEnd / 1'000'000;
      last = change.from_s();
    }
    return sound && name.size() <= kMaxZoneBytes;
  }

  // The plan says which of those that are named are not there.
  void CheckZones(const GeneralFold& general) {
    const std::vector<std::string> named = NamedZones(general);
    CheckCount("let", static_cast<int>(named.size()), kMaxZones, "time zones, with those of other expressions");
    std::string_view last;
    for (const ZoneClock& zone : general.zones()) {
      const bool in_order = std::ranges::binary_search(named, zone.name()) && zone.name() > last;
      if (!in_order || !IsClock(zone.name(), zone.utc_offset_s(), zone.changes()))
        Violation("time zones", fmt::format("have {} out of order, or clocks that no zone has", Quoted(zone.name())));
      last = zone.name();
    }
  }

  void CheckCount(std::string path, int count, size_t most, std::string_view what) {
    if (static_cast<size_t>(count) > most)
      Violation(std::move(path),
                fmt::format("has {} {}; at most {} {} allowed", count, what, most, most == 1 ? "is" : "are"));
  }

  void CheckFieldOf(const Field& field) {
    const std::string path = absl::StrCat(source_, ".fields.", field.name());
    CheckExpressionName(path, field.name());
    if (!FieldType_IsValid(field.type())) Violation(path, "has no type that is known");
    if (!TimestampUnit_IsValid(field.unit())) Violation(path, "has no unit that is known");
    if (field.unit() != TIMESTAMP_TEXT && field.type() != FIELD_TIMESTAMP)
      Violation(path, "has a unit, which only a timestamp has");
    if (field.place().empty()) Violation(path, "has no place; say where in a record it stands");
  }

  void CheckExpressionName(const std::string& path, const std::string& name) {
    if (IsExpressionName(name) && name.size() <= kMaxFieldNameBytes) return;
    Violation(path,
              fmt::format("{} is no name for expressions; one has letters, digits and underscores, does not begin with a "
                          "digit, is at most {} long, and no word of the language",
                          Quoted(name), kMaxFieldNameBytes));
  }

  void CheckFormat() {
    if (!fold_.has_format())
      return Violation("source.format", "is missing; e.g. {delimited: {separator: \"|\", fields: [page, clicks]}}");
    CheckDelimited(fold_.format(), 1);
    const DelimitedFormat& format = fold_.format();
    if (format.quoted() || format.has_null_as() || format.trim() || format.strip_bom())
      Violation("source.format.delimited", "has options that only a general fold has");
  }

  void CheckDelimited(const DelimitedFormat& format, size_t most) {
    const std::string& separator = format.separator();
    const std::string path = source_ + ".format.delimited.separator";
    if (separator.empty()) {
      Violation(path, "is missing; give the character between fields");
    } else if (separator.size() > most ||
               (separator.size() == 1 && !absl::ascii_isascii(static_cast<unsigned char>(separator[0])))) {
      Violation(path,
                Quoted(separator) + (most == 1 ? " must be one ASCII character"
                                               : fmt::format(" has {} bytes; {} are allowed", separator.size(), most)));
    } else if (!IsUtf8(separator)) {
      Violation(path, Quoted(separator) + " is not UTF-8");
    } else if (format.quoted() && separator.find('"') != std::string::npos) {
      Violation(path, "has a quote, which quoting: rfc4180 has another meaning for");
    }
    CheckFields(format.fields());
  }

  void CheckFields(const google::protobuf::RepeatedPtrField<std::string>& fields) {
    const std::string path = source_ + ".format.delimited.fields";
    if (fields.empty()) Violation(path, "is missing; list the names of a record's fields");
    if (static_cast<size_t>(fields.size()) > kMaxFields)
      Violation(path, fmt::format("has {} fields; {} are allowed", fields.size(), kMaxFields));
    std::set<std::string_view> names;
    for (int i = 0; i < fields.size(); ++i) {
      const std::string item = ItemPath(path, static_cast<size_t>(i));
      CheckColumnName(item, fields[i]);
      if (!names.insert(fields[i]).second) Violation(item, Quoted(fields[i]) + " is listed twice");
    }
  }

  void CheckColumnName(const std::string& path, const std::string& name) {
    if (IsFieldName(name) && name.size() <= kMaxFieldNameBytes) return;
    Violation(path, fmt::format(
                        "{} is no field name; one has letters, digits and underscores, does not begin with a digit, and is "
                        "at most {} long",
                        Quoted(name), kMaxFieldNameBytes));
  }

  void CheckKey() {
    if (fold_.key().empty()) return Violation("key", "is missing; name the field whose values are ranked");
    CheckIsField("key", fold_.key());
  }

  void CheckIsField(std::string path, const std::string& name) {
    const std::vector<std::string> fields(fold_.format().fields().begin(), fold_.format().fields().end());
    if (fields.empty() || std::find(fields.begin(), fields.end(), name) != fields.end()) return;
    Violation(std::move(path), Quoted(name) + " is no field of the format" + DidYouMean(name, fields), "source.format");
  }

  void CheckScore() {
    if (fold_.score().empty()) return Violation("score", "is missing; e.g. 0.8*clicks + like");
    if (static_cast<size_t>(fold_.score_size()) > kMaxScoreTerms) {
      Violation("score", fmt::format("has {} terms; {} are allowed", fold_.score_size(), kMaxScoreTerms));
    }
    for (int i = 0; i < fold_.score_size(); ++i) {
      const std::string path = ItemPath("score", static_cast<size_t>(i));
      const absl::StatusOr<WeightedSum> sum = WeightedSum::Create({fold_.score(i).constant()});
      if (!sum.ok()) Violation(path + ".constant", std::string(sum.status().message()));
      CheckIsField(path + ".field", fold_.score(i).field());
    }
  }

  void CheckInitial() {
    if (!fold_.initial().empty() && fold_.general().has_window())
      Violation("initial", "is for jobs without windows, as no record brings it into one");
    if (!fold_.initial().empty() && (fold_.general().key_size() > 1 || !fold_.general().group().empty())) {
      Violation("initial", "is for keys of one part, without a group; the key has several");
    }
    if (!fold_.initial().empty() && fold_.has_general() && fold_.general().measures_size() > 1) {
      Violation("initial", "is for jobs of one measure; this one has several");
    }
    if (!fold_.initial().empty() && !first_is_sum_)
      Violation("initial", "is for a sum or a count; the measure is another one");
    if (!fold_.initial().empty() && first_may_be_null_ && first_is_sum_) {
      Violation("initial", "is for a measure that is never null; write coalesce(value, 0) in its sum", "source");
    }
    const std::string* last = nullptr;
    for (const InitialScore& initial : fold_.initial()) {
      const std::string& key = initial.key();
      const std::string path = KeyPath("initial", key);
      if (key.empty()) Violation(path, "a key must not be empty");
      const size_t most = KeyBytesOf(fold_.general());
      if (key.size() > most) Violation(path, fmt::format("the key has {} bytes; {} are allowed", key.size(), most));
      if (!IsUtf8(key)) Violation(path, "the key is not UTF-8");
      if (last != nullptr && *last >= key) Violation(path, "keys must be sorted, each once");
      last = &key;
      const absl::StatusOr<Units> units = ParseUnits(initial.score());
      if (!units.ok()) {
        Violation(path, std::string(units.status().message()));
      } else if (FormatUnits(*units) != initial.score()) {
        Violation(path, fmt::format("must be written {}", FormatUnits(*units)));
      }
    }
  }

  const Fold& fold_;
  // The source that is checked, as paths name it.
  std::string source_ = "source";
  // Whether the first measure is a sum of what may be null.
  bool first_may_be_null_ = false;
  // Whether the first measure is a sum or a count.
  bool first_is_sum_ = true;
  std::vector<SpecViolation> violations_;
};

}  // namespace

std::vector<SpecViolation> CheckFoldRules(const Fold& fold) { return FoldRuleChecker(fold).Check(); }

}  // namespace tenfold
