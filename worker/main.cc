// tenfold-worker: folds the partitions the driver assigns to it and keeps their state.
#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "common/net/rpc.h"
#include "common/process/process.h"
#include "common/text/address.h"
#include "glog/logging.h"
#include "worker/options.h"
#include "worker/worker.h"
#include "worker/worker_service.h"

namespace tenfold {
namespace {

// Limits the arenas of glibc's malloc, each of which keeps freed memory. Records are allocated by one thread and freed by
// another, and a batch briefly takes large blocks; with few arenas, and large blocks returned at once, memory stays bounded.
void KeepFreedMemoryLow() {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
  mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int Refuse(const absl::Status& status, int code) {
  std::cerr << "tenfold-worker: " << status.message() << "\n";
  return code;
}

int Run(int argc, char** argv) {
  WorkerOptions options;
  if (const std::optional<int> exit = ReadOptions(argc, argv, &options)) return *exit;
  if (options.worker.memory.bytes != 0) KeepFreedMemoryLow();
  BlockSignals();
  RaiseOpenFiles();
  InitLogging("tenfold-worker");
  const std::string data_dir = options.worker.data_dir;
  absl::StatusOr<std::unique_ptr<Worker>> worker = Worker::Open(std::move(options.worker));
  if (!worker.ok()) return Refuse(worker.status(), absl::IsDataLoss(worker.status()) ? kExitData : kExitRefused);
  WorkerServiceImpl service(worker->get());
  int port = 0;
  const absl::StatusOr<std::unique_ptr<grpc::Server>> server = StartServer(options.listen, &service, &port);
  if (!server.ok()) return Refuse(server.status(), kExitRefused);
  if (options.advertise_listen) (*worker)->SetAdvertised(Address{ParseAddress(options.listen)->host, port}.ToString());
  LOG(INFO) << "listening on port " << port << ", known to the driver as " << (*worker)->advertised();

  (*worker)->StartHeartbeat([&](const absl::Status& status) {
    const bool elder = absl::IsAborted(status);
    std::cerr << "tenfold-worker: " << data_dir << ": " << status.message() << (elder ? ". This process ends" : "")
              << "; give it an empty --data-dir to join this cluster\n";
    LOG(ERROR) << "the worker ends: " << status.message();
    google::FlushLogFiles(google::INFO);
    _exit(elder ? kExitRefused : kExitData);
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
