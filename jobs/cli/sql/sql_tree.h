// SQL text as PostgreSQL's own parser reads it (libpg_query), in JSON: https://github.com/pganalyze/libpg_query. Each node
// is an object with one key, its kind. Nothing else of Tenfold runs that parser. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json.hpp"

namespace tenfold {

using SqlNode = nlohmann::json;

struct SqlStatement {
  SqlNode node;
  // Where it begins in the text, or a comment before it.
  size_t offset = 0;
};

struct SqlProblem {
  // The byte of the text that it is about.
  size_t offset = 0;
  std::string message;
};

// Parses the text, UTF-8, into its statements. Returns what is wrong, if anything: a text that is too long or too deep, one
// that is no SQL. A position of a node is its byte in the text.
std::vector<SqlProblem> ParseSql(std::string_view text, std::vector<SqlStatement>* statements);

// The kind of a node, the key of its one value, and the value. "" and null for null.
std::string_view KindOf(const SqlNode& node);
const SqlNode& InnerOf(const SqlNode& node);
// Where a node begins; `otherwise` if it does not say.
size_t OffsetOf(const SqlNode& node, size_t otherwise);
// A field of a node, or null; a field that is a text, or "".
const SqlNode& FieldOf(const SqlNode& node, const char* name);
std::string TextOf(const SqlNode& node, const char* name);
// The texts of a list of names: ["pg_catalog", "numeric"].
std::vector<std::string> NamesOf(const SqlNode& list);

}  // namespace tenfold
