// What the tests of the CLI share: a driver in this process that answers as it is told, and running the CLI against it.
#pragma once

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "common/net/rpc.h"
#include "common/process/process.h"
#include "driver.grpc.pb.h"
#include "gtest/gtest.h"
#include "jobs/cli/cli.h"
#include "nlohmann/json.hpp"

namespace tenfold {

inline BatchCommitted MakeBatch(uint64_t number, std::vector<int64_t> next_offsets) {
  BatchCommitted batch;
  batch.set_job_id("job-1");
  batch.set_batch(number);
  for (const int64_t offset : next_offsets) batch.add_next_offsets(offset);
  batch.set_records(100 * number);
  batch.set_bad_records(3);
  batch.set_batch_records(100);
  batch.set_published_at_us(1'700'000'000'123'456);
  Entry* first = batch.add_top();
  first->set_key("page37");
  first->mutable_sum()->set_low(2'200'000'000 * number);
  Entry* second = batch.add_top();
  second->set_key("page4");
  second->mutable_sum()->set_low(500'000'000);
  return batch;
}

inline JobStatus MakeStatus() {
  JobStatus status;
  status.set_job("popularity");
  status.set_job_id("job-1");
  status.set_state(JOB_RUNNING);
  status.mutable_spec()->set_name("popularity");
  status.mutable_spec()->set_batch_interval_ms(2000);
  status.set_batch(7);
  status.set_records_per_second(50);
  *status.mutable_last_batch() = MakeBatch(7, {10, 20});
  return status;
}

// Answers from its fields. What happens while somebody waits for a batch that is not committed is `steps`, one a call.
class FakeDriver : public DriverService::Service {
 public:
  using Step = std::function<void(grpc::ServerContext*)>;

  grpc::Status Submit(grpc::ServerContext*, const SubmitRequest* request, SubmitReply* reply) override {
    submitted = request->spec();
    reply->set_job_id("job-1");
    return ToGrpc(failure);
  }
  grpc::Status SetPaused(grpc::ServerContext*, const SetPausedRequest* request, SetPausedReply* reply) override {
    for (JobStatus& job : jobs) {
      if (job.job() != request->job() && job.job_id() != request->job()) continue;
      job.set_state(request->paused() ? JOB_PAUSED : JOB_RUNNING);
      job.set_paused_at_us(request->paused() ? 1'764'331'200'000'000 : 0);
      reply->set_job_id(job.job_id());
      return grpc::Status::OK;
    }
    return {grpc::StatusCode::NOT_FOUND, "there is no job " + request->job()};
  }
  grpc::Status Cancel(grpc::ServerContext*, const CancelRequest* request, CancelReply* reply) override {
    cancelled = request->job();
    reply->set_job_id("job-1");
    return ToGrpc(failure);
  }
  grpc::Status ListJobs(grpc::ServerContext*, const ListJobsRequest*, ListJobsReply* reply) override {
    for (const JobStatus& job : jobs) *reply->add_jobs() = job;
    return ToGrpc(failure);
  }
  grpc::Status GetStatus(grpc::ServerContext*, const GetStatusRequest* request, JobStatus* reply) override {
    for (const JobStatus& job : jobs) {
      if (job.job() == request->job()) *reply = job;
    }
    return reply->job().empty() ? ToGrpc(absl::NotFoundError("there is no job 'nothing'")) : grpc::Status::OK;
  }
  grpc::Status GetEnds(grpc::ServerContext*, const GetEndsRequest*, GetEndsReply* reply) override {
    if (ends_failures > 0 && ends_failures-- > 0) return ToGrpc(absl::UnavailableError("topic[0] has no leader"));
    for (const auto& [partition, end] : ends) {
      EndOffset* offset = reply->add_ends();
      offset->set_topic("topic");
      offset->set_partition(partition);
      offset->set_end_offset(end);
    }
    return ToGrpc(failure);
  }
  grpc::Status ListWorkers(grpc::ServerContext*, const ListWorkersRequest*, ListWorkersReply* reply) override {
    *reply = workers;
    return grpc::Status::OK;
  }

  grpc::Status GetBatch(grpc::ServerContext* context, const GetBatchRequest* request, GetBatchReply* reply) override {
    Step step;
    {
      const std::lock_guard lock(mutex);
      if (Find(request->batch()) == nullptr && request->wait_ms() > 0 && !steps.empty()) {
        step = steps.front();
        steps.pop_front();
      }
    }
    if (step) step(context);
    const std::lock_guard lock(mutex);
    const BatchCommitted* batch = Find(request->batch());
    if (batch == nullptr) {
      return ToGrpc(request->wait_ms() > 0 ? absl::DeadlineExceededError("the batch was not committed in time")
                                           : absl::NotFoundError("popularity has no batch 99"));
    }
    reply->set_job("popularity");
    for (int i = 0; i < batch->next_offsets_size(); ++i) {
      Partition* partition = reply->add_partitions();
      partition->set_topic("topic");
      partition->set_partition(i);
    }
    *reply->mutable_batch() = *batch;
    reply->set_lag(5);
    return grpc::Status::OK;
  }

  // Steps.
  Step CommitBatch(uint64_t number, std::vector<int64_t> next_offsets) {
    return [=, this](grpc::ServerContext*) {
      const std::lock_guard lock(mutex);
      batches.push_back(MakeBatch(number, next_offsets));
    };
  }
  // Ctrl-C while the call is under way, which ends only because it is cancelled.
  static Step PressCtrlC() {
    return [](grpc::ServerContext* context) {
      kill(getpid(), SIGINT);
      const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (!context->IsCancelled() && std::chrono::steady_clock::now() < give_up) std::this_thread::yield();
      EXPECT_TRUE(context->IsCancelled());
    };
  }

  std::mutex mutex;
  std::deque<Step> steps;
  std::vector<BatchCommitted> batches;
  std::vector<JobStatus> jobs = {MakeStatus()};
  std::map<int32_t, int64_t> ends;
  ListWorkersReply workers;
  JobSpec submitted;
  std::string cancelled;
  absl::Status failure;
  // How often the ends are not known yet.
  int ends_failures = 0;

 private:
  const BatchCommitted* Find(uint64_t number) const {
    if (number == 0) return batches.empty() ? nullptr : &batches.back();
    for (const BatchCommitted& batch : batches) {
      if (batch.batch() == number) return &batch;
    }
    return nullptr;
  }
};

// Before any thread is started, as the program's own verbs do.
class BlockedSignals : public testing::Environment {
  void SetUp() override { BlockSignals(); }
};
inline const testing::Environment* const kBlockedSignals = testing::AddGlobalTestEnvironment(new BlockedSignals);

class CliTest : public testing::Test {
 protected:
  CliTest() : dir_(testing::TempDir() + "cli_" + std::to_string(getpid())) {
    std::filesystem::create_directories(dir_);
    Start("127.0.0.1:0");
  }
  ~CliTest() override {
    Stop();
    std::filesystem::remove_all(dir_);
  }

  void Start(const std::string& address) {
    int port = 0;
    absl::StatusOr<std::unique_ptr<grpc::Server>> server = StartServer(address, &driver_, &port);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  void Stop() {
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }

  int RunBare(std::vector<std::string> args) {
    args.insert(args.begin(), {"tenfold", "--driver", address_});
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    return RunCli(static_cast<int>(args.size()), argv.data());
  }
  int Run(const std::vector<std::string>& args) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = RunBare(args);
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }
  // Runs with stdout going to `fd`.
  int RunTo(int fd, const std::vector<std::string>& args) {
    const int saved = dup(STDOUT_FILENO);
    dup2(fd, STDOUT_FILENO);
    testing::internal::CaptureStderr();
    const int code = RunBare(args);
    err_ = testing::internal::GetCapturedStderr();
    dup2(saved, STDOUT_FILENO);
    close(saved);
    return code;
  }
  std::string Write(const std::string& text) {
    std::string path = dir_ + "/job.yaml";
    std::ofstream(path) << text;
    return path;
  }
  std::vector<uint64_t> PrintedBatches() {
    std::vector<uint64_t> numbers;
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(out_, '\n', absl::SkipEmpty()))) {
      numbers.push_back(nlohmann::json::parse(line)["batch"]);
    }
    return numbers;
  }

  const std::string dir_;
  FakeDriver driver_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::string out_;
  std::string err_;
};

}  // namespace tenfold
