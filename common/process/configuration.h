// Options that no flag sets, from the environment or else from the YAML file of --config. Called by ParseCommandLine only.
#pragma once

#include <string>
#include <vector>

#include "CLI/CLI.hpp"

namespace tenfold {

struct SettingErrors {
  // Sentences, each of which names the variable.
  std::vector<std::string> environment;
  // "FILE:LINE:COLUMN: KEY: MESSAGE", in the order of the file.
  std::vector<std::string> file;
};

// Sets every option of `app` and of its chosen subcommand that has no value yet from its variable or else from the file at
// `path`, if that is not empty. The file may also have keys of other subcommands. Reports all errors, not only the first.
void ReadSettings(CLI::App* app, const std::string& path, SettingErrors* errors);

}  // namespace tenfold
