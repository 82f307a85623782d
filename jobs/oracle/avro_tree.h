// The oracle's own reading of Avro, by walking the schema's JSON. The tree is that of a JSON record with the same values: a
// record or map is an object, bytes are strings, a union is what its branch is. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "job_spec.pb.h"
#include "jobs/oracle/json_tree.h"
#include "nlohmann/json.hpp"

namespace tenfold::oracle {

class AvroTree {
 public:
  // The format has passed the rules.
  explicit AvroTree(const AvroFormat& format);

  // Nullopt unless the whole record is one value of the schema, nested at most kMaxJsonDepth deep.
  std::optional<JsonNode> Read(std::string_view record) const;

 private:
  using Json = nlohmann::json;
  struct Rest {
    std::string_view bytes;
    size_t values;
  };

  void AddNames(const Json& type, std::string space);
  // Each takes what it reads off the rest. False for what is malformed.
  bool ReadType(const Json& type, std::string space, size_t depth, Rest* rest, JsonNode* node) const;
  bool ReadItems(const Json& type, const std::string& space, size_t depth, Rest* rest, JsonNode* node) const;
  bool ReadPlain(const Json& type, const std::string& kind, Rest* rest, JsonNode* node) const;

  bool confluent_;
  Json schema_;
  // Types by their full names, with the namespace that names in them are in.
  std::map<std::string, std::pair<const Json*, std::string>> named_;
};

}  // namespace tenfold::oracle
