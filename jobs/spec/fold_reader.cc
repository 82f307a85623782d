#include "jobs/spec/fold_reader.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "common/limits.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "google/protobuf/util/message_differencer.h"
#include "jobs/plan/expression.h"
#include "jobs/plan/measures.h"
#include "jobs/spec/lookup_table.h"
#include "jobs/spec/score_expression.h"
#include "jobs/spec/window_text.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

// A score is short for the measure of this name, and its text for what is in the brackets of sum(..).
constexpr std::string_view kSum = "sum(";
// Descriptors that are no file's.
constexpr std::string_view kBase64 = "base64:";

const std::vector<std::string>& TypeNames() {
  static const auto* const names =
      new std::vector<std::string>{"decimal", "integer", "text", "boolean", "timestamp", "text_list", "decimal_list"};
  return *names;
}

// JSON of a tree in which numbers are texts of digits, and null is the name of a type.
nlohmann::ordered_json SchemaJson(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kMap) {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    for (size_t i = 0; i < node.items.size(); ++i) json[node.keys[i].text] = SchemaJson(node.items[i]);
    return json;
  }
  if (node.kind == YamlNode::Kind::kList) {
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const YamlNode& item : node.items) json.push_back(SchemaJson(item));
    return json;
  }
  if (node.kind == YamlNode::Kind::kNull) return "null";
  uint32_t number = 0;
  return absl::SimpleAtoi(node.text, &number) ? nlohmann::ordered_json(number) : nlohmann::ordered_json(node.text);
}

}  // namespace

void FoldReader::ReadFormat(const YamlNode& node, const std::string& path) {
  ReadMap(node, path,
          {{"delimited", [this](auto&... at) { ReadDelimited(at...); }},
           {"json",
            [this](const YamlNode& value, const std::string& at) {
              sources_.back().format.mutable_json();
              if (value.kind != YamlNode::Kind::kNull) ReadMap(value, at, {});
            }},
           {"regex",
            [this](auto&... at) {
              RegexFormat* const format = sources_.back().format.mutable_regex();
              ReadMap(at..., {{"pattern", [&](auto&... of) { ReadText(of..., format->mutable_pattern()); }},
                              {"unmatched", [&](auto&... of) {
                                 if (const auto word = ReadWord(of..., {"bad", "filter"}))
                                   format->set_filter_unmatched(*word == 1);
                               }}});
            }},
           {"avro", [this](auto&... at) { ReadAvro(at...); }},
           {"protobuf", [this](auto&... at) { ReadProtobuf(at...); }},
           {"text", [this](const YamlNode& value, const std::string& at) {
              sources_.back().format.mutable_text();
              if (value.kind != YamlNode::Kind::kNull) ReadMap(value, at, {});
            }}});
  if (node.kind == YamlNode::Kind::kMap && node.items.size() > 1)
    Problem(node.offset, path, "is several formats; choose one");
}

void FoldReader::ReadDelimited(const YamlNode& node, const std::string& path) {
  DelimitedFormat* const format = sources_.back().format.mutable_delimited();
  ReadMap(
      node, path,
      {{"separator", [&](auto&... at) { ReadText(at..., format->mutable_separator()); }},
       {"fields", [&](auto&... at) { ReadList(at..., [&](auto&... item) { ReadText(item..., format->add_fields()); }); }},
       {"quoting",
        [&](auto&... at) {
          if (const auto word = ReadWord(at..., {"none", "rfc4180"})) format->set_quoted(*word == 1);
        }},
       {"null_as", [&](auto&... at) { ReadText(at..., format->mutable_null_as()); }},
       {"trim", [&](auto&... at) { format->set_trim(ReadBool(at...)); }},
       {"bom", [&](auto&... at) {
          if (const auto word = ReadWord(at..., {"keep", "strip"})) format->set_strip_bom(*word == 1);
        }}});
}

