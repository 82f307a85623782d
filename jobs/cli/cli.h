// The `tenfold` program: its verbs, one file a group of them. README lists what each prints.
#pragma once

namespace tenfold {

// Runs one verb; returns the exit code (common/process/process.h).
int RunCli(int argc, char** argv);

}  // namespace tenfold
