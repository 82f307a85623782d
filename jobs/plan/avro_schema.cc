#include "jobs/plan/avro_schema.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "common/limits.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "jobs/plan/field_value.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

using Json = nlohmann::json;
using Kind = AvroType::Kind;
using Logical = AvroType::Logical;

constexpr std::string_view kPrimitives[] = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};

class SchemaReader {
 public:
  std::optional<AvroSchema> Read(const Json& json, std::string* error) {
    if (const std::optional<uint32_t> root = ReadType(json, "", 0)) return Rooted(*root);
    *error = std::move(error_);
    return std::nullopt;
  }

 private:
  // The type that is read first is not always the one that is added first.
  AvroSchema Rooted(uint32_t root) {
    std::swap(schema_.types[0], schema_.types[root]);
    for (AvroType& type : schema_.types) {
      for (uint32_t& of : type.types) of = of == root ? 0 : of == 0 ? root : of;
    }
    return std::move(schema_);
  }

  std::nullopt_t Refuse(std::string why) {
    if (error_.empty()) error_ = std::move(why);
    return std::nullopt;
  }

  uint32_t Add(AvroType type) {
    schema_.types.push_back(std::move(type));
    return static_cast<uint32_t>(schema_.types.size() - 1);
  }

  // Whether a union has the type already; of those without names it may have each once.
  bool Has(const AvroType& of, uint32_t type) const {
    const Kind kind = schema_.types[type].kind;
    const bool has_name = kind == Kind::kFixed || kind == Kind::kEnum || kind == Kind::kRecord;
    return std::ranges::any_of(of.types,
                               [&](uint32_t other) { return has_name ? other == type : schema_.types[other].kind == kind; });
  }

  // `space` is the namespace that names without one are in.
  std::optional<uint32_t> ReadType(const Json& json, const std::string& space, size_t depth) {
    if (depth > kMaxJsonDepth) return Refuse(fmt::format("has types nested over {} deep", kMaxJsonDepth));
    if (json.is_string()) return ReadName(json.get<std::string>(), space);
    if (json.is_array()) return ReadUnion(json, space, depth);
    const auto of = json.is_object() ? json.find("type") : json.end();
    if (!json.is_object() || of == json.end())
      return Refuse(fmt::format("has {} where a type is expected: a name, a list, or an object with a type", Cut(json)));
    if (!of->is_string()) return ReadType(*of, space, depth + 1);
    const std::string kind = of->get<std::string>();
    if (kind == "record" || kind == "error" || kind == "enum" || kind == "fixed") return ReadNamed(kind, json, space, depth);
    if (kind == "array" || kind == "map") {
      const char* const member = kind == "array" ? "items" : "values";
      const auto inner = json.find(member);
      if (inner == json.end()) return Refuse(fmt::format("has a {} without {}", kind, member));
      const std::optional<uint32_t> type = ReadType(*inner, space, depth + 1);
      if (!type) return std::nullopt;
      AvroType made;
      made.kind = kind == "array" ? Kind::kArray : Kind::kMap;
      made.name = kind;
      made.types = {*type};
      return Add(std::move(made));
    }
    const std::optional<uint32_t> named = ReadName(kind, space);
    if (!named || schema_.types[*named].kind >= Kind::kFixed) return named;
    return SetLogical(json, *named);
  }

  // A logicalType that does not fit its type means nothing, by Avro's specification.
  uint32_t SetLogical(const Json& json, uint32_t index) {
    const auto said = json.find("logicalType");
    if (said == json.end() || !said->is_string()) return index;
    const std::string name = said->get<std::string>();
    AvroType* const type = &schema_.types[index];
    if (name == "date" && type->kind == Kind::kInt) type->logical = Logical::kDate;
    if (name == "timestamp-millis" && type->kind == Kind::kLong) type->logical = Logical::kTimestampMillis;
    if (name == "timestamp-micros" && type->kind == Kind::kLong) type->logical = Logical::kTimestampMicros;
    if (name == "decimal" && (type->kind == Kind::kBytes || type->kind == Kind::kFixed)) {
      const std::optional<uint32_t> precision = WholeNumber(json, "precision");
      const std::optional<uint32_t> scale = json.contains("scale") ? WholeNumber(json, "scale") : 0;
      if (!precision || !scale || *precision == 0 || *scale > *precision) return index;
      type->logical = Logical::kDecimal;
      type->scale = *scale;
    }
    if (type->logical != Logical::kNone) type->name = name;
    return index;
  }

