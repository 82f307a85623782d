#include "tests/cluster/mini_cluster.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <sstream>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/process/process.h"
#include "glog/logging.h"
#include "jobs/show/result_json.h"
#include "jobs/spec/job_spec.h"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/published_stream.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kStartLimit = absl::Seconds(30);
constexpr absl::Duration kBatchLimit = absl::Seconds(60);
constexpr size_t kTailLines = 40;

constexpr char kLoopback[] = "127.0.0.1";

sockaddr_in SocketAddress(const std::string& host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  CHECK_EQ(inet_pton(AF_INET, host.c_str(), &address.sin_addr), 1) << host;
  return address;
}

bool Connects(const std::string& host, int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  PCHECK(fd >= 0);
  absl::Cleanup close_fd = [fd] { close(fd); };
  const sockaddr_in address = SocketAddress(host, port);
  return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Program(const char* name) { return absl::StrCat(TENFOLD_BINARY_DIR "/", name); }

// The start of a daemon's command line.
std::vector<std::string> DaemonCommand(const char* program, const Host& host, int port, const std::string& data_dir) {
  std::vector<std::string> command;
  if (!host.network_namespace.empty()) command = {"ip", "netns", "exec", host.network_namespace};
  const std::string listen = absl::StrCat(host.listen_on_all ? "0.0.0.0" : host.address, ":", port);
  for (const std::string& word : {Program(program), std::string("--listen"), listen, std::string("--data-dir"), data_dir}) {
    command.push_back(word);
  }
  return command;
}

}  // namespace

int ReservePort() {
  static int next = 10000 + getpid() % 4000;
  for (int tried = 0; tried < 4000; ++tried) {
    const int port = next++;
    if (next == 14000) next = 10000;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    PCHECK(fd >= 0);
    const sockaddr_in address = SocketAddress(kLoopback, port);
    const bool held = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    if (held && !Connects(kLoopback, port)) return port;
    close(fd);
  }
  LOG(FATAL) << "no port is free between 10000 and 14000";
}

absl::Status WaitUntil(const std::string& what, absl::Duration timeout, const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!condition()) {
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError(absl::StrCat("waited ", absl::ToInt64Seconds(timeout), " s for ", what));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return absl::OkStatus();
}

bool ReadsWithLibrdkafka() {
  const char* const reader = getenv("TENFOLD_READER");
  return reader != nullptr && std::string_view(reader) == "librdkafka";
}

Daemon::Daemon(std::string name, std::vector<std::string> command, std::string host, int port, std::string data_dir,
               std::string log_dir)
    : name_(std::move(name)),
      command_(std::move(command)),
      host_(std::move(host)),
      port_(port),
      data_dir_(std::move(data_dir)),
      log_dir_(std::move(log_dir)) {}

std::string Daemon::address() const { return absl::StrCat(host_, ":", port_); }

std::string Daemon::LogPath() const { return absl::StrCat(log_dir_, "/", name_, ".", lives_, ".log"); }

bool Daemon::running() { return process_ != nullptr && !process_->Poll().has_value(); }

absl::Status Daemon::Launched(const Launch& launch) {
  if (running()) return absl::FailedPreconditionError(absl::StrCat(name_, " runs already"));
  ++lives_;
  ChildProcess::Options options;
  options.argv = command_;
  options.argv.insert(options.argv.end(), launch.flags.begin(), launch.flags.end());
  for (const auto& [flag, value] : launch.instead) *(std::ranges::find(options.argv, flag) + 1) = value;
  options.environment = {{"TENFOLD_FAULT_POINT", launch.fault_point}};
  options.stdout_path = LogPath();
  options.stderr_path = LogPath();
  absl::StatusOr<std::unique_ptr<ChildProcess>> process = ChildProcess::Start(options);
  if (!process.ok()) return process.status();
  process_ = std::move(*process);
  return absl::OkStatus();
}

absl::Status Daemon::Start(const Launch& launch) {
  absl::Status launched = Launched(launch);
  if (!launched.ok()) return launched;
  absl::Status up =
      WaitUntil(absl::StrCat(name_, " to listen"), kStartLimit, [this] { return !running() || Connects(host_, port_); });
  if (up.ok() && running()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(name_, " did not start; its log ends with:\n", LogTail()));
}

absl::StatusOr<int> Daemon::StartToFail(const Launch& launch) {
  absl::Status launched = Launched(launch);
  if (!launched.ok()) return launched;
  return WaitForExit(absl::Seconds(15));
}

