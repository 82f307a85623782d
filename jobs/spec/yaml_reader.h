// Reads values out of a YAML tree, says what is wrong with them, and remembers the place of every value, so that what is
// found wrong later can be located. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/text/yaml_tree.h"

namespace tenfold {

class YamlReader {
 public:
  // The problems outlive the object, and so does the text, of which the trees are.
  YamlReader(std::string_view text, std::vector<YamlProblem>* problems) : text_(text), problems_(problems) {}

 protected:
  using ReadValue = std::function<void(const YamlNode&, const std::string& path)>;
  using Keys = std::vector<std::pair<std::string, ReadValue>>;

  // Returns the place of the path or, for a missing key, of the mapping that lacks it.
  size_t PlaceOfPath(std::string path) const;
  void SetPlace(const std::string& path, size_t offset) { places_[path] = offset; }
  // Reports a problem with the value at the path, which counts as not read.
  void Problem(size_t offset, const std::string& path, std::string message);
  // Whether a value at the path, above or below it could not be read, so that what else is wrong with it is no news.
  bool IsUnread(const std::string& path) const;

  bool ExpectMap(const YamlNode& node, const std::string& path);
  // Reads the values of a mapping, each by the function of its key. Other keys are problems.
  void ReadMap(const YamlNode& node, const std::string& path, const Keys& keys);
  // Reads the values of a mapping whose keys are names; `read` gets a name's place as well.
  void ReadNames(const YamlNode& node, const std::string& path,
                 const std::function<void(const YamlNode::Key& name, const YamlNode&, const std::string& path)>& read);
  void ReadList(const YamlNode& node, const std::string& path, const ReadValue& read);
  bool ReadText(const YamlNode& node, const std::string& path, std::string* text);
  // Returns the index of the node's text among the words.
  std::optional<size_t> ReadWord(const YamlNode& node, const std::string& path, const std::vector<std::string>& words);
  bool ReadBool(const YamlNode& node, const std::string& path);
  // Reads a whole number from 1 to `most`; what is none is told with a hint.
  std::optional<uint32_t> ReadCount(const YamlNode& node, const std::string& path, uint32_t most,
                                    std::string_view hint = "");

  std::string_view text() const { return text_; }
  std::vector<YamlProblem>* problems() { return problems_; }

 private:
  // Returns false and reports a problem unless the node is of this kind.
  bool Expect(const YamlNode& node, const std::string& path, YamlNode::Kind kind, std::string_view kind_name);

  const std::string_view text_;
  std::vector<YamlProblem>* const problems_;
  std::map<std::string, size_t> places_;
  // Paths whose value could not be read.
  std::vector<std::string> unread_;
};

}  // namespace tenfold
