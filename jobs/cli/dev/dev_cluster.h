// The cluster of `tenfold dev`: an embedded broker unless there is a real one, a driver and workers as processes of their
// own, and a fresh directory with their data and logs. All of it ends with this process. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/kafka/log.h"
#include "common/process/child_process.h"

namespace tenfold {

class DevCluster {
 public:
  struct Options {
    // Brokers of a real cluster; empty for the embedded broker.
    std::string kafka;
    // Created with so many partitions where it is missing.
    std::string topic;
    int partitions = 3;
    int workers = 2;
  };

  explicit DevCluster(const Options& options) : options_(options) {}
  // Stops what still runs; removes the directory if no process ended on its own.
  ~DevCluster();

  // Starts all of it, from a thread that lives as long as this process. UNAVAILABLE if Kafka cannot be reached.
  absl::Status Start();
  // Ends the processes: asked first, killed after 5 s.
  void Stop();

  // A sentence about a process that ended although nobody stopped it, with where its log is; empty if all run. The
  // directory is kept then.
  std::string Failure();
  // How many records the embedded broker has dropped so far; 0 if that is not known.
  uint64_t DroppedRecords();

  const std::string& brokers() const { return brokers_; }
  // The driver's, HOST:PORT.
  const std::string& address() const { return address_; }
  // Of the topic.
  int partitions() const { return partitions_; }

 private:
  struct Member {
    std::string name;
    std::string log;
    std::unique_ptr<ChildProcess> process;
  };

  absl::Status MakeDirectory();
  absl::Status PrepareTopic();
  absl::Status StartMember(const std::string& program, const std::string& name, std::vector<std::string> flags);

  const Options options_;
  std::string directory_;
  bool keep_directory_ = false;
  std::unique_ptr<EmbeddedBroker> broker_;
  std::unique_ptr<LogClient> log_;
  std::string brokers_;
  std::string address_;
  int partitions_ = 0;
  std::vector<Member> members_;
};

}  // namespace tenfold