absl::Status Daemon::Signal(int signal) {
  if (process_ == nullptr) return absl::FailedPreconditionError(absl::StrCat(name_, " was never started"));
  return process_->Signal(signal);
}

absl::Status Daemon::Kill() {
  absl::Status sent = Signal(SIGKILL);
  if (!sent.ok()) return sent;
  return WaitForExit(absl::Seconds(10)).status();
}

absl::Status Daemon::Stop() {
  absl::Status sent = Signal(SIGTERM);
  if (!sent.ok()) return sent;
  absl::StatusOr<int> exit_code = WaitForExit(absl::Seconds(5));
  if (!exit_code.ok()) return exit_code.status();
  if (*exit_code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(name_, " ended with exit code ", *exit_code, "; its log ends with:\n", LogTail()));
}

absl::StatusOr<int> Daemon::WaitForExit(absl::Duration timeout) {
  if (process_ == nullptr) return absl::FailedPreconditionError(absl::StrCat(name_, " was never started"));
  const std::optional<int> exit_code = process_->Wait(timeout);
  if (exit_code.has_value()) return *exit_code;
  return absl::DeadlineExceededError(absl::StrCat(name_, " still runs after ", absl::ToInt64Seconds(timeout), " s"));
}

absl::Status Daemon::LoseDisk() {
  if (running()) return absl::FailedPreconditionError(absl::StrCat(name_, " still runs"));
  std::error_code error;
  fs::remove_all(data_dir_, error);
  return error ? absl::InternalError(error.message()) : absl::OkStatus();
}

std::string Daemon::LogTail() const {
  std::ifstream file(LogPath());
  std::deque<std::string> tail;
  for (std::string line; std::getline(file, line);) {
    tail.push_back(line);
    if (tail.size() > kTailLines) tail.pop_front();
  }
  return absl::StrJoin(tail, "\n");
}

std::string SpecText(const Job& job) {
  if (!job.text.empty() && job.topics.empty()) return job.text;
  if (!job.text.empty()) {
    std::string text = job.text;
    const size_t begin = text.find("topics: [");
    CHECK_NE(begin, std::string::npos) << text;
    return text.replace(begin, text.find(']', begin) - begin, absl::StrCat("topics: [", absl::StrJoin(job.topics, ", ")));
  }
  std::string more_sinks;
  for (const std::string& path : job.more_sinks) absl::StrAppend(&more_sinks, ", {file: {path: ", path, "}}");
  const std::string fold =
      !job.fold.empty()
          ? job.fold
          : absl::StrCat(
                "  format: {delimited: {separator: \"|\", fields: [page, clicks, minutes, like]}}\nkey: page\nscore: ",
                job.score, "\ninitial: {page1: 0, quiet-page: -1.5}\n");
  return absl::StrCat("name: ", job.name, "\nsource:\n  kafka: {", job.kafka, "topics: [", absl::StrJoin(job.topics, ", "),
                      "], start: earliest}\n", fold, "top: ", job.top, "\nbatch: {interval: ", job.interval,
                      "}\nstate: {wal: ", job.wal, "}\non_bad_record: ", job.on_bad_record,
                      "\nsinks: [{file: {path: top.jsonl}}", more_sinks, "]\n");
}

MiniCluster::MiniCluster(Host driver_host, std::vector<Host> worker_hosts)
    : dir_((fs::temp_directory_path() / "tenfold-cluster.XXXXXX").string()),
      driver_host_(std::move(driver_host)),
      worker_hosts_(std::move(worker_hosts)) {
  PCHECK(mkdtemp(dir_.data()) != nullptr) << dir_;
  driver_ = NewDriver("driver", dir_ + "/driver");
}

MiniCluster::~MiniCluster() {
  const bool failed = ::testing::Test::HasFailure();
  if (failed) {
    for (const auto& [job, specs] : specs_) {
      if (!driver_->running()) break;
      const CliResult status = RunCli({"status", job});
      std::cerr << "== status " << job << "\n" << status.out << status.err;
    }
    std::cerr << "== end of the driver's log\n" << driver_->LogTail() << "\n";
    for (const auto& [index, worker] : workers_) {
      std::cerr << "== end of the log of worker " << index << "\n" << worker->LogTail() << "\n";
    }
    std::cerr << "== all is kept in " << dir_ << std::endl;
  }
  workers_.clear();
  driver_.reset();
  std::error_code ignored;
  if (!failed) fs::remove_all(dir_, ignored);
}

