#include "common/text/yaml_tree.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/parser.h"

namespace tenfold {
namespace {

// The deepest nesting allowed; a spec needs five levels.
constexpr size_t kMaxDepth = 16;

constexpr std::string_view kNoAliases = "aliases (*name) are not allowed; write the value itself";

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view text, YamlNode* root, std::vector<YamlProblem>* problems)
      : text_(text), root_(root), problems_(problems) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 2) problems_->push_back({Offset(mark), "", "a second document begins here; only one is allowed"});
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (Begin(mark, "", anchor)) Add(MakeNode(YamlNode::Kind::kNull, Offset(mark)));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    if (!Begin(mark, "", 0)) return;
    Problem(mark, kNoAliases);
    Add(MakeNode(YamlNode::Kind::kRefused, Offset(mark)));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    if (!Begin(mark, tag, anchor)) return;
    YamlNode scalar = MakeNode(YamlNode::Kind::kScalar, Offset(mark));
    scalar.text = value;
    Add(std::move(scalar));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  // A list or mapping whose end was not parsed yet.
  struct OpenNode {
    YamlNode node;
    std::string path;
    // The key of a mapping whose value comes next. A refused key has no text.
    struct PendingKey {
      std::optional<std::string> text;
      size_t offset;
    };
    std::optional<PendingKey> key;
    absl::flat_hash_map<std::string, size_t> key_offsets;
  };

  static YamlNode MakeNode(YamlNode::Kind kind, size_t offset) {
    YamlNode node;
    node.kind = kind;
    node.offset = offset;
    return node;
  }

  size_t Offset(const YAML::Mark& mark) const { return std::min(static_cast<size_t>(std::max(mark.pos, 0)), text_.size()); }

  void Problem(const YAML::Mark& mark, std::string_view message) {
    problems_->push_back({Offset(mark), NextPath(), std::string(message)});
  }

  // Returns the path of the node that begins now.
  std::string NextPath() const {
    if (open_.empty()) return "";
    const OpenNode& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kList) return ItemPath(parent.path, parent.node.items.size());
    return parent.key && parent.key->text ? KeyPath(parent.path, *parent.key->text) : parent.path;
  }

  // Checks the tag and the anchor of a node. Returns false if the node is to be skipped.
  bool Begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (documents_ > 1 || ignored_depth_ > 0) return false;
    if (anchor != 0) Problem(mark, "anchors (&name) are not allowed");
    // yaml-cpp gives plain scalars the tag "?" and quoted ones "!", as if "!" had been written.
    const size_t offset = Offset(mark);
    const bool tagged = (!tag.empty() && tag != "?" && tag != "!") || (offset < text_.size() && text_[offset] == '!');
    if (tagged) Problem(mark, "tags (!name) are not allowed");
    return true;
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (!Begin(mark, tag, anchor)) {
      ++ignored_depth_;
      return;
    }
    if (open_.size() == kMaxDepth) {
      Problem(mark, fmt::format("is nested deeper than {} levels", kMaxDepth));
      refused_offset_ = Offset(mark);
      ++ignored_depth_;
      return;
    }
    OpenNode opened;
    opened.node = MakeNode(kind, Offset(mark));
    opened.path = NextPath();
    open_.push_back(std::move(opened));
  }

  void Close() {
    if (ignored_depth_ > 0) {
      if (--ignored_depth_ == 0 && documents_ == 1) Add(MakeNode(YamlNode::Kind::kRefused, refused_offset_));
      return;
    }
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    Add(std::move(node));
  }

  // Adds a complete node to the list or mapping that it belongs to.
  void Add(YamlNode node) {
    if (open_.empty()) {
      *root_ = std::move(node);
      return;
    }
    OpenNode& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kList) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      AddKey(&parent, std::move(node));
    } else {
      if (parent.key->text) {
        parent.node.keys.push_back({std::move(*parent.key->text), parent.key->offset});
        parent.node.items.push_back(std::move(node));
      }
      parent.key.reset();
    }
  }

  void AddKey(OpenNode* parent, YamlNode node) {
    parent->key = {.text = std::nullopt, .offset = node.offset};
    if (node.kind == YamlNode::Kind::kRefused) return;
    if (node.kind != YamlNode::Kind::kScalar) {
      problems_->push_back({node.offset, parent->path, "a key must be text; put it in quotes"});
      return;
    }
    const auto [first, is_new] = parent->key_offsets.try_emplace(node.text, node.offset);
    if (is_new) {
      parent->key->text = std::move(node.text);
      return;
    }
    problems_->push_back({node.offset, KeyPath(parent->path, node.text),
                          fmt::format("duplicate key; it is on line {} already", PlaceOf(text_, first->second).line)});
  }

  const std::string_view text_;
  YamlNode* const root_;
  std::vector<YamlProblem>* const problems_;
  int documents_ = 0;
  std::vector<OpenNode> open_;
  // The depth below a node that is skipped.
  size_t ignored_depth_ = 0;
  size_t refused_offset_ = 0;
};

