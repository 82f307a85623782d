#include "driver/sinks/file_target.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/files/durable_file.h"
#include "common/process/fault_point.h"
#include "jobs/show/result_json.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

// The start of every line (jobs/show/result_json.h), by which a torn line is recognized.
constexpr std::string_view kLineStart = R"({"job":")";

absl::Status ErrnoStatus(absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

// Returns the path without ".", ".." and a slash at the end.
fs::path Normal(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

// Whether the path lies in the directory; both are in normal form.
bool Contains(const fs::path& directory, const fs::path& path) {
  return std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first == directory.end();
}

// Returns the allowed directory that an absolute path lies in, or null.
const std::string* AllowedDirectory(const fs::path& path, const std::vector<std::string>& allowed) {
  for (const std::string& directory : allowed) {
    if (Contains(Normal(directory), Normal(path).parent_path())) return &directory;
  }
  return nullptr;
}

// Returns the path with the symbolic links of its existing part resolved.
absl::StatusOr<fs::path> Resolve(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  const fs::path real = error ? fs::path() : fs::weakly_canonical(absolute, error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot use the directory ", path.string()));
  return Normal(real);
}

absl::Status ReadAt(int fd, const std::string& path, off_t offset, char* out, size_t size) {
  while (size > 0) {
    const ssize_t got = pread(fd, out, size, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus("read", path);
    if (got == 0) return absl::UnavailableError(absl::StrCat(path, " became shorter while it was read"));
    out += got;
    offset += got;
    size -= static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

// Returns the start of the line that contains or ends at `end`, which is after the previous newline.
absl::StatusOr<off_t> LineStart(int fd, const std::string& path, off_t end) {
  std::array<char, 64 << 10> buffer;
  while (end > 0) {
    const size_t size = std::min(buffer.size(), static_cast<size_t>(end));
    const off_t begin = end - static_cast<off_t>(size);
    absl::Status status = ReadAt(fd, path, begin, buffer.data(), size);
    if (!status.ok()) return status;
    const size_t newline = std::string_view(buffer.data(), size).rfind('\n');
    if (newline != std::string_view::npos) return begin + static_cast<off_t>(newline) + 1;
    end = begin;
  }
  return 0;
}

// Returns the batch of a line, or 0 if the line is another job's.
uint64_t BatchOfLine(const std::string& line, const std::string& job_id) {
  const nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
  if (!parsed.is_object()) return 0;
  const auto id = parsed.find("job_id");
  const auto batch = parsed.find("batch");
  if (id == parsed.end() || batch == parsed.end() || *id != job_id || !batch->is_number_unsigned()) return 0;
  return batch->get<uint64_t>();
}

}  // namespace

std::string FileTarget::CheckPath(const std::string& path, const SinkPlaces& places) {
  const fs::path given(path);
  if (path.find('\0') != std::string::npos) return "the path has a zero byte";
  if (!given.has_filename() || given.filename() == ".") return absl::StrCat("\"", path, "\" names no file");
  if (std::find(given.begin(), given.end(), "..") != given.end()) return absl::StrCat("\"", path, "\" has a \"..\"");
  if (given.is_relative()) return "";
  if (AllowedDirectory(given, places.allowed) != nullptr) {
    std::error_code error;
    return fs::is_directory(given, error) ? absl::StrCat("\"", path, "\" is a directory; name a file in it") : "";
  }
  return absl::StrCat("\"", path, "\" is absolute, and ",
                      places.allowed.empty()
                          ? "the driver's configuration allows no directory for such paths"
                          : "the driver's configuration allows only " + absl::StrJoin(places.allowed, ", "),
                      "; use a relative path");
}

absl::StatusOr<SinkTarget::Last> FileTarget::Prepare() {
  absl::Status status = TakeBack();
  if (!status.ok()) return status;
  if (InPlace()) return Last();
  Close();
  status = Open();
  absl::StatusOr<Last> last = status.ok() ? Repair() : status;
  if (!last.ok()) Close();
  return last;
}

absl::Status FileTarget::Append(const std::string& line, const std::stop_token&) {
  struct stat before;
  if (fstat(fd_, &before) != 0) return ErrnoStatus("look at", file_);
  std::string whole = line;
  whole += '\n';
  ssize_t written;
  do {
    written = write(fd_, whole.data(), whole.size());
  } while (written < 0 && errno == EINTR);
  absl::Status status;
  if (written == static_cast<ssize_t>(whole.size())) {
    FaultPoint("driver.sink_written");
    if (fsync(fd_) == 0) return absl::OkStatus();
    status = ErrnoStatus("sync", file_);
  } else {
    if (written >= 0) errno = ENOSPC;
    status = ErrnoStatus("write", file_);
  }
  // Even a whole line is taken back: after a failed sync a later sync may succeed without having stored it.
  cut_at_ = before.st_size;
  TakeBack().IgnoreError();  // The next Prepare insists.
  return status;
}

// Creates the directory of the file and returns it with its symbolic links resolved.
absl::StatusOr<std::string> FileTarget::MakeDirectory() const {
  const std::string wrong = CheckPath(options_.path, *options_.places);
  if (!wrong.empty()) return absl::InvalidArgumentError(wrong);
  const fs::path given(options_.path);
  // The directory that the file must lie in.
  const fs::path base = given.is_absolute() ? *AllowedDirectory(given, options_.places->allowed) : options_.places->data_dir;
  const fs::path root = given.is_absolute() ? base : base / "sinks" / absl::StrCat(options_.job, ".", options_.job_id);
  const absl::StatusOr<fs::path> real_root = Resolve(root);
  const absl::StatusOr<fs::path> directory = Resolve(root / given.parent_path());
  for (const auto* path : {&real_root, &directory}) {
    if (!path->ok()) return path->status();
  }
  if (!Contains(*real_root, *directory)) {
    return absl::PermissionDeniedError(absl::StrCat("a symbolic link leads from ", options_.path, " to ",
                                                    directory->string(), ", out of ", real_root->string(),
                                                    "; remove that link"));
  }
  if (absl::Status made = tenfold::MakeDirectory(directory->string(), base.string()); !made.ok()) return made;
  return directory->string();
}

absl::Status FileTarget::Open() {
  absl::StatusOr<std::string> directory = MakeDirectory();
  if (!directory.ok()) return directory.status();
  file_ = absl::StrCat(*directory, "/", fs::path(options_.path).filename().string());
  // O_NONBLOCK keeps the open of a named pipe from waiting for its other end.
  fd_ = open(file_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
  if (fd_ < 0 && errno == ELOOP) return absl::PermissionDeniedError(absl::StrCat(file_, " is a symbolic link"));
  if (fd_ < 0) return ErrnoStatus("open", file_);
  struct stat opened;
  if (fstat(fd_, &opened) != 0) return ErrnoStatus("look at", file_);
  if (!S_ISREG(opened.st_mode)) return absl::FailedPreconditionError(absl::StrCat(file_, " is no regular file"));
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus("lock", file_);
    return absl::FailedPreconditionError(absl::StrCat(file_, " is in use by another sink; cancel one of the jobs"));
  }
  return SyncDirectory(*directory);
}

bool FileTarget::InPlace() const {
  struct stat opened, named;
  return fd_ >= 0 && fstat(fd_, &opened) == 0 && lstat(file_.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

absl::StatusOr<SinkTarget::Last> FileTarget::Repair() {
  const off_t size = lseek(fd_, 0, SEEK_END);
  if (size < 0) return ErrnoStatus("read", file_);
  const absl::StatusOr<off_t> end = LineStart(fd_, file_, size);
  if (!end.ok()) return end.status();
  if (*end < size) {
    std::string torn(std::min(static_cast<size_t>(size - *end), kLineStart.size()), '\0');
    absl::Status status = ReadAt(fd_, file_, *end, torn.data(), torn.size());
    if (!status.ok()) return status;
    if (!kLineStart.starts_with(torn)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the last line of ", file_, " has no end and is not a sink's; end it with a newline, or move the file away"));
    }
    if (ftruncate(fd_, *end) != 0) return ErrnoStatus("cut a torn line off", file_);
  }
  // A crash may have come before the sync of the last line.
  if (fsync(fd_) != 0) return ErrnoStatus("sync", file_);
  off_t line_end = *end;
  while (line_end > 0) {
    const absl::StatusOr<off_t> begin = LineStart(fd_, file_, line_end - 1);
    if (!begin.ok()) return begin.status();
    std::string line(static_cast<size_t>(line_end - 1 - *begin), '\0');
    absl::Status status = ReadAt(fd_, file_, *begin, line.data(), line.size());
    if (!status.ok()) return status;
    const uint64_t batch = BatchOfLine(line, options_.job_id);
    // A batch may have several lines. Where its last one is missing, all of the batch is written again.
    if (batch == 0 || EndsBatch(line)) return Last{batch, std::move(line)};
    if (ftruncate(fd_, *begin) != 0) return ErrnoStatus("cut a line of an unfinished batch off", file_);
    line_end = *begin;
  }
  return Last();
}

absl::Status FileTarget::TakeBack() {
  if (!cut_at_.has_value()) return absl::OkStatus();
  if (ftruncate(fd_, *cut_at_) != 0) return ErrnoStatus("take an unfinished line back from", file_);
  cut_at_.reset();
  return absl::OkStatus();
}

void FileTarget::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace tenfold
