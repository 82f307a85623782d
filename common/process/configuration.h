// Settings that no flag gave: from the environment, else from the YAML file of --config. For ParseCommandLine alone.
#pragma once

#include <string>
#include <vector>

#include "CLI/CLI.hpp"

namespace tenfold {

struct SettingErrors {
  // Sentences, each naming its variable.
  std::vector<std::string> environment;
  // "FILE:LINE:COLUMN: KEY: MESSAGE", in the order of the file.
  std::vector<std::string> file;
};

// Gives every option of `app` and of its chosen subcommand that is still empty its value from the variable or, failing
// that, from the file at `path` (none if empty). The file may also have keys for other subcommands. Finds all errors.
void ReadSettings(CLI::App* app, const std::string& path, SettingErrors* errors);

}  // namespace tenfold
