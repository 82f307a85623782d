#include "common/process/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// The header of glibc 2.36 lacks extern "C".
extern "C" {
#include <sys/pidfd.h>
}

#include <algorithm>
#include <limits>
#include <map>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// Everything the child needs between fork and exec, where it may not allocate.
struct Prepared {
  std::vector<char*> argv;
  std::vector<char*> environment;
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  int error_fd = -1;
  pid_t parent = 0;
  bool die_with_parent = false;
};

std::vector<std::string> MergedEnvironment(const std::vector<std::pair<std::string, std::string>>& additions) {
  std::map<std::string, std::string> merged;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const char* equals = strchr(*entry, '=');
    if (equals != nullptr) merged[std::string(*entry, static_cast<size_t>(equals - *entry))] = equals + 1;
  }
  for (const auto& [name, value] : additions) merged[name] = value;
  std::vector<std::string> lines;
  lines.reserve(merged.size());
  for (const auto& [name, value] : merged) lines.push_back(absl::StrCat(name, "=", value));
  return lines;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void Fail(const Prepared& prepared) {
  const int error = errno;
  // The pipe has room for all of it; if the parent is gone, the error interests nobody.
  [[maybe_unused]] const ssize_t written = write(prepared.error_fd, &error, sizeof(error));
  _exit(127);
}

[[noreturn]] void RunChild(const Prepared& prepared) {
  if (prepared.die_with_parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) Fail(prepared);
    // The parent may have died before the line above took effect.
    if (getppid() != prepared.parent) _exit(127);
  }
  if (setpgid(0, 0) != 0) Fail(prepared);
  if (dup2(prepared.stdin_fd, STDIN_FILENO) < 0) Fail(prepared);
  if (prepared.stdout_fd >= 0 && dup2(prepared.stdout_fd, STDOUT_FILENO) < 0) Fail(prepared);
  if (prepared.stderr_fd >= 0 && dup2(prepared.stderr_fd, STDERR_FILENO) < 0) Fail(prepared);
  // Closes descriptors that libraries opened without O_CLOEXEC. Older kernels leave them open, which is harmless here.
  close_range(STDERR_FILENO + 1, std::numeric_limits<unsigned>::max(), CLOSE_RANGE_CLOEXEC);

  // Resets ignored and blocked signals, which exec would pass on.
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execvpe(prepared.argv[0], prepared.argv.data(), prepared.environment.data());
  Fail(prepared);
}

// Returns the error of RunChild, or 0 once the program runs, as the pipe is then closed without having been written to.
int ReadError(int fd) {
  int error = 0;
  ssize_t got;
  do {
    got = read(fd, &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  return got == sizeof(error) ? error : 0;
}

absl::StatusOr<int> OpenOutput(const std::string& path) {
  if (path.empty()) return -1;
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path, " for a program's output"));
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const Options& options) {
  if (options.argv.empty()) return absl::InvalidArgumentError("no program to start was named");
  std::vector<std::string> arguments = options.argv;
  std::vector<std::string> environment = MergedEnvironment(options.environment);
  Prepared prepared;
  prepared.argv = Pointers(arguments);
  prepared.environment = Pointers(environment);
  prepared.parent = getpid();
  prepared.die_with_parent = options.die_with_parent;

  int error_pipe[2] = {-1, -1};
  absl::Cleanup close_all = [&] {
    for (int fd : {prepared.stdin_fd, prepared.stdout_fd, prepared.stderr_fd, error_pipe[0], error_pipe[1]}) {
      if (fd >= 0) close(fd);
    }
  };
  absl::StatusOr<int> out = OpenOutput(options.stdout_path);
  if (!out.ok()) return out.status();
  prepared.stdout_fd = *out;
  absl::StatusOr<int> err = OpenOutput(options.stderr_path);
  if (!err.ok()) return err.status();
  prepared.stderr_fd = *err;
  prepared.stdin_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (prepared.stdin_fd < 0 || pipe2(error_pipe, O_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot start ", options.argv[0]));
  }
  prepared.error_fd = error_pipe[1];

  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot start ", options.argv[0]));
  if (pid == 0) RunChild(prepared);
  close(error_pipe[1]);
  error_pipe[1] = -1;

  int error = ReadError(error_pipe[0]);
  if (error == 0) {
    const int pid_fd = pidfd_open(pid, 0);
    if (pid_fd >= 0) return std::unique_ptr<ChildProcess>(new ChildProcess(pid, pid_fd));
    error = errno;
    kill(pid, SIGKILL);
  }
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", options.argv[0]));
}

ChildProcess::~ChildProcess() {
  if (!Poll().has_value()) {
    kill(pid_, SIGKILL);
    Wait(absl::InfiniteDuration());
  }
  close(pid_fd_);
}

absl::Status ChildProcess::Signal(int signal) {
  // Only this object reaps the child, so until Poll has seen its end the pid is the child's.
  if (Poll().has_value()) return absl::FailedPreconditionError(absl::StrCat("process ", pid_, " has ended"));
  if (kill(pid_, signal) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot signal process ", pid_));
  return absl::OkStatus();
}

std::optional<int> ChildProcess::Poll() {
  if (result_.has_value()) return result_;
  int status = 0;
  pid_t reaped;
  do {
    reaped = waitpid(pid_, &status, WNOHANG);
  } while (reaped < 0 && errno == EINTR);
  PCHECK(reaped >= 0) << "process " << pid_ << " was reaped by another";
  if (reaped == pid_) result_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result_;
}

std::optional<int> ChildProcess::Wait(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!Poll().has_value()) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return std::nullopt;
    pollfd ended{.fd = pid_fd_, .events = POLLIN, .revents = 0};
    const int64_t wait_ms = std::min<int64_t>(absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))), 60'000);
    poll(&ended, 1, static_cast<int>(wait_ms));
  }
  return result_;
}

}  // namespace tenfold
