#include "tests/cluster/local_kafka.h"

#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "glog/logging.h"
#include "jobs/feed/sample_producer.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(30);
const char kScript[] = TENFOLD_SOURCE_DIR "/deploy/kafka/kafka";

std::string MakeDir() {
  std::string dir = (std::filesystem::temp_directory_path() / "tenfold-test-kafka.XXXXXX").string();
  PCHECK(mkdtemp(dir.data()) != nullptr) << dir;
  return dir;
}

// Ends the brokers of `dir`, and deletes it, when the result is closed or this process is gone: only we hold that end of
// the pipe.
FILE* StopAtExit(const std::string& dir) {
  const std::string command = absl::StrCat("trap '' INT TERM HUP; exec >/dev/null 2>&1; cat; '", kScript, "' stop --dir '",
                                           dir, "/kafka'; rm -rf '", dir, "'");
  FILE* pipe = popen(command.c_str(), "we");
  PCHECK(pipe != nullptr);
  return pipe;
}

// It is no child of ours: whoever reaps it, its port is free once its last thread has ended.
bool IsDead(pid_t pid) {
  std::error_code error;
  const std::string process = absl::StrCat("/proc/", pid);
  const auto threads = std::filesystem::directory_iterator(process + "/task", error);
  if (error) return true;
  if (std::distance(begin(threads), end(threads)) > 1) return false;
  std::string stat;
  std::getline(std::ifstream(process + "/stat"), stat);
  const size_t name_end = stat.rfind(") ");
  return name_end == std::string::npos || absl::StrContains("ZX", stat.substr(name_end + 2, 1));
}

std::string StartBrokers(const std::string& dir, const std::string& arguments) {
  return Output(absl::StrCat("'", kScript, "' start --dir '", dir, "/kafka' ", arguments));
}

// One of Kafka's own.
std::string RunTool(const std::string& tool, const std::string& arguments) {
  return Output(absl::StrCat("'", kScript, "' tool ", tool, " --bootstrap-server ", KafkaBrokers(), " ", arguments));
}

const OwnKafka* own_kafka = nullptr;

absl::StatusOr<std::unique_ptr<LogWriter>> MakeWriter() {
  // Bad records over the limit of 1 MiB have to get into the log.
  return LogWriter::Create({.brokers = KafkaBrokers(), .properties = {{"message.max.bytes", "4194304"}}}, {});
}

}  // namespace

std::string Output(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "re");
  PCHECK(pipe != nullptr) << command;
  std::string output;
  char buffer[256];
  while (fgets(buffer, sizeof(buffer), pipe) != nullptr) output += buffer;
  CHECK_EQ(pclose(pipe), 0) << command << " failed";
  return std::string(absl::StripAsciiWhitespace(output));
}

const std::string& KafkaBrokers() {
  if (own_kafka != nullptr) return own_kafka->brokers();
  static const std::string* const brokers = [] {
    const char* given = std::getenv("TENFOLD_TEST_KAFKA");
    if (given != nullptr && *given != '\0') return new std::string(given);
    const std::string dir = MakeDir();
    StopAtExit(dir);
    return new std::string(StartBrokers(dir, ""));
  }();
  return *brokers;
}

OwnKafka::OwnKafka(int brokers, const std::string& host, const std::string& users)
    : dir_(MakeDir()), stop_(StopAtExit(dir_)) {
  CHECK(own_kafka == nullptr) << "a test has one Kafka of its own";
  brokers_ =
      StartBrokers(dir_, absl::StrCat("--brokers ", brokers, " --host ", host, users.empty() ? "" : " --users ", users));
  own_kafka = this;
}

OwnKafka::~OwnKafka() {
  own_kafka = nullptr;
  pclose(stop_);
}

std::string OwnKafka::secure_brokers() const { return Word("secure-brokers"); }
std::string OwnKafka::mutual_brokers() const { return Word("mutual-brokers"); }

std::string OwnKafka::Word(const std::string& file) const {
  std::string word;
  std::ifstream(ca_dir() + "/" + file) >> word;
  return word;
}

absl::StatusOr<pid_t> OwnKafka::PidOf(int broker) const {
  pid_t pid = 0;
  std::ifstream(absl::StrCat(dir_, "/kafka/broker-", broker, "/pid")) >> pid;
  if (pid <= 0) return absl::NotFoundError(absl::StrCat("broker ", broker, " has no pid file"));
  return pid;
}

absl::Status OwnKafka::Signal(int broker, int signal) const {
  const absl::StatusOr<pid_t> pid = PidOf(broker);
  if (!pid.ok()) return pid.status();
  return kill(*pid, signal) == 0 ? absl::OkStatus() : absl::ErrnoToStatus(errno, absl::StrCat("signal broker ", broker));
}

