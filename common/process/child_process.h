// A program started by this one: a daemon of `tenfold dev` or of a test's cluster. It has a process group of its own, so
// that Ctrl-C on the terminal reaches this process alone, inherits no descriptor but its output, and reads nothing.
// An object is used by one thread at a time.
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
    // On top of this process's environment; the last of equal names counts.
    std::vector<std::pair<std::string, std::string>> environment;
    // Files the output is appended to; they may be the same. Empty: this process's output.
    std::string stdout_path;
    std::string stderr_path;
    // Kills the child when the thread that called Start ends, and so when this process does: start such children from
    // a thread that lives as long as they should.
    bool die_with_parent = true;
  };

  // Returns once the program runs; an error names the program and what is wrong.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const Options& options);
  // Kills the child if it still runs, and reaps it.
  ~ChildProcess();

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Stays the same after the child's end.
  pid_t pid() const { return pid_; }

  // FAILED_PRECONDITION once the child has ended.
  absl::Status Signal(int signal);

  // How it ended, if it has: its exit code, or 128 + the signal that killed it.
  std::optional<int> Poll();
  // Waits for its end, `timeout` at most.
  std::optional<int> Wait(absl::Duration timeout);

 private:
  ChildProcess(pid_t pid, int pid_fd) : pid_(pid), pid_fd_(pid_fd) {}

  const pid_t pid_;
  // Readable once the child has ended.
  const int pid_fd_;
  std::optional<int> result_;
};

}  // namespace tenfold
