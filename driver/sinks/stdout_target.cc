#include "driver/sinks/stdout_target.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "absl/strings/str_cat.h"

namespace tenfold {
namespace {

// How long a full standard output may take no line before that counts as a failure.
constexpr int kStdoutWaitMs = 200;

}  // namespace

Mutex StdoutTarget::mutex_;
StdoutTarget* StdoutTarget::unfinished_ = nullptr;
bool StdoutTarget::torn_ = false;

StdoutTarget::~StdoutTarget() {
  MutexLock lock(&mutex_);
  if (unfinished_ != this) return;
  unfinished_ = nullptr;
  rest_.assign(1, '\n');
  torn_ = !WriteSome(0).ok() || !rest_.empty();
}

absl::Status StdoutTarget::Append(const std::string& line, const std::stop_token& stop) {
  while (!mutex_.try_lock()) {
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    poll(nullptr, 0, 1);
  }
  absl::Status appended = AppendLocked(line, stop);
  mutex_.unlock();
  return appended;
}

absl::Status StdoutTarget::AppendLocked(const std::string& line, const std::stop_token& stop) {
  if (unfinished_ != nullptr && unfinished_ != this) {
    return absl::UnavailableError("standard output is in the middle of a line of another job");
  }
  // A line that was written in part continues where it stopped.
  if (unfinished_ == nullptr) rest_ = absl::StrCat(torn_ ? "\n" : "", line, "\n");
  while (!rest_.empty()) {
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    absl::Status status = WriteSome(kStdoutWaitMs);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status StdoutTarget::WriteSome(int wait_ms) {
  struct stat out;
  if (fstat(STDOUT_FILENO, &out) != 0) return absl::ErrnoToStatus(errno, "cannot write to standard output");
  std::string_view text = rest_;
  if (!S_ISREG(out.st_mode)) {
    text = text.substr(0, PIPE_BUF);
    pollfd ready{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
    const int polled = poll(&ready, 1, wait_ms);
    if (polled == 0) return absl::UnavailableError("standard output is full, nobody reads it");
    if (polled < 0) return absl::OkStatus();
  }
  const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
  if (written > 0) {
    rest_.erase(0, static_cast<size_t>(written));
    torn_ = false;
    unfinished_ = rest_.empty() ? nullptr : this;
  } else if (written < 0 && errno != EINTR && errno != EAGAIN) {
    return absl::ErrnoToStatus(errno, "cannot write to standard output");
  }
  return absl::OkStatus();
}

}  // namespace tenfold
