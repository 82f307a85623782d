#include "jobs/cli/dev/dev_cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kKafkaTimeout = absl::Seconds(5);
constexpr char kDirectoryPrefix[] = "tenfold-dev-";
constexpr absl::Duration kStopTimeout = absl::Seconds(5);

// Returns a port that was free a moment ago.
absl::StatusOr<int> FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::ErrnoToStatus(errno, "cannot open a socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const int error = errno;
  close(fd);
  if (!bound) return absl::ErrnoToStatus(error, "cannot find a free port on 127.0.0.1");
  return ntohs(address.sin_port);
}

std::string DescribeEnd(int result) {
  return result > 128 ? absl::StrCat("was killed by signal ", result - 128, " (", strsignal(result - 128), ")")
                      : absl::StrCat("ended with exit code ", result);
}

// Removes the directories of processes that were killed. One without a lock is kept for its logs, or is just being made.
void RemoveOrphans(const fs::path& parent) {
  constexpr auto kMade = std::chrono::minutes(1);
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, error)) {
    if (!entry.path().filename().string().starts_with(kDirectoryPrefix)) continue;
    const auto made = fs::last_write_time(entry.path(), error);
    if (error || fs::file_time_type::clock::now() - made < kMade || !fs::exists(entry.path() / "process.lock", error))
      continue;
    DirectoryLock lock;
    if (lock.Acquire(entry.path()).ok()) fs::remove_all(entry.path(), error);
  }
}

}  // namespace

DevCluster::~DevCluster() {
  Stop();
  std::error_code error;
  if (!directory_.empty() && !keep_directory_) fs::remove_all(directory_, error);
  // Without a lock it stays.
  if (!directory_.empty() && keep_directory_) fs::remove(fs::path(directory_) / "process.lock", error);
}

absl::Status DevCluster::Start() {
  if (absl::Status status = MakeDirectory(); !status.ok()) return status;
  brokers_ = options_.kafka;
  if (brokers_.empty()) {
    absl::StatusOr<std::unique_ptr<EmbeddedBroker>> broker =
        EmbeddedBroker::Start(options_.topics.at(0), options_.partitions);
    if (!broker.ok()) return broker.status();
    broker_ = *std::move(broker);
    brokers_ = broker_->brokers();
  }
  if (absl::Status status = PrepareTopics(); !status.ok()) return status;

  const absl::StatusOr<int> port = FreePort();
  if (!port.ok()) return port.status();
  address_ = absl::StrCat("127.0.0.1:", *port);
  absl::Status status = StartMember("tenfold-driver", "driver", {"--listen", address_, "--kafka", brokers_});
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const std::string threads = absl::StrCat(std::max(1, cores / options_.workers));
  for (int i = 1; i <= options_.workers && status.ok(); ++i) {
    status = StartMember("tenfold-worker", absl::StrCat("worker-", i),
                         {"--listen", "127.0.0.1:0", "--driver", address_, "--threads", threads});
  }
  return status;
}

absl::Status DevCluster::MakeDirectory() {
  const char* parent = getenv("TMPDIR");
  const std::string in = parent != nullptr && *parent != '\0' ? parent : "/tmp";
  RemoveOrphans(in);
  directory_ = absl::StrCat(in, "/", kDirectoryPrefix, "XXXXXX");
  if (mkdtemp(directory_.data()) != nullptr) return lock_.Acquire(directory_);
  const int error = errno;
  const std::string wanted = std::exchange(directory_, "");
  return absl::ErrnoToStatus(error, absl::StrCat("cannot make the directory ", wanted, "; set TMPDIR to a place for it"));
}

absl::Status DevCluster::PrepareTopics() {
  LogConfig config;
  config.brokers = brokers_;
  absl::StatusOr<std::unique_ptr<LogClient>> log = LogClient::Create(config);
  if (!log.ok()) return log.status();
  log_ = *std::move(log);
  absl::StatusOr<std::vector<int32_t>> counts = log_->PartitionCounts(options_.topics, kKafkaTimeout);
  if (absl::IsNotFound(counts.status()) && options_.partitions > 0) {
    for (const std::string& topic : options_.topics) {
      if (absl::Status status = log_->CreateTopic(topic, options_.partitions, 1, kKafkaTimeout); !status.ok()) return status;
    }
    counts = log_->PartitionCounts(options_.topics, kKafkaTimeout);
  }
  if (!counts.ok()) return counts.status();
  // None is named where topics are those that match.
  partitions_ = counts->empty() ? 0 : counts->front();
  return absl::OkStatus();
}

absl::Status DevCluster::StartMember(const std::string& program, const std::string& name, std::vector<std::string> flags) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot tell where ", program, " is"));
  Member member;
  member.name = name;
  member.log = absl::StrCat(directory_, "/", name, ".log");
  ChildProcess::Options options;
  options.argv = {self.parent_path() / program, "--data-dir", absl::StrCat(directory_, "/", name)};
  options.argv.insert(options.argv.end(), flags.begin(), flags.end());
  options.stdout_path = member.log;
  options.stderr_path = member.log;
  absl::StatusOr<std::unique_ptr<ChildProcess>> process = ChildProcess::Start(options);
  if (!process.ok()) return process.status();
  member.process = *std::move(process);
  members_.push_back(std::move(member));
  return absl::OkStatus();
}

void DevCluster::Stop() {
  // Signalling fails for a process that has already ended, which does not matter.
  for (const Member& member : members_) member.process->Signal(SIGTERM).IgnoreError();
  const absl::Time deadline = absl::Now() + kStopTimeout;
  for (const Member& member : members_) member.process->Wait(deadline - absl::Now());
  members_.clear();
}

void DevCluster::Kill() {
  for (const Member& member : members_) member.process->Signal(SIGKILL).IgnoreError();
  for (const Member& member : members_) member.process->Wait(kStopTimeout);
  members_.clear();
}

std::string DevCluster::Failure() {
  for (const Member& member : members_) {
    const std::optional<int> result = member.process->Poll();
    if (!result.has_value()) continue;
    keep_directory_ = true;
    return absl::StrCat("the process ", member.name, " ", DescribeEnd(*result), "; its log is ", member.log);
  }
  return "";
}

uint64_t DevCluster::DroppedRecords() {
  if (broker_ == nullptr) return 0;
  std::vector<TopicPartition> partitions;
  for (int i = 0; i < partitions_; ++i) partitions.push_back({options_.topics.at(0), i});
  const absl::StatusOr<std::vector<int64_t>> begins =
      log_->Offsets(partitions, LogClient::Position::kBegin, absl::Seconds(1));
  uint64_t dropped = 0;
  if (begins.ok()) {
    for (const int64_t begin : *begins) dropped += static_cast<uint64_t>(std::max<int64_t>(0, begin));
  }
  return dropped;
}

}  // namespace tenfold
