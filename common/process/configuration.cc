#include "common/process/configuration.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/limits.h"
#include "common/text/suggestion.h"
#include "common/text/yaml_tree.h"

namespace tenfold {
namespace {

bool IsFlag(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

// Returns every option but --help, --version and --config, by its key.
std::map<std::string, CLI::Option*> SettableOptions(CLI::App* app) {
  std::map<std::string, CLI::Option*> settable;
  for (CLI::Option* option : app->get_options({})) {
    if (option->get_lnames().empty() || !option->get_configurable()) continue;
    settable[absl::StrReplaceAll(option->get_lnames().front(), {{"-", "_"}})] = option;
  }
  return settable;
}

// Converts and checks the values of the option. Returns "" or what is wrong with them.
std::string RunOption(CLI::Option* option) {
  const std::string given = absl::StrJoin(option->results(), " ");
  try {
    option->run_callback();
    return "";
  } catch (const CLI::ValidationError& error) {
    // "--flag: MESSAGE"
    const std::string what = error.what();
    const std::string prefix = absl::StrCat(option->get_name(), ": ");
    return what.starts_with(prefix) ? what.substr(prefix.size()) : what;
  } catch (const CLI::ArgumentMismatch&) {
    return "more than one value";
  } catch (const CLI::ParseError&) {
    return absl::StrCat("'", given, "' is no valid value");
  }
}

// Sets the option to these values. Returns "" or what is wrong with them.
std::string Give(CLI::Option* option, const std::vector<std::string>& values) {
  for (const std::string& value : values) {
    if (!IsFlag(*option)) {
      option->add_result(value);
    } else if (value == "true") {
      option->add_result(option->get_flag_value(option->get_lnames().front(), ""));
    } else if (value != "false") {
      return absl::StrCat("'", value, "' is not true or false");
    }
  }
  if (option->empty()) return "";
  std::string wrong = RunOption(option);
  if (!wrong.empty()) option->clear();
  return wrong;
}

// Returns the file's text, or nullopt after adding an error.
std::optional<std::string> ReadText(const std::string& path, SettingErrors* errors) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxSpecBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    errors->file.push_back(absl::StrCat("cannot read the configuration ", path, ": ", std::strerror(errno)));
    return std::nullopt;
  }
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() <= kMaxSpecBytes) return text;
  errors->file.push_back(absl::StrCat(path, ":1:1: a configuration has at most ", kMaxSpecBytes, " bytes"));
  return std::nullopt;
}

// Lists the scalars of a value. Returns false if there are none, or if it has other nodes.
bool Scalars(const YamlNode& value, bool many, std::vector<std::string>* scalars) {
  if (value.kind == YamlNode::Kind::kScalar) {
    scalars->push_back(value.text);
    return true;
  }
  if (!many || value.kind != YamlNode::Kind::kList || value.items.empty()) return false;
  for (const YamlNode& entry : value.items) {
    if (entry.kind != YamlNode::Kind::kScalar) return false;
    scalars->push_back(entry.text);
  }
  return true;
}

// The keys that the file may have.
struct Keys {
  // The options of the app and of its chosen subcommand, by key.
  std::map<std::string, CLI::Option*> settable;
  // The keys of options of other subcommands.
  std::set<std::string> known;
};

std::string ApplyKey(const Keys& keys, const std::string& key, const YamlNode& value, const std::set<CLI::Option*>& given) {
  const auto found = keys.settable.find(key);
  if (found == keys.settable.end()) {
    if (keys.known.contains(key)) return "";
    std::vector<std::string> names(keys.known.begin(), keys.known.end());
    for (const auto& [name, option] : keys.settable) names.push_back(name);
    return absl::StrCat("unknown key", DidYouMean(key, names));
  }
  CLI::Option* const option = found->second;
  const bool many = option->get_items_expected_max() > 1;
  std::vector<std::string> scalars;
  if (!Scalars(value, many, &scalars)) return many ? "needs a value or a list of values" : "needs one value";
  if (given.contains(option)) return "";
  return Give(option, scalars);
}

void ApplyFile(const std::string& path, const Keys& keys, const std::set<CLI::Option*>& given, SettingErrors* errors) {
  const std::optional<std::string> text = ReadText(path, errors);
  if (!text) return;
  std::vector<YamlProblem> problems;
  YamlNode root;
  if (ReadYaml(*text, &root, &problems) && root.kind != YamlNode::Kind::kNull && root.kind != YamlNode::Kind::kMap)
    problems.push_back({root.offset, "", "a configuration is one mapping of keys to values"});
  for (size_t i = 0; i < root.items.size() && root.kind == YamlNode::Kind::kMap; ++i) {
    const YamlNode::Key& key = root.keys[i];
    const YamlNode& value = root.items[i];
    if (value.kind == YamlNode::Kind::kRefused) continue;
    const std::string wrong = ApplyKey(keys, key.text, value, given);
    if (wrong.empty()) continue;
    // An error about the key is placed at the key, any other at the value, unless that is missing.
    const bool at_key = wrong.starts_with("unknown key") || value.kind == YamlNode::Kind::kNull;
    problems.push_back({at_key ? key.offset : value.offset, key.text, wrong});
  }
  std::stable_sort(problems.begin(), problems.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  for (const YamlProblem& problem : problems) {
    const TextPlace place = PlaceOf(*text, problem.offset);
    errors->file.push_back(absl::StrCat(path, ":", place.line, ":", place.column, ": ", problem.path,
                                        problem.path.empty() ? "" : ": ", problem.message));
  }
}

}  // namespace

void ReadSettings(CLI::App* app, const std::string& path, SettingErrors* errors) {
  Keys keys;
  keys.settable = SettableOptions(app);
  for (CLI::App* verb : app->get_subcommands([](CLI::App*) { return true; })) {
    for (const auto& [key, option] : SettableOptions(verb)) {
      if (app->got_subcommand(verb)) {
        keys.settable[key] = option;
      } else {
        keys.known.insert(key);
      }
    }
  }
  std::set<CLI::Option*> given;
  for (const auto& [key, option] : keys.settable) {
    if (!option->empty()) {
      given.insert(option);
      continue;
    }
    const std::string variable = absl::StrCat("TENFOLD_", absl::AsciiStrToUpper(key));
    const char* value = std::getenv(variable.c_str());
    if (value == nullptr || *value == '\0') continue;
    given.insert(option);
    const std::string wrong = Give(option, {value});
    if (!wrong.empty()) errors->environment.push_back(absl::StrCat("variable ", variable, ": ", wrong));
  }
  if (!path.empty()) ApplyFile(path, keys, given, errors);
}

}  // namespace tenfold
