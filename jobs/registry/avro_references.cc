#include "jobs/registry/avro_references.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/limits.h"
#include "fmt/format.h"
#include "jobs/plan/avro_schema.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

using Json = nlohmann::json;

// A record's field is two levels of JSON deeper than the record.
constexpr size_t kMostLevels = 3 * kMaxJsonDepth;

std::string TextOf(const Json& json, const char* member) {
  const auto found = json.find(member);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

bool IsNamed(const Json& json) {
  const std::string kind = TextOf(json, "type");
  return kind == "record" || kind == "error" || kind == "enum" || kind == "fixed";
}

struct FullName {
  std::string space;
  std::string name;
  std::string text() const { return space.empty() ? name : space + "." + name; }
};

FullName NameOf(const Json& definition, const std::string& outer) {
  FullName name{definition.contains("namespace") ? TextOf(definition, "namespace") : outer, TextOf(definition, "name")};
  if (const size_t dot = name.name.rfind('.'); dot != std::string::npos) {
    name.space = name.name.substr(0, dot);
    name.name.erase(0, dot + 1);
  }
  return name;
}

class Inliner {
 public:
  // Finds what another schema defines. The JSON outlives the object.
  void Collect(const Json& json, const std::string& space, size_t level) {
    is_too_deep_ |= level > kMostLevels;
    if (is_too_deep_) return;
    if (json.is_array()) {
      for (const Json& branch : json) Collect(branch, space, level + 1);
    }
    if (!json.is_object()) return;
    std::string inner = space;
    if (IsNamed(json)) {
      const FullName name = NameOf(json, space);
      definitions_.try_emplace(name.text(), Definition{&json, space});
      inner = name.space;
    }
    for (const char* member : {"type", "items", "values"}) {
      if (const auto found = json.find(member); found != json.end()) Collect(*found, inner, level + 1);
    }
    const auto fields = json.find("fields");
    if (fields == json.end() || !fields->is_array()) return;
    for (const Json& field : *fields) {
      if (field.is_object() && field.contains("type")) Collect(field.at("type"), inner, level + 1);
    }
  }

  // The type with what it names, but for what readers need not. `space` is the namespace around it.
  Json Inlined(const Json& json, const std::string& space, size_t level) {
    is_too_deep_ |= level > kMostLevels;
    if (is_too_deep_) return nullptr;
    if (json.is_string()) return Named(json.get<std::string>(), space, level);
    if (json.is_array()) {
      Json branches = Json::array();
      for (const Json& branch : json) branches.push_back(Inlined(branch, space, level + 1));
      return branches;
    }
    if (!json.is_object()) return json;
    if (IsNamed(json)) return Defined(json, space, level);
    Json made = Attributes(json);
    for (const char* member : {"type", "items", "values"}) {
      if (const auto found = json.find(member); found != json.end()) made[member] = Inlined(*found, space, level + 1);
    }
    return made;
  }

  bool is_too_deep() const { return is_too_deep_; }

 private:
  struct Definition {
    const Json* json;
    // The namespace around it.
    std::string space;
  };

  static Json Attributes(const Json& json) {
    Json made = Json::object();
    for (const char* member : {"logicalType", "precision", "scale", "size", "symbols"}) {
      if (const auto found = json.find(member); found != json.end()) made[member] = *found;
    }
    return made;
  }

  Json Defined(const Json& json, const std::string& outer, size_t level) {
    const FullName name = NameOf(json, outer);
    if (!defined_.insert(name.text()).second) return name.text();
    Json made = Attributes(json);
    made["type"] = json.at("type");
    made["name"] = name.name;
    made["namespace"] = name.space;
    const auto fields = json.find("fields");
    if (fields == json.end() || !fields->is_array()) return made;
    made["fields"] = Json::array();
    for (const Json& field : *fields) {
      Json& member = made["fields"].emplace_back(Json::object());
      if (!field.is_object()) continue;
      if (field.contains("name")) member["name"] = field.at("name");
      if (field.contains("type")) member["type"] = Inlined(field.at("type"), name.space, level + 1);
    }
    return made;
  }

  Json Named(const std::string& name, const std::string& space, size_t level) {
    const bool has_dot = name.find('.') != std::string::npos;
    for (const std::string& full : {has_dot || space.empty() ? name : space + "." + name, name}) {
      if (defined_.contains(full)) return full;
      if (const auto found = definitions_.find(full); found != definitions_.end())
        return Inlined(*found->second.json, found->second.space, level + 1);
    }
    return name;
  }

  // By full name: what the other schemas define, and what the one has defined up to here.
  std::map<std::string, Definition> definitions_;
  std::set<std::string> defined_;
  bool is_too_deep_ = false;
};

}  // namespace

absl::StatusOr<std::string> WithReferences(std::string_view schema, const std::vector<std::string>& others) {
  size_t bytes = schema.size();
  bool is_shallow = IsShallowJson(schema);
  for (const std::string& other : others) {
    bytes += other.size();
    is_shallow &= IsShallowJson(other);
  }
  if (bytes > kMaxSchemaBytes) {
    return absl::InvalidArgumentError(
        fmt::format("has, with those that it refers to, {} bytes; {} are allowed", bytes, kMaxSchemaBytes));
  }
  const absl::Status too_deep = absl::InvalidArgumentError(fmt::format("has types nested over {} deep", kMaxJsonDepth));
  if (!is_shallow) return too_deep;
  std::deque<Json> parsed;
  Inliner inliner;
  for (const std::string& other : others) {
    parsed.push_back(Json::parse(other, nullptr, /*allow_exceptions=*/false));
    inliner.Collect(parsed.back(), "", 0);
  }
  const Json whole = Json::parse(schema, nullptr, /*allow_exceptions=*/false);
  if (whole.is_discarded() || std::ranges::any_of(parsed, [](const Json& json) { return json.is_discarded(); }))
    return absl::InvalidArgumentError("is no JSON, or one that it refers to is none");
  const Json inlined = inliner.Inlined(whole, "", 0);
  if (inliner.is_too_deep()) return too_deep;
  return inlined.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace tenfold
