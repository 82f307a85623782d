// The `tenfold` program. Each group of verbs has a file; README lists what they print.
#pragma once

namespace tenfold {

// Runs one verb and returns its exit code (common/process/process.h).
int RunCli(int argc, char** argv);

}  // namespace tenfold