std::unique_ptr<Daemon> MiniCluster::NewDriver(const std::string& name, const std::string& data_dir) const {
  const int port = ReservePort();
  std::vector<std::string> command = DaemonCommand("tenfold-driver", driver_host_, port, data_dir);
  command.insert(command.end(), {"--kafka", KafkaBrokers()});
  return std::make_unique<Daemon>(name, std::move(command), driver_host_.address, port, data_dir, dir_);
}

std::unique_ptr<Daemon> MiniCluster::NewWorker(const std::string& name, const std::string& data_dir,
                                               const Host& host) const {
  const int port = ReservePort();
  std::vector<std::string> command = DaemonCommand("tenfold-worker", host, port, data_dir);
  command.insert(command.end(), {"--driver", driver_->address(), "--threads", "1"});
  if (host.listen_on_all) command.insert(command.end(), {"--advertise", absl::StrCat(host.address, ":", port)});
  return std::make_unique<Daemon>(name, std::move(command), host.address, port, data_dir, dir_);
}

Daemon& MiniCluster::worker(int index) {
  std::unique_ptr<Daemon>& worker = workers_[index];
  if (worker == nullptr) {
    const std::string name = absl::StrCat("worker", index);
    const size_t i = static_cast<size_t>(index);
    worker = NewWorker(name, absl::StrCat(dir_, "/", name), i < worker_hosts_.size() ? worker_hosts_[i] : Host{});
  }
  return *worker;
}

absl::Status MiniCluster::Start(int workers) {
  absl::Status started = driver().Start();
  for (int i = 0; i < workers && started.ok(); ++i) started = worker(i).Start();
  return started;
}

CliResult MiniCluster::RunCli(const std::vector<std::string>& arguments) {
  const std::string stem = absl::StrCat(dir_, "/cli.", ++cli_runs_);
  ChildProcess::Options options;
  options.argv = {Program("tenfold"), "--driver", driver_->address()};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.stdout_path = stem + ".out";
  options.stderr_path = stem + ".err";
  absl::StatusOr<std::unique_ptr<ChildProcess>> process = ChildProcess::Start(options);
  if (!process.ok()) return {.exit_code = 127, .out = "", .err = process.status().ToString()};
  std::optional<int> exit_code = (*process)->Wait(absl::Seconds(90));
  if (!exit_code.has_value()) {
    (*process)->Signal(SIGKILL).IgnoreError();
    exit_code = (*process)->Wait(absl::InfiniteDuration());
  }
  return {.exit_code = *exit_code, .out = ReadFile(options.stdout_path), .err = ReadFile(options.stderr_path)};
}

