// The part of YAML that job specs and configuration files may use, as a tree with places: one document of mappings with
// distinct text keys, lists and scalars. Stands on yaml-cpp's events (0.7.0), whose own tree keeps duplicate keys and
// expands aliases. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tenfold {

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap, kRefused };
  struct Key {
    std::string text;
    size_t offset = 0;
  };
  // kRefused: something was wrong here and has been told.
  Kind kind = Kind::kNull;
  // Byte offset of its first character in the text.
  size_t offset = 0;
  // A scalar's.
  std::string text;
  // A list's, or a mapping's values: keys[i] names items[i].
  std::vector<YamlNode> items;
  std::vector<Key> keys;
};

struct YamlProblem {
  size_t offset = 0;
  std::string path;
  std::string message;
};

// "a.b" and "a[2]"; a path is empty for the document itself.
std::string KeyPath(std::string_view path, std::string_view key);
std::string ItemPath(std::string_view path, size_t index);

// Reads the one document of `text`, which is UTF-8. Appends what is wrong to `problems`: duplicate keys, anchors, aliases,
// tags, a second document. False if there is no tree, since the text is no YAML; of an empty text the root is kNull.
bool ReadYaml(std::string_view text, YamlNode* root, std::vector<YamlProblem>* problems);

// Where byte `index` of the scalar's value, no space, stands in the text, whatever its quotes and line breaks are.
size_t OffsetInScalar(std::string_view text, const YamlNode& scalar, size_t index);

struct TextPlace {
  // From 1; columns count characters.
  int line = 1;
  int column = 1;
};
TextPlace PlaceOf(std::string_view text, size_t offset);

}  // namespace tenfold
