// The options of tenfold-worker, from flags, variables and file.
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

// Reads and checks the options. Returns an exit code if the program should end now, after printing help, version or an
// error.
std::optional<int> ReadOptions(int argc, char** argv, WorkerOptions* options);

}  // namespace tenfold
