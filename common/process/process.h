// What all Tenfold programs share: exit codes, options, logging, and ending on a signal.
#pragma once

#include <optional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"

namespace tenfold {

enum ExitCode : int {
  kExitOk = 0,
  kExitRefused = 1,       // refused or failed
  kExitUsage = 64,        // flag or verb
  kExitData = 65,         // spec, configuration or data directory
  kExitUnavailable = 69,  // driver or Kafka unreachable
  kExitBug = 70,          // failed CHECKs included
};

// Sets every option of `app` and of its chosen subcommand: from its flag, else from its environment variable (TENFOLD_ and
// the flag in capitals with underscores), else from the YAML file of --config (the flag with underscores; all unknown keys,
// duplicate keys and wrong types are reported with FILE:LINE:COLUMN). Adds --config, --log-dir and --version itself; `app`
// is named after its program. Returns an exit code if the program should end now (after help, version or errors, which it
// has printed), else nullopt. A program calls it first, since it also opens /dev/null in place of closed standard streams.
std::optional<int> ParseCommandLine(CLI::App* app, int argc, char** argv);

// Makes glog write to stderr and, if --log-dir was given, to files there; from then on a failed CHECK or an uncaught
// exception ends the process with kExitBug. Called after ParseCommandLine; `program` is a literal. Later calls do nothing.
void InitLogging(const char* program);

// Ends the process at once with kExitRefused; the log says that the `program` ends, and why. What it had to write is not
// written.
[[noreturn]] void EndWith(const char* program, const std::string& why);

// Ends the process at once, with what the log and the standard streams have to write, but without destructors: clients of
// Kafka may take seconds each to end.
[[noreturn]] void ExitNow(ExitCode code);

// Blocks SIGINT and SIGTERM in the calling thread and in the threads it starts later, and ignores SIGPIPE. Called before any
// thread is started.
void BlockSignals();
// Waits for SIGINT or SIGTERM after BlockSignals.
void WaitForSignal();
// Whether one of them has come, be it waited for or not. Thread-safe.
bool IsEnding();

}  // namespace tenfold
