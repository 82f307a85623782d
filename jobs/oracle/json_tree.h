// The oracle's own reading of JSON, into a tree. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"

namespace tenfold::oracle {

struct JsonMember;

struct JsonNode {
  enum class Kind { kNull, kTrue, kFalse, kNumber, kString, kArray, kObject } kind = Kind::kNull;
  // A number as it is written, or a string without its escapes.
  std::string text;
  // Of a number that counts time since 1970 by its schema, in what.
  TimestampUnit unit = TIMESTAMP_TEXT;
  std::vector<JsonNode> items;
  // In their order, names that are there twice as well.
  std::vector<JsonMember> members;
};

struct JsonMember {
  std::string name;
  JsonNode value;
};

// Nullopt unless the whole text is one JSON value by RFC 8259 in UTF-8, nested at most kMaxJsonDepth deep.
std::optional<JsonNode> ReadJsonTree(std::string_view text);

}  // namespace tenfold::oracle