// Returns yaml-cpp's message without what it quotes from the text, which may be a secret.
std::string Explain(const std::string& message) {
  if (absl::StartsWith(message, YAML::ErrorMsg::UNKNOWN_ANCHOR)) return std::string(kNoAliases);
  return "is no valid YAML: " + message.substr(0, message.find(':'));
}

// Returns where the first tab indents a line before `end` or the line that has it; npos if none does. yaml-cpp often
// names what it made of such a line instead of the tab.
size_t IndentingTab(std::string_view text, size_t end) {
  for (size_t begin = 0; begin <= end && begin < text.size();) {
    const size_t tab = text.find_first_not_of(' ', begin);
    if (tab != std::string_view::npos && text[tab] == '\t') return tab;
    const size_t line = text.find('\n', begin);
    if (line == std::string_view::npos) break;
    begin = line + 1;
  }
  return std::string_view::npos;
}

}  // namespace

std::string KeyPath(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

std::string ItemPath(std::string_view path, size_t index) { return fmt::format("{}[{}]", path, index); }

bool ReadYaml(std::string_view text, YamlNode* root, std::vector<YamlProblem>* problems) {
  TreeBuilder builder(text, root, problems);
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    if (parser.HandleNextDocument(builder)) parser.HandleNextDocument(builder);
    return true;
  } catch (const YAML::Exception& error) {
    const size_t offset = std::min(static_cast<size_t>(std::max(error.mark.pos, 0)), text.size());
    if (const size_t tab = IndentingTab(text, offset); tab != std::string_view::npos) {
      problems->push_back({tab, "", "is no valid YAML: a tab indents the line; use spaces"});
    } else {
      problems->push_back({offset, "", Explain(error.msg)});
    }
  } catch (const std::exception&) {
    problems->push_back({0, "", "is no valid YAML"});
  }
  return false;
}

size_t OffsetInScalar(std::string_view text, const YamlNode& scalar, size_t index) {
  if (!scalar.places.empty()) {
    const auto behind = std::ranges::upper_bound(scalar.places, index, {}, [](const auto& place) { return place.first; });
    return behind == scalar.places.begin() ? scalar.offset : std::prev(behind)->second;
  }
  const auto is_space = [](char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); };
  // YAML's folding changes only spaces, so the n-th other character of the value is the n-th other one of the text.
  const std::string_view before = std::string_view(scalar.text).substr(0, index);
  size_t left = before.size() - static_cast<size_t>(std::count_if(before.begin(), before.end(), is_space));
  size_t at = scalar.offset;
  const char style = at < text.size() ? text[at] : '\0';
  if (style == '"' || style == '\'') ++at;
  if (style == '|' || style == '>') at = std::min(text.find('\n', at), text.size());
  while (at < text.size() && (left > 0 || index < scalar.text.size())) {
    size_t length = 1;
    bool counts = !is_space(text[at]);
    if (style == '\'' && text[at] == '\'') length = 2;
    if (style == '"' && text[at] == '\\') {
      const char escaped = at + 1 < text.size() ? text[at + 1] : '\0';
      length = escaped == 'x' ? 4 : escaped == 'u' ? 6 : escaped == 'U' ? 10 : 2;
      counts = !is_space(escaped) && escaped != 't' && escaped != 'n' && escaped != 'r';
    }
    if (counts && left == 0) break;
    if (counts) --left;
    at += length;
  }
  return std::min(at, text.size());
}

TextPlace PlaceOf(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  const auto is_first_byte = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
  return {.line = 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n')),
          .column = 1 + static_cast<int>(std::count_if(before.begin() + static_cast<std::ptrdiff_t>(line_start),
                                                       before.end(), is_first_byte))};
}

}  // namespace tenfold
