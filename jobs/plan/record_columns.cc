#include "jobs/plan/record_columns.h"

#include "jobs/plan/pattern.h"

namespace tenfold {

std::vector<std::string> ColumnsOf(const RecordFormat& format) {
  if (format.has_text()) return {std::string(kTextColumn)};
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
  read.pattern = CompilePattern(format.pattern(), error);
  if (read.pattern == nullptr) return read;
  for (const auto& [group, name] : read.pattern->CapturingGroupNames()) read.groups.push_back(group);
  if (!read.groups.empty()) return read;
  *error = "has no group with a name, like (?P<page>[^ ]+), and so no fields";
  read.pattern = nullptr;
  return read;
}

}  // namespace tenfold
