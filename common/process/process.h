// What every Tenfold program does alike: exit codes, settings, logging, and ending on a signal.
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

// Gives a value to every option of `app` and of its chosen subcommand: flag over environment variable (TENFOLD_ and the flag
// in capitals with underscores) over the YAML file of --config (the flag with underscores; unknown keys, duplicate keys and
// wrong types are errors with FILE:LINE:COLUMN, all at once). Adds --config, --log-dir and --version itself; `app` is
// named after its program. Returns an exit code when the program should end now (help, version, errors: printed), else
// nullopt. The first thing a program does: it also opens /dev/null for standard streams that are closed.
std::optional<int> ParseCommandLine(CLI::App* app, int argc, char** argv);

// Logs to stderr and, if --log-dir was given, to files there; a failed CHECK or an uncaught exception ends the process
// with kExitBug. After ParseCommandLine; `program` is a literal. Later calls do nothing.
void InitLogging(const char* program);

// Blocks SIGINT and SIGTERM in the calling thread and those it starts later; call before any thread is started. SIGPIPE
// is ignored from then on.
void BlockSignals();
// Waits for SIGINT or SIGTERM after BlockSignals.
void WaitForSignal();

}  // namespace tenfold
