#include "jobs/plan/record_columns.h"

#include <set>
#include <utility>

#include "common/text/shown_text.h"
#include "fmt/format.h"
#include "jobs/plan/pattern.h"

namespace tenfold {

std::vector<std::string> ColumnsOf(const RecordFormat& format) {
  if (format.has_text()) return {std::string(kTextColumn)};
  // None of those that have paths.
  if (!format.has_regex()) return {format.delimited().fields().begin(), format.delimited().fields().end()};
  std::string error;
  const RecordPattern read = ReadRecordPattern(format.regex(), &error);
  std::vector<std::string> names;
  if (read.pattern == nullptr) return names;
  for (const int group : read.groups) names.push_back(read.pattern->CapturingGroupNames().at(group));
  return names;
}

RecordPattern ReadRecordPattern(const RegexFormat& format, std::string* error) {
  RecordPattern read;
  if (format.pattern().empty()) {
    *error = "is missing; e.g. '(?P<page>[^ ]+) (?P<n>[0-9]+)', whose named groups are the fields";
    return read;
  }
  std::shared_ptr<const RE2> pattern = CompilePattern(format.pattern(), error);
  if (pattern == nullptr) return read;
  std::set<std::string> names;
  for (const auto& [group, name] : pattern->CapturingGroupNames()) {
    read.groups.push_back(group);
    if (names.insert(name).second) continue;
    *error = fmt::format("has two groups of the name {}", Quoted(name));
    return read;
  }
  if (read.groups.empty()) {
    *error = "has no group with a name, like (?P<page>[^ ]+), and so no fields";
    return read;
  }
  read.pattern = std::move(pattern);
  return read;
}

}  // namespace tenfold
