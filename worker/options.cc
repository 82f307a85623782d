#include "worker/options.h"

#include <algorithm>
#include <iostream>
#include <map>
#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "common/process/process.h"
#include "common/text/address.h"
#include "common/text/byte_size.h"
#include "worker/core/memory_budget.h"

namespace tenfold {
namespace {

// Parses a memory limit, which may be empty. Returns "" or what is wrong with the text.
std::string ReadMemory(const std::string& text, size_t* bytes) {
  if (text.empty()) return "";
  const absl::StatusOr<size_t> size = ParseByteSize(text);
  if (!size.ok()) return "--memory: " + std::string(size.status().message());
  if (*size < kMinMemoryBytes) return "--memory: at least 64MiB; " + text + " is too little to work in";
  *bytes = *size;
  return "";
}

// Returns "" if the options are valid, else what is wrong with one of them.
std::string Check(const WorkerOptions& options) {
  const Worker::Options& worker = options.worker;
  if (worker.threads < 1 || worker.threads > 1024) return "--threads: from 1 to 1024";
  for (const auto& [flag, address] : {std::pair("--listen: ", options.listen), std::pair("--driver: ", worker.driver),
                                      std::pair("--advertise: ", worker.advertise)}) {
    if (const std::string wrong = CheckAddress(address); !wrong.empty()) return flag + wrong;
  }
  for (const std::string& directory : worker.property_dirs) {
    if (!directory.starts_with('/')) return "--property-dirs: " + directory + " is no absolute path";
  }
  if (!options.advertise_listen && ParseAddress(worker.advertise)->port == 0)
    return "--advertise: '" + worker.advertise + "' has port 0; give the port at which the driver reaches the worker";
  if (ParseAddress(worker.advertise)->IsWildcard())
    return "--advertise: the driver cannot reach " + worker.advertise + "; give an address of this host";
  return "";
}

}  // namespace

std::optional<int> ReadOptions(int argc, char** argv, WorkerOptions* options) {
  CLI::App app("Runs a Tenfold worker: it folds the partitions that the driver assigns to it and keeps their state.",
               "tenfold-worker");
  Worker::Options& worker = options->worker;
  worker.driver = "127.0.0.1:7070";
  worker.threads = std::max(1U, std::thread::hardware_concurrency());
  std::string memory;
  app.add_option("--driver", worker.driver, "The driver, HOST:PORT")->capture_default_str();
  app.add_option("--listen", options->listen, "Where the driver reaches the worker, HOST:PORT")->capture_default_str();
  app.add_option("--advertise", worker.advertise,
                 "The address told to the driver; --listen if not given, and needed where that is a wildcard");
  app.add_option("--data-dir", worker.data_dir, "Directory of the worker's state and identity; made if it is missing")
      ->required();
  app.add_option("--threads", worker.threads,
                 "Cores to fold on, a job, with up to two threads each; all of them if not given");
  app.add_option(
         "--memory", memory,
         "What the worker may use of memory, such as 256MiB or 2GiB. Totals that do not fit are read from disk: slower,\n"
         "and as exact. No limit if not given")
      ->option_text("SIZE");
  app.add_option("--property-dirs", worker.property_dirs,
                 "Directories, by their absolute paths, of the files that a job's Kafka properties may name: certificates,\n"
                 "keys, and secrets (${file:PATH})")
      ->capture_default_str();
  const std::map<std::string, ReaderChoice> readers = {
      {"auto", ReaderChoice::kAuto}, {"wire", ReaderChoice::kWire}, {"librdkafka", ReaderChoice::kRdkafka}};
  app.add_option("--reader", worker.reader,
                 "What reads the log: wire, which speaks Kafka's protocol itself, to brokers from 2.7 on;\n"
                 "librdkafka; or auto, the first where it can and the second elsewhere")
      ->transform(CLI::CheckedTransformer(readers).description(""))
      ->option_text("auto|wire|librdkafka (default: auto)");
  if (const std::optional<int> exit = ParseCommandLine(&app, argc, argv)) return *exit;

  options->advertise_listen = worker.advertise.empty();
  if (options->advertise_listen) worker.advertise = options->listen;
  std::string wrong = Check(*options);
  if (wrong.empty()) wrong = ReadMemory(memory, &worker.memory.bytes);
  if (wrong.empty()) return std::nullopt;
  std::cerr << "tenfold-worker: " << wrong << "\n";
  return kExitUsage;
}

}  // namespace tenfold