void FoldReader::ReadAvro(const YamlNode& node, const std::string& path) {
  AvroFormat* const format = sources_.back().format.mutable_avro();
  ReadMap(node, path,
          {{"schema", [&](auto&... at) { ReadAvroSchemaOf(at..., format->mutable_schema()); }},
           {"registry",
            [&](auto&... at) {
              format->set_registry(true);
              ReadRegistry(at...);
            }},
           {"confluent", [&](auto&... at) { format->set_confluent(ReadBool(at...)); }}});
}

void FoldReader::ReadRegistry(const YamlNode& node, const std::string& path) {
  SchemaRegistry registry;
  if (node.kind == YamlNode::Kind::kMap) {
    ReadMap(node, path,
            {{"url", [&](auto&... at) { ReadText(at..., registry.mutable_url()); }},
             {"user", [&](auto&... at) { ReadText(at..., registry.mutable_user()); }},
             {"password", [&](auto&... at) { ReadText(at..., registry.mutable_password()); }},
             {"ca", [&](auto&... at) { ReadText(at..., registry.mutable_ca()); }}});
  } else if (!ReadText(node, path, registry.mutable_url())) {
    return;
  }
  if (registry_ && !google::protobuf::util::MessageDifferencer::Equals(*registry_, registry))
    Problem(node.offset, path, "is another registry than that of a source before it; a job has one, as it has one Kafka");
  registry_ = std::move(registry);
}

void FoldReader::ReadAvroSchemaOf(const YamlNode& node, const std::string& path, std::string* schema) {
  if (node.kind == YamlNode::Kind::kMap || node.kind == YamlNode::Kind::kList) {
    *schema = SchemaJson(node).dump();
    return;
  }
  if (!ReadText(node, path, schema)) return;
  const size_t begin = schema->find_first_not_of(" \t\r\n");
  if (begin != std::string::npos && std::string_view("{[\"").find((*schema)[begin]) != std::string_view::npos) return;
  if (std::optional<std::string> file = ReadFile(node, path, *schema)) *schema = *std::move(file);
}

void FoldReader::ReadProtobuf(const YamlNode& node, const std::string& path) {
  ProtobufFormat* const format = sources_.back().format.mutable_protobuf();
  const auto descriptors = [&](const YamlNode& value, const std::string& at) {
    std::string text;
    if (!ReadText(value, at, &text)) return;
    if (text.starts_with(kBase64)) {
      std::string bytes;
      if (!absl::Base64Unescape(text.substr(kBase64.size()), &bytes)) Problem(value.offset, at, "is no base64");
      format->set_descriptors(std::move(bytes));
    } else if (std::optional<std::string> file = ReadFile(value, at, text)) {
      format->set_descriptors(*std::move(file));
    }
  };
  ReadMap(node, path,
          {{"descriptors", descriptors},
           {"message", [&](auto&... at) { ReadText(at..., format->mutable_message()); }},
           {"confluent", [&](auto&... at) { format->set_confluent(ReadBool(at...)); }}});
}

std::optional<std::string> FoldReader::ReadFile(const YamlNode& node, const std::string& path, const std::string& file) {
  if (files_ == nullptr) {
    Problem(node.offset, path, "names a file, and a spec that is no file itself has none");
    return std::nullopt;
  }
  absl::StatusOr<std::string> read = (*files_)(file);
  if (read.ok()) return *std::move(read);
  Problem(node.offset, path, std::string(read.status().message()));
  return std::nullopt;
}

void FoldReader::ReadFields(const YamlNode& node, const std::string& path) {
  ReadNames(node, path, [this](auto&... at) { ReadField(at...); });
}