  static std::optional<uint32_t> WholeNumber(const Json& json, const char* member) {
    const auto found = json.find(member);
    constexpr uint64_t kMost = 1 << 20;
    if (found == json.end() || !found->is_number_unsigned() || found->get<uint64_t>() > kMost) return std::nullopt;
    return static_cast<uint32_t>(found->get<uint64_t>());
  }

  std::optional<uint32_t> ReadName(const std::string& name, const std::string& space) {
    const auto primitive = std::ranges::find(kPrimitives, name);
    if (primitive != std::end(kPrimitives)) {
      AvroType made;
      made.kind = static_cast<Kind>(primitive - std::begin(kPrimitives));
      made.name = name;
      return Add(std::move(made));
    }
    auto known = named_.find(name.find('.') == std::string::npos && !space.empty() ? space + "." + name : name);
    if (known == named_.end()) known = named_.find(name);
    if (known != named_.end()) return known->second;
    std::vector<std::string> names(std::begin(kPrimitives), std::end(kPrimitives));
    for (const auto& [of, index] : named_) names.push_back(of);
    return Refuse(fmt::format("names a type {}, which it has not defined before{}", Quoted(name), DidYouMean(name, names)));
  }

  std::optional<uint32_t> ReadUnion(const Json& json, const std::string& space, size_t depth) {
    AvroType made;
    made.kind = Kind::kUnion;
    made.name = "union";
    for (const Json& branch : json) {
      const std::optional<uint32_t> type = ReadType(branch, space, depth + 1);
      if (!type) return std::nullopt;
      if (schema_.types[*type].kind == Kind::kUnion) return Refuse("has a union directly in a union");
      if (Has(made, *type)) return Refuse(fmt::format("has {} twice in a union", Shown(schema_.types[*type].name)));
      made.types.push_back(*type);
    }
    if (made.types.empty()) return Refuse("has a union of no types");
    return Add(std::move(made));
  }

  std::optional<uint32_t> ReadNamed(const std::string& kind, const Json& json, const std::string& outer, size_t depth) {
    std::string name = TextOf(json, "name");
    if (name.empty()) return Refuse(fmt::format("has a type {} without a name", kind));
    std::string space = json.contains("namespace") ? TextOf(json, "namespace") : outer;
    if (const size_t dot = name.rfind('.'); dot != std::string::npos) {
      space = name.substr(0, dot);
    } else if (!space.empty()) {
      name = space + "." + name;
    }
    AvroType made;
    made.name = name;
    made.kind = kind == "enum" ? Kind::kEnum : kind == "fixed" ? Kind::kFixed : Kind::kRecord;
    const uint32_t index = Add(std::move(made));
    // Before its fields, which may name it.
    if (!named_.emplace(name, index).second) return Refuse(fmt::format("defines {} twice", Shown(name)));
    if (kind == "fixed") {
      const std::optional<uint32_t> size = WholeNumber(json, "size");
      if (!size) return Refuse(fmt::format("has a fixed {} without a size of up to 1 MiB", Shown(name)));
      schema_.types[index].size = *size;
      return SetLogical(json, index);
    }
    if (kind == "enum") return ReadSymbols(json, index);
    return ReadRecordFields(json, space, depth, index);
  }

  std::optional<uint32_t> ReadSymbols(const Json& json, uint32_t index) {
    const auto symbols = json.find("symbols");
    const auto is_text = [](const Json& symbol) { return symbol.is_string(); };
    if (symbols == json.end() || !symbols->is_array() || !std::ranges::all_of(*symbols, is_text))
      return Refuse(fmt::format("has an enum {} without a list of symbols", Shown(schema_.types[index].name)));
    for (const Json& symbol : *symbols) schema_.types[index].names.push_back(symbol.get<std::string>());
    return index;
  }

  std::optional<uint32_t> ReadRecordFields(const Json& json, const std::string& space, size_t depth, uint32_t index) {
    const std::string name = schema_.types[index].name;
    const auto fields = json.find("fields");
    if (fields == json.end() || !fields->is_array())
      return Refuse(fmt::format("has a record {} without a list of fields", Shown(name)));
    std::set<std::string> names;
    for (const Json& field : *fields) {
      const std::string field_name = field.is_object() ? TextOf(field, "name") : "";
      if (field_name.empty() || !field.contains("type"))
        return Refuse(fmt::format("has a field in {} without a name or a type", Shown(name)));
      if (!names.insert(field_name).second)
        return Refuse(fmt::format("has the field {} twice in {}", Quoted(field_name), Shown(name)));
      const std::optional<uint32_t> type = ReadType(field["type"], space, depth + 1);
      if (!type) return std::nullopt;
      schema_.types[index].names.push_back(field_name);
      schema_.types[index].types.push_back(*type);
    }
    return index;
  }

