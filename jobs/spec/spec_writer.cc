#include "jobs/spec/spec_writer.h"

#include <algorithm>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/text/duration.h"
#include "fmt/format.h"
#include "jobs/plan/field_value.h"
#include "jobs/plan/sources.h"
#include "jobs/spec/window_text.h"

namespace tenfold {
namespace {

using Json = nlohmann::ordered_json;

std::string ScoreText(const JobSpec& spec) {
  std::string text;
  for (const ScoreTerm& term : spec.fold().score()) {
    const bool minus = term.constant().starts_with("-");
    if (!text.empty()) text += minus ? " - " : " + ";
    text += fmt::format("{}*{}", !text.empty() && minus ? term.constant().substr(1) : term.constant(), term.field());
  }
  return text;
}

Json DelimitedJson(const DelimitedFormat& format) {
  Json json = {{"separator", format.separator()}, {"fields", format.fields()}};
  if (format.quoted()) json["quoting"] = "rfc4180";
  if (format.has_null_as()) json["null_as"] = format.null_as();
  if (format.trim()) json["trim"] = true;
  if (format.strip_bom()) json["bom"] = "strip";
  return json;
}

Json FieldJson(const Field& field) {
  Json json = {{FieldTypeName(field.type()), field.place()}};
  if (field.unit() == TIMESTAMP_SECONDS) json["unit"] = "s";
  if (field.unit() == TIMESTAMP_MILLISECONDS) json["unit"] = "ms";
  if (field.unit() == TIMESTAMP_MICROSECONDS) json["unit"] = "us";
  if (field.has_default_value()) json["default"] = field.default_value();
  if (field.nullable()) json["nullable"] = true;
  return json;
}

Json RegistryJson(const SchemaRegistry& registry) {
  if (registry.user().empty() && registry.password().empty() && registry.ca().empty()) return registry.url();
  Json json = {{"url", registry.url()}};
  if (!registry.user().empty()) json["user"] = registry.user();
  if (!registry.password().empty()) json["password"] = registry.password();
  if (!registry.ca().empty()) json["ca"] = registry.ca();
  return json;
}

// Adds what the records of a source are. The fold is that of the source.
void AddRecords(const GeneralFold& fold, const SchemaRegistry& registry, Json* source) {
  if (fold.format().has_json()) {
    (*source)["format"]["json"] = Json::object();
  } else if (fold.format().has_text()) {
    (*source)["format"]["text"] = Json::object();
  } else if (fold.format().has_avro()) {
    Json& avro = (*source)["format"]["avro"];
    if (fold.format().avro().registry()) {
      avro["registry"] = RegistryJson(registry);
    } else {
      avro["schema"] = fold.format().avro().schema();
    }
    if (fold.format().avro().confluent()) avro["confluent"] = true;
  } else if (fold.format().has_protobuf()) {
    const ProtobufFormat& format = fold.format().protobuf();
    Json& protobuf = (*source)["format"]["protobuf"];
    protobuf["message"] = format.message();
    protobuf["descriptors"] = absl::StrCat("base64:", absl::Base64Escape(format.descriptors()));
    if (format.confluent()) protobuf["confluent"] = true;
  } else if (fold.format().has_regex()) {
    Json& regex = (*source)["format"]["regex"];
    regex["pattern"] = fold.format().regex().pattern();
    if (fold.format().regex().filter_unmatched()) regex["unmatched"] = "filter";
  } else {
    (*source)["format"]["delimited"] = DelimitedJson(fold.format().delimited());
  }
  for (const Field& field : fold.fields()) (*source)["fields"][field.name()] = FieldJson(field);
  if (fold.has_window()) (*source)["time"] = fold.time();
}

Json TableJson(const LookupTable& table) {
  if (table.values().empty()) return table.keys();
  Json json = Json::object();
  for (int i = 0; i < table.keys_size(); ++i) json[table.keys(i)] = table.values(i);
  return json;
}

// Adds what a general fold says, in the order of its steps.
void AddGeneral(const GeneralFold& fold, Json* json) {
  for (const LookupTable& table : fold.tables()) (*json)["tables"][table.name()] = TableJson(table);
  if (!fold.where().empty()) (*json)["where"] = fold.where();
  for (const Let& let : fold.let()) (*json)["let"][let.name()] = let.expression();
  if (fold.has_explode()) (*json)["explode"] = {{fold.explode().name(), fold.explode().list()}};
  if (!fold.group().empty()) (*json)["group"] = fold.group();
  if (fold.key_size() == 1) {
    (*json)["key"] = fold.key(0);
  } else {
    (*json)["key"] = fold.key();
  }
  for (const Measure& measure : fold.measures()) (*json)["measures"][measure.name()] = measure.expression();
  if (fold.key_bytes() > 0) (*json)["limits"]["key_bytes"] = fold.key_bytes();
}

Json WindowJson(const FoldWindow& window, int64_t idle_us) {
  Json json;
  if (window.panes() == 1) {
    json["tumbling"] = PaneText(window);
  } else {
    json["sliding"] = {{"size", WindowSizeText(window)}, {"every", PaneText(window)}};
  }
  if (!window.zone().empty()) json["zone"] = window.zone();
  json["lateness"] = DurationText(absl::Microseconds(window.lateness_us()));
  json["ahead"] = DurationText(absl::Microseconds(window.ahead_us()));
  if (idle_us > 0) json["idle"] = DurationText(absl::Microseconds(idle_us));
  return json;
}

Json PositionJson(const LogPosition& position) {
  if (position.has_time_ms()) return ValueText(Timestamp{position.time_ms() * 1000});
  if (position.end()) return "latest";
  Json offsets;
  for (const NamedOffset& named : position.offsets().offsets())
    offsets[named.topic()][std::to_string(named.partition())] = named.offset();
  return offsets;
}

Json TopicsJson(const SourceTopics& source) {
  Json kafka;
  if (!source.topics().empty()) kafka["topics"] = source.topics();
  if (!source.topics_matching().empty()) kafka["topics_matching"] = source.topics_matching();
  kafka["start"] = source.start() == START_LATEST ? "latest" : "earliest";
  if (source.has_start_at()) kafka["start"] = PositionJson(source.start_at());
  if (source.has_until()) kafka["until"] = PositionJson(source.until());
  return kafka;
}

Json KafkaJson(const KafkaSource& source) {
  Json kafka = TopicsJson(TopicsOfSource(source, 0));
  if (!source.brokers().empty()) kafka["brokers"] = source.brokers();
  if (source.allow_compacted()) kafka["allow_compacted"] = true;
  if (source.allow_internal()) kafka["allow_internal"] = true;
  if (!source.group().empty()) kafka["group"] = source.group();
  if (source.wait_for_topics()) kafka["missing_topics"] = "wait";
  // Sorts the properties, as a protobuf map has no order.
  const std::map<std::string, std::string> properties(source.properties().begin(), source.properties().end());
  if (!properties.empty()) kafka["properties"] = properties;
  return kafka;
}

// Whether YAML reads the text back as the same text if it is written without quotes.
bool IsPlainScalar(const std::string& text) {
  if (text.empty() || absl::EqualsIgnoreCase(text, "null") || text.ends_with(' ')) return false;
  const auto is_digit = [&](size_t i) {
    return i < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[i]));
  };
  const bool begins = absl::ascii_isalpha(static_cast<unsigned char>(text[0])) || is_digit(text[0] == '-' ? 1 : 0);
  return begins && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(" *+-._/", c);
         });
}

