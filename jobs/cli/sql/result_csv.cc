#include "jobs/cli/sql/result_csv.h"

#include <vector>

#include "absl/strings/str_replace.h"
#include "common/number/units.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

std::string Field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return fmt::format("\"{}\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}));
}

std::string Line(const std::vector<std::string>& fields) {
  std::vector<std::string> quoted;
  for (const std::string& field : fields) quoted.push_back(Field(field));
  return fmt::format("{}\r\n", fmt::join(quoted, ","));
}

template <typename Result>
std::string Rows(int64_t window, bool final, const Result& result, const ResultForm& form) {
  std::string rows;
  std::vector<std::string> begin;
  if (form.calendar != nullptr) {
    const PaneCalendar::Times times = form.calendar->TimesOf(window);
    begin = {FormatTime(times.begin_us), FormatTime(times.end_us), final ? "true" : "false"};
  }
  const auto add = [&](const google::protobuf::RepeatedPtrField<Entry>& top) {
    for (int rank = 1; const Entry& entry : top) {
      std::vector<std::string> fields = begin;
      fields.push_back(std::to_string(rank++));
      for (const std::string& part : KeyParts(entry.key(), form)) fields.push_back(part);
      const std::vector<Units> sums = SumsOf(entry);
      for (const RowMeasure& measure : form.measures.measures) fields.push_back(measure.TextOf(sums).value_or(""));
      rows += Line(fields);
    }
  };
  add(result.top());
  for (const GroupTop& group : result.groups()) {
    begin.push_back(group.group());
    add(group.top());
    begin.pop_back();
  }
  return rows;
}

}  // namespace

std::string CsvHead(const ResultForm& form, const std::vector<std::string>& key_names, const std::string& group_name) {
  std::vector<std::string> names;
  if (form.calendar != nullptr) names = {"window_start", "window_end", "final"};
  if (form.has_group) names.push_back(group_name.empty() ? "group" : group_name);
  names.emplace_back("rank");
  for (size_t part = 0; part < std::max<size_t>(form.key_parts, 1); ++part) {
    const bool named = part < key_names.size() && !key_names[part].empty();
    names.push_back(named ? key_names[part] : form.key_parts > 1 ? fmt::format("key_{}", part + 1) : "key");
  }
  for (const RowMeasure& measure : form.measures.measures) names.push_back(measure.name);
  return Line(names);
}

std::string CsvRows(const BatchCommitted& batch, const ResultForm& form) {
  std::string rows;
  for (const FinalWindow& final : batch.finals()) rows += Rows(final.window(), true, final, form);
  // Without a window there are no rows.
  return rows + Rows(batch.window(), false, batch, form);
}

}  // namespace tenfold
