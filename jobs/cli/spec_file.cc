#include "jobs/cli/spec_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <vector>

#include "common/limits.h"
#include "common/process/process.h"
#include "common/text/shown_text.h"
#include "common/text/utf8.h"
#include "fmt/format.h"
#include "jobs/cli/output.h"
#include "jobs/cli/sql/sql_reader.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {
namespace {

// The widest line that is shown with what is wrong in it.
constexpr size_t kMaxShownLine = 160;

// The bytes of the first so many characters.
size_t BytesOf(std::string_view text, size_t characters) {
  size_t byte = 0;
  for (; characters > 0 && byte < text.size(); --characters) {
    do ++byte;
    while (byte < text.size() && (static_cast<unsigned char>(text[byte]) & 0xc0) == 0x80);
  }
  return byte;
}

size_t CharactersOf(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// Returns the line of the error with a mark below what is meant; "" for a line that would not show it.
std::string Underlined(std::string_view text, const SpecError& error) {
  for (int line = 1; line < error.line; ++line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  const std::string_view line = text.substr(0, text.find('\n'));
  if (line.size() > kMaxShownLine || Printable(line) != line) return "";
  const auto before = static_cast<size_t>(error.column - 1);
  const size_t begin = BytesOf(line, before);
  if (begin >= line.size()) return "";
  // The length is of bytes.
  const size_t marked = CharactersOf(line.substr(begin, std::max<size_t>(error.length, 1)));
  return fmt::format("  {}\n  {}^{}\n", line, std::string(before, ' '), std::string(marked - 1, '~'));
}

void Report(const std::string& file, std::string_view text, const SpecError& error) {
  // SQL has a place of each error, whose length is not known.
  const bool has_place = error.length > 0 || error.path.empty();
  fmt::print(stderr, "{}\n{}", FormatSpecError(file, error), has_place ? Underlined(text, error) : "");
}

// Returns what reads the files that a spec names, from the directory of the spec or by an absolute path.
SpecFiles FilesBeside(const std::filesystem::path& spec) {
  return [directory = spec.parent_path()](const std::string& name) -> absl::StatusOr<std::string> {
    const std::filesystem::path path = directory / name;
    std::ifstream file(path, std::ios::binary);
    // Quotes and line ends come on top of what a table may have.
    std::string bytes(4 * kMaxTableBytes + 1, '\0');
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.is_open() || file.bad()) {
      return absl::NotFoundError(fmt::format("cannot read the file {}: {}", Shown(path.string()),
                                             errno == 0 ? "is it a directory?" : std::strerror(errno)));
    }
    bytes.resize(static_cast<size_t>(file.gcount()));
    if (bytes.size() > 4 * kMaxTableBytes)
      return absl::OutOfRangeError(fmt::format("the file {} has over {} bytes", Shown(path.string()), 4 * kMaxTableBytes));
    return bytes;
  };
}

}  // namespace

int ReadSpecText(const std::string& path, const std::string& what, std::string* text) {
  std::ifstream file(path, std::ios::binary);
  // Reads one byte more than the limit, so that a longer text is refused.
  text->assign(kMaxSpecBytes + 1, '\0');
  file.read(text->data(), static_cast<std::streamsize>(text->size()));
  if (!file.is_open() || file.bad()) {
    PrintError(fmt::format("cannot read the {} {}: {}", what, path, std::strerror(errno)));
    return kExitData;
  }
  text->resize(static_cast<size_t>(file.gcount()));
  return kExitOk;
}

int ReadSpecFile(const std::string& path, JobSpec* spec) {
  std::string text;
  if (const int code = ReadSpecText(path, "job spec", &text); code != kExitOk) return code;
  if (path.ends_with(".sql")) return ReadSql("", text, path, std::filesystem::path(path).stem(), spec);
  const SpecFiles files = FilesBeside(path);
  const std::vector<SpecError> errors = ReadJobSpec(text, spec, &files);
  for (const SpecError& error : errors) Report(path, text, error);
  return errors.empty() ? kExitOk : kExitData;
}

int ReadSql(const std::string& schema_path, const std::string& sql, const std::string& shown_as, const std::string& name,
            JobSpec* spec, SqlNames* names) {
  std::string text;
  if (!schema_path.empty()) {
    if (const int code = ReadSpecText(schema_path, "schema", &text); code != kExitOk) return code;
    text += "\n;\n";
  }
  const auto schema_lines = static_cast<int>(std::ranges::count(text, '\n'));
  text += sql;
  // Files are beside that of the tables, or else of the text.
  const SpecFiles files = FilesBeside(schema_path.empty() ? shown_as : schema_path);
  const std::vector<SpecError> errors = ReadSqlJob(text, name, spec, names, &files);
  for (SpecError error : errors) {
    if (error.line <= schema_lines) {
      Report(schema_path, text, error);
    } else {
      error.line -= schema_lines;
      Report(shown_as, sql, error);
    }
  }
  return errors.empty() ? kExitOk : kExitData;
}

}  // namespace tenfold