absl::Status OwnKafka::Pause(int broker) const { return Signal(broker, SIGSTOP); }
absl::Status OwnKafka::Resume(int broker) const { return Signal(broker, SIGCONT); }

absl::Status OwnKafka::Kill(int broker) const {
  const std::string name = absl::StrCat("broker ", broker);
  const absl::StatusOr<pid_t> found = PidOf(broker);
  if (!found.ok()) return found.status();
  const pid_t pid = *found;
  if (kill(pid, SIGKILL) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("kill ", name));
  return WaitUntil(absl::StrCat(name, " to die"), kTimeout, [pid] { return IsDead(pid); });
}

void OwnKafka::Start(int broker) const { StartBrokers(dir_, absl::StrCat("--broker ", broker)); }

std::filesystem::path OwnKafka::DataOf(int broker) const {
  return std::filesystem::path(dir_) / "kafka" / absl::StrCat("broker-", broker) / "data";
}

void OwnKafka::SaveData(int broker) const {
  std::filesystem::copy(DataOf(broker), DataOf(broker).string() + ".saved", std::filesystem::copy_options::recursive);
}

void OwnKafka::RestoreData(int broker) const {
  std::filesystem::remove_all(DataOf(broker));
  std::filesystem::rename(DataOf(broker).string() + ".saved", DataOf(broker));
}

std::string UniqueName(const std::string& prefix) {
  static std::atomic<int> names = 0;
  return absl::StrCat(prefix, "-", absl::ToUnixMillis(absl::Now()), "-", getpid(), "-", ++names);
}

absl::StatusOr<std::string> CreateTopic(int partitions, int replication) {
  absl::StatusOr<std::unique_ptr<LogClient>> client = LogClient::Create({.brokers = KafkaBrokers(), .properties = {}});
  if (!client.ok()) return client.status();
  std::string topic = UniqueName("events");
  absl::Status created = (*client)->CreateTopic(topic, partitions, replication, kTimeout);
  if (!created.ok()) return created;
  return topic;
}

void AllowScram(const std::string& user) {
  for (const char* hash : {"256", "512"})
    RunTool("kafka.admin.ConfigCommand",
            absl::StrCat("--alter --entity-type users --entity-name ", user, " --add-config 'SCRAM-SHA-", hash,
                         "=[password=", user, "-password]'"));
}

void AllowReading(const std::string& user, const std::string& topic) {
  RunTool("org.apache.kafka.tools.AclCommand",
          absl::StrCat("--add --allow-principal User:", user, " --operation Read --operation Describe --topic ", topic));
}

void LimitFetching(const std::string& user, int bytes_per_second) {
  RunTool("kafka.admin.ConfigCommand", absl::StrCat("--alter --entity-type users --entity-name ", user,
                                                    " --add-config consumer_byte_rate=", bytes_per_second));
}

void ElectPreferredLeaders() {
  RunTool("org.apache.kafka.tools.LeaderElectionCommand", "--election-type preferred --all-topic-partitions");
}

void DropRecords(const std::string& topic, int32_t partition, int64_t below) {
  const std::string offsets = absl::StrCat(R"({"version": 1, "partitions": [{"topic": ")", topic, R"(", "partition": )",
                                           partition, R"(, "offset": )", below, "}]}");
  RunTool("org.apache.kafka.tools.DeleteRecordsCommand",
          absl::StrCat("--offset-json-file /dev/stdin <<'END'\n", offsets, "\nEND\n"));
}

absl::Status GrowTopic(const std::string& topic, int partitions) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", KafkaBrokers().c_str(), error, sizeof(error));
  rd_kafka_t* kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof(error));
  if (kafka == nullptr) return absl::InternalError(error);
  rd_kafka_queue_t* queue = rd_kafka_queue_new(kafka);
  rd_kafka_NewPartitions_t* wanted =
      rd_kafka_NewPartitions_new(topic.c_str(), static_cast<size_t>(partitions), error, sizeof(error));
  absl::Cleanup destroy = [&] {
    if (wanted != nullptr) rd_kafka_NewPartitions_destroy(wanted);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(kafka);
  };
  if (wanted == nullptr) return absl::InternalError(error);

  rd_kafka_CreatePartitions(kafka, &wanted, 1, nullptr, queue);
  rd_kafka_event_t* event = rd_kafka_queue_poll(queue, static_cast<int>(absl::ToInt64Milliseconds(kTimeout)));
  if (event == nullptr) return absl::DeadlineExceededError(absl::StrCat(topic, " did not grow in time"));
  absl::Cleanup destroy_event = [event] { rd_kafka_event_destroy(event); };
  size_t count = 0;
  const rd_kafka_CreatePartitions_result_t* result = rd_kafka_event_CreatePartitions_result(event);
  if (result == nullptr) return absl::InternalError(rd_kafka_event_error_string(event));
  const rd_kafka_topic_result_t** topics = rd_kafka_CreatePartitions_result_topics(result, &count);
  if (count != 1 || rd_kafka_topic_result_error(topics[0]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return absl::InternalError(absl::StrCat(topic, " did not grow: ", rd_kafka_event_error_string(event)));
  }
  return absl::OkStatus();
}