  static std::string TextOf(const Json& json, const char* member) {
    const auto found = json.find(member);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
  }

  // A part of the schema as messages show it.
  static std::string Cut(const Json& json) {
    constexpr size_t kMost = 40;
    const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    return Quoted(text.size() <= kMost ? text : text.substr(0, kMost) + "..");
  }

  AvroSchema schema_;
  std::map<std::string, uint32_t> named_;
  std::string error_;
};

// What readers need of a type, in one order.
nlohmann::ordered_json Compact(const Json& json) {
  if (json.is_array()) {
    nlohmann::ordered_json branches = nlohmann::ordered_json::array();
    for (const Json& branch : json) branches.push_back(Compact(branch));
    return branches;
  }
  if (!json.is_object()) return json;
  nlohmann::ordered_json compact;
  compact["type"] = Compact(json["type"]);
  for (const char* member : {"name", "namespace", "logicalType", "precision", "scale"}) {
    if (const auto found = json.find(member); found != json.end()) compact[member] = *found;
  }
  const auto is = [&](const char* kind) { return json["type"] == kind; };
  if (is("array")) compact["items"] = Compact(json["items"]);
  if (is("map")) compact["values"] = Compact(json["values"]);
  if (is("fixed")) compact["size"] = json["size"];
  if (is("enum")) compact["symbols"] = json["symbols"];
  if (!is("record") && !is("error")) return compact;
  compact["fields"] = nlohmann::ordered_json::array();
  for (const Json& field : json["fields"])
    compact["fields"].push_back({{"name", field["name"]}, {"type", Compact(field["type"])}});
  return compact;
}

// The types that a value of the type may have, null left out, each once.
std::vector<uint32_t> BranchesOf(const AvroSchema& schema, std::span<const uint32_t> types) {
  std::vector<uint32_t> branches;
  for (const uint32_t type : types) {
    const AvroType& of = schema.types[type];
    const std::vector<uint32_t> some = of.kind == Kind::kUnion ? of.types : std::vector<uint32_t>{type};
    for (const uint32_t branch : some) {
      if (schema.types[branch].kind != Kind::kNull) branches.push_back(branch);
    }
  }
  std::ranges::sort(branches);
  branches.erase(std::unique(branches.begin(), branches.end()), branches.end());
  return branches;
}

bool Fits(const AvroType& of, FieldType type, TimestampUnit unit) {
  const bool is_time = of.logical == Logical::kTimestampMillis || of.logical == Logical::kTimestampMicros;
  const bool is_number =
      (of.kind >= Kind::kInt && of.kind <= Kind::kDouble && of.logical != Logical::kDate) || of.logical == Logical::kDecimal;
  const bool is_text = of.kind == Kind::kString || of.kind == Kind::kEnum || of.logical == Logical::kDate ||
                       ((of.kind == Kind::kBytes || of.kind == Kind::kFixed) && !is_number);
  switch (type) {
    case FIELD_DECIMAL:
    case FIELD_INTEGER:
    case FIELD_DECIMAL_LIST:
      return is_number;
    case FIELD_BOOLEAN:
      return of.kind == Kind::kBoolean;
    case FIELD_TIMESTAMP:
      return unit == TIMESTAMP_TEXT ? is_time || is_text : is_number && !is_time;
    default:
      return is_text;
  }
}

bool IsOnly(const AvroSchema& schema, std::span<const uint32_t> types, Kind kind) {
  return !types.empty() && std::ranges::all_of(types, [&](uint32_t type) { return schema.types[type].kind == kind; });
}

// "a long", "an int, or a shop.Item".
std::string NamesOf(const AvroSchema& schema, std::span<const uint32_t> types) {
  std::string text;
  for (const uint32_t type : types) {
    const std::string& name = schema.types[type].name;
    const bool vowel = std::string_view("aeiouAEIO").find(name.empty() ? 'x' : name[0]) != std::string_view::npos;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", or ", vowel ? "an" : "a", Shown(name));
  }
  return text.empty() ? "null" : text;
}

}  // namespace

bool IsShallowJson(std::string_view json) {
  constexpr int kMost = 4 * static_cast<int>(kMaxJsonDepth);
  int depth = 0;
  bool in_text = false;
  for (size_t i = 0; i < json.size() && depth <= kMost; ++i) {
    const char c = json[i];
    if (in_text && c == '\\') ++i;
    if (c == '"') in_text = !in_text;
    if (!in_text && (c == '{' || c == '[')) ++depth;
    if (!in_text && (c == '}' || c == ']')) --depth;
  }
  return depth <= kMost;
}