void FoldReader::ReadField(const YamlNode::Key& name, const YamlNode& node, const std::string& path) {
  Field field;
  field.set_name(name.text);
  size_t types = 0;
  Keys keys = {{"default", [&](auto&... at) { ReadText(at..., field.mutable_default_value()); }},
               {"nullable", [&](auto&... at) { field.set_nullable(ReadBool(at...)); }},
               {"unit", [&](auto&... at) {
                  if (const auto word = ReadWord(at..., {"s", "ms", "us"}))
                    field.set_unit(static_cast<TimestampUnit>(TIMESTAMP_SECONDS + *word));
                }}};
  for (size_t i = 0; i < TypeNames().size(); ++i) {
    keys.emplace_back(TypeNames()[i], [&, i](auto&... at) {
      ++types;
      field.set_type(static_cast<FieldType>(i));
      ReadText(at..., field.mutable_place());
    });
  }
  const size_t before = problems()->size();
  ReadMap(node, path, keys);
  if (problems()->size() > before || node.kind != YamlNode::Kind::kMap) return;
  if (types != 1) {
    return Problem(node.offset, path,
                   fmt::format("must have one type with its place, as in {}: {{decimal: PLACE}}; types are {}",
                               Shown(name.text), fmt::join(TypeNames(), ", ")));
  }
  if (field.unit() != TIMESTAMP_TEXT && field.type() != FIELD_TIMESTAMP)
    return Problem(node.offset, path, "has a unit, which only a timestamp has");
  sources_.back().fields.push_back(std::move(field));
}

std::optional<FoldReader::Text> FoldReader::ReadExpression(const YamlNode& node, const std::string& path,
                                                           const std::string& rule_path) {
  std::string text;
  if (!ReadText(node, path, &text)) return std::nullopt;
  Text read{.node = node, .path = path};
  expressions_[rule_path] = read;
  return read;
}

void FoldReader::ReadTime(const YamlNode& node, const std::string& path) {
  sources_.back().time = ReadExpression(node, path, path);
}

std::optional<int64_t> FoldReader::ReadWindowDuration(const YamlNode& node, const std::string& path) {
  std::string text;
  if (!ReadText(node, path, &text)) return std::nullopt;
  const std::optional<WindowLength> length = text == "0s" || text == "0" ? WindowLength() : ParseWindowLength(text);
  if (length && (length->us > 0 || length->count == 0)) return length->us;
  Problem(node.offset, path, fmt::format("{} is no length of time; write it like 250ms, 30s, 5m, 2h or 1d", Quoted(text)));
  return std::nullopt;
}

void FoldReader::ReadWindow(const YamlNode& node, const std::string& path) {
  constexpr int64_t kDefaultAheadUs = 60'000'000;
  if (node.kind == YamlNode::Kind::kScalar && node.text == "cumulative") return;
  window_given_ = true;
  std::optional<WindowLength> size;
  std::optional<WindowLength> every;
  std::optional<int64_t> lateness;
  std::optional<std::pair<std::string, size_t>> zone;
  bool tumbling = false;
  bool sliding = false;
  FoldWindow window;
  window.set_ahead_us(kDefaultAheadUs);
  const auto read_length = [this](const YamlNode& value, const std::string& at, std::optional<WindowLength>* length) {
    std::string text;
    if (!ReadText(value, at, &text)) return;
    *length = ParseWindowLength(text);
    if (!*length) {
      Problem(value.offset, at,
              fmt::format("{} is no length of a window; write it like 30s, 5m, 1h, 1d, 1w, 1mo or 1y", Quoted(text)));
    }
  };
  const size_t before = problems()->size();
  ReadMap(node, path,
          {{"tumbling",
            [&](auto&... at) {
              tumbling = true;
              read_length(at..., &size);
              every = size;
            }},
           {"sliding",
            [&](auto&... at) {
              sliding = true;
              ReadMap(at..., {{"size", [&](auto&... in) { read_length(in..., &size); }},
                              {"every", [&](auto&... in) { read_length(in..., &every); }}});
            }},
           {"zone",
            [&](const YamlNode& value, const std::string& at) {
              std::string name;
              if (ReadText(value, at, &name)) zone = {name, value.offset};
            }},
           {"lateness", [&](auto&... at) { lateness = ReadWindowDuration(at...); }},
           {"idle",
            [&](const YamlNode& value, const std::string& at) {
              const std::optional<int64_t> idle = ReadWindowDuration(value, at);
              if (idle == 0) Problem(value.offset, at, "is above 0; leave it out for partitions that always count");
              idle_us_ = idle.value_or(0);
            }},
           {"ahead", [&](auto&... at) {
              if (const std::optional<int64_t> ahead = ReadWindowDuration(at...)) window.set_ahead_us(*ahead);
            }}});
  if (problems()->size() > before || node.kind != YamlNode::Kind::kMap) return;
  if (tumbling == sliding)
    return Problem(node.offset, path, "is one of tumbling: SIZE and sliding: {size: SIZE, every: LENGTH}");
  if (!size || !every) return Problem(node.offset, path + ".sliding", "has a size and how often windows begin, every");
  if (!lateness) {
    return Problem(node.offset, path + ".lateness",
                   "is missing: how long a window waits for late records before it is final; e.g. 30s");
  }
  window.set_lateness_us(*lateness);
  if (std::string wrong = SetWindowLength(*size, *every, zone.has_value(), &window); !wrong.empty())
    return Problem(node.offset, path + (tumbling ? ".tumbling" : ".sliding"), std::move(wrong));
  if (zone && !SetWindowZone(zone->first, &window)) {
    return Problem(zone->second, path + ".zone",
                   fmt::format("{} is no time zone that this system knows; they have names like Europe/Berlin and UTC",
                               Quoted(zone->first)));
  }
  window_ = std::move(window);
}

