#include "driver/options.h"

#include <iostream>

#include "CLI/CLI.hpp"
#include "absl/time/time.h"
#include "common/process/process.h"
#include "common/text/address.h"
#include "common/text/byte_size.h"
#include "common/text/duration.h"
#include "common/text/shown_text.h"
#include "jobs/spec/spec_rules.h"

namespace tenfold {
namespace {

// Parses a lease. Returns "" or what is wrong with the text.
std::string ReadLease(const std::string& text, uint32_t* lease_ms) {
  const absl::StatusOr<absl::Duration> lease = ParseDuration(text);
  if (!lease.ok() || *lease < absl::Milliseconds(500) || *lease > absl::Minutes(10))
    return "--lease: " + text + " is no duration from 500ms to 10m";
  *lease_ms = static_cast<uint32_t>(absl::ToInt64Milliseconds(*lease));
  return "";
}

// Returns "" if the options are valid, else what is wrong with one of them.
std::string Check(const DriverOptions& options) {
  if (const std::string wrong = CheckAddress(options.listen); !wrong.empty()) return "--listen: " + wrong;
  if (const std::string wrong = CheckBrokers(options.driver.cluster.kafka); !wrong.empty()) return "--kafka: " + wrong;
  for (const std::string& directory : options.driver.places.allowed) {
    if (!directory.starts_with('/')) return "--sink-dirs: " + Quoted(directory) + " is no absolute path";
  }
  for (const std::string& directory : options.driver.property_dirs) {
    if (!directory.starts_with('/')) return "--property-dirs: " + Quoted(directory) + " is no absolute path";
  }
  if (options.driver.kept_batches == 0) return "--keep-batches: at least 1";
  if (options.driver.cluster.sink_backlog == 0) return "--sink-backlog: at least 1";
  return "";
}

}  // namespace

std::optional<int> ReadOptions(int argc, char** argv, DriverOptions* options) {
  CLI::App app("Runs Tenfold's driver: it admits jobs and workers, plans and merges batches, and publishes results.",
               "tenfold-driver");
  std::string lease = "3s";
  std::string merge_memory = "1GiB";
  Driver::Options& driver = options->driver;
  app.add_option("--listen", options->listen, "Where workers and the CLI reach the driver, HOST:PORT")
      ->capture_default_str();
  app.add_option("--data-dir", driver.places.data_dir,
                 "Directory of the journal and of relative sinks; made if it is missing")
      ->required();
  app.add_option("--kafka", driver.cluster.kafka, "Brokers of jobs whose spec names none, HOST:PORT[,HOST:PORT]")
      ->required();
  app.add_option("--lease", lease, "A worker silent for so long loses its shards, 500ms to 10m")->capture_default_str();
  app.add_option("--keep-batches", driver.kept_batches, "Batches of a job that stay readable, 1 or more")
      ->capture_default_str();
  app.add_option("--sink-backlog", driver.cluster.sink_backlog,
                 "Batches that a sink may have yet to take before its job waits for it, 1 or more")
      ->capture_default_str();
  app.add_option("--merge-memory", merge_memory,
                 "Memory for merging: totals of jobs whose workers send what changed, and candidates of the others.\n"
                 "Beyond it jobs are merged without totals, and candidates in parts: slower where very many keys are\n"
                 "equally hot, and as exact")
      ->capture_default_str();
  app.add_option("--sink-dirs", driver.places.allowed,
                 "Directories, by their absolute paths, in which sinks may have an absolute path; none if not given");
  app.add_option("--property-dirs", driver.property_dirs,
                 "Directories, by their absolute paths, of the files that a job's Kafka properties may name: certificates,\n"
                 "keys, and secrets (${file:PATH})")
      ->capture_default_str();
  app.add_flag(
      "--restored", driver.cluster.restored,
      "The journal is a restored backup: workers that have obeyed a later driver obey this one from now on. For one\n"
      "start, and only if that driver is gone for good");
  if (const std::optional<int> exit = ParseCommandLine(&app, argc, argv)) return *exit;

  std::string wrong = Check(*options);
  if (wrong.empty()) wrong = ReadLease(lease, &driver.cluster.lease_ms);
  const absl::StatusOr<size_t> bytes = ParseByteSize(merge_memory);
  if (wrong.empty() && !bytes.ok()) wrong = "--merge-memory: " + std::string(bytes.status().message());
  if (!wrong.empty()) {
    std::cerr << "tenfold-driver: " << wrong << "\n";
    return kExitUsage;
  }
  driver.cluster.merge_memory = *bytes;
  return std::nullopt;
}

}  // namespace tenfold
