#include "jobs/cli/spec_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <vector>

#include "common/limits.h"
#include "common/process/process.h"
#include "common/text/shown_text.h"
#include "common/text/utf8.h"
#include "fmt/format.h"
#include "jobs/cli/output.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {
namespace {

// The widest line that is shown with what is wrong in it.
constexpr size_t kMaxShownLine = 160;

// Returns the line of the error with a mark below what is meant; "" for a line that would not show it.
std::string Underlined(std::string_view text, const SpecError& error) {
  for (int line = 1; line < error.line; ++line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  const std::string_view line = text.substr(0, text.find('\n'));
  if (!IsAscii(line) || line.size() > kMaxShownLine || Printable(line) != line) return "";
  const auto before = static_cast<size_t>(error.column - 1);
  if (before >= line.size()) return "";
  const size_t marked = std::min(std::max<size_t>(error.length, 1), line.size() - before);
  return fmt::format("  {}\n  {}^{}\n", line, std::string(before, ' '), std::string(marked - 1, '~'));
}

}  // namespace

int ReadSpecFile(const std::string& path, JobSpec* spec) {
  std::ifstream file(path, std::ios::binary);
  // Reads one byte more than the limit, so that ReadJobSpec refuses a longer text.
  std::string text(kMaxSpecBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad()) {
    PrintError(fmt::format("cannot read the job spec {}: {}", path, std::strerror(errno)));
    return kExitData;
  }
  text.resize(static_cast<size_t>(file.gcount()));
  const std::vector<SpecError> errors = ReadJobSpec(text, spec);
  for (const SpecError& error : errors) {
    fmt::print(stderr, "{}\n{}", FormatSpecError(path, error), error.length == 0 ? "" : Underlined(text, error));
  }
  return errors.empty() ? kExitOk : kExitData;
}

}  // namespace tenfold