std::optional<AvroSchema> ReadAvroSchema(std::string_view json, std::string* error) {
  if (json.size() > kMaxSchemaBytes) {
    *error = fmt::format("has {} bytes; {} are allowed", json.size(), kMaxSchemaBytes);
    return std::nullopt;
  }
  if (!IsShallowJson(json)) {
    *error = fmt::format("has types nested over {} deep", kMaxJsonDepth);
    return std::nullopt;
  }
  try {
    return SchemaReader().Read(Json::parse(json), error);
  } catch (const Json::parse_error& wrong) {
    *error = fmt::format("is no JSON, at byte {}", wrong.byte);
  } catch (const Json::exception&) {
    *error = "has a number that is out of range";
  }
  return std::nullopt;
}

std::optional<std::string> CompactAvroSchema(std::string_view json) {
  std::string error;
  if (!ReadAvroSchema(json, &error)) return std::nullopt;
  return Compact(Json::parse(json)).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string AvroPlaceProblem(const AvroSchema& schema, const JsonPath& path, FieldType type, TimestampUnit unit) {
  const uint32_t root[] = {0};
  std::vector<uint32_t> here = BranchesOf(schema, root);
  for (const JsonPath::Step& step : path.steps) {
    std::vector<uint32_t> next;
    std::vector<std::string> names;
    for (const uint32_t at : here) {
      const AvroType& of = schema.types[at];
      if (of.kind == (step.index ? Kind::kArray : Kind::kMap)) next.push_back(of.types[0]);
      if (of.kind != Kind::kRecord || step.index) continue;
      const auto field = std::ranges::find(of.names, step.name);
      if (field != of.names.end()) next.push_back(of.types[static_cast<size_t>(field - of.names.begin())]);
      names.insert(names.end(), of.names.begin(), of.names.end());
    }
    if (next.empty()) {
      if (step.index) return fmt::format("goes to an item of what the schema says is {}", NamesOf(schema, here));
      if (IsOnly(schema, here, Kind::kArray))
        return fmt::format("goes to {} of an array; say of which item, [0] the first", Quoted(step.name));
      return fmt::format("goes to {} of what the schema says is {}, which has {}{}", Quoted(step.name),
                         NamesOf(schema, here), names.empty() ? "no fields" : "none of that name",
                         DidYouMean(step.name, names));
    }
    here = BranchesOf(schema, next);
  }
  if (path.each) {
    std::vector<uint32_t> items;
    for (const uint32_t at : here) {
      if (schema.types[at].kind == Kind::kArray) items.push_back(schema.types[at].types[0]);
    }
    if (items.empty()) return fmt::format("is a list, and the schema says {}", NamesOf(schema, here));
    here = BranchesOf(schema, items);
  }
  const auto fits = [&](uint32_t at) { return Fits(schema.types[at], type, unit); };
  if (std::ranges::any_of(here, fits)) return "";
  const auto is_time = [&](uint32_t at) {
    return schema.types[at].logical == Logical::kTimestampMillis || schema.types[at].logical == Logical::kTimestampMicros;
  };
  const bool has_unit = type == FIELD_TIMESTAMP && unit != TIMESTAMP_TEXT;
  const auto fits_without = [&](uint32_t at) { return Fits(schema.types[at], type, TIMESTAMP_TEXT); };
  if (has_unit && std::ranges::any_of(here, fits_without) && !std::ranges::any_of(here, is_time))
    return fmt::format("has a unit, which only numbers have: the schema says {}", NamesOf(schema, here));
  if (has_unit && std::ranges::any_of(here, fits_without))
    return fmt::format("has a unit, and the schema says what it is: {}", NamesOf(schema, here));
  const auto fits_with = [&](uint32_t at) { return Fits(schema.types[at], type, TIMESTAMP_SECONDS); };
  if (!has_unit && type == FIELD_TIMESTAMP && std::ranges::any_of(here, fits_with))
    return fmt::format("needs a unit, s, ms or us: the schema says {}", NamesOf(schema, here));
  const std::string_view hint = IsOnly(schema, here, Kind::kArray)    ? "; [*] has all its items, for a list, [0] the first"
                                : IsOnly(schema, here, Kind::kMap)    ? "; say which key, as in [\"key\"]"
                                : IsOnly(schema, here, Kind::kRecord) ? "; say which of its fields"
                                                                      : "";
  return fmt::format("is no {}: the schema says {}{}", FieldTypeName(type), NamesOf(schema, here), hint);
}

}  // namespace tenfold
