#include "common/process/process.h"

#include <execinfo.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "glog/logging.h"

namespace tenfold {
namespace {

std::atomic<bool> has_ended = false;

// Ends the process after glog has written and flushed the reason.
__attribute__((noreturn)) void DieOfCheck() {
  void* frames[64];
  backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
  _exit(kExitBug);
}

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

void InitLogging(const char* program) {
  if (google::IsGoogleLoggingInitialized()) return;
  FLAGS_log_utc_time = true;
  FLAGS_logtostderr = FLAGS_log_dir.empty();
  FLAGS_alsologtostderr = !FLAGS_log_dir.empty();
  FLAGS_stop_logging_if_full_disk = true;
  // Writes every line at once, so that the last ones are there when a process is killed.
  FLAGS_logbuflevel = -1;
  google::InitGoogleLogging(program);
  google::InstallFailureFunction(&DieOfCheck);
  std::set_terminate([] { LOG(FATAL) << "an exception that nothing caught"; });
}

void EndWith(const char* program, const std::string& why) {
  LOG(ERROR) << "the " << program << " ends: " << why;
  ExitNow(kExitRefused);
}

void ExitNow(ExitCode code) {
  google::FlushLogFiles(google::INFO);
  std::fflush(nullptr);
  _exit(code);
}

void BlockSignals() {
  const sigset_t signals = EndSignals();
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &signals, nullptr), 0);
  std::signal(SIGPIPE, SIG_IGN);
}

void WaitForSignal() {
  const sigset_t signals = EndSignals();
  int signal = 0;
  CHECK_EQ(sigwait(&signals, &signal), 0);
  has_ended = true;
}

bool IsEnding() {
  sigset_t pending;
  return has_ended ||
         (sigpending(&pending) == 0 && (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1));
}

}  // namespace tenfold
