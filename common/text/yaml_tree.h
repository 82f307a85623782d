// The subset of YAML that job specs and configuration files may use, as a tree whose nodes know their place in the text: one
// document of mappings with distinct text keys, lists and scalars. Built from yaml-cpp's events (0.7.0), as yaml-cpp's own
// tree keeps duplicate keys and expands aliases. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenfold {

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap, kRefused };
  struct Key {
    std::string text;
    size_t offset = 0;
  };
  // kRefused if something is wrong here, which a YamlProblem says.
  Kind kind = Kind::kNull;
  // The byte offset of the node's first character in the text.
  size_t offset = 0;
  // The value of a scalar.
  std::string text;
  // The items of a list, or the values of a mapping, where keys[i] belongs to items[i].
  std::vector<YamlNode> items;
  std::vector<Key> keys;
  // Of a scalar that does not stand in the text as it is: from which byte of it on its parts are of which byte of the text.
  std::vector<std::pair<size_t, size_t>> places;
};

struct YamlProblem {
  size_t offset = 0;
  std::string path;
  std::string message;
  // How many bytes are meant; 0 if it is not known.
  size_t length = 0;
};

// Return the path of a child: "a.b" and "a[2]". The path of the document itself is empty.
std::string KeyPath(std::string_view path, std::string_view key);
std::string ItemPath(std::string_view path, size_t index);

// Parses `text`, UTF-8 with one document. Appends what is wrong to `problems`: duplicate keys, anchors, aliases, tags, a
// second document. Returns false, without a tree, if the text is not YAML. The root of an empty text is kNull.
bool ReadYaml(std::string_view text, YamlNode* root, std::vector<YamlProblem>* problems);

// Returns the place in the text of byte `index` of the scalar's value, which is not a space, for all quotes and line breaks.
size_t OffsetInScalar(std::string_view text, const YamlNode& scalar, size_t index);

struct TextPlace {
  // Both count from 1; a column is a character, not a byte.
  int line = 1;
  int column = 1;
};
TextPlace PlaceOf(std::string_view text, size_t offset);

}  // namespace tenfold
