#include "common/process.h"

#include <execinfo.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// After glog has written and flushed why.
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

struct HostAndPort {
  std::string_view host;
  std::string_view port;
  bool bracketed = false;
};

// Splits without judging; false if there is no port.
bool SplitAddress(std::string_view address, HostAndPort* parts) {
  const size_t colon = address.rfind(':');
  // The last colon of "[::1]" is inside the host.
  if (colon == std::string_view::npos || address.ends_with(']')) return false;
  parts->host = address.substr(0, colon);
  parts->port = address.substr(colon + 1);
  parts->bracketed = parts->host.starts_with('[') && parts->host.ends_with(']');
  if (parts->bracketed) parts->host = parts->host.substr(1, parts->host.size() - 2);
  return true;
}

bool IsHostCharacter(char c, bool bracketed) {
  const auto byte = static_cast<unsigned char>(c);
  return absl::ascii_isalnum(byte) || c == '.' || c == '-' || (bracketed ? c == ':' || c == '%' : c == '_');
}

}  // namespace

void InitLogging(const char* program) {
  if (google::IsGoogleLoggingInitialized()) return;
  FLAGS_log_utc_time = true;
  FLAGS_logtostderr = FLAGS_log_dir.empty();
  FLAGS_alsologtostderr = !FLAGS_log_dir.empty();
  FLAGS_stop_logging_if_full_disk = true;
  // Every line at once: a process that is killed has written why.
  FLAGS_logbuflevel = -1;
  google::InitGoogleLogging(program);
  google::InstallFailureFunction(&DieOfCheck);
  std::set_terminate([] { LOG(FATAL) << "an exception that nothing caught"; });
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
}

std::string CheckAddress(const std::string& address) {
  HostAndPort parts;
  if (!SplitAddress(address, &parts)) return absl::StrCat("'", address, "' has no port; write HOST:PORT");
  if (parts.host.empty()) return absl::StrCat("'", address, "' has no host; write HOST:PORT");
  if (!parts.bracketed && parts.host.find(':') != std::string_view::npos) {
    return absl::StrCat("'", address, "' has an IPv6 host without brackets; write [HOST]:PORT");
  }
  for (const char c : parts.host) {
    if (!IsHostCharacter(c, parts.bracketed)) return absl::StrCat("'", address, "' has no valid host; write HOST:PORT");
  }
  uint32_t port = 0;
  const bool digits = !parts.port.empty() && std::all_of(parts.port.begin(), parts.port.end(), absl::ascii_isdigit);
  if (!digits || !absl::SimpleAtoi(std::string(parts.port), &port) || port > 65535) {
    return absl::StrCat("'", address, "' has no valid port; a port is a number up to 65535");
  }
  return "";
}

bool IsWildcard(const std::string& address) {
  HostAndPort parts;
  if (!SplitAddress(address, &parts)) return false;
  return parts.host.empty() || parts.host == "0.0.0.0" || parts.host == "::" || parts.host == "0";
}

}  // namespace tenfold
