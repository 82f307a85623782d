// The options of tenfold-driver, from flags, variables and file.
#pragma once

#include <optional>
#include <string>

#include "driver/driver.h"

namespace tenfold {

struct DriverOptions {
  // Where workers and the CLI reach the driver, HOST:PORT.
  std::string listen = "127.0.0.1:7070";
  Driver::Options driver;
};

// Reads and checks the options. Returns an exit code if the program should end now, after printing help, version or an
// error.
std::optional<int> ReadOptions(int argc, char** argv, DriverOptions* options);

}  // namespace tenfold
