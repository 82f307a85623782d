#include "jobs/spec/lookup_table.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "common/text/shown_text.h"
#include "common/text/utf8.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// Takes the lines of CSV text one after the other.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : left_(text) {}

  bool AtEnd() const { return left_.empty(); }
  // The line that the next row begins in, from 1 on.
  size_t line() const { return line_; }

  // An empty key is written in quotes.
  void PassBlankLines() {
    while (left_.starts_with('\n') || left_.starts_with("\r\n")) {
      left_.remove_prefix(left_[0] == '\n' ? 1 : 2);
      ++line_;
    }
  }

  // Returns what is wrong with the next row, or "".
  std::string Next(std::vector<std::string>* row) {
    row->clear();
    while (true) {
      std::string& field = row->emplace_back();
      if (left_.starts_with('"')) {
        if (!TakeQuoted(&field)) return "a field in quotes does not end";
        if (!left_.empty() && left_[0] != ',' && left_[0] != '\r' && left_[0] != '\n')
          return "a field goes on behind its quotes";
      } else {
        const size_t end = std::min(left_.find_first_of(",\r\n"), left_.size());
        field = left_.substr(0, end);
        left_.remove_prefix(end);
        if (field.find('"') != std::string::npos) return "a quote stands in a field that does not begin with one";
      }
      if (left_.starts_with(',')) {
        left_.remove_prefix(1);
        continue;
      }
      if (left_.starts_with("\r\n")) left_.remove_prefix(1);
      if (left_.starts_with('\r')) return "a carriage return stands alone";
      if (left_.starts_with('\n')) {
        left_.remove_prefix(1);
        ++line_;
      }
      return "";
    }
  }

 private:
  bool TakeQuoted(std::string* field) {
    size_t at = 1;
    for (; at < left_.size(); ++at) {
      if (left_[at] == '"' && left_.substr(at + 1, 1) != "\"") break;
      if (left_[at] == '"') ++at;
      if (left_[at] == '\n') ++line_;
      *field += left_[at];
    }
    if (at >= left_.size()) return false;
    left_.remove_prefix(at + 1);
    return true;
  }

  std::string_view left_;
  size_t line_ = 1;
};

}  // namespace

std::string ReadTableCsv(std::string_view csv, LookupTable* table) {
  if (csv.starts_with(kByteOrderMark)) csv.remove_prefix(kByteOrderMark.size());
  if (!IsUtf8(csv)) return "it is not UTF-8";
  CsvReader reader(csv);
  std::vector<std::string> row;
  size_t columns = 0;
  std::map<std::string, std::string> entries;
  for (reader.PassBlankLines(); !reader.AtEnd(); reader.PassBlankLines()) {
    const size_t line = reader.line();
    if (const std::string wrong = reader.Next(&row); !wrong.empty()) return fmt::format("line {}: {}", line, wrong);
    if (columns == 0) columns = row.size();
    if (row.size() != columns || columns > 2) {
      return row.size() > 2 ? fmt::format("line {}: has {} columns; a table has two, or one", line, row.size())
                            : fmt::format("line {}: has {} columns, and line 1 has {}", line, row.size(), columns);
    }
    std::string value = columns == 2 ? std::move(row[1]) : "";
    const auto [entry, is_new] = entries.try_emplace(row[0], value);
    if (!is_new && entry->second != value) {
      return fmt::format("line {}: {} is {}, and {} in a line before", line, Quoted(row[0]), Quoted(value),
                         Quoted(entry->second));
    }
  }
  SetTable(entries, columns == 2, table);
  return "";
}

void SetTable(const std::map<std::string, std::string>& entries, bool has_values, LookupTable* table) {
  for (const auto& [key, value] : entries) {
    table->add_keys(key);
    if (has_values) table->add_values(value);
  }
}

}  // namespace tenfold
