// The settings of tenfold-worker: flags, variables and file, read and checked.
#pragma once

#include <optional>
#include <string>

#include "worker/worker.h"

namespace tenfold {

struct WorkerOptions {
  // Where the driver reaches the worker, HOST:PORT.
  std::string listen = "127.0.0.1:7071";
  // If set, the driver is told the address listened on, whose port may be known only then.
  bool advertise_listen = false;
  Worker::Options worker;
};

// Reads the settings. Returns an exit code if the program is to end now: it has printed help, its version or an error.
std::optional<int> ReadOptions(int argc, char** argv, WorkerOptions* options);

}  // namespace tenfold
