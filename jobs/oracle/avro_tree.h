// The oracle's own reading of Avro, by walking the schema's JSON. The tree is that of a JSON record with the same values: a
// record or map is an object, bytes are strings, a union is what its branch is. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"
#include "jobs/oracle/json_tree.h"
#include "nlohmann/json.hpp"

namespace tenfold::oracle {

class AvroTree {
 public:
  // Of a schema that has passed the rules. Confluent's five bytes, if it says so, are before the value of each record.
  AvroTree(const std::string& schema, bool confluent);

  // Nullopt unless the whole record is one value of the schema, nested at most kMaxJsonDepth deep.
  std::optional<JsonNode> Read(std::string_view record) const;

 private:
  using Json = nlohmann::json;
  // A type of the schema, with the places of those that it is made of.
  struct Type {
    std::string kind;
    std::string logical;
    int64_t precision = 0;
    int64_t scale = 0;
    size_t size = 0;
    // Of fields or symbols.
    std::vector<std::string> names;
    std::vector<size_t> parts;
  };
  struct Rest {
    std::string_view bytes;
    size_t values;
  };

  // Returns the place of the type. Names are those of types before it.
  size_t Add(const Json& json, const std::string& space);
  size_t AddNamed(const Json& json, const std::string& space);
  static void SetLogical(const Json& json, Type* type);
  // Each takes what it reads off the rest. False for what is malformed.
  bool ReadType(size_t index, size_t depth, Rest* rest, JsonNode* node) const;
  bool ReadItems(const Type& type, size_t depth, Rest* rest, JsonNode* node) const;
  static bool ReadPlain(const Type& type, Rest* rest, JsonNode* node);

  bool confluent_;
  std::vector<Type> types_;
  // By their full names, while the schema is read.
  std::map<std::string, size_t> named_;
  size_t root_;
};

}  // namespace tenfold::oracle
