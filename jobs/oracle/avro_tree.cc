#include "jobs/oracle/avro_tree.h"

#include <cstring>
#include <set>
#include <vector>

#include "boost/multiprecision/cpp_int.hpp"
#include "common/limits.h"
#include "fmt/format.h"
#include "jobs/oracle/float_text.h"

namespace tenfold::oracle {
namespace {

using BigInt = boost::multiprecision::cpp_int;

bool Take(std::string_view* bytes, size_t count, std::string* taken) {
  if (bytes->size() < count) return false;
  *taken = bytes->substr(0, count);
  bytes->remove_prefix(count);
  return true;
}

// A number in zigzag, of at most ten bytes, of which what is beyond 64 bits is lost.
bool TakeLong(std::string_view* bytes, int64_t* number) {
  BigInt read = 0;
  for (unsigned i = 0; i < 10; ++i) {
    std::string byte;
    if (!Take(bytes, 1, &byte)) return false;
    const auto of = static_cast<unsigned char>(byte[0]);
    read += BigInt(of % 128) << (7 * i);
    if (of >= 128) continue;
    read %= BigInt(1) << 64;
    *number = static_cast<int64_t>(read % 2 == 0 ? BigInt(read / 2) : BigInt(-(read + 1) / 2));
    return true;
  }
  return false;
}

bool TakeSized(std::string_view* bytes, std::string* text) {
  int64_t size = 0;
  return TakeLong(bytes, &size) && size >= 0 && Take(bytes, static_cast<size_t>(size), text);
}

std::string DecimalText(std::string bytes, int scale) {
  const bool negative = !bytes.empty() && static_cast<unsigned char>(bytes[0]) >= 128;
  // What only repeats the sign.
  while (bytes.size() > 1 && bytes[0] == (negative ? '\xff' : '\0') &&
         (static_cast<unsigned char>(bytes[1]) >= 128) == negative)
    bytes.erase(0, 1);
  // Its digits would take long, and are more than a number may have.
  if (bytes.size() > 1000) return "1e999";
  BigInt number = 0;
  for (const char byte : bytes) number = number * 256 + static_cast<unsigned char>(byte);
  if (negative) number -= BigInt(1) << (8 * bytes.size());
  std::string digits = BigInt(abs(number)).str();
  if (static_cast<int>(digits.size()) <= scale) digits.insert(0, static_cast<size_t>(scale) + 1 - digits.size(), '0');
  if (scale > 0) digits.insert(digits.size() - static_cast<size_t>(scale), ".");
  return negative ? "-" + digits : digits;
}

// Year by year from 1970.
std::string DateText(int64_t days) {
  const auto leap = [](int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); };
  // The calendar is the same again after 400 years.
  constexpr int64_t kCycle = 146'097;
  int64_t year = 1970 + days / kCycle * 400;
  days %= kCycle;
  for (; days < 0; days += leap(year) ? 366 : 365) --year;
  for (; days >= (leap(year) ? 366 : 365); ++year) days -= leap(year) ? 366 : 365;
  int month = 0;
  for (;; ++month) {
    const std::vector<int> lengths = {31, leap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const int length = lengths[static_cast<size_t>(month)];
    if (days < length) break;
    days -= length;
  }
  return fmt::format("{:04}-{:02}-{:02}", year, month + 1, days + 1);
}

std::string TextOf(const nlohmann::json& json, const std::string& member) {
  return json.contains(member) && json.at(member).is_string() ? json.at(member).get<std::string>() : "";
}

// A whole number of at most a million or so, as the rules have it; -1 for what is none.
int64_t WholeOf(const nlohmann::json& json, const std::string& member) {
  if (!json.contains(member) || !json.at(member).is_number_unsigned()) return -1;
  const auto number = json.at(member).get<uint64_t>();
  return number > 1 << 20 ? -1 : static_cast<int64_t>(number);
}

}  // namespace

AvroTree::AvroTree(const std::string& schema, bool confluent)
    : confluent_(confluent), root_(Add(nlohmann::json::parse(schema), "")) {}

size_t AvroTree::Add(const Json& json, const std::string& space) {
  const std::set<std::string> plain = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"};
  Type made;
  if (json.is_array()) {
    made.kind = "union";
    for (const Json& branch : json) made.parts.push_back(Add(branch, space));
  } else if (json.is_string() && !plain.contains(json.get<std::string>())) {
    const auto name = json.get<std::string>();
    const auto within = named_.find(space + "." + name);
    const bool has_dot = name.find('.') != std::string::npos;
    return !has_dot && within != named_.end() ? within->second : named_.at(name);
  } else if (json.is_string()) {
    made.kind = json.get<std::string>();
  } else if (!json.at("type").is_string()) {
    return Add(json.at("type"), space);
  } else {
    made.kind = json.at("type").get<std::string>();
    const std::set<std::string> named = {"record", "error", "enum", "fixed"};
    if (named.contains(made.kind)) return AddNamed(json, space);
    if (made.kind == "array") made.parts.push_back(Add(json.at("items"), space));
    if (made.kind == "map") made.parts.push_back(Add(json.at("values"), space));
    if (made.parts.empty() && !plain.contains(made.kind)) return Add(json.at("type"), space);
    SetLogical(json, &made);
  }
  types_.push_back(std::move(made));
  return types_.size() - 1;
}

void AvroTree::SetLogical(const Json& json, Type* type) {
  type->logical = TextOf(json, "logicalType");
  type->precision = WholeOf(json, "precision");
  type->scale = json.contains("scale") ? WholeOf(json, "scale") : 0;
}

size_t AvroTree::AddNamed(const Json& json, const std::string& outer) {
  std::string name = TextOf(json, "name");
  std::string space = json.contains("namespace") ? TextOf(json, "namespace") : outer;
  if (const size_t dot = name.rfind('.'); dot != std::string::npos) {
    space = name.substr(0, dot);
  } else if (!space.empty()) {
    name = space + "." + name;
  }
  const size_t index = types_.size();
  types_.emplace_back();
  named_[name] = index;
  Type made;
  made.kind = json.at("type") == "error" ? "record" : json.at("type").get<std::string>();
  if (made.kind == "enum") made.names = json.at("symbols").get<std::vector<std::string>>();
  if (made.kind == "fixed") {
    made.size = json.at("size").get<size_t>();
    SetLogical(json, &made);
  }
  if (made.kind == "record") {
    for (const Json& field : json.at("fields")) {
      made.names.push_back(field.at("name").get<std::string>());
      made.parts.push_back(Add(field.at("type"), space));
    }
  }
  types_[index] = std::move(made);
  return index;
}

std::optional<JsonNode> AvroTree::Read(std::string_view record) const {
  if (confluent_) {
    if (record.size() < 5 || record[0] != 0) return std::nullopt;
    record.remove_prefix(5);
  }
  Rest rest = {record, MaxSchemaValues(record.size() + (confluent_ ? 5 : 0))};
  JsonNode root;
  if (!ReadType(root_, 0, &rest, &root) || !rest.bytes.empty()) return std::nullopt;
  return root;
}

bool AvroTree::ReadType(size_t index, size_t depth, Rest* rest, JsonNode* node) const {
  const Type& type = types_[index];
  if (type.kind == "union") {
    int64_t branch = 0;
    if (!TakeLong(&rest->bytes, &branch) || branch < 0 || branch >= static_cast<int64_t>(type.parts.size())) return false;
    return ReadType(type.parts[static_cast<size_t>(branch)], depth, rest, node);
  }
  if (rest->values == 0) return false;
  --rest->values;
  if (type.kind == "array" || type.kind == "map") return depth < kMaxJsonDepth && ReadItems(type, depth, rest, node);
  if (type.kind != "record") return ReadPlain(type, rest, node);
  if (depth == kMaxJsonDepth) return false;
  node->kind = JsonNode::Kind::kObject;
  for (size_t i = 0; i < type.parts.size(); ++i) {
    JsonMember& member = node->members.emplace_back(JsonMember{type.names[i], JsonNode()});
    if (!ReadType(type.parts[i], depth + 1, rest, &member.value)) return false;
  }
  return true;
}

bool AvroTree::ReadItems(const Type& type, size_t depth, Rest* rest, JsonNode* node) const {
  const bool map = type.kind == "map";
  node->kind = map ? JsonNode::Kind::kObject : JsonNode::Kind::kArray;
  while (true) {
    int64_t count = 0;
    int64_t bytes = 0;
    if (!TakeLong(&rest->bytes, &count)) return false;
    if (count == 0) return true;
    if (count < 0) {
      if (!TakeLong(&rest->bytes, &bytes)) return false;
      // There is no such number of items.
      if (count == std::numeric_limits<int64_t>::min()) return false;
      count = -count;
    }
    for (; count > 0; --count) {
      std::string key;
      if (map && !TakeSized(&rest->bytes, &key)) return false;
      JsonNode item;
      if (!ReadType(type.parts[0], depth + 1, rest, &item)) return false;
      if (map) {
        node->members.push_back({key, std::move(item)});
      } else {
        node->items.push_back(std::move(item));
      }
    }
  }
}

bool AvroTree::ReadPlain(const Type& type, Rest* rest, JsonNode* node) {
  const std::string& kind = type.kind;
  int64_t number = 0;
  if (kind == "null") return true;
  if (kind == "boolean") {
    if (!Take(&rest->bytes, 1, &node->text) || (node->text[0] != 0 && node->text[0] != 1)) return false;
    node->kind = node->text[0] == 1 ? JsonNode::Kind::kTrue : JsonNode::Kind::kFalse;
    return true;
  }
  if (kind == "int" || kind == "long" || kind == "enum") {
    if (!TakeLong(&rest->bytes, &number)) return false;
    if (kind != "long" && number != static_cast<int32_t>(number)) return false;
    node->kind = JsonNode::Kind::kNumber;
    node->text = std::to_string(number);
    if (kind == "long" && type.logical == "timestamp-millis") node->unit = TIMESTAMP_MILLISECONDS;
    if (kind == "long" && type.logical == "timestamp-micros") node->unit = TIMESTAMP_MICROSECONDS;
    const bool date = kind == "int" && type.logical == "date";
    if (kind != "enum" && !date) return true;
    node->kind = JsonNode::Kind::kString;
    if (date) node->text = DateText(number);
    if (date) return true;
    if (number < 0 || number >= static_cast<int64_t>(type.names.size())) return false;
    node->text = type.names[static_cast<size_t>(number)];
    return true;
  }
  std::string bytes;
  if (kind == "float" || kind == "double") {
    node->kind = JsonNode::Kind::kNumber;
    float narrow = 0;
    double wide = 0;
    if (!Take(&rest->bytes, kind == "float" ? 4 : 8, &bytes)) return false;
    if (kind == "float") std::memcpy(&narrow, bytes.data(), 4);
    if (kind == "double") std::memcpy(&wide, bytes.data(), 8);
    node->text = kind == "float" ? FloatText(narrow) : FloatText(wide);
    return true;
  }
  if (!(kind == "fixed" ? Take(&rest->bytes, type.size, &bytes) : TakeSized(&rest->bytes, &bytes))) return false;
  node->kind = JsonNode::Kind::kString;
  node->text = bytes;
  if (kind == "string" || type.logical != "decimal") return true;
  if (type.precision < 1 || type.scale < 0 || type.scale > type.precision) return true;
  node->kind = JsonNode::Kind::kNumber;
  node->text = DecimalText(bytes, static_cast<int>(type.scale));
  return true;
}

}  // namespace tenfold::oracle
