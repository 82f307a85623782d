// The cluster of `tenfold dev`: a driver and workers as child processes, an embedded broker unless --kafka names a real one,
// and a new directory with their data and logs. All of it ends with this process. Used by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/files/directory_lock.h"
#include "common/kafka/log.h"
#include "common/process/child_process.h"

namespace tenfold {

class DevCluster {
 public:
  struct Options {
    // HOST:PORT[,HOST:PORT] of a real Kafka; empty for the embedded broker.
    std::string kafka;
    // The topics to fold. One that does not exist is created with `partitions` partitions, or with 0 refused.
    std::vector<std::string> topics;
    int partitions = 3;
    int workers = 2;
  };

  explicit DevCluster(const Options& options) : options_(options) {}
  // Stops the processes. Removes the directory unless one of them had ended on its own.
  ~DevCluster();

  // Starts the cluster. The calling thread must live as long as this process. UNAVAILABLE if Kafka cannot be reached.
  absl::Status Start();
  // Terminates the processes, and kills those that still run after 5 s.
  void Stop();
  // Kills them, for whose data and logs nobody has a use.
  void Kill();

  // Returns a sentence about a process that ended on its own, with the place of its log; empty if all are running. The
  // directory is then kept.
  std::string Failure();
  // Returns how many records the embedded broker has dropped so far; 0 if that is not known.
  uint64_t DroppedRecords();

  const std::string& brokers() const { return brokers_; }
  // The driver's address, HOST:PORT.
  const std::string& address() const { return address_; }
  // The number of partitions of the first topic.
  int partitions() const { return partitions_; }

 private:
  struct Member {
    std::string name;
    std::string log;
    std::unique_ptr<ChildProcess> process;
  };

  absl::Status MakeDirectory();
  absl::Status PrepareTopics();
  absl::Status StartMember(const std::string& program, const std::string& name, std::vector<std::string> flags);

  const Options options_;
  std::string directory_;
  bool keep_directory_ = false;
  // Tells others that the directory has an owner.
  DirectoryLock lock_;
  std::unique_ptr<EmbeddedBroker> broker_;
  std::unique_ptr<LogClient> log_;
  std::string brokers_;
  std::string address_;
  int partitions_ = 0;
  std::vector<Member> members_;
};

}  // namespace tenfold
