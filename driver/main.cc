// tenfold-driver: admits jobs and workers, plans and merges batches, and publishes the top ten.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/net/rpc.h"
#include "common/process/process.h"
#include "common/process/system_limits.h"
#include "common/text/address.h"
#include "driver/driver.h"
#include "driver/driver_service.h"
#include "driver/options.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr std::chrono::seconds kOpenAtOnce(1);
// How long calls under way may take once the process is to end.
constexpr absl::Duration kStopWithin = absl::Seconds(3);

// What the driver has open and runs besides its jobs: the journal, workers, clients of Kafka that jobs share, calls.
constexpr size_t kOwnFiles = 100;
constexpr size_t kOwnThreads = 50;
// For a job: its group's client, on three brokers, and its sinks.
constexpr size_t kJobFiles = 8;
constexpr size_t kJobThreads = 10;

ExitCode ExitCodeOf(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsInvalidArgument(status) ? kExitData : kExitRefused;
}

int Refuse(const absl::Status& status, int code) {
  std::cerr << "tenfold-driver: " << status.message() << "\n";
  return code;
}

void SetMaxJobs(ClusterOptions* cluster) {
  const auto jobs = [](size_t most, size_t own, size_t of_job) {
    return std::max<size_t>(1, most <= own ? 0 : (most - own) / of_job);
  };
  const size_t open_files = OpenFilesLimit();
  const size_t threads = ThreadsLimit();
  const size_t by_files = jobs(open_files, kOwnFiles, kJobFiles);
  const size_t by_threads = jobs(threads, kOwnThreads, kJobThreads);
  cluster->max_jobs = std::min(by_files, by_threads);
  cluster->limit = by_threads < by_files ? absl::StrCat("its limit of ", threads, " threads")
                                         : absl::StrCat("its limit of ", open_files, " open files");
}

int Run(int argc, char** argv) {
  DriverOptions options;
  if (const std::optional<int> exit = ReadOptions(argc, argv, &options)) return *exit;
  BlockSignals();
  RaiseOpenFiles();
  InitLogging("tenfold-driver");
  SetMaxJobs(&options.driver.cluster);
  Driver driver(std::move(options.driver));
  // A journal that opens at once is open before anybody asks. If it has to wait for room on the disk, whoever asks learns
  // that.
  std::promise<void> opened;
  std::jthread opener([&] {
    if (const absl::Status open = driver.Open(); !open.ok()) _exit(Refuse(open, ExitCodeOf(open)));
    opened.set_value();
  });
  opened.get_future().wait_for(kOpenAtOnce);
  DriverServiceImpl service(&driver);
  int port = 0;
  absl::StatusOr<std::unique_ptr<grpc::Server>> server = StartServer(options.listen, &service, &port);
  if (!server.ok()) return Refuse(server.status(), kExitRefused);
  LOG(INFO) << "listening on " << Address{ParseAddress(options.listen)->host, port}.ToString();

  WaitForSignal();
  LOG(INFO) << "stopping";
  // What waits for room ends by itself now.
  opener.join();
  driver.Stop();
  StopServer(*std::move(server), kStopWithin);
  driver.Close();
  ExitNow(kExitOk);
}

}  // namespace
}  // namespace tenfold

int main(int argc, char** argv) { return tenfold::Run(argc, argv); }
