#include "jobs/spec/yaml_reader.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

// What a spec says in place of a word of SQL.
std::string InPlaceOf(std::string_view word) {
  const std::string lower = absl::AsciiStrToLower(std::string(word));
  if (lower == "limit") return "; top says how many keys are ranked";
  if (lower == "order_by") return "; rank names the measure, and order which end comes first";
  if (lower == "group_by")
    return "; key says what is ranked, and group, if there is to be a top for each of its values, within what";
  if (lower == "key_bytes") return "; it stands in limits, as limits: {key_bytes: 100}";
  if (lower == "select" || lower == "aggregates") return "; measures has what is shown";
  if (lower == "filter") return "; where is the condition on records, having that on measures";
  return "";
}

// Whether the path `inner` is `outer` or lies below it.
bool IsWithin(std::string_view inner, std::string_view outer) {
  return inner.starts_with(outer) &&
         (inner.size() == outer.size() || inner[outer.size()] == '.' || inner[outer.size()] == '[');
}

// Returns the place of a value. yaml-cpp places an absent value at what follows, so its key's place is used.
size_t ValueOffset(const YamlNode& map, size_t i) {
  return map.items[i].kind == YamlNode::Kind::kNull ? map.keys[i].offset : map.items[i].offset;
}

}  // namespace

size_t YamlReader::PlaceOfPath(std::string path) const {
  while (true) {
    const auto place = places_.find(path);
    if (place != places_.end()) return place->second;
    if (path.empty()) return 0;
    const size_t end = path.find_last_of(".[");
    path.resize(end == std::string::npos ? 0 : end);
  }
}

void YamlReader::Problem(size_t offset, const std::string& path, std::string message) {
  problems_->push_back({offset, path, std::move(message)});
  unread_.push_back(path);
}

bool YamlReader::IsUnread(const std::string& path) const {
  return std::any_of(unread_.begin(), unread_.end(),
                     [&path](const std::string& unread) { return IsWithin(unread, path) || IsWithin(path, unread); });
}

bool YamlReader::Expect(const YamlNode& node, const std::string& path, YamlNode::Kind kind, std::string_view kind_name) {
  if (node.kind == kind) return true;
  if (node.kind == YamlNode::Kind::kRefused) {
    unread_.push_back(path);
  } else if (node.kind == YamlNode::Kind::kNull) {
    Problem(PlaceOfPath(path), path, fmt::format("has no value; it must be {}", kind_name));
  } else {
    Problem(node.offset, path, fmt::format("must be {}", kind_name));
  }
  return false;
}

bool YamlReader::ExpectMap(const YamlNode& node, const std::string& path) {
  return Expect(node, path, YamlNode::Kind::kMap,
                path.empty() ? "a job spec, a mapping of keys to values" : "a mapping of keys to values");
}

void YamlReader::ReadMap(const YamlNode& node, const std::string& path, const Keys& keys) {
  if (!ExpectMap(node, path)) return;
  std::vector<std::string> names;
  for (const auto& [name, read] : keys) names.push_back(name);
  for (size_t i = 0; i < node.items.size(); ++i) {
    const YamlNode::Key& key = node.keys[i];
    const std::string child = KeyPath(path, key.text);
    const auto found = std::find(names.begin(), names.end(), key.text);
    if (found != names.end()) {
      places_[child] = ValueOffset(node, i);
      keys[static_cast<size_t>(found - names.begin())].second(node.items[i], child);
      continue;
    }
    std::string near = path.empty() ? InPlaceOf(key.text) : "";
    if (near.empty()) near = DidYouMean(key.text, names);
    problems_->push_back({key.offset, child, "unknown key" + near});
    // A key that was misspelled is not reported as missing, too.
    for (const std::string& name : names) {
      if (!DidYouMean(key.text, {name}).empty()) unread_.push_back(KeyPath(path, name));
    }
  }
}

void YamlReader::ReadNames(
    const YamlNode& node, const std::string& path,
    const std::function<void(const YamlNode::Key& name, const YamlNode&, const std::string& path)>& read) {
  if (!ExpectMap(node, path)) return;
  for (size_t i = 0; i < node.items.size(); ++i) {
    const std::string child = KeyPath(path, node.keys[i].text);
    places_[child] = ValueOffset(node, i);
    read(node.keys[i], node.items[i], child);
  }
}

void YamlReader::ReadList(const YamlNode& node, const std::string& path, const ReadValue& read) {
  if (!Expect(node, path, YamlNode::Kind::kList, "a list")) return;
  for (size_t i = 0; i < node.items.size(); ++i) {
    const std::string child = ItemPath(path, i);
    places_[child] = node.items[i].offset;
    read(node.items[i], child);
  }
}

bool YamlReader::ReadText(const YamlNode& node, const std::string& path, std::string* text) {
  if (!Expect(node, path, YamlNode::Kind::kScalar, "one value")) return false;
  *text = node.text;
  return true;
}

std::optional<size_t> YamlReader::ReadWord(const YamlNode& node, const std::string& path,
                                           const std::vector<std::string>& words) {
  std::string word;
  if (!ReadText(node, path, &word)) return std::nullopt;
  const auto found = std::find(words.begin(), words.end(), word);
  if (found != words.end()) return static_cast<size_t>(found - words.begin());
  Problem(node.offset, path,
          fmt::format("{} is none of {}{}", Quoted(word), fmt::join(words, ", "), DidYouMean(word, words)));
  return std::nullopt;
}

bool YamlReader::ReadBool(const YamlNode& node, const std::string& path) {
  return ReadWord(node, path, {"true", "false"}) == std::optional<size_t>(0);
}

std::optional<uint32_t> YamlReader::ReadCount(const YamlNode& node, const std::string& path, uint32_t most,
                                              std::string_view hint) {
  std::string text;
  if (!ReadText(node, path, &text)) return std::nullopt;
  uint32_t count = 0;
  const bool digits = text.find_first_not_of("0123456789") == std::string::npos && absl::SimpleAtoi(text, &count);
  if (digits && count >= 1 && count <= most) return count;
  Problem(node.offset, path, fmt::format("must be a whole number from 1 to {}{}", most, hint));
  return std::nullopt;
}

}  // namespace tenfold
