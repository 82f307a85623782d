// A child process: a daemon of `tenfold dev` or of a test's cluster. It has a process group of its own, so that Ctrl-C on
// the terminal reaches only the parent, inherits no descriptor but its output, and reads nothing. An object is used by one
// thread at a time.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tenfold {

class ChildProcess {
 public:
  struct Options {
    // argv[0] is the program: a path, or a name looked up in PATH.
    std::vector<std::string> argv;
    // Variables added to this process's environment; of equal names the last one counts.
    std::vector<std::pair<std::string, std::string>> environment;
    // Files to which the output is appended; they may be the same. If empty, the child inherits this process's output.
    std::string stdout_path;
    std::string stderr_path;
    // Kills the child when the thread that called Start ends, and so when this process does: start such children from
    // a thread that lives as long as they should.
    bool die_with_parent = true;
  };

  // Starts the program and returns once it runs. An error names the program and what is wrong.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const Options& options);
  // Kills the child if it is still running, and reaps it.
  ~ChildProcess();

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The child's process id, also after it has ended.
  pid_t pid() const { return pid_; }

  // Sends a signal; FAILED_PRECONDITION if the child has ended.
  absl::Status Signal(int signal);

  // Returns the child's exit code, or 128 + the signal that killed it; nullopt while it is running.
  std::optional<int> Poll();
  // The same, after waiting for the child's end for at most `timeout`.
  std::optional<int> Wait(absl::Duration timeout);

 private:
  ChildProcess(pid_t pid, int pid_fd) : pid_(pid), pid_fd_(pid_fd) {}

  const pid_t pid_;
  // A pidfd, which becomes readable when the child ends.
  const int pid_fd_;
  std::optional<int> result_;
};

}  // namespace tenfold
