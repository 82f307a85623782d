#include "jobs/registry/avro_references.h"

#include <map>
#include <set>
#include <utility>

#include "common/limits.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

using Json = nlohmann::json;

class Inliner {
 public:
  // Finds what the schema defines, for the others.
  void Collect(const Json& json) { Walk(json, "", 0, /*define=*/true); }

  Json Inlined(const Json& json) { return Walk(json, "", 0, /*define=*/false); }
  bool is_too_deep() const { return is_too_deep_; }

 private:
  struct Definition {
    Json json;
    // The namespace that names in it without one are in.
    std::string space;
  };

  static std::string TextOf(const Json& json, const char* member) {
    const auto found = json.find(member);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
  }

  static bool IsNamed(const std::string& kind) {
    return kind == "record" || kind == "error" || kind == "enum" || kind == "fixed";
  }

  // A type, or a part of one. `space` is the namespace around it.
  Json Walk(const Json& json, const std::string& space, size_t depth, bool define) {
    // A type nests in a field that nests in a list that nests in a record.
    is_too_deep_ |= depth > 3 * kMaxJsonDepth;
    if (is_too_deep_) return json;
    if (json.is_string()) return define ? json : Named(json.get<std::string>(), space, depth);
    if (json.is_array()) {
      Json list = Json::array();
      for (const Json& item : json) list.push_back(Walk(item, space, depth + 1, define));
      return list;
    }
    if (!json.is_object()) return json;
    if (IsNamed(TextOf(json, "type"))) return Define(json, space, depth, define);
    Json object = json;
    for (const char* member : {"type", "items", "values"}) {
      if (const auto found = json.find(member); found != json.end()) object[member] = Walk(*found, space, depth + 1, define);
    }
    return object;
  }

  Json Define(const Json& json, const std::string& outer, size_t depth, bool define) {
    std::string name = TextOf(json, "name");
    std::string space = json.contains("namespace") ? TextOf(json, "namespace") : outer;
    if (const size_t dot = name.rfind('.'); dot != std::string::npos) {
      space = name.substr(0, dot);
      name.erase(0, dot + 1);
    }
    const std::string full = space.empty() ? name : space + "." + name;
    if (define) {
      definitions_.try_emplace(full, Definition{json, outer});
    } else if (!defined_.insert(full).second) {
      return full;
    }
    Json object = json;
    object["name"] = name;
    object["namespace"] = space;
    const auto fields = json.find("fields");
    if (fields == json.end() || !fields->is_array()) return object;
    for (Json& field : object["fields"]) {
      if (field.is_object() && field.contains("type")) field["type"] = Walk(field["type"], space, depth + 1, define);
    }
    return object;
  }

  Json Named(const std::string& name, const std::string& space, size_t depth) {
    const bool has_dot = name.find('.') != std::string::npos;
    for (const std::string& full : {has_dot || space.empty() ? name : space + "." + name, name}) {
      if (defined_.contains(full)) return full;
      if (const auto found = definitions_.find(full); found != definitions_.end())
        return Walk(found->second.json, found->second.space, depth + 1, /*define=*/false);
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
  try {
    Inliner inliner;
    for (const std::string& other : others) inliner.Collect(Json::parse(other));
    const Json inlined = inliner.Inlined(Json::parse(schema));
    if (inliner.is_too_deep())
      return absl::InvalidArgumentError(fmt::format("has types nested over {} deep", kMaxJsonDepth));
    return inlined.dump(-1, ' ', false, Json::error_handler_t::replace);
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError("is no JSON, or one that it refers to is none");
  }
}

}  // namespace tenfold