void FoldReader::ReadTables(const YamlNode& node, const std::string& path) {
  ReadNames(node, path, [this](const YamlNode::Key& name, const YamlNode& value, const std::string& at) {
    ReadTable(name.text, value, at);
  });
}

void FoldReader::ReadTable(const std::string& name, const YamlNode& node, const std::string& path) {
  LookupTable table;
  table.set_name(name);
  std::map<std::string, std::string> entries;
  if (node.kind == YamlNode::Kind::kMap) {
    ReadNames(node, path, [&](const YamlNode::Key& key, const YamlNode& value, const std::string& at) {
      ReadText(value, at, &entries[key.text]);
    });
    SetTable(entries, true, &table);
  } else if (node.kind == YamlNode::Kind::kList) {
    ReadList(node, path, [&](const YamlNode& item, const std::string& at) {
      std::string key;
      if (ReadText(item, at, &key)) entries[key] = "";
    });
    SetTable(entries, false, &table);
  } else {
    ReadTableFile(node, path, &table);
    // What asks for a table that could not be read is not wrong, too.
    if (table.values().empty() && IsUnread(path)) SetTable({{"", ""}}, true, &table);
  }
  tables_.push_back(std::move(table));
}

void FoldReader::ReadTableFile(const YamlNode& node, const std::string& path, LookupTable* table) {
  std::string file;
  if (!ReadText(node, path, &file)) return;
  const std::optional<std::string> csv = ReadFile(node, path, file);
  if (!csv) return;
  if (const std::string wrong = ReadTableCsv(*csv, table); !wrong.empty())
    Problem(node.offset, path, fmt::format("the file {}, {}", Shown(file), wrong));
}

void FoldReader::ReadExplode(const YamlNode& node, const std::string& path) {
  ReadNames(node, path, [this](const YamlNode::Key& name, const YamlNode& value, const std::string& at) {
    if (auto text = ReadExpression(value, at, at)) explode_.emplace(name.text, *std::move(text));
  });
  if (node.kind == YamlNode::Kind::kMap && node.items.size() != 1)
    Problem(node.offset, path, "is of one list, with a name for its elements: {tag: LIST}");
}

void FoldReader::ReadWhere(const YamlNode& node, const std::string& path) {
  where_ = ReadExpression(node, path, path);
  if (where_ && node.text.empty()) Problem(node.offset, path, "is empty; leave it out to fold every record");
}

