// The verbs of the CLI. Each Add function adds one subcommand to `app` and, when that is chosen and parsed, sets `*run` to
// a function that does it and returns the exit code. Data goes to stdout, everything else to stderr.
#pragma once

#include <functional>
#include <string>

#include "CLI/CLI.hpp"

namespace tenfold {

struct CliGlobals {
  // HOST:PORT, the value of --driver.
  std::string driver = "127.0.0.1:7070";
};

using RunVerb = std::function<int()>;

void AddSubmit(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddValidate(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddExplain(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddTry(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddList(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddStatus(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddTop(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddPause(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddResume(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddCancel(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddWorkers(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddVerify(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddSql(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddProduce(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddDev(CLI::App* app, const CliGlobals* globals, RunVerb* run);
void AddCompletion(CLI::App* app, const CliGlobals* globals, RunVerb* run);

}  // namespace tenfold