// Writes the value as JSON, which is YAML except for DEL. That and control characters beyond ASCII are escaped.
std::string JsonForYaml(const Json& value) {
  std::string text;
  const std::string json = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  for (size_t i = 0; i < json.size(); ++i) {
    const bool is_c1 = json[i] == '\xc2' && i + 1 < json.size() && static_cast<unsigned char>(json[i + 1]) < 0xa0;
    if (is_c1 || json[i] == '\x7f') {
      text += fmt::format("\\u{:04x}", static_cast<unsigned char>(json[i += is_c1]));
    } else {
      text += json[i];
    }
  }
  return text;
}

}  // namespace

Json SpecJson(const JobSpec& spec) {
  Json json = {{"name", spec.name()}};
  if (spec.fold().has_general()) {
    const GeneralFold& fold = spec.fold().general();
    for (size_t i = 0; i < SourceCount(fold); ++i) {
      Json source = {{"kafka", i == 0 ? KafkaJson(spec.source()) : TopicsJson(TopicsOfSource(spec.source(), i))}};
      AddRecords(FoldOfSource(fold, i), spec.registry(), &source);
      if (fold.others().empty()) json["source"] = std::move(source);
      if (!fold.others().empty()) json["sources"].push_back(std::move(source));
    }
    AddGeneral(fold, &json);
  } else {
    json["source"] = {{"kafka", KafkaJson(spec.source())}};
    json["source"]["format"]["delimited"] = DelimitedJson(spec.fold().format());
    json["key"] = spec.fold().key();
    json["score"] = ScoreText(spec);
  }
  if (!spec.rank().empty()) json["rank"] = spec.rank();
  if (spec.order() == ORDER_ASCENDING) json["order"] = "ascending";
  if (!spec.having().empty()) json["having"] = spec.having();
  json["top"] = spec.top();
  if (spec.groups() > 0) json["groups"] = spec.groups();
  if (spec.fold().general().has_window()) json["window"] = WindowJson(spec.fold().general().window(), spec.idle_us());
  json["batch"] = {{"interval", fmt::format("{}ms", spec.batch_interval_ms())}};
  if (!spec.fold().initial().empty()) json["initial"] = Json::object();
  for (const InitialScore& initial : spec.fold().initial()) json["initial"][initial.key()] = initial.score();
  json["state"] = {{"wal", absl::AsciiStrToLower(WalMode_Name(spec.wal())).substr(sizeof("WAL_") - 1)}};
  json["on_bad_record"] = spec.on_bad_record() == BAD_RECORD_FAIL ? "fail" : "skip";
  if (spec.fail_above_ppm() > 0)
    json["on_bad_record"] = {{"fail_above", fmt::format("{}%", spec.fail_above_ppm() / 10'000.0)}};
  json["on_stuck_partition"] = spec.on_stuck_partition() == STUCK_PARTITION_WAIT ? "wait" : "continue";
  json["sinks"] = Json::array();
  for (const Sink& sink : spec.sinks()) {
    switch (sink.kind_case()) {
      case Sink::kStdout:
        json["sinks"].push_back({{"stdout", Json::object()}});
        break;
      case Sink::kFile:
        json["sinks"].push_back({{"file", {{"path", sink.file().path()}}}});
        break;
      case Sink::KIND_NOT_SET:
        break;
    }
  }
  return json;
}

std::string WriteJobSpec(const JobSpec& spec) {
  std::string text;
  const Json json = SpecJson(spec);
  for (const auto& [key, value] : json.items()) {
    const bool plain = value.is_string() && IsPlainScalar(value.get<std::string>());
    text += fmt::format("{}: {}\n", key, plain ? value.get<std::string>() : JsonForYaml(value));
  }
  return text;
}

}  // namespace tenfold
