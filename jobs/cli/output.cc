#include "jobs/cli/output.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/process/process.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

// The errno of the first failed write to stdout; 0 if none failed.
int output_error = 0;

// Counts characters, not bytes; wide ones count once.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

void AddOutputOption(CLI::App* verb, OutputFormat* format) {
  static const std::map<std::string, OutputFormat> kFormats = {{"text", OutputFormat::kText}, {"json", OutputFormat::kJson}};
  verb->add_option_function<std::string>(
          "-o,--output", [format](const std::string& name) { *format = kFormats.at(name); },
          "text for people, json for programs")
      ->check(
          [](const std::string& name) { return kFormats.contains(name) ? "" : "'" + name + "' is neither text nor json"; })
      ->default_str("text")
      ->type_name("FORMAT");
}

std::string ForText(int64_t since_us) {
  if (since_us == 0) return "";
  const absl::Duration passed = std::max(absl::Now() - absl::FromUnixMicros(since_us), absl::ZeroDuration());
  return fmt::format(" (for {})",
                     passed < absl::Seconds(1) ? "0s" : absl::FormatDuration(absl::Trunc(passed, absl::Seconds(1))));
}

bool PrintData(std::string_view data) {
  if (std::fwrite(data.data(), 1, data.size(), stdout) == data.size() && std::fflush(stdout) == 0) return true;
  if (output_error == 0) output_error = errno;
  return false;
}

int EndOutput(int code) {
  if (std::fflush(stdout) != 0 && output_error == 0) output_error = errno;
  if (std::ferror(stdout) != 0 && output_error == 0) output_error = EIO;
  const int error = std::exchange(output_error, 0);
  std::clearerr(stdout);
  if (error == 0 || error == EPIPE) return code;
  PrintError(fmt::format("cannot write to standard output: {}", std::strerror(error)));
  return code == kExitOk ? kExitRefused : code;
}

void PrintError(std::string_view sentence) { fmt::print(stderr, "tenfold: {}\n", Printable(sentence)); }

void DropEmptyLastColumn(std::vector<std::vector<std::string>>* rows) {
  if (!std::all_of(rows->begin() + 1, rows->end(), [](const auto& row) { return row.back().empty(); })) return;
  for (std::vector<std::string>& row : *rows) row.pop_back();
}

std::string FormatTable(const std::vector<std::vector<std::string>>& rows, const std::vector<size_t>& right_aligned) {
  std::vector<std::vector<std::string>> cells = rows;
  std::vector<size_t> widths;
  for (std::vector<std::string>& row : cells) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = Printable(row[i]);
      widths[i] = std::max(widths[i], Width(row[i]));
    }
  }
  std::string table;
  for (const std::vector<std::string>& row : cells) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - Width(row[i]), ' ');
      const bool right = std::find(right_aligned.begin(), right_aligned.end(), i) != right_aligned.end();
      line += (i == 0 ? "" : "  ") + (right ? padding + row[i] : row[i] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    table += line + "\n";
  }
  return table;
}

}  // namespace tenfold
