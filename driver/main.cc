// tenfold-driver: admits jobs and workers, plans and merges batches, and publishes the top ten.
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "common/byte_size.h"
#include "common/duration.h"
#include "common/process.h"
#include "common/rpc.h"
#include "driver/driver.h"
#include "driver/driver_service.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

int Run(int argc, char** argv) {
  CLI::App app("Runs Tenfold's driver: it admits jobs and workers, plans and merges batches, and publishes results.",
               "tenfold-driver");
  std::string listen = "127.0.0.1:7070";
  std::string lease = "3s";
  std::string merge_memory = "1GiB";
  Driver::Options options;
  app.add_option("--listen", listen, "Where workers and the CLI reach the driver, HOST:PORT")->capture_default_str();
  app.add_option("--data-dir", options.data_dir, "Folder of the journal and of relative sinks; made if it is missing")
      ->required();
  app.add_option("--kafka", options.kafka, "Brokers of jobs whose spec names none, HOST:PORT[,HOST:PORT]")->required();
  app.add_option("--lease", lease, "A worker silent for so long loses its shards, 500ms to 10m")->capture_default_str();
  app.add_option("--keep-batches", options.kept_batches, "Batches of a job that stay readable, 1 or more")
      ->capture_default_str();
  app.add_option("--sink-backlog", options.sink_backlog,
                 "Batches that a sink may have yet to take before its job waits for it, 1 or more")
      ->capture_default_str();
  app.add_option("--merge-memory", merge_memory,
                 "Memory for merging: totals of jobs whose workers send what changed, and candidates of the others.\n"
                 "Beyond it jobs are merged without totals, and candidates in parts: slower where very many keys are\n"
                 "equally hot, and as exact")
      ->capture_default_str();
  app.add_option("--sink-folders", options.sink_folders, "Folders in which sinks may have an absolute path");
  if (const std::optional<int> exit = ParseCommandLine(&app, argc, argv)) return *exit;
  const auto refuse = [](const std::string& message, int code) {
    std::cerr << "tenfold-driver: " << message << "\n";
    return code;
  };
  if (const std::string wrong = CheckAddress(listen); !wrong.empty()) return refuse("--listen: " + wrong, kExitUsage);
  const absl::StatusOr<absl::Duration> lease_time = ParseDuration(lease);
  if (!lease_time.ok() || *lease_time < absl::Milliseconds(500) || *lease_time > absl::Minutes(10)) {
    return refuse("--lease: " + lease + " is no duration from 500ms to 10m", kExitUsage);
  }
  if (options.kept_batches == 0) return refuse("--keep-batches: at least 1", kExitUsage);
  if (options.sink_backlog == 0) return refuse("--sink-backlog: at least 1", kExitUsage);
  const absl::StatusOr<size_t> merge_bytes = ParseByteSize(merge_memory);
  if (!merge_bytes.ok()) return refuse("--merge-memory: " + std::string(merge_bytes.status().message()), kExitUsage);
  options.merge_memory = *merge_bytes;
  options.lease_ms = static_cast<uint32_t>(absl::ToInt64Milliseconds(*lease_time));

  BlockSignals();
  InitLogging("tenfold-driver");
  absl::StatusOr<std::unique_ptr<Driver>> driver = Driver::Start(options);
  if (!driver.ok()) {
    const bool damaged = absl::IsDataLoss(driver.status()) || absl::IsInvalidArgument(driver.status());
    return refuse(std::string(driver.status().message()), damaged ? kExitData : kExitRefused);
  }
  DriverServiceImpl service(driver->get());
  int port = 0;
  const absl::StatusOr<std::unique_ptr<grpc::Server>> server = StartServer(listen, &service, &port);
  if (!server.ok()) return refuse(std::string(server.status().message()), kExitRefused);
  LOG(INFO) << "listening on " << listen.substr(0, listen.rfind(':')) << ":" << port;

  WaitForSignal();
  LOG(INFO) << "stopping";
  (*driver)->Stop();
  (*server)->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  return kExitOk;
}

}  // namespace
}  // namespace tenfold

int main(int argc, char** argv) { return tenfold::Run(argc, argv); }
