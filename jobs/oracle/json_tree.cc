#include "jobs/oracle/json_tree.h"

#include "common/limits.h"
#include "common/text/utf8.h"
#include "re2/re2.h"

namespace tenfold::oracle {
namespace {

// Takes tokens off the front of the text by regular expressions.
class TreeReader {
 public:
  explicit TreeReader(std::string_view text) : rest_(text.data(), text.size()) {}

  std::optional<JsonNode> Read() {
    JsonNode root;
    if (!ReadNode(0, &root)) return std::nullopt;
    Take("");
    if (!rest_.empty()) return std::nullopt;
    return root;
  }

 private:
  // Takes blanks and then the sign, if it comes next.
  bool Take(const std::string& sign) {
    static const RE2* const blanks = new RE2("[ \\t\\n\\r]*");
    RE2::Consume(&rest_, *blanks);
    if (!rest_.starts_with(sign)) return false;
    rest_.remove_prefix(sign.size());
    return true;
  }

  bool ReadNode(size_t depth, JsonNode* node) {
    using Kind = JsonNode::Kind;
    if (Take("null")) return true;
    if (Take("true")) {
      node->kind = Kind::kTrue;
      return true;
    }
    if (Take("false")) {
      node->kind = Kind::kFalse;
      return true;
    }
    if (rest_.starts_with("\"")) {
      node->kind = Kind::kString;
      return ReadString(&node->text);
    }
    if (Take("[")) {
      node->kind = Kind::kArray;
      if (depth == kMaxJsonDepth) return false;
      if (Take("]")) return true;
      do {
        if (!ReadNode(depth + 1, &node->items.emplace_back())) return false;
      } while (Take(","));
      return Take("]");
    }
    if (Take("{")) {
      node->kind = Kind::kObject;
      if (depth == kMaxJsonDepth) return false;
      if (Take("}")) return true;
      do {
        auto& [name, value] = node->members.emplace_back();
        Take("");
        if (!ReadString(&name) || !Take(":") || !ReadNode(depth + 1, &value)) return false;
      } while (Take(","));
      return Take("}");
    }
    node->kind = Kind::kNumber;
    static const RE2* const number = new RE2("(-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)");
    return RE2::Consume(&rest_, *number, &node->text);
  }

  bool ReadString(std::string* text) {
    static const RE2* const string = new RE2("\"((?:[^\"\\\\\\x00-\\x1f]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9A-Fa-f]{4})*)\"");
    re2::StringPiece raw;
    if (!RE2::Consume(&rest_, *string, &raw)) return false;
    static const RE2* const plain = new RE2("([^\\\\]+)");
    static const RE2* const escape = new RE2("\\\\([\"\\\\/bfnrt])");
    static const RE2* const pair = new RE2("\\\\u([dD][89abAB][0-9A-Fa-f]{2})\\\\u([dD][c-fC-F][0-9A-Fa-f]{2})");
    static const RE2* const code = new RE2("\\\\u([0-9A-Fa-f]{4})");
    while (!raw.empty()) {
      std::string part;
      unsigned high = 0;
      unsigned low = 0;
      if (RE2::Consume(&raw, *plain, &part)) {
        *text += part;
      } else if (RE2::Consume(&raw, *escape, &part)) {
        const std::string_view letters = "bfnrt";
        const size_t at = letters.find(part[0]);
        *text += at == std::string_view::npos ? part[0] : "\b\f\n\r\t"[at];
      } else if (RE2::Consume(&raw, *pair, RE2::Hex(&high), RE2::Hex(&low))) {
        AppendUtf8(0x10000 + (high % 0x400) * 0x400 + low % 0x400, text);
      } else if (RE2::Consume(&raw, *code, RE2::Hex(&high)) && (high < 0xd800 || high > 0xdfff)) {
        AppendUtf8(high, text);
      } else {
        return false;
      }
    }
    return true;
  }

  re2::StringPiece rest_;
};

}  // namespace

std::optional<JsonNode> ReadJsonTree(std::string_view text) { return IsUtf8(text) ? TreeReader(text).Read() : std::nullopt; }

}  // namespace tenfold::oracle
