// tenfold-driver: admits jobs and workers, plans and merges batches, and publishes the top ten.
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "common/net/rpc.h"
#include "common/process/process.h"
#include "common/text/address.h"
#include "driver/driver.h"
#include "driver/driver_service.h"
#include "driver/options.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// How long calls under way may take once the process is to end.
constexpr absl::Duration kStopWithin = absl::Seconds(3);

int Refuse(const absl::Status& status, int code) {
  std::cerr << "tenfold-driver: " << status.message() << "\n";
  return code;
}

int Run(int argc, char** argv) {
  DriverOptions options;
  if (const std::optional<int> exit = ReadOptions(argc, argv, &options)) return *exit;
  BlockSignals();
  RaiseOpenFiles();
  InitLogging("tenfold-driver");
  absl::StatusOr<std::unique_ptr<Driver>> driver = Driver::Start(std::move(options.driver));
  if (!driver.ok()) {
    const bool damaged = absl::IsDataLoss(driver.status()) || absl::IsInvalidArgument(driver.status());
    return Refuse(driver.status(), damaged ? kExitData : kExitRefused);
  }
  DriverServiceImpl service(driver->get());
  int port = 0;
  absl::StatusOr<std::unique_ptr<grpc::Server>> server = StartServer(options.listen, &service, &port);
  if (!server.ok()) return Refuse(server.status(), kExitRefused);
  LOG(INFO) << "listening on " << Address{ParseAddress(options.listen)->host, port}.ToString();

  WaitForSignal();
  LOG(INFO) << "stopping";
  (*driver)->Stop();
  StopServer(*std::move(server), kStopWithin);
  (*driver)->Close();
  ExitNow(kExitOk);
}

}  // namespace
}  // namespace tenfold

int main(int argc, char** argv) { return tenfold::Run(argc, argv); }
