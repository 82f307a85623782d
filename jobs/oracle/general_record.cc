#include "jobs/oracle/general_record.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "common/limits.h"
#include "common/text/utf8.h"
#include "fmt/format.h"
#include "glog/logging.h"
#include "re2/re2.h"

namespace tenfold::oracle {
namespace {

// A path as its steps: names, and indexes in brackets; "*" for all items.
std::vector<std::string> StepsOf(const std::string& place) {
  static const RE2* const step = new RE2("(?s)\\.?([^.\\[\\]]+)|\\[([0-9]+|\\*)\\]|\\[(\"(?:[^\"\\\\]|\\\\.)*\")\\]");
  std::vector<std::string> steps;
  re2::StringPiece rest(place);
  std::string name;
  std::string index;
  std::string quoted;
  while (!rest.empty()) {
    name.clear();
    index.clear();
    quoted.clear();
    CHECK(RE2::Consume(&rest, *step, &name, &index, &quoted)) << place;
    if (!quoted.empty()) {
      std::string plain;
      for (size_t i = 1; i + 1 < quoted.size(); ++i) plain += quoted[i] == '\\' ? quoted[++i] : quoted[i];
      steps.push_back("." + plain);
    } else {
      steps.push_back(index.empty() ? "." + name : "[" + index);
    }
  }
  return steps;
}

std::string Framed(const std::string& part) {
  std::string frame;
  for (const char c : part) {
    frame += c;
    if (c == 0) frame += '\xff';
  }
  return frame + std::string("\0\1", 2);
}

std::string WithoutBlanks(std::string text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.erase(0, 1);
  while (!text.empty() && blank(text.back())) text.pop_back();
  return text;
}

// The characters that the names on the way to the node show: whether a name that a path goes through is there twice.
bool HasTwice(const JsonNode& node, const std::vector<std::vector<std::string>>& paths, size_t depth) {
  std::set<std::string> names;
  for (const auto& path : paths) {
    if (depth < path.size() && path[depth][0] == '.') names.insert(path[depth].substr(1));
  }
  for (const std::string& name : names) {
    const auto is_it = [&](const auto& member) { return member.name == name; };
    if (std::count_if(node.members.begin(), node.members.end(), is_it) > 1) return true;
  }
  const auto further = [&](const std::string& step) {
    std::vector<std::vector<std::string>> on;
    for (const auto& path : paths) {
      if (depth < path.size() && path[depth] == step) on.push_back(path);
    }
    return on;
  };
  for (const auto& [name, value] : node.members) {
    if (HasTwice(value, further("." + name), depth + 1)) return true;
  }
  for (size_t i = 0; i < node.items.size(); ++i) {
    if (HasTwice(node.items[i], further(fmt::format("[{}", i)), depth + 1)) return true;
  }
  return false;
}

}  // namespace

GeneralRecords::GeneralRecords(const GeneralFold& fold, size_t source) : fold_(fold) {
  if (source > 0) {
    const SourceRecords& records = fold.others(static_cast<int>(source) - 1);
    *fold_.mutable_format() = records.format();
    *fold_.mutable_fields() = records.fields();
    fold_.set_time(records.time());
  }
  for (const LookupTable& table : fold.tables()) {
    std::map<std::string, std::string>& values = tables_[table.name()];
    for (int i = 0; i < table.keys_size(); ++i) values[table.keys(i)] = table.values_size() > i ? table.values(i) : "";
  }
  const AvroFormat& avro = fold_.format().avro();
  if (fold_.format().has_avro() && !avro.registry()) avro_.emplace(avro.schema(), avro.confluent());
  if (fold_.format().has_protobuf()) protobuf_ = std::make_shared<ProtobufTree>(fold_.format().protobuf());
  if (fold_.format().has_regex()) pattern_ = std::make_shared<const RE2>(fold_.format().regex().pattern(), RE2::Quiet);
  for (const ZoneClock& zone : fold.zones()) zones_[zone.name()] = zone;
  for (const Let& let : fold.let()) lets_[let.name()] = ParseFormula(let.expression());
  if (!fold_.time().empty()) time_.push_back(ParseFormula(fold_.time()));
  if (fold.has_explode()) list_.push_back(ParseFormula(fold.explode().list()));
  if (!fold.where().empty()) SplitWhere(ParseFormula(fold.where()));
  if (!fold.group().empty()) key_.push_back(ParseFormula(fold.group()));
  for (const std::string& key : fold.key()) key_.push_back(ParseFormula(key));
  Fold whole;
  *whole.mutable_general() = fold;
  measures_ = ReadMeasures(whole);
}

bool GeneralRecords::IsOfElement(const Formula& formula) const {
  std::map<std::string, bool> names;
  AddNames(formula, &names);
  return !list_.empty() && names.contains(fold_.explode().name());
}

void GeneralRecords::SplitWhere(const Formula& where) {
  if (where.kind == Formula::Kind::kDo && where.name == "and") {
    for (const Formula& part : where.parts) SplitWhere(part);
  } else {
    (IsOfElement(where) ? element_where_ : where_).push_back(where);
  }
}

BadReason GeneralRecords::ReadDelimited(std::string_view value, Values* values) const {
  const DelimitedFormat& format = fold_.format().delimited();
  std::string rest(value);
  if (format.strip_bom() && rest.rfind("\xef\xbb\xbf", 0) == 0) rest.erase(0, 3);
  const std::string& separator = format.separator();
  std::vector<std::optional<std::string>> fields;
  for (bool more = true; more;) {
    // What is malformed behind the last field is too many fields first.
    if (fields.size() == static_cast<size_t>(format.fields_size())) return BAD_WRONG_FIELD_COUNT;
    size_t at = 0;
    const auto is_blank = [&](size_t i) {
      return i < rest.size() && rest.compare(i, separator.size(), separator) != 0 &&
             std::string_view(" \t\r").find(rest[i]) != std::string_view::npos;
    };
    while (format.trim() && is_blank(at)) ++at;
    if (format.quoted() && at < rest.size() && rest[at] == '"') {
      std::string field;
      for (++at;; ++at) {
        if (at >= rest.size()) return BAD_MALFORMED_RECORD;
        if (rest[at] == '"' && (++at >= rest.size() || rest[at] != '"')) break;
        field += rest[at];
      }
      rest.erase(0, at);
      while (format.trim() && is_blank(0)) rest.erase(0, 1);
      more = rest.rfind(separator, 0) == 0;
      if (!more && !rest.empty()) return BAD_MALFORMED_RECORD;
      if (more) rest.erase(0, separator.size());
      fields.emplace_back(std::move(field));
      continue;
    }
    const size_t end = rest.find(separator);
    more = end != std::string::npos;
    std::string field = rest.substr(0, end);
    rest.erase(0, more ? end + separator.size() : rest.size());
    if (format.trim()) field = WithoutBlanks(field);
    fields.emplace_back(format.has_null_as() && field == format.null_as() ? std::nullopt : std::optional(field));
  }
  if (fields.size() != static_cast<size_t>(format.fields_size())) return BAD_WRONG_FIELD_COUNT;
  for (const Field& field : fold_.fields()) {
    for (int i = 0; i < format.fields_size(); ++i) {
      const auto& found = fields[static_cast<size_t>(i)];
      if (format.fields(i) == field.place() && found)
        (*values)[field.name()] = {.kind = 't', .text = *found, .items = {}, .unit = TIMESTAMP_TEXT};
    }
  }
  return BAD_NONE;
}

BadReason GeneralRecords::ReadRegex(std::string_view value, Values* values) const {
  if (!IsUtf8(value)) return BAD_MALFORMED_RECORD;
  const RE2& pattern = *pattern_;
  std::vector<re2::StringPiece> groups(static_cast<size_t>(pattern.NumberOfCapturingGroups()) + 1);
  const re2::StringPiece record(value.data(), value.size());
  if (!pattern.Match(record, 0, record.size(), RE2::ANCHOR_BOTH, groups.data(), static_cast<int>(groups.size())))
    return BAD_UNMATCHED_RECORD;
  for (const auto& [name, number] : pattern.NamedCapturingGroups()) {
    const re2::StringPiece& group = groups[static_cast<size_t>(number)];
    for (const Field& field : fold_.fields()) {
      if (field.place() == name && group.data() != nullptr)
        (*values)[field.name()] = {
            .kind = 't', .text = std::string(group.data(), group.size()), .items = {}, .unit = TIMESTAMP_TEXT};
    }
  }
  return BAD_NONE;
}

BadReason GeneralRecords::ReadValue(std::string_view value, Values* values) const {
  if (fold_.format().has_json()) return ReadTree(ReadJsonTree(value), values);
  if (fold_.format().avro().registry()) return ReadOfRegistry(value, values);
  if (avro_) return ReadTree(avro_->Read(value), values);
  if (protobuf_ != nullptr) return ReadProtobuf(value, values);
  if (fold_.format().has_regex()) return ReadRegex(value, values);
  if (!fold_.format().has_text()) return ReadDelimited(value, values);
  for (const Field& field : fold_.fields()) {
    if (field.place() == "value")
      (*values)[field.name()] = {.kind = 't', .text = std::string(value), .items = {}, .unit = TIMESTAMP_TEXT};
  }
  return BAD_NONE;
}

void GeneralRecords::Learn(const LearnedSchema& schema) {
  std::optional<AvroTree>& tree = learned_[schema.id()];
  if (!schema.avro().empty()) tree.emplace(schema.avro(), /*confluent=*/true);
}

BadReason GeneralRecords::ReadOfRegistry(std::string_view value, Values* values) const {
  if (value.size() < 5 || value[0] != 0) return BAD_MALFORMED_RECORD;
  uint32_t id = 0;
  for (const char byte : value.substr(1, 4)) id = id * 256 + static_cast<unsigned char>(byte);
  // No registry has so high an id.
  if (id >= uint32_t{1} << 31) return BAD_UNKNOWN_SCHEMA;
  const auto schema = learned_.find(id);
  if (schema == learned_.end() && !unlearned_) unlearned_ = id;
  if (schema == learned_.end() || !schema->second) return BAD_UNKNOWN_SCHEMA;
  return ReadTree(schema->second->Read(value), values);
}

GeneralRecords::Found GeneralRecords::FoundOf(const ProtobufFound& found) {
  Found made{.kind = found.kind, .text = found.text, .items = {}, .unit = found.unit};
  for (const ProtobufFound& item : found.items) made.items.push_back(FoundOf(item));
  return made;
}

BadReason GeneralRecords::ReadProtobuf(std::string_view value, Values* values) const {
  if (!protobuf_->Read(value)) return BAD_MALFORMED_RECORD;
  for (const Field& field : fold_.fields()) {
    if (field.place().rfind("record.", 0) == 0) continue;
    if (const std::optional<ProtobufFound> found = protobuf_->At(StepsOf(field.place())))
      (*values)[field.name()] = FoundOf(*found);
  }
  return BAD_NONE;
}

BadReason GeneralRecords::ReadTree(const std::optional<JsonNode>& root, Values* values) const {
  if (!root) return BAD_MALFORMED_RECORD;
  std::vector<std::vector<std::string>> paths;
  for (const Field& field : fold_.fields()) {
    if (field.place().rfind("record.", 0) != 0) paths.push_back(StepsOf(field.place()));
  }
  if (HasTwice(*root, paths, 0)) return BAD_MALFORMED_RECORD;
  const auto found = [](const JsonNode& node) {
    using Kind = JsonNode::Kind;
    const char kind = node.kind == Kind::kString                              ? 's'
                      : node.kind == Kind::kNumber                            ? 'n'
                      : node.kind == Kind::kTrue || node.kind == Kind::kFalse ? 'b'
                                                                              : 'o';
    return Found{.kind = kind,
                 .text = kind == 'b' ? (node.kind == Kind::kTrue ? "true" : "false") : node.text,
                 .items = {},
                 .unit = node.unit};
  };
  for (const Field& field : fold_.fields()) {
    if (field.place().rfind("record.", 0) == 0) continue;
    const JsonNode* node = &*root;
    bool list = false;
    for (const std::string& step : StepsOf(field.place())) {
      if (step == "[*") {
        list = true;
        continue;
      }
      const JsonNode* next = nullptr;
      if (step[0] == '[') {
        const size_t index = std::stoul(step.substr(1));
        if (index < node->items.size()) next = &node->items[index];
      } else {
        for (const auto& [name, member] : node->members) {
          if (name == step.substr(1)) next = &member;
        }
      }
      node = next;
      if (node == nullptr) break;
    }
    if (node == nullptr || node->kind == JsonNode::Kind::kNull) continue;
    Found& made = (*values)[field.name()] = found(*node);
    if (!list) continue;
    made.kind = node->kind == JsonNode::Kind::kArray ? 'l' : 'o';
    for (const JsonNode& item : node->items) made.items.push_back(found(item));
  }
  return BAD_NONE;
}

BadReason GeneralRecords::Convert(const Field& field, const Found& found, FieldType type, Datum* datum) {
  if (type == FIELD_TEXT_LIST || type == FIELD_DECIMAL_LIST) {
    if (found.kind != 'l') return BAD_FIELD_WRONG_TYPE;
    List list;
    BadReason range = BAD_NONE;
    for (const Found& item : found.items) {
      const BadReason reason =
          Convert(field, item, type == FIELD_TEXT_LIST ? FIELD_TEXT : FIELD_DECIMAL, &list.emplace_back());
      if (reason == BAD_NUMBER_OUT_OF_RANGE) range = reason;
      if (reason != BAD_NONE && reason != BAD_NUMBER_OUT_OF_RANGE) return reason;
    }
    datum->is = std::move(list);
    return range;
  }
  const TimestampUnit unit = found.unit != TIMESTAMP_TEXT ? found.unit : field.unit();
  const bool counted = type == FIELD_TIMESTAMP && unit != TIMESTAMP_TEXT;
  const bool number = type == FIELD_DECIMAL || type == FIELD_INTEGER || counted;
  const char wanted = number ? 'n' : type == FIELD_BOOLEAN ? 'b' : 's';
  if (found.kind != 't' && found.kind != wanted) return BAD_FIELD_WRONG_TYPE;
  if (number) {
    Rational read;
    if (const BadReason reason = ReadDecimal(found.text, &read); reason != BAD_NONE) return reason;
    if (counted) {
      const int64_t us = unit == TIMESTAMP_SECONDS ? 1'000'000 : unit == TIMESTAMP_MILLISECONDS ? 1000 : 1;
      const std::optional<Instant> instant = InstantOf(read * us);
      if (!instant) return BAD_NUMBER_OUT_OF_RANGE;
      datum->is = *instant;
      return BAD_NONE;
    }
    if (type == FIELD_INTEGER) {
      if (boost::multiprecision::denominator(read) != 1) return BAD_MALFORMED_NUMBER;
      if (read > std::numeric_limits<int64_t>::max() || read < std::numeric_limits<int64_t>::min())
        return BAD_NUMBER_OUT_OF_RANGE;
    }
    datum->is = read;
    return BAD_NONE;
  }
  if (type == FIELD_BOOLEAN) {
    if (found.text != "true" && found.text != "false") return BAD_MALFORMED_FIELD;
    datum->is = found.text == "true";
    return BAD_NONE;
  }
  if (type == FIELD_TIMESTAMP) {
    Instant instant;
    const BadReason reason = ReadInstant(found.text, &instant);
    datum->is = instant;
    return reason;
  }
  if (!IsUtf8(found.text)) return BAD_FIELD_NOT_UTF8;
  datum->is = found.text;
  return BAD_NONE;
}

void GeneralRecords::AddNames(const Formula& formula, std::map<std::string, bool>* names) const {
  if (formula.kind == Formula::Kind::kName && !std::exchange((*names)[formula.name], true)) {
    if (const auto let = lets_.find(formula.name); let != lets_.end()) AddNames(let->second, names);
  }
  for (const Formula& part : formula.parts) AddNames(part, names);
}

std::optional<GeneralRecords::Found> GeneralRecords::OfParts(const std::string& place, const RecordParts& parts) {
  std::optional<std::string> text;
  if (place == "record.key" && parts.key) text = std::string(*parts.key);
  if (place == "record.timestamp" && parts.timestamp_ms >= 0) text = std::to_string(parts.timestamp_ms);
  for (const RecordParts::Header& header : parts.headers) {
    std::string named = "record.headers[\"";
    for (const char c : header.name) named += c == '"' ? std::string("\"\"") : std::string(1, c);
    if (place != named + "\"]") continue;
    text.reset();
    if (header.value) text = std::string(*header.value);
  }
  if (!text) return std::nullopt;
  return Found{.kind = 't', .text = *text, .items = {}, .unit = TIMESTAMP_TEXT};
}

Contributed GeneralRecords::Read(std::string_view topic, int32_t partition, int64_t offset, std::string_view value,
                                 const RecordParts* parts, const std::function<void(int64_t time_us)>& take,
                                 const std::function<bool()>& is_late) const {
  const auto bad = [](BadReason reason, std::string subject) {
    Contributed made;
    made.reason = reason;
    made.subject = std::move(subject);
    return made;
  };
  if (value.empty()) return bad(BAD_EMPTY_RECORD, "");
  if (value.size() > kMaxRecordBytes) return bad(BAD_RECORD_TOO_LARGE, "");
  Values values;
  const BadReason malformed = ReadValue(value, &values);
  if (malformed == BAD_UNMATCHED_RECORD && fold_.format().regex().filter_unmatched()) {
    Contributed unmatched;
    unmatched.filtered = true;
    return unmatched;
  }
  if (malformed != BAD_NONE) return bad(malformed, "");

  Names names{.fields = {{"record.topic", {std::string(topic)}},
                         {"record.partition", {Rational(partition)}},
                         {"record.offset", {Rational(offset)}}},
              .lets = &lets_,
              .computed = {},
              .tables = &tables_,
              .zones = &zones_};
  std::set<std::string> converted;
  // Converts what the formulas name. Returns the trouble with it.
  const auto convert = [&](const std::vector<Formula>& formulas) {
    std::map<std::string, bool> named;
    for (const Formula& formula : formulas) AddNames(formula, &named);
    Contributed range;
    std::vector<Field> fields(fold_.fields().begin(), fold_.fields().end());
    // What formulas name by its place comes after the fields that have names, by the bytes of the place.
    for (const auto& [name, is_named] : named) {
      if (name.rfind("record.", 0) != 0 || names.fields.contains(name)) continue;
      Field& field = fields.emplace_back();
      field.set_name(name);
      field.set_place(name);
      const bool timestamp = name == "record.timestamp";
      field.set_type(timestamp ? FIELD_TIMESTAMP : FIELD_TEXT);
      field.set_nullable(!timestamp);
    }
    for (const Field& field : fields) {
      if (!named.contains(field.name()) || !converted.insert(field.name()).second) continue;
      if (const auto of_record = names.fields.find(field.place());
          field.place() == "record.topic" || field.place() == "record.partition" || field.place() == "record.offset") {
        names.fields[field.name()] = Datum(of_record->second);
        continue;
      }
      Datum datum;
      BadReason reason = BAD_NONE;
      bool has_value = false;
      const auto found = values.find(field.name());
      if (field.place().rfind("record.", 0) == 0) {
        const std::optional<Found> part = OfParts(field.place(), *parts);
        Field read = field;
        if (field.place() == "record.timestamp") read.set_unit(TIMESTAMP_MILLISECONDS);
        has_value = part.has_value();
        if (part) reason = Convert(read, *part, field.type(), &datum);
      } else if (found != values.end()) {
        has_value = true;
        reason = Convert(field, found->second, field.type(), &datum);
      }
      if (has_value) {
        // It is converted.
      } else if (field.has_default_value()) {
        CHECK_EQ(Convert(field, {.kind = 't', .text = field.default_value(), .items = {}, .unit = TIMESTAMP_TEXT},
                         field.type(), &datum),
                 BAD_NONE);
      } else if (!field.nullable()) {
        reason = BAD_FIELD_MISSING;
      }
      if (reason == BAD_NUMBER_OUT_OF_RANGE) {
        if (range.reason == BAD_NONE) range = bad(reason, field.name());
      } else if (reason != BAD_NONE) {
        return bad(reason, field.name());
      }
      names.fields[field.name()] = datum;
    }
    return range;
  };
  // Computes the formula into `*datum`. Returns the trouble with it.
  const auto compute = [&](const Formula& formula, Datum* datum) {
    auto answer = Compute(formula, &names);
    if (const auto* trouble = std::get_if<Trouble>(&answer)) return trouble->reason;
    *datum = std::get<Datum>(std::move(answer));
    return BAD_NONE;
  };

  Contributed made;
  if (made = convert(time_); made.reason != BAD_NONE) return made;
  for (const Formula& time : time_) {
    Datum datum;
    if (const BadReason reason = compute(time, &datum); reason != BAD_NONE) return bad(reason, "source.time");
    if (datum.null()) return bad(BAD_NULL_TIME, "source.time");
    const int64_t time_us = std::get<Instant>(datum.is).us;
    if (parts->timestamp_ms >= 0 && time_us / 1000 > parts->timestamp_ms + fold_.window().ahead_us() / 1000)
      return bad(BAD_TIME_AHEAD, "source.time");
    take(time_us);
  }
  // Whether all hold, in three values: after one that is false no other is computed.
  const auto keeps = [&](const std::vector<Formula>& conditions, bool* kept) {
    *kept = true;
    for (const Formula& condition : conditions) {
      Datum datum;
      if (const BadReason reason = compute(condition, &datum); reason != BAD_NONE) return reason;
      *kept = *kept && datum.truth();
      if (!datum.null() && !datum.truth()) break;
    }
    return BAD_NONE;
  };
  if (made = convert(where_); made.reason != BAD_NONE) return made;
  bool kept = false;
  if (const BadReason reason = keeps(where_, &kept); reason != BAD_NONE) return bad(reason, "where");
  made.filtered = !kept;
  if (made.filtered) return made;
  made.late = !time_.empty() && is_late();
  if (made.late) return made;

  // What is made of the record, or of an element of its list.
  const auto make_event = [&] {
    Contributed one;
    if (one = convert(element_where_); one.reason != BAD_NONE) return one;
    bool wanted = false;
    if (const BadReason reason = keeps(element_where_, &wanted); reason != BAD_NONE) return bad(reason, "where");
    if (!wanted) return one;
    if (one = convert(key_); one.reason != BAD_NONE) return one;
    std::vector<Datum> values_of_key(key_.size());
    const auto part_name = [&](size_t i) {
      const size_t groups = fold_.group().empty() ? 0 : 1;
      if (i < groups) return std::string("group");
      return fold_.key_size() == 1 ? std::string("key") : fmt::format("key[{}]", i - groups);
    };
    for (size_t i = 0; i < key_.size(); ++i) {
      if (const BadReason reason = compute(key_[i], &values_of_key[i]); reason != BAD_NONE) return bad(reason, part_name(i));
    }
    std::string key;
    for (size_t i = 0; i < key_.size(); ++i) {
      if (values_of_key[i].null()) return bad(BAD_NULL_KEY, part_name(i));
      // The key alone, whatever the group is.
      if (fold_.key_size() == 1 && i + 1 == key_.size() && FormOf(values_of_key[i]).empty()) return bad(BAD_EMPTY_KEY, "");
      key += key_.size() == 1 ? FormOf(values_of_key[i]) : Framed(FormOf(values_of_key[i]));
    }
    if (key.size() > (fold_.key_bytes() == 0 ? kMaxKeyBytes : fold_.key_bytes())) return bad(BAD_KEY_TOO_LONG, "");

    // What is summed and counted, each with what it is called.
    std::vector<std::pair<const Aggregate*, std::string>> added;
    std::vector<Formula> all;
    for (const MeasureOfRow& measure : measures_) {
      for (const Aggregate& part : measure.parts) {
        added.emplace_back(&part, "measures." + measure.name);
        if (part.of) all.push_back(*part.of);
      }
    }
    if (one = convert(all); one.reason != BAD_NONE) return one;
    Contributed::Event event;
    std::vector<Datum> amounts(added.size());
    for (size_t i = 0; i < added.size(); ++i) {
      if (!added[i].first->of) continue;
      if (const BadReason reason = compute(*added[i].first->of, &amounts[i]); reason != BAD_NONE)
        return bad(reason, added[i].second);
    }
    for (size_t i = 0; i < added.size(); ++i) {
      const auto& [part, name] = added[i];
      const bool null = part->of && amounts[i].null();
      BigInt units = null ? 0 : 1'000'000'000;
      const BigInt present = units;
      if (!part->counts && !null) units = Nearest(amounts[i].number() * 1'000'000'000);
      if (units > std::numeric_limits<int64_t>::max() || units < std::numeric_limits<int64_t>::min())
        return bad(BAD_NUMBER_OUT_OF_RANGE, name);
      if (part->divides && units < 0) return bad(BAD_NEGATIVE_DIVISOR, name);
      if (part->is_max || part->is_min) {
        const BigInt half = BigInt(1) << 63;
        if (units == -half) return bad(BAD_NUMBER_OUT_OF_RANGE, name);
        event.units.push_back(null ? BigInt(0) : part->is_max ? BigInt(half + units) : BigInt(half - units));
      }
      event.units.push_back(units);
      if (part->has_present) event.units.push_back(present);
    }
    event.key = std::move(key);
    one.events.push_back(std::move(event));
    return one;
  };
  if (list_.empty()) return make_event();
  if (made = convert(list_); made.reason != BAD_NONE) return made;
  Datum list;
  const std::string list_name = "explode." + fold_.explode().name();
  if (const BadReason reason = compute(list_[0], &list); reason != BAD_NONE) return bad(reason, list_name);
  if (list.null()) return made;
  const List& elements = std::get<List>(list.is);
  if (elements.size() > kMaxElements) return bad(BAD_TOO_MANY_ELEMENTS, list_name);
  for (const Datum& element : elements) {
    names.fields[fold_.explode().name()] = element;
    names.computed.clear();
    Contributed of_element = make_event();
    if (of_element.reason != BAD_NONE) return of_element;
    std::ranges::move(of_element.events, std::back_inserter(made.events));
  }
  return made;
}

}  // namespace tenfold::oracle
