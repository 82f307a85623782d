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

std::string DecimalText(const std::string& bytes, int scale) {
  BigInt number = 0;
  // Its digits would take long, and are more than a number may have.
  if (bytes.size() > 1000) return "1e999";
  for (const char byte : bytes) number = number * 256 + static_cast<unsigned char>(byte);
  if (!bytes.empty() && static_cast<unsigned char>(bytes[0]) >= 128) number -= BigInt(1) << (8 * bytes.size());
  std::string digits = BigInt(abs(number)).str();
  while (static_cast<int>(digits.size()) <= scale) digits = "0" + digits;
  if (scale > 0) digits.insert(digits.size() - static_cast<size_t>(scale), ".");
  return number < 0 ? "-" + digits : digits;
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

std::string NameOf(const nlohmann::json& type, const std::string& space) {
  const auto name = type.at("name").get<std::string>();
  return name.find('.') != std::string::npos || space.empty() ? name : space + "." + name;
}

// The namespace that the names in a type with a name are in.
std::string SpaceIn(const nlohmann::json& type, const std::string& space) {
  const auto name = type.at("name").get<std::string>();
  if (const size_t dot = name.rfind('.'); dot != std::string::npos) return name.substr(0, dot);
  return type.contains("namespace") ? type.at("namespace").get<std::string>() : space;
}

bool IsNamed(const nlohmann::json& type) {
  const std::set<std::string> kinds = {"record", "error", "enum", "fixed"};
  return type.is_object() && type.at("type").is_string() && kinds.contains(type.at("type").get<std::string>());
}

}  // namespace

AvroTree::AvroTree(const AvroFormat& format)
    : confluent_(format.confluent()), schema_(nlohmann::json::parse(format.schema())) {
  AddNames(schema_, "");
}

void AvroTree::AddNames(const Json& type, std::string space) {
  if (type.is_array()) {
    for (const Json& branch : type) AddNames(branch, space);
  }
  if (!type.is_object()) return;
  if (IsNamed(type)) {
    space = SpaceIn(type, space);
    named_.try_emplace(NameOf(type, space), &type, space);
  }
  for (const char* member : {"type", "items", "values"}) {
    if (type.contains(member) && !type.at(member).is_string()) AddNames(type.at(member), space);
  }
  if (!type.contains("fields")) return;
  for (const Json& field : type.at("fields")) AddNames(field.at("type"), space);
}

std::optional<JsonNode> AvroTree::Read(std::string_view record) const {
  if (confluent_) {
    if (record.size() < 5 || record[0] != 0) return std::nullopt;
    record.remove_prefix(5);
  }
  Rest rest = {record, kMaxSchemaValues};
  JsonNode root;
  if (!ReadType(schema_, "", 0, &rest, &root) || !rest.bytes.empty()) return std::nullopt;
  return root;
}

bool AvroTree::ReadType(const Json& type, std::string space, size_t depth, Rest* rest, JsonNode* node) const {
  if (type.is_array()) {
    int64_t branch = 0;
    if (!TakeLong(&rest->bytes, &branch) || branch < 0 || branch >= static_cast<int64_t>(type.size())) return false;
    return ReadType(type.at(static_cast<size_t>(branch)), space, depth, rest, node);
  }
  if (type.is_object() && !type.at("type").is_string()) return ReadType(type.at("type"), space, depth, rest, node);
  const auto kind = (type.is_string() ? type : type.at("type")).get<std::string>();
  const std::set<std::string> own = {"null",   "boolean", "int",  "long",  "float", "double", "bytes",
                                     "string", "record",  "enum", "error", "fixed", "array",  "map"};
  if (!own.contains(kind)) {
    auto named = named_.find(kind.find('.') == std::string::npos && !space.empty() ? space + "." + kind : kind);
    if (named == named_.end()) named = named_.find(kind);
    // Its own namespace is what it was defined in.
    return ReadType(*named->second.first, named->second.second, depth, rest, node);
  }
  if (rest->values == 0) return false;
  --rest->values;
  if (kind == "array" || kind == "map") return depth < kMaxJsonDepth && ReadItems(type, space, depth, rest, node);
  if (kind != "record" && kind != "error") return ReadPlain(type, kind, rest, node);
  if (depth == kMaxJsonDepth) return false;
  node->kind = JsonNode::Kind::kObject;
  space = SpaceIn(type, space);
  for (const Json& field : type.at("fields")) {
    JsonMember& member = node->members.emplace_back(JsonMember{field.at("name").get<std::string>(), JsonNode()});
    if (!ReadType(field.at("type"), space, depth + 1, rest, &member.value)) return false;
  }
  return true;
}

bool AvroTree::ReadItems(const Json& type, const std::string& space, size_t depth, Rest* rest, JsonNode* node) const {
  const bool map = type.at("type") == "map";
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
      if (!ReadType(type.at(map ? "values" : "items"), space, depth + 1, rest, &item)) return false;
      if (map) {
        node->members.push_back({key, std::move(item)});
      } else {
        node->items.push_back(std::move(item));
      }
    }
  }
}

bool AvroTree::ReadPlain(const Json& type, const std::string& kind, Rest* rest, JsonNode* node) const {
  const auto logical = [&](const std::string& name) {
    return type.is_object() && type.contains("logicalType") && type.at("logicalType") == name;
  };
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
    if (kind == "long" && logical("timestamp-millis")) node->unit = TIMESTAMP_MILLISECONDS;
    if (kind == "long" && logical("timestamp-micros")) node->unit = TIMESTAMP_MICROSECONDS;
    const bool date = kind == "int" && logical("date");
    if (kind != "enum" && !date) return true;
    node->kind = JsonNode::Kind::kString;
    if (date) node->text = DateText(number);
    if (date) return true;
    const Json& symbols = type.at("symbols");
    if (number < 0 || number >= static_cast<int64_t>(symbols.size())) return false;
    node->text = symbols.at(static_cast<size_t>(number)).get<std::string>();
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
  if (!(kind == "fixed" ? Take(&rest->bytes, type.at("size").get<size_t>(), &bytes) : TakeSized(&rest->bytes, &bytes)))
    return false;
  node->kind = JsonNode::Kind::kString;
  node->text = bytes;
  if (kind == "string" || !logical("decimal")) return true;
  const auto whole = [&](const char* member) {
    return type.contains(member) && type.at(member).is_number_unsigned() ? type.at(member).get<int64_t>() : int64_t{-1};
  };
  const int64_t scale = type.contains("scale") ? whole("scale") : 0;
  if (whole("precision") < 1 || scale < 0 || scale > whole("precision") || whole("precision") > 1 << 20) return true;
  node->kind = JsonNode::Kind::kNumber;
  node->text = DecimalText(bytes, static_cast<int>(scale));
  return true;
}

}  // namespace tenfold::oracle