void FoldReader::ReadLet(const YamlNode& node, const std::string& path) {
  ReadNames(node, path, [this](const YamlNode::Key& name, const YamlNode& value, const std::string& at) {
    if (auto text = ReadExpression(value, at, at)) lets_.emplace_back(name.text, *std::move(text));
  });
}

void FoldReader::ReadKey(const YamlNode& node, const std::string& path) {
  const auto read = [this](const YamlNode& part, const std::string& at, const std::string& rule_path) {
    if (auto text = ReadExpression(part, at, rule_path)) keys_.push_back(*std::move(text));
  };
  key_is_list_ = node.kind == YamlNode::Kind::kList;
  if (!key_is_list_) return read(node, path, path);
  const bool one = node.items.size() == 1;
  ReadList(node, path, [&](const YamlNode& part, const std::string& at) { read(part, at, one ? "key" : at); });
  if (node.items.empty()) Problem(node.offset, path, "is an empty list; name what is ranked");
}

void FoldReader::ReadGroup(const YamlNode& node, const std::string& path) {
  if (node.kind == YamlNode::Kind::kList)
    return Problem(node.offset, path, "is one expression; several are one as concat(a, \"/\", b)");
  group_ = ReadExpression(node, path, path);
  if (group_ && node.text.empty()) Problem(node.offset, path, "is empty; leave it out to rank all keys together");
}

void FoldReader::ReadLimits(const YamlNode& node, const std::string& path) {
  ReadMap(node, path, {{"key_bytes", [this](auto&... at) { key_bytes_ = ReadCount(at..., kMaxKeyBytes); }}});
}

void FoldReader::ReadScore(const YamlNode& node, const std::string& path) {
  score_ = ReadExpression(node, path, fmt::format("measures.{}", kScoreMeasure));
}

void FoldReader::ReadMeasures(const YamlNode& node, const std::string& path) {
  ReadNames(node, path, [this](const YamlNode::Key& name, const YamlNode& value, const std::string& at) {
    if (auto text = ReadExpression(value, at, at)) measures_.emplace_back(name.text, *std::move(text));
  });
}

void FoldReader::ReadHaving(const YamlNode& node, const std::string& path, std::string* having) {
  const std::optional<Text> text = ReadExpression(node, path, path);
  if (!text) return;
  if (text->node.text.empty()) Problem(node.offset, path, "is empty; leave it out to rank every key");
  *having = text->node.text;
}

bool FoldReader::IsGeneral() const {
  if (sources_.size() > 1 || !tables_.empty() || explode_ || group_ || key_bytes_) return true;
  const RecordFormat& format = sources_[0].format;
  const DelimitedFormat& delimited = format.delimited();
  if (!(format.has_delimited() || format.kind_case() == RecordFormat::KIND_NOT_SET) || delimited.separator().size() > 1 ||
      delimited.quoted() || delimited.has_null_as() || delimited.trim() || delimited.strip_bom()) {
    return true;
  }
  if (!sources_[0].fields.empty() || sources_[0].time || window_given_ || where_ || !lets_.empty() || !measures_.empty() ||
      key_is_list_)
    return true;
  if (!keys_.empty() && !keys_[0].node.text.empty() && !IsFieldName(keys_[0].node.text)) return true;
  // What no linear score is may be another expression; what is neither is best explained as a score.
  return score_ && !ParseScore(score_->node.text).error.empty() && ParseExpression(score_->node.text).expression;
}

