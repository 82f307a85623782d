#include "common/kafka/property_value.h"

#include <errno.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxSecretBytes = 64 << 10;
constexpr std::string_view kFile = "${file:";
constexpr std::string_view kVariable = "${env:";

bool IsReference(const std::string& value) {
  return value.ends_with('}') && (value.starts_with(kFile) || value.starts_with(kVariable));
}

bool LiesIn(const fs::path& file, const std::string& dir) {
  std::error_code error;
  const fs::path way = file.lexically_relative(fs::weakly_canonical(dir, error));
  return !error && !way.empty() && *way.begin() != "..";
}

// Returns the file's path without links, if it may be used.
absl::StatusOr<fs::path> CheckFile(const std::string& subject, const std::string& path, bool may_be_directory,
                                   const std::optional<std::vector<std::string>>& dirs) {
  const auto refused = [&](const std::string& why) {
    return absl::InvalidArgumentError(absl::StrCat(subject, ": ", path, " ", why));
  };
  std::error_code error;
  const fs::path file = fs::canonical(path, error);
  if (error) return refused(absl::StrCat("cannot be read: ", error.message()));
  if (dirs) {
    bool lies = false;
    for (const std::string& dir : *dirs) lies |= LiesIn(file, dir);
    if (!lies)
      return refused(
          absl::StrCat("lies in none of the directories that --property-dirs allows (", absl::StrJoin(*dirs, ", "), ")"));
  }
  const fs::file_status status = fs::status(file, error);
  if (fs::is_regular_file(status) || (may_be_directory && fs::is_directory(status))) return file;
  return refused("is no regular file");
}

absl::StatusOr<std::string> ReadFile(const std::string& subject, const std::string& path,
                                     const std::optional<std::vector<std::string>>& dirs) {
  const absl::StatusOr<fs::path> file = CheckFile(subject, path, /*may_be_directory=*/false, dirs);
  if (!file.ok()) return file.status();
  std::error_code error;
  std::ifstream stream(*file, std::ios::binary);
  if (fs::file_size(*file, error) > kMaxSecretBytes || !stream.is_open()) {
    return absl::InvalidArgumentError(
        absl::StrCat(subject, ": ", path, stream.is_open() ? " is longer than 64 KiB" : " cannot be opened"));
  }
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  for (const char end : {'\n', '\r'}) {
    if (text.ends_with(end)) text.pop_back();
  }
  return text;
}

// Returns the value that `from` has, unless it is none.
absl::StatusOr<std::string> Checked(const std::string& subject, const std::string& from, std::string value) {
  const char* const wrong = value.empty() ? " is empty" : value.find('\0') != std::string::npos ? " has a zero byte" : "";
  if (*wrong != '\0') return absl::InvalidArgumentError(absl::StrCat(subject, ": ", from, wrong));
  return value;
}

}  // namespace

absl::StatusOr<std::string> ReferenceValue(const std::string& subject, const std::string& value,
                                           const std::optional<std::vector<std::string>>& dirs) {
  if (!IsReference(value)) return value;
  const auto inside = [&](std::string_view begin) { return value.substr(begin.size(), value.size() - begin.size() - 1); };
  if (value.starts_with(kFile)) {
    absl::StatusOr<std::string> read = ReadFile(subject, inside(kFile), dirs);
    return read.ok() ? Checked(subject, inside(kFile), *std::move(read)) : read;
  }
  const std::string variable = inside(kVariable);
  if (const char* found = std::getenv(variable.c_str())) return Checked(subject, variable, found);
  return absl::InvalidArgumentError(
      absl::StrCat(subject, ": the environment of ", program_invocation_short_name, " has no ", variable));
}

absl::Status CheckPlainFile(const std::string& subject, const std::string& path,
                            const std::optional<std::vector<std::string>>& dirs) {
  return CheckFile(subject, path, /*may_be_directory=*/false, dirs).status();
}

absl::StatusOr<std::string> PropertyValue(const std::string& name, const std::string& value,
                                          const std::optional<std::vector<std::string>>& dirs) {
  const std::string subject = absl::StrCat("Kafka property '", name, "'");
  if (IsReference(value)) return ReferenceValue(subject, value, dirs);
  if (name.ends_with(".location") || name.ends_with(".keytab")) {
    const absl::StatusOr<fs::path> file = CheckFile(subject, value, /*may_be_directory=*/name == "ssl.ca.location", dirs);
    if (!file.ok()) return file.status();
  }
  return value;
}

}  // namespace tenfold
