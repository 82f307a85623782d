// tenfold-worker: folds the partitions the driver assigns to it and keeps their state.
#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "common/net/rpc.h"
#include "common/process/process.h"
#include "common/process/system_limits.h"
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

constexpr std::chrono::seconds kOpenAtOnce(1);
// How long calls under way may take once the process is to end.
constexpr absl::Duration kStopWithin = absl::Seconds(3);

ExitCode ExitCodeOf(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsInvalidArgument(status) ? kExitData : kExitRefused;
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
  absl::StatusOr<std::unique_ptr<Worker>> worker = Worker::Create(std::move(options.worker));
  if (!worker.ok()) return Refuse(worker.status(), ExitCodeOf(worker.status()));
  WorkerServiceImpl service(worker->get());
  int port = 0;
  absl::StatusOr<std::unique_ptr<grpc::Server>> server = StartServer(options.listen, &service, &port);
  if (!server.ok()) return Refuse(server.status(), kExitRefused);
  if (options.advertise_listen) (*worker)->SetAdvertised(Address{ParseAddress(options.listen)->host, port}.ToString());
  LOG(INFO) << "listening on port " << port << ", known to the driver as " << (*worker)->advertised();

  // States that open at once are open before the driver hears of the worker. If they have to wait for room on the disk, the
  // driver learns that from the worker.
  std::promise<void> opened;
  const std::jthread opener([&] {
    if (const absl::Status open = (*worker)->OpenStates(); !open.ok()) _exit(Refuse(open, ExitCodeOf(open)));
    opened.set_value();
  });
  opened.get_future().wait_for(kOpenAtOnce);
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
  if (StopServer(*std::move(server), kStopWithin)) {
    (*worker)->Close();
  } else {
    LOG(WARNING) << "a request does not end; what is not in the WAL is lost and folded again";
  }
  ExitNow(kExitOk);
}

}  // namespace
}  // namespace tenfold

int main(int argc, char** argv) { return tenfold::Run(argc, argv); }
