// tenfold-worker: folds the partitions the driver assigns to it and keeps their state.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "common/byte_size.h"
#include "common/process.h"
#include "common/rpc.h"
#include "glog/logging.h"
#include "worker/worker.h"
#include "worker/worker_service.h"

namespace tenfold {
namespace {

// glibc's malloc keeps what is freed, in an arena for each of many threads. Records are allocated by one thread and freed by
// another, and a batch takes large pieces for a moment: with few arenas, and large pieces given back, that stays bounded.
void KeepFreedMemoryLow() {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int Run(int argc, char** argv) {
  CLI::App app("Runs a Tenfold worker: it folds the partitions that the driver assigns to it and keeps their state.",
               "tenfold-worker");
  std::string listen = "127.0.0.1:7071";
  Worker::Options options;
  options.driver = "127.0.0.1:7070";
  options.threads = std::max(1U, std::thread::hardware_concurrency());
  app.add_option("--driver", options.driver, "The driver, HOST:PORT")->capture_default_str();
  app.add_option("--listen", listen, "Where the driver reaches the worker, HOST:PORT")->capture_default_str();
  app.add_option("--advertise", options.advertise,
                 "The address told to the driver; --listen if not given, and needed where that is a wildcard");
  app.add_option("--data-dir", options.data_dir, "Folder of the worker's state and identity; made if it is missing")
      ->required();
  app.add_option("--threads", options.threads,
                 "Cores to fold on, a job, with up to two threads each; all of them if not given");
  std::string memory;
  app.add_option(
         "--memory", memory,
         "What the worker may use of memory, such as 256MiB or 2GiB. Totals that do not fit are read from disk: slower,\n"
         "and as exact. No limit if not given")
      ->option_text("SIZE");
  if (const std::optional<int> exit = ParseCommandLine(&app, argc, argv)) return *exit;
  const auto refuse = [](const std::string& message, int code) {
    std::cerr << "tenfold-worker: " << message << "\n";
    return code;
  };
  if (options.threads < 1 || options.threads > 1024) return refuse("--threads: from 1 to 1024", kExitUsage);
  if (const std::string wrong = CheckAddress(listen); !wrong.empty()) return refuse("--listen: " + wrong, kExitUsage);
  if (const std::string wrong = CheckAddress(options.driver); !wrong.empty())
    return refuse("--driver: " + wrong, kExitUsage);
  if (!memory.empty()) {
    const absl::StatusOr<size_t> bytes = ParseByteSize(memory);
    if (!bytes.ok()) return refuse("--memory: " + std::string(bytes.status().message()), kExitUsage);
    if (*bytes < kMinMemoryBytes)
      return refuse("--memory: at least 64MiB; " + memory + " is too little to work in", kExitUsage);
    options.memory.bytes = *bytes;
    KeepFreedMemoryLow();
  }
  const bool advertise_listen = options.advertise.empty();
  if (advertise_listen) options.advertise = listen;
  if (const std::string wrong = CheckAddress(options.advertise); !wrong.empty())
    return refuse("--advertise: " + wrong, kExitUsage);
  if (IsWildcard(options.advertise)) {
    return refuse("--advertise: the driver cannot reach " + options.advertise + "; give an address of this host",
                  kExitUsage);
  }

  BlockSignals();
  InitLogging("tenfold-worker");
  absl::StatusOr<std::unique_ptr<Worker>> worker = Worker::Open(options);
  if (!worker.ok())
    return refuse(std::string(worker.status().message()), absl::IsDataLoss(worker.status()) ? kExitData : kExitRefused);
  WorkerServiceImpl service(worker->get());
  int port = 0;
  const absl::StatusOr<std::unique_ptr<grpc::Server>> server = StartServer(listen, &service, &port);
  if (!server.ok()) return refuse(std::string(server.status().message()), kExitRefused);
  if (advertise_listen) (*worker)->SetAdvertised(listen.substr(0, listen.rfind(':')) + ":" + std::to_string(port));
  LOG(INFO) << "listening on port " << port << ", known to the driver as " << (*worker)->advertised();

  (*worker)->StartHeartbeat([&](const absl::Status& status) {
    std::cerr << "tenfold-worker: " << options.data_dir << ": " << status.message()
              << "; give it an empty --data-dir to join this cluster\n";
    google::FlushLogFiles(google::INFO);
    _exit(kExitData);
  });
  WaitForSignal();
  LOG(INFO) << "stopping";
  (*worker)->Stop();
  (*server)->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  return kExitOk;
}

}  // namespace
}  // namespace tenfold

int main(int argc, char** argv) { return tenfold::Run(argc, argv); }
