// The real Kafka that the cluster tests of this process share, and what they put into it. Tests keep apart by topic.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/kafka/log.h"

namespace tenfold {

// The brokers of the OwnKafka that lives, if one does; else of TENFOLD_TEST_KAFKA if that is set; else of a broker that the
// first call starts and that ends with this process, however that ends. The process exits if there is none: no cluster
// test could say anything.
const std::string& KafkaBrokers();

// A Kafka of one test's own, to be broken; one at a time. It too ends with this process at the latest.
class OwnKafka {
 public:
  // They listen on this address of this machine; for users, of whom NAME has the password NAME-password, by SASL_SSL too.
  explicit OwnKafka(int brokers, const std::string& host = "127.0.0.1", const std::string& users = "");
  // Ends the brokers and deletes their data.
  ~OwnKafka();

  OwnKafka(const OwnKafka&) = delete;
  OwnKafka& operator=(const OwnKafka&) = delete;

  // HOST:PORT[,HOST:PORT]
  const std::string& brokers() const { return brokers_; }
  // Where users come to, and the directory with the file ca.pem that verifies the brokers.
  std::string secure_brokers() const;
  // Where who shows the certificate of ca.pem, with the key client-key.pem beside it (its password is changeit), may do all.
  std::string mutual_brokers() const;
  std::string ca_dir() const { return dir_ + "/kafka"; }
  // kill -9 of one, from 1.
  absl::Status Kill(int broker) const;
  // SIGSTOP: its connections stand, and it is silent.
  absl::Status Pause(int broker) const;
  absl::Status Resume(int broker) const;
  // Again, on its old port, with its data; returns when it serves.
  void Start(int broker) const;
  // Keeps a copy of a dead broker's data, and puts that copy in the place of its data.
  void SaveData(int broker) const;
  void RestoreData(int broker) const;

 private:
  absl::StatusOr<pid_t> PidOf(int broker) const;
  absl::Status Signal(int broker, int signal) const;
  std::filesystem::path DataOf(int broker) const;
  // What one of the files beside the brokers holds.
  std::string Word(const std::string& file) const;

  const std::string dir_;
  FILE* const stop_;
  std::string brokers_;
};

// A name that no other test uses, in this process or another: "PREFIX-..." of lower-case letters, digits and dashes.
std::string UniqueName(const std::string& prefix);

// A new topic of three partitions and a unique name, or its name's "cannot create" error.
absl::StatusOr<std::string> CreateTopic(int partitions = 3, int replication = 1);
// A new topic that Kafka's own tool makes with these arguments.
std::string CreateTopicAs(const std::string& arguments);
// Sets one of the topic's own settings, NAME=VALUE.
void ConfigureTopic(const std::string& topic, const std::string& setting);
// A new topic of one partition on these two brokers. The second one may become its leader without the records that only the
// first one has.
std::string CreateUncleanTopic(int leader, int follower);
// The user may come by SCRAM too, with the password NAME-password.
void AllowScram(const std::string& user);
// Lets a user read the topic, and know of it.
void AllowReading(const std::string& user, const std::string& topic);
// Sets how many bytes a second all clients of a user may fetch.
void LimitFetching(const std::string& user, int bytes_per_second);
// Partitions are led by the first of their brokers again.
void ElectPreferredLeaders();
// Drops a partition's records below this offset, as retention does.
void DropRecords(const std::string& topic, int32_t partition, int64_t below);
// Adds partitions up to this many, and returns when the broker tells of them.
absl::Status GrowTopic(const std::string& topic, int partitions);

void DeleteTopic(const std::string& topic);
// Deletes a topic and creates it anew, empty, under the same name.
void CreateTopicAgain(const std::string& topic, int partitions);

// What Kafka's own lag tool prints for a group: one map a partition, column name to text ("LAG" to "0").
std::vector<std::map<std::string, std::string>> DescribeGroup(const std::string& group);

// Appends to one partition, in order; returns when all are delivered.
absl::Status Produce(const std::string& topic, int32_t partition, const std::vector<std::string>& values);
// Sample events, dealt out to the partitions in turn; equal seeds give equal events.
absl::Status ProduceSample(const std::string& topic, int partitions, uint64_t seed, int events);

// Sample events at a steady rate from a thread of its own, dealt out to the partitions in turn, until stopped.
class Load {
 public:
  Load(const std::string& topic, int partitions, int events_per_second);
  ~Load();
  // Ends it and waits for deliveries: OK if every event arrived, but for those of a producer that librdkafka gave up.
  absl::Status Stop();

 private:
  absl::Status Run(const std::stop_token& stop) const;

  const std::string topic_;
  const int partitions_;
  const int events_per_second_;
  absl::Status result_;  // the thread's, to be read when it has ended
  std::jthread thread_;
};

// Runs a shell command, which has to succeed, and returns what it prints, without blanks around it.
std::string Output(const std::string& command);

}  // namespace tenfold