void FoldReader::Settle(Fold* fold) {
  if (!IsGeneral()) {
    if (sources_[0].format.has_delimited()) *fold->mutable_format() = sources_[0].format.delimited();
    if (!keys_.empty()) fold->set_key(keys_[0].node.text);
    return SettleScore(fold);
  }
  GeneralFold* const general = fold->mutable_general();
  const auto add_fields = [](const SourceText& source, auto* to) {
    *to->mutable_format() = source.format;
    for (const Field& field : source.fields) *to->add_fields() = field;
  };
  if (window_) *general->mutable_window() = *window_;
  add_fields(sources_[0], general);
  SettleTime(sources_[0].time, general->mutable_time());
  for (size_t i = 1; i < sources_.size(); ++i) {
    SourceRecords* const other = general->add_others();
    add_fields(sources_[i], other);
    SettleTime(sources_[i].time, other->mutable_time());
  }
  for (LookupTable& table : tables_) *general->add_tables() = std::move(table);
  if (explode_) {
    general->mutable_explode()->set_name(explode_->first);
    general->mutable_explode()->set_list(explode_->second.node.text);
  }
  if (where_) general->set_where(where_->node.text);
  for (const auto& [name, text] : lets_) {
    Let* const let = general->add_let();
    let->set_name(name);
    let->set_expression(text.node.text);
  }
  if (group_) general->set_group(group_->node.text);
  for (const Text& key : keys_) general->add_key(key.node.text);
  // What is the most in any case is said in one way.
  if (key_bytes_ && *key_bytes_ < kMaxKeyBytes) general->set_key_bytes(*key_bytes_);
  const auto add_measure = [general](std::string_view name, std::string expression) {
    Measure* const measure = general->add_measures();
    measure->set_name(std::string(name));
    measure->set_expression(std::move(expression));
  };
  if (score_) add_measure(kScoreMeasure, fmt::format("{}{})", kSum, score_->node.text));
  if (score_ && !measures_.empty()) {
    Problem(score_->node.offset, score_->path, "stands beside measures; write it as one of them, score: sum(..)");
  }
  for (const auto& [name, text] : measures_) add_measure(name, text.node.text);
  SetZones(general);
}

void FoldReader::SettleTime(const std::optional<Text>& text, std::string* time) {
  if (window_) {
    *time = text ? text->node.text : "record.timestamp";
  } else if (text && !window_given_) {
    Problem(text->node.offset, text->path, "is of use with a window only; e.g. window: {tumbling: 1d, lateness: 30s}");
  }
}

void FoldReader::SettleScore(Fold* fold) {
  if (!score_ || score_->node.text.empty()) return;
  ParsedScore score = ParseScore(score_->node.text);
  if (!score.error.empty())
    return Problem(OffsetInScalar(text(), score_->node, score.error_at), score_->path, std::move(score.error));
  for (size_t i = 0; i < score.terms.size(); ++i) {
    ParsedScore::Term& term = score.terms[i];
    SetPlace(ItemPath("score", i) + ".constant", OffsetInScalar(text(), score_->node, term.constant_at));
    SetPlace(ItemPath("score", i) + ".field", OffsetInScalar(text(), score_->node, term.field_at));
    ScoreTerm* const added = fold->add_score();
    added->set_constant(std::move(term.constant));
    added->set_field(std::move(term.field));
  }
}

size_t FoldReader::PlaceOf(SpecViolation* violation) const {
  const auto found = expressions_.find(violation->path);
  if (found == expressions_.end()) return PlaceOfPath(violation->path);
  const Text& expression = found->second;
  const std::string& yaml = expression.node.text;
  const char style = expression.node.offset < text().size() ? text()[expression.node.offset] : ' ';
  const bool cut = std::ranges::count(yaml, '(') > std::ranges::count(yaml, ')') && style != '"' && style != '\'';
  if (cut && violation->message.ends_with("not the end"))
    violation->message += "; in { } and [ ] a comma ends the value; put it in quotes";
  const size_t shift = expression.path == violation->path ? 0 : expression.path == kScoreMeasure ? kSum.size() : 0;
  violation->path = expression.path;
  if (violation->end == 0) return PlaceOfPath(violation->path);
  const size_t begin = violation->begin < shift ? 0 : std::min(violation->begin - shift, expression.node.text.size());
  return OffsetInScalar(text(), expression.node, begin);
}

}  // namespace tenfold