std::string MiniCluster::WriteFile(const std::string& name, const std::string& text) {
  const std::string path = absl::StrCat(dir_, "/", name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

absl::Status MiniCluster::Submit(const Job& job) {
  specs_.erase(job.name);
  return RunSubmit({"submit"}, job, 1);
}

absl::Status MiniCluster::Update(const Job& job) {
  const SpecsByBatch& specs = specs_[job.name];
  return RunSubmit({"submit", "--update"}, job, specs.empty() ? 1 : specs.rbegin()->first);
}

absl::Status MiniCluster::Refold(const Job& job) {
  const auto fold = [&]() -> absl::StatusOr<nlohmann::json> { return JobStatus(job.name); };
  absl::StatusOr<nlohmann::json> status = fold();
  if (!status.ok()) return status.status();
  const nlohmann::json before = status->at("refolded_at_batch");
  // Until it has switched, what it will be makes no batch.
  constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
  if (absl::Status begun = RunSubmit({"submit", "--update", "--refold"}, job, kNever); !begun.ok()) return begun;
  const absl::Status switched = WaitUntil(job.name + " to be refolded", kBatchLimit, [&] {
    status = fold();
    return status.ok() && status->at("refold").is_null();
  });
  auto spec = specs_[job.name].extract(kNever);
  if (!switched.ok()) return switched;
  if (status->at("refolded_at_batch") == before)
    return absl::InternalError(absl::StrCat("the refold came to nothing: ", status->at("refold_failure").dump()));
  spec.key() = status->at("refolded_at_batch").get<uint64_t>();
  specs_[job.name].insert(std::move(spec));
  return absl::OkStatus();
}

absl::Status MiniCluster::RunSubmit(std::vector<std::string> arguments, const Job& job, uint64_t batch) {
  const std::string text = SpecText(job);
  const std::string file = WriteFile(job.name + ".yaml", text);
  const std::vector<SpecError> errors = ReadJobSpec(text, &specs_[job.name][batch]);
  if (!errors.empty()) return absl::InvalidArgumentError(FormatSpecError(file, errors[0]));
  arguments.push_back(file);
  const CliResult result = RunCli(arguments);
  if (result.exit_code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("submit ended with exit code ", result.exit_code, ": ", result.err));
}

absl::StatusOr<nlohmann::json> MiniCluster::JobStatus(const std::string& job) {
  const CliResult result = RunCli({"status", job, "-o", "json"});
  nlohmann::json status = nlohmann::json::parse(result.out, nullptr, false);
  if (result.exit_code == 0 && status.is_object()) return status;
  return absl::InternalError(absl::StrCat("status ended with exit code ", result.exit_code, ": ", result.out, result.err));
}

absl::Status MiniCluster::WaitForState(const std::string& job, const std::string& state) {
  absl::StatusOr<nlohmann::json> last = absl::UnknownError("status was never asked");
  absl::Status waited = WaitUntil(absl::StrCat(job, " to be ", state), kBatchLimit, [&] {
    last = JobStatus(job);
    return last.ok() && last->value("state", "") == state;
  });
  if (waited.ok()) return waited;
  return absl::DeadlineExceededError(
      absl::StrCat(waited.message(), "; last: ", last.ok() ? last->dump() : last.status().ToString()));
}

CliResult MiniCluster::RunCliWhenKafkaAnswers(const std::vector<std::string>& arguments) {
  CliResult result;
  // The CLI gives up at once where a partition has no leader for a moment.
  WaitUntil("Kafka to answer", kBatchLimit, [&] {
    result = RunCli(arguments);
    return result.exit_code != kExitUnavailable;
  }).IgnoreError();
  return result;
}

absl::StatusOr<nlohmann::json> MiniCluster::WaitCaughtUp(const std::string& job) {
  const CliResult result = RunCliWhenKafkaAnswers({"top", job, "--caught-up", "--timeout", "60s", "-o", "json"});
  // Lines of windows that became final with the batch stand before its own.
  std::string_view line = result.out;
  if (line.ends_with('\n')) line.remove_suffix(1);
  nlohmann::json batch = nlohmann::json::parse(line.substr(line.rfind('\n') + 1), nullptr, false);
  if (result.exit_code == 0 && batch.is_object() && batch.contains("batch")) return batch;
  return absl::InternalError(
      absl::StrCat("top --caught-up ended with exit code ", result.exit_code, ": ", result.out, result.err));
}

std::string MiniCluster::SinkFile(const std::string& job, const std::string& path) const {
  namespace fs = std::filesystem;
  fs::path latest;
  fs::file_time_type made;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(absl::StrCat(driver_->data_dir(), "/sinks"), error)) {
    if (entry.path().stem() != job) continue;
    const fs::file_time_type time = entry.last_write_time(error);
    if (!latest.empty() && time < made) continue;
    latest = entry.path();
    made = time;
  }
  return latest / path;
}

std::vector<std::string> MiniCluster::Published(const std::string& job, const std::string& path) const {
  std::istringstream text(ReadFile(SinkFile(job, path)));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line) && !text.eof();) lines.push_back(line);
  return lines;
}

namespace {

// Without the lines of windows that became final, of which each stands before its batch.
size_t CountBatches(const std::vector<std::string>& lines) {
  return static_cast<size_t>(std::ranges::count_if(lines, [](const std::string& line) {
    if (absl::StrContains(line, R"("final":true)")) return false;
    return !absl::StrContains(line, R"("group_number":)") || EndsBatch(line);
  }));
}

}  // namespace

absl::Status MiniCluster::WaitForBatches(const std::string& job, size_t batches) {
  return WaitUntil(absl::StrCat("batch ", batches, " of ", job, " to be published"), kBatchLimit,
                   [&] { return CountBatches(Published(job)) >= batches; });
}

absl::Status MiniCluster::WaitForMoreBatches(const std::string& job, size_t batches) {
  return WaitForBatches(job, CountBatches(Published(job)) + batches);
}

absl::Status MiniCluster::VerifyPublished(const std::string& job) {
  absl::StatusOr<nlohmann::json> batch = WaitCaughtUp(job);
  if (!batch.ok()) return batch.status();
  absl::Status published = WaitForBatches(job, batch->at("batch").get<size_t>());
  if (!published.ok()) return published;
  absl::Status checked = CheckPublished(KafkaBrokers(), specs_[job], Published(job));
  if (!checked.ok()) return checked;
  const CliResult verified = RunCliWhenKafkaAnswers({"verify", job});
  if (verified.exit_code == 0) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("verify ended with exit code ", verified.exit_code, ": ", verified.out, verified.err));
}

}  // namespace tenfold
