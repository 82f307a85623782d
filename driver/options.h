// The settings of tenfold-driver: flags, variables and file, read and checked.
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

// Reads the settings. Returns an exit code if the program is to end now: it has printed help, its version or an error.
std::optional<int> ReadOptions(int argc, char** argv, DriverOptions* options);

}  // namespace tenfold