void DeleteTopic(const std::string& topic) {
  RunTool("org.apache.kafka.tools.TopicCommand", absl::StrCat("--delete --topic ", topic));
}

void CreateTopicAgain(const std::string& topic, int partitions) {
  DeleteTopic(topic);
  RunTool("org.apache.kafka.tools.TopicCommand",
          absl::StrCat("--create --topic ", topic, " --partitions ", partitions, " --replication-factor 1"));
}

std::string CreateTopicAs(const std::string& arguments) {
  const std::string topic = UniqueName("events");
  RunTool("org.apache.kafka.tools.TopicCommand", absl::StrCat("--create --topic ", topic, " ", arguments));
  return topic;
}

void ConfigureTopic(const std::string& topic, const std::string& setting) {
  RunTool("kafka.admin.ConfigCommand",
          absl::StrCat("--alter --entity-type topics --entity-name ", topic, " --add-config ", setting));
}

std::string CreateUncleanTopic(int leader, int follower) {
  return CreateTopicAs(absl::StrCat("--replica-assignment ", leader, ":", follower,
                                    " --config unclean.leader.election.enable=true --config min.insync.replicas=1"));
}

std::vector<std::map<std::string, std::string>> DescribeGroup(const std::string& group) {
  const std::string output = RunTool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
                                     absl::StrCat("--describe --group ", group, " 2>/dev/null"));
  std::vector<std::string> columns;
  std::vector<std::map<std::string, std::string>> rows;
  for (const absl::string_view line : absl::StrSplit(output, '\n', absl::SkipWhitespace())) {
    const std::vector<std::string> cells = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (columns.empty()) {
      columns = cells;
    } else {
      auto& row = rows.emplace_back();
      for (size_t i = 0; i < std::min(columns.size(), cells.size()); ++i) row[columns[i]] = cells[i];
    }
  }
  return rows;
}

absl::Status Produce(const std::string& topic, int32_t partition, const std::vector<std::string>& values) {
  absl::StatusOr<std::unique_ptr<LogWriter>> writer = MakeWriter();
  if (!writer.ok()) return writer.status();
  for (const std::string& value : values) {
    absl::Status appended = (*writer)->Append(topic, partition, value);
    if (!appended.ok()) return appended;
  }
  return (*writer)->Flush(kTimeout);
}

absl::Status ProduceSample(const std::string& topic, int partitions, uint64_t seed, int events) {
  absl::StatusOr<std::unique_ptr<LogWriter>> writer = MakeWriter();
  if (!writer.ok()) return writer.status();
  SampleEvents sample(SampleKind::kDelimited, seed, 100);
  for (int i = 0; i < events; ++i) {
    absl::Status appended = (*writer)->Append(topic, i % partitions, sample.Next(0));
    if (!appended.ok()) return appended;
  }
  return (*writer)->Flush(kTimeout);
}

Load::Load(const std::string& topic, int partitions, int events_per_second)
    : topic_(topic),
      partitions_(partitions),
      events_per_second_(events_per_second),
      thread_([this](const std::stop_token& stop) { result_ = Run(stop); }) {}

Load::~Load() { Stop().IgnoreError(); }

absl::Status Load::Stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  return result_;
}

absl::Status Load::Run(const std::stop_token& stop) const {
  absl::StatusOr<std::unique_ptr<LogWriter>> writer = MakeWriter();
  if (!writer.ok()) return writer.status();
  SampleEvents sample(SampleKind::kDelimited, 1, 100);
  const absl::Time start = absl::Now();
  for (int64_t sent = 0; !stop.stop_requested();) {
    const int64_t due = absl::ToInt64Milliseconds(absl::Now() - start) * events_per_second_ / 1000;
    for (; sent < due; ++sent) {
      absl::Status appended = (*writer)->Append(topic_, static_cast<int32_t>(sent % partitions_), sample.Next(0));
      if (absl::IsFailedPrecondition(appended)) {
        // librdkafka 2.0.2 loses count of what brokers took where some of them die, and gives the producer up.
        writer = MakeWriter();
        appended = writer.status();
      }
      if (!appended.ok()) return appended;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the rate's pace
  }
  return (*writer)->Flush(kTimeout);
}

}  // namespace tenfold
