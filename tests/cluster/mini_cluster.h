// A cluster of the real programs for one test: one driver, any number of workers, the CLI. They run on free ports of the
// loopback address, or of the hosts given, with data directories of their own and the Kafka of local_kafka.h, and die with
// this process. Used by the test's main thread alone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/process/child_process.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/published_stream.h"

#define ASSERT_OK(expression)                               \
  do {                                                      \
    const absl::Status assert_ok_status = (expression);     \
    ASSERT_TRUE(assert_ok_status.ok()) << assert_ok_status; \
  } while (false)

#define EXPECT_OK(expression)                               \
  do {                                                      \
    const absl::Status expect_ok_status = (expression);     \
    EXPECT_TRUE(expect_ok_status.ok()) << expect_ok_status; \
  } while (false)

namespace tenfold {

// Polls until `condition` holds; DEADLINE_EXCEEDED, "waited S s for WHAT", if it does not in time.
absl::Status WaitUntil(const std::string& what, absl::Duration timeout, const std::function<bool()>& condition);

// A TCP port for a daemon and its later lives, from below the ports of outgoing connections and of local Kafkas. The UDP
// port of the same number, held until this process ends, keeps it from other tests meanwhile.
int ReservePort();

// Whether workers are told to (TENFOLD_READER); otherwise they use the wire reader where they can.
bool ReadsWithLibrdkafka();

// What a daemon gets in one of its lives alone.
struct Launch {
  std::vector<std::string> flags;
  // NAME or NAME:N (common/process/fault_point.h).
  std::string fault_point;
  // Values of flags that the command has in all lives, in place of those.
  std::map<std::string, std::string> instead = {};
};

// A driver or worker over its lives: the same command, address and data directory, a new process each time.
class Daemon {
 public:
  // `command` is the program with its lasting flags; `directory` is made and gets the logs too.
  Daemon(std::string name, std::vector<std::string> command, std::string host, int port, std::string data_dir,
         std::string log_dir);

  // Returns when it listens on its port; an error has the end of its log.
  absl::Status Start(const Launch& launch = {});
  // Starts it and returns the exit code it ends with by itself, within 15 s.
  absl::StatusOr<int> StartToFail(const Launch& launch = {});
  // kill -9.
  absl::Status Kill();
  // SIGTERM: OK if it ends within 5 s with exit code 0.
  absl::Status Stop();
  absl::Status Signal(int signal);
  // The exit code it ends with by itself.
  absl::StatusOr<int> WaitForExit(absl::Duration timeout);
  // Deletes its data, as a lost disk does; only while it does not run.
  absl::Status LoseDisk();

  bool running();
  // Of its present life.
  pid_t pid() const { return process_->pid(); }
  int port() const { return port_; }
  // HOST:PORT that others reach it at.
  std::string address() const;
  const std::string& data_dir() const { return data_dir_; }
  // The last lines of its present life's log.
  std::string LogTail() const;

 private:
  absl::Status Launched(const Launch& launch);
  std::string LogPath() const;

  const std::string name_;
  const std::vector<std::string> command_;
  const std::string host_;
  const int port_;
  const std::string data_dir_;
  const std::string log_dir_;
  int lives_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

struct CliResult {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// What tests vary in a job; the rest is the popularity job's.
struct Job {
  std::string name = "popularity";
  std::vector<std::string> topics = {};
  std::string wal = "sync";
  std::string on_bad_record = "skip";
  std::string interval = "200ms";
  std::string score = "0.8*clicks + 0.8*minutes + 1*like";
  // Lines in place of format, key, score and initial; those of the source, which come first, are indented.
  std::string fold = {};
  int top = 10;
  // Lines of source.kafka, in flow style: "NAME: VALUE, ".
  std::string kafka = {};
  // Files of sinks besides top.jsonl.
  std::vector<std::string> more_sinks = {};
  // A whole spec in place of all of the above but for the name and, if there are any, the topics.
  std::string text = {};
};
std::string SpecText(const Job& job);

// Where a daemon runs: this machine, or a network namespace that stands for another.
struct Host {
  // Others reach it here.
  std::string address = "127.0.0.1";
  // By name; empty for our own.
  std::string network_namespace;
  // Its daemons listen on 0.0.0.0, and workers advertise `address`.
  bool listen_on_all = false;
};

class MiniCluster {
 public:
  // Worker i runs on `worker_hosts[i]`; those past the end on this machine.
  explicit MiniCluster(Host driver_host = {}, std::vector<Host> worker_hosts = {});
  // Kills what runs. If the test has failed it prints the jobs' status and the end of every log and
  // keeps the directory, else it deletes it.
  ~MiniCluster();

  Daemon& driver() { return *driver_; }
  // From 0; made on first use, not started.
  Daemon& worker(int index);
  // More daemons of this cluster, on ports of their own, with data directories that others may have too.
  std::unique_ptr<Daemon> NewDriver(const std::string& name, const std::string& data_dir) const;
  std::unique_ptr<Daemon> NewWorker(const std::string& name, const std::string& data_dir, const Host& host = {}) const;
  // Driver and this many workers.
  absl::Status Start(int workers);

  // `tenfold --driver ADDRESS ARGUMENT...`; killed after 90 s, which no verb should take, with exit code 137.
  CliResult RunCli(const std::vector<std::string>& arguments);
  // Again, for a minute at most, while it ends because Kafka or the driver is not reachable.
  CliResult RunCliWhenKafkaAnswers(const std::vector<std::string>& arguments);
  // An argument that names a file with this text.
  std::string WriteFile(const std::string& name, const std::string& text);

  absl::Status Submit(const Job& job);
  // `submit --update`.
  absl::Status Update(const Job& job);
  // `submit --update --refold`, and waits until the job has switched.
  absl::Status Refold(const Job& job);
  // `status JOB -o json`.
  absl::StatusOr<nlohmann::json> JobStatus(const std::string& job);
  absl::Status WaitForState(const std::string& job, const std::string& state);
  // The batch that `top JOB --caught-up` answers with.
  absl::StatusOr<nlohmann::json> WaitCaughtUp(const std::string& job);

  // The lines so far of the job's file sink with this path, without a torn last one.
  std::vector<std::string> Published(const std::string& job, const std::string& path = "top.jsonl") const;
  absl::Status WaitForBatches(const std::string& job, size_t batches);
  absl::Status WaitForMoreBatches(const std::string& job, size_t batches);

  // Waits until the job has caught up and its file sink has that batch. Then recomputes every published batch from the
  // log and compares (published_stream.h), and has `tenfold verify` compare the last one's digests.
  absl::Status VerifyPublished(const std::string& job);

 private:
  // The job's batches from this one on are made by the spec.
  absl::Status RunSubmit(std::vector<std::string> arguments, const Job& job, uint64_t batch);
  // Of the last job of this name.
  std::string SinkFile(const std::string& job, const std::string& path) const;

  std::string dir_;
  const Host driver_host_;
  const std::vector<Host> worker_hosts_;
  std::unique_ptr<Daemon> driver_;
  std::map<int, std::unique_ptr<Daemon>> workers_;
  // By job name, what made its batches.
  std::map<std::string, SpecsByBatch> specs_;
  int cli_runs_ = 0;
};

}  // namespace tenfold
