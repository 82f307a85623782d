#include "jobs/cli/sql/sql_tree.h"

#include <pg_query.h>
#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/limits.h"
#include "common/text/utf8.h"
#include "fmt/format.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// The parser recurses, and its own guard of the stack is off (libpg_query#366).
constexpr size_t kStackBytes = 64 << 20;
// As deep as the JSON of a tree may be, in which a node takes two or three levels.
constexpr int kMaxDepth = 300;

const SqlNode& Null() {
  static const auto* const null = new SqlNode();
  return *null;
}

// Calls the parser on a thread with a stack of its own.
PgQueryParseResult Parse(const std::string& text) {
  struct Call {
    const char* text;
    PgQueryParseResult result;
  } call{text.c_str(), {}};
  pthread_attr_t attributes;
  CHECK_EQ(pthread_attr_init(&attributes), 0);
  CHECK_EQ(pthread_attr_setstacksize(&attributes, kStackBytes), 0);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    auto* const of = static_cast<Call*>(argument);
    of->result = pg_query_parse(of->text);
    return nullptr;
  };
  CHECK_EQ(pthread_create(&thread, &attributes, run, &call), 0) << "no thread for the SQL parser";
  CHECK_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
  return call.result;
}

// How deep the JSON nests, without reading it as such.
int DepthOf(std::string_view json) {
  int depth = 0;
  int most = 0;
  bool in_text = false;
  for (size_t i = 0; i < json.size(); ++i) {
    if (json[i] == '"') in_text = !in_text;
    if (in_text && json[i] == '\\') ++i;
    if (in_text) continue;
    if (json[i] == '{' || json[i] == '[') most = std::max(most, ++depth);
    if (json[i] == '}' || json[i] == ']') --depth;
  }
  return most;
}

// The first digit behind a place that is in no comment.
size_t FirstDigit(std::string_view text, size_t at) {
  for (int depth = 0; at < text.size(); ++at) {
    const std::string_view next = text.substr(at, 2);
    if (next == "/*" || (depth > 0 && next == "*/")) {
      depth += next == "/*" ? 1 : -1;
      ++at;
    } else if (depth == 0 && next == "--") {
      at = std::min(text.find_first_of("\r\n", at), text.size() - 1);
    } else if (depth == 0 && absl::ascii_isdigit(static_cast<unsigned char>(text[at]))) {
      return at;
    }
  }
  return at;
}

// libpg_query 15-4.0.0 leaves a whole number out of its JSON if it is not above 0. Such a constant stands in the text, where
// the parser may have made it of signs, brackets and digits.
void RestoreNumbers(std::string_view text, SqlNode* node) {
  if (node->is_array() || node->is_object()) {
    for (SqlNode& child : *node) RestoreNumbers(text, &child);
  }
  if (!node->is_object()) return;
  const auto number = node->find("ival");
  const auto at = node->find("location");
  if (number == node->end() || !number->is_object() || number->contains("ival") || at == node->end()) return;
  int64_t value = 0;
  for (size_t i = FirstDigit(text, at->get<size_t>());
       i < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[i])); ++i)
    value = value * 10 + (text[i] - '0');
  (*number)["ival"] = -value;
}

// The byte of a character, counted from 1 as PostgreSQL does it.
size_t ByteOf(std::string_view text, int character) {
  size_t byte = 0;
  for (int i = 1; i < character && byte < text.size(); ++i) {
    do ++byte;
    while (byte < text.size() && (static_cast<unsigned char>(text[byte]) & 0xc0) == 0x80);
  }
  return byte;
}

}  // namespace

std::vector<SqlProblem> ParseSql(std::string_view text, std::vector<SqlStatement>* statements) {
  if (text.size() > kMaxSpecBytes) return {{0, fmt::format("SQL has at most {} bytes", kMaxSpecBytes)}};
  if (!IsUtf8(text)) return {{0, "SQL is UTF-8, and this is not"}};
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) return {{nul, "SQL holds no zero byte"}};
  PgQueryParseResult result = Parse(std::string(text));
  std::vector<SqlProblem> problems;
  if (result.error != nullptr) {
    problems.push_back({ByteOf(text, result.error->cursorpos), result.error->message});
  } else if (DepthOf(result.parse_tree) > kMaxDepth) {
    problems.push_back({0, "the SQL is nested too deeply"});
  } else {
    SqlNode tree = SqlNode::parse(result.parse_tree, nullptr, false);
    RestoreNumbers(text, &tree);
    for (const SqlNode& statement : FieldOf(tree, "stmts")) {
      const SqlNode& at = FieldOf(statement, "stmt_location");
      const size_t begin = at.is_number_unsigned() ? at.get<size_t>() : 0;
      statements->push_back({FieldOf(statement, "stmt"), std::min(text.find_first_not_of(" \t\r\n", begin), text.size())});
    }
  }
  pg_query_free_parse_result(result);
  return problems;
}

std::string_view KindOf(const SqlNode& node) {
  return node.is_object() && node.size() == 1 ? std::string_view(node.begin().key()) : std::string_view();
}

const SqlNode& InnerOf(const SqlNode& node) { return node.is_object() && node.size() == 1 ? *node.begin() : Null(); }

size_t OffsetOf(const SqlNode& node, size_t otherwise) {
  // That of a binary operator is the operator's.
  const std::string_view kind = KindOf(node);
  const SqlNode& inner = InnerOf(node);
  if ((kind == "A_Expr" || kind == "NullTest" || kind == "TypeCast" || kind == "BooleanTest") && inner.is_object()) {
    const SqlNode& left = kind == "A_Expr" ? FieldOf(inner, "lexpr") : FieldOf(inner, "arg");
    if (left.is_object()) return OffsetOf(left, otherwise);
  }
  const SqlNode& at = FieldOf(inner, "location");
  return at.is_number_unsigned() ? at.get<size_t>() : otherwise;
}

const SqlNode& FieldOf(const SqlNode& node, const char* name) {
  if (!node.is_object()) return Null();
  const auto found = node.find(name);
  return found == node.end() ? Null() : *found;
}

std::string TextOf(const SqlNode& node, const char* name) {
  const SqlNode& field = FieldOf(node, name);
  return field.is_string() ? field.get<std::string>() : "";
}

std::vector<std::string> NamesOf(const SqlNode& list) {
  std::vector<std::string> names;
  for (const SqlNode& name : list) names.push_back(TextOf(InnerOf(name), "sval"));
  return names;
}

}  // namespace tenfold
