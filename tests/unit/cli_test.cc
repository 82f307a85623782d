#include "jobs/cli/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
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
#include "common/process.h"
#include "common/rpc.h"
#include "driver.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace tenfold {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kSpec[] = R"(name: popularity
source:
  kafka: {topics: [user-behavior-topic], start: earliest}
  format: {delimited: {separator: "|", fields: [page, clicks, minutes, like]}}
key: page
score: 0.8*clicks + 0.8*minutes + 1*like
top: 10
batch: {interval: 2s}
)";

BatchCommitted MakeBatch(uint64_t number, std::vector<int64_t> next_offsets) {
  BatchCommitted batch;
  batch.set_job_id("job-1");
  batch.set_batch(number);
  for (const int64_t offset : next_offsets) batch.add_next_offsets(offset);
  batch.set_records(100 * number);
  batch.set_bad_records(3);
  batch.set_batch_records(100);
  batch.set_published_at_ms(1'700'000'000'123);
  Entry* first = batch.add_top();
  first->set_key("page37");
  first->mutable_sum()->set_low(2'200'000'000 * number);
  Entry* second = batch.add_top();
  second->set_key("page4");
  second->mutable_sum()->set_low(500'000'000);
  return batch;
}

JobStatus MakeStatus() {
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
const testing::Environment* const kBlockedSignals = testing::AddGlobalTestEnvironment(new BlockedSignals);

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
      numbers.push_back(json::parse(line)["batch"]);
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

TEST_F(CliTest, SubmitSendsTheSpecAndPrintsTheJobId) {
  EXPECT_EQ(Run({"submit", Write(kSpec)}), kExitOk) << err_;
  EXPECT_EQ(out_, "job-1\n");
  EXPECT_EQ(driver_.submitted.name(), "popularity");
  EXPECT_EQ(Run({"submit", Write(kSpec), "-o", "json"}), kExitOk) << err_;
  EXPECT_EQ(out_, "{\"job\":\"popularity\",\"job_id\":\"job-1\"}\n");
}

TEST_F(CliTest, WrongSpecIsToldInFullAndNotSent) {
  const std::string file = Write(std::string(kSpec) + "tpo: 3\n");
  EXPECT_EQ(Run({"submit", file}), kExitData);
  EXPECT_THAT(err_, StartsWith(file + ":9:1: "));
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_EQ(driver_.submitted.name(), "");
}

TEST_F(CliTest, ValidateNeedsNoDriver) {
  address_ = "127.0.0.1:1";
  const std::string file = Write(kSpec);
  EXPECT_EQ(Run({"validate", file}), kExitOk) << err_;
  EXPECT_EQ(out_, file + " is a valid spec of job popularity\n");
  EXPECT_EQ(Run({"validate", Write("name: [\n")}), kExitData);
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_EQ(Run({"validate", dir_ + "/none.yaml"}), kExitData);
  EXPECT_EQ(err_, "tenfold: cannot read the job spec " + dir_ + "/none.yaml: No such file or directory\n");
}

TEST_F(CliTest, DriversAnswersDecideTheExitCode) {
  const std::vector<std::pair<absl::Status, int>> cases = {
      {absl::AlreadyExistsError("the name popularity is taken"), kExitRefused},
      {absl::FailedPreconditionError("refused"), kExitRefused},
      {absl::NotFoundError("topic t does not exist"), kExitRefused},
      {absl::OutOfRangeError("trimmed"), kExitRefused},
      {absl::InvalidArgumentError("sinks[0]: '..' is not allowed"), kExitData},
      {absl::UnavailableError("Kafka at b:9092 is not reachable"), kExitUnavailable},
      {absl::InternalError("broken"), kExitBug},
  };
  for (const auto& [failure, code] : cases) {
    driver_.failure = failure;
    EXPECT_EQ(Run({"submit", Write(kSpec)}), code) << failure;
    EXPECT_EQ(err_, "tenfold: " + std::string(failure.message()) + "\n");
    EXPECT_THAT(out_, IsEmpty());
  }
}

TEST_F(CliTest, UnreachableDriverIsNamedAfterFiveSeconds) {
  address_ = "127.0.0.1:1";
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(Run({"list"}), kExitUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(8));
  EXPECT_EQ(err_,
            "tenfold: the driver at 127.0.0.1:1 is not reachable (Connection refused); check that tenfold-driver runs there, or "
            "name it with --driver HOST:PORT\n");
}

TEST_F(CliTest, MistakesInFlagsAndVerbsEndWith64) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {}, {"tpo"}, {"top"}, {"top", "a", "b"}, {"top", "a", "--batch", "0"}, {"top", "a", "--timeout", "5"},
           {"list", "-o", "yaml"}, {"top", "a", "--watch", "--caught-up"}, {"completion", "fish"}}) {
    EXPECT_EQ(Run(args), kExitUsage) << testing::PrintToString(args);
    EXPECT_THAT(err_, AllOf(StartsWith("tenfold: "), HasSubstr("--help"))) << testing::PrintToString(args);
    EXPECT_THAT(out_, IsEmpty());
  }
}

TEST_F(CliTest, GlobalFlagsMayFollowTheVerb) { EXPECT_EQ(Run({"list", "--log-dir", dir_}), kExitOk) << err_; }

TEST_F(CliTest, ListShowsEveryJob) {
  driver_.jobs.push_back(MakeStatus());
  driver_.jobs[1].set_job("broken");
  driver_.jobs[1].set_state(JOB_FAILED);
  driver_.jobs[1].set_lag(12);
  driver_.jobs[1].set_reason("topic[0] at 5 is bad");
  EXPECT_EQ(Run({"list"}), kExitOk);
  EXPECT_EQ(out_,
            "NAME        STATE    BATCH  LAG  REASON\n"
            "popularity  running      7    0\n"
            "broken      failed       7   12  topic[0] at 5 is bad\n");
  EXPECT_EQ(Run({"list", "-o", "json"}), kExitOk);
  EXPECT_EQ(json::parse(out_), json::parse(R"([
    {"job": "popularity", "job_id": "job-1", "state": "running", "batch": 7, "lag": 0, "reason": ""},
    {"job": "broken", "job_id": "job-1", "state": "failed", "batch": 7, "lag": 12, "reason": "topic[0] at 5 is bad"}])"));
}

TEST_F(CliTest, WorkersShowsStateAndShards) {
  WorkerStatus* live = driver_.workers.add_workers();
  live->set_worker("w1");
  live->set_address("a:1");
  live->set_shards(2);
  *driver_.workers.add_workers() = *live;
  driver_.workers.mutable_workers(1)->set_state(WORKER_LOST);
  EXPECT_EQ(Run({"workers"}), kExitOk);
  EXPECT_EQ(out_, "WORKER  ADDRESS  STATE  SHARDS\nw1      a:1      live        2\nw1      a:1      lost        2\n");
  EXPECT_EQ(Run({"workers", "-o", "json"}), kExitOk);
  EXPECT_EQ(out_,
            R"([{"worker":"w1","address":"a:1","state":"live","shards":2},{"worker":"w1","address":"a:1","state":"lost","shards":2}])"
            "\n");
}

TEST_F(CliTest, NothingToListIsAnEmptyArray) {
  driver_.jobs.clear();
  EXPECT_EQ(Run({"list", "-o", "json"}), kExitOk);
  EXPECT_EQ(out_, "[]\n");
}

TEST_F(CliTest, CancelNamesTheJob) {
  EXPECT_EQ(Run({"cancel", "popularity"}), kExitOk);
  EXPECT_EQ(driver_.cancelled, "popularity");
  EXPECT_EQ(out_, "job-1\n");
}

TEST_F(CliTest, StatusOpensWithASentence) {
  JobStatus& job = driver_.jobs[0];
  const auto first_line = [&] {
    EXPECT_EQ(Run({"status", "popularity"}), kExitOk) << err_;
    return out_.substr(0, out_.find('\n'));
  };
  job.set_lag(200);
  EXPECT_EQ(first_line(), "popularity is keeping up");
  job.set_lag(201);
  EXPECT_EQ(first_line(), "popularity is behind by 201 records");
  job.set_state(JOB_WAITING);
  job.set_reason("a worker");
  EXPECT_EQ(first_line(), "popularity is waiting for a worker");
  job.set_state(JOB_FAILED);
  job.set_reason("topic[0] at 5 is bad");
  EXPECT_EQ(first_line(), "popularity failed because topic[0] at 5 is bad");
}

// A job with something to say in every part of its status.
JobStatus FullStatus() {
  JobStatus status = MakeStatus();
  PartitionStatus* partition = status.add_partitions();
  partition->set_topic("topic");
  partition->set_partition(1);
  partition->set_next_offset(10);
  partition->set_end_offset(15);
  partition->mutable_counters()->set_records(9);
  BadCount* bad = partition->mutable_counters()->add_bad();
  bad->set_reason(BAD_MALFORMED_NUMBER);
  bad->set_count(2);
  BadSample* sample = partition->mutable_counters()->add_samples();
  sample->set_offset(4);
  sample->set_reason(BAD_MALFORMED_NUMBER);
  sample->set_excerpt("a|\x1b[2J\xff|\xc2\x9b|\xc3\xa9");
  *status.add_partitions() = *partition;
  status.mutable_partitions(1)->set_partition(2);
  status.mutable_partitions(1)->set_end_offset(-1);
  for (uint32_t shard : {0u, 1u, 3u}) {
    ShardStatus* owned = status.add_shards();
    owned->set_shard(shard);
    owned->set_owner("w1");
  }
  status.mutable_shards(2)->set_next_owner("w2");
  SinkStatus* sink = status.add_sinks();
  sink->set_sink("file top.jsonl");
  sink->set_delivered_batch(6);
  sink->set_problem("disk full");
  TopKProof* proof = status.mutable_last_batch()->mutable_proof();
  proof->mutable_kth_total()->set_low(1'500'000'000);
  proof->set_rounds(1);
  proof->set_entries(40);
  ScoreTerm* clicks = status.mutable_spec()->add_score();
  clicks->set_constant("0.8");
  clicks->set_field("clicks");
  ScoreTerm* like = status.mutable_spec()->add_score();
  like->set_constant("-1");
  like->set_field("like");
  return status;
}

TEST_F(CliTest, StatusJsonHasEverything) {
  driver_.jobs[0] = FullStatus();
  EXPECT_EQ(Run({"status", "popularity", "-o", "json"}), kExitOk);
  const json status = json::parse(out_);
  EXPECT_EQ(status["state"], "running");
  EXPECT_EQ(status["summary"], "popularity is keeping up");
  EXPECT_EQ(status["published_at"], "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(status["bad_records"], json::parse(R"({"malformed_number": 4})"));
  EXPECT_EQ(status["partitions"][0], json::parse(R"({"topic": "topic", "partition": 1, "next_offset": 10, "end_offset": 15,
                                                     "lag": 5, "records": 9, "bad_records": {"malformed_number": 2}})"));
  EXPECT_EQ(status["partitions"][1]["end_offset"], nullptr);
  EXPECT_EQ(status["samples"][0], json::parse(R"({"topic": "topic", "partition": 1, "offset": 4, "reason": "malformed_number",
                                                  "excerpt": "a|\\x1b[2J\\xff|\\xc2\\x9b|é"})"));
  EXPECT_EQ(status["shards"][2], json::parse(R"({"shard": 3, "owner": "w1", "next_owner": "w2"})"));
  EXPECT_EQ(status["sinks"][0], json::parse(R"({"sink": "file top.jsonl", "delivered_batch": 6, "problem": "disk full"})"));
  EXPECT_EQ(status["proof"], json::parse(R"({"kth_total": "1.5", "unseen_bound": null, "rounds": 1, "entries": 40})"));
  EXPECT_EQ(status["spec"]["score"], "0.8*clicks - 1*like");
}

TEST_F(CliTest, StatusTextHasEverythingAndNoControlCharacters) {
  driver_.jobs[0] = FullStatus();
  EXPECT_EQ(Run({"status", "popularity"}), kExitOk);
  EXPECT_THAT(out_, HasSubstr("700, bad ones among them 4: 4 malformed_number"));
  EXPECT_THAT(out_, HasSubstr("topic          1           10   15    5        9  2: 2 malformed_number"));
  EXPECT_THAT(out_, HasSubstr("a|\\x1b[2J\\xff|\\xc2\\x9b|é"));
  EXPECT_THAT(out_, HasSubstr("w1      0-1, 3"));
  EXPECT_THAT(out_, HasSubstr("shard 3 moves from w1 to w2"));
  EXPECT_THAT(out_, HasSubstr("file top.jsonl  batch 6    disk full"));
  EXPECT_THAT(out_, HasSubstr("score: 0.8*clicks - 1*like"));
  EXPECT_THAT(out_, Not(HasSubstr("\x1b")));
}

TEST_F(CliTest, TopShowsTheLastBatchOrTheOneAskedFor) {
  driver_.batches = {MakeBatch(6, {1}), MakeBatch(7, {2})};
  EXPECT_EQ(Run({"top", "popularity"}), kExitOk) << err_;
  EXPECT_EQ(out_,
            "popularity, batch 7 of 2023-11-14T22:13:20.123Z: 700 records, 3 bad, 100 in this batch, lag 5\n"
            "RANK  KEY     SCORE\n"
            "   1  page37   15.4\n"
            "   2  page4     0.5\n");
  EXPECT_EQ(Run({"top", "popularity", "--batch", "6", "-o", "json"}), kExitOk) << err_;
  EXPECT_THAT(PrintedBatches(), ElementsAre(6));
}

TEST_F(CliTest, TopOfAnUnknownBatchIsRefused) {
  EXPECT_EQ(Run({"top", "popularity", "--batch", "99"}), kExitRefused);
  EXPECT_EQ(err_, "tenfold: popularity has no batch 99\n");
}

TEST_F(CliTest, WatchPrintsEveryBatchFromTheLastOnUntilCtrlC) {
  driver_.batches = {MakeBatch(6, {1}), MakeBatch(7, {2})};
  driver_.steps = {driver_.CommitBatch(8, {3}), driver_.CommitBatch(9, {4}), FakeDriver::PressCtrlC()};
  EXPECT_EQ(Run({"top", "popularity", "--watch", "-o", "json"}), kExitOk) << err_;
  EXPECT_THAT(PrintedBatches(), ElementsAre(7, 8, 9));
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(CliTest, WatchFromABatchOn) {
  driver_.batches = {MakeBatch(5, {0}), MakeBatch(6, {1}), MakeBatch(7, {2})};
  driver_.steps = {FakeDriver::PressCtrlC()};
  EXPECT_EQ(Run({"top", "popularity", "--watch", "--batch", "6", "-o", "json"}), kExitOk) << err_;
  EXPECT_THAT(PrintedBatches(), ElementsAre(6, 7));
}

TEST_F(CliTest, WatchGoesOnAfterTheDriverRestarts) {
  driver_.batches = {MakeBatch(1, {1})};
  std::thread restart;
  driver_.steps = {[&](grpc::ServerContext* context) {
                     restart = std::thread([this] {
                       Stop();
                       Start(address_);
                     });
                     while (!context->IsCancelled()) std::this_thread::yield();
                   },
                   driver_.CommitBatch(2, {2}), FakeDriver::PressCtrlC()};
  EXPECT_EQ(Run({"top", "popularity", "--watch", "-o", "json"}), kExitOk);
  restart.join();
  EXPECT_THAT(PrintedBatches(), ElementsAre(1, 2));
  EXPECT_EQ(err_, "tenfold: lost the driver at " + address_ + "; waiting for it to come back\ntenfold: the driver at " + address_ +
                      " is back\n");
}

TEST_F(CliTest, WatchEndsWithAFailedJob) {
  driver_.batches = {MakeBatch(1, {1})};
  driver_.jobs[0].set_state(JOB_FAILED);
  driver_.jobs[0].set_reason("topic[0] at 5 is bad");
  EXPECT_EQ(Run({"top", "popularity", "--watch", "-o", "json"}), kExitRefused);
  EXPECT_THAT(PrintedBatches(), ElementsAre(1));
  EXPECT_EQ(err_, "tenfold: popularity failed because topic[0] at 5 is bad\n");
}

TEST_F(CliTest, WatchSaysOnceWhatTheJobWaitsFor) {
  driver_.batches = {MakeBatch(1, {1})};
  driver_.jobs[0].set_state(JOB_WAITING);
  driver_.jobs[0].set_reason("a worker");
  const FakeDriver::Step nothing = [](grpc::ServerContext*) {};
  driver_.steps = {nothing, nothing, FakeDriver::PressCtrlC()};
  EXPECT_EQ(Run({"top", "popularity", "--watch", "-o", "json"}), kExitOk);
  EXPECT_EQ(err_, "tenfold: popularity is waiting for a worker\n");
}

TEST_F(CliTest, WatchDoesNotMixTwoJobsOfOneName) {
  driver_.batches = {MakeBatch(1, {1})};
  driver_.steps = {[&](grpc::ServerContext*) {
    const std::lock_guard lock(driver_.mutex);
    driver_.batches.push_back(MakeBatch(2, {2}));
    driver_.batches.back().set_job_id("job-2");
  }};
  EXPECT_EQ(Run({"top", "popularity", "--watch", "-o", "json"}), kExitRefused);
  EXPECT_THAT(PrintedBatches(), ElementsAre(1));
  EXPECT_THAT(err_, HasSubstr("another job"));
}

TEST_F(CliTest, WatchEndsQuietlyOnceNobodyReads) {
  driver_.batches = {MakeBatch(1, {1})};
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  EXPECT_EQ(RunTo(ends[1], {"top", "popularity", "--watch", "-o", "json"}), kExitOk);
  close(ends[1]);
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(CliTest, OutputThatCannotBeWrittenIsAFailure) {
  const int full = open("/dev/full", O_WRONLY);
  EXPECT_EQ(RunTo(full, {"list"}), kExitRefused);
  close(full);
  EXPECT_EQ(err_, "tenfold: cannot write to standard output: No space left on device\n");
}

TEST_F(CliTest, CaughtUpTakesALastBatchThatHasReachedTheEnds) {
  driver_.batches = {MakeBatch(1, {10, 20})};
  driver_.ends = {{0, 10}, {1, 20}};
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "-o", "json"}), kExitOk) << err_;
  EXPECT_THAT(PrintedBatches(), ElementsAre(1));
}

TEST_F(CliTest, CaughtUpWaitsForTheFirstBatchThatReachesAllEnds) {
  driver_.ends = {{0, 10}, {1, 20}};
  driver_.steps = {driver_.CommitBatch(1, {10, 0}), driver_.CommitBatch(2, {15, 19}), driver_.CommitBatch(3, {20, 21}),
                   driver_.CommitBatch(4, {20, 22})};
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "-o", "json"}), kExitOk) << err_;
  EXPECT_THAT(PrintedBatches(), ElementsAre(3));
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(CliTest, CaughtUpNamesThePartitionThatHoldsIt) {
  driver_.batches = {MakeBatch(4, {10, 0, 19})};
  driver_.ends = {{0, 10}, {1, 7}, {2, 20}};
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "--timeout", "20ms"}), kExitRefused);
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_EQ(err_, "tenfold: popularity did not catch up within 20ms: in batch 4 topic[1] is at 0 of 7\n");
}

TEST_F(CliTest, CaughtUpNamesAPartitionThatIsNotInTheJobUnlessItIsEmpty) {
  driver_.batches = {MakeBatch(4, {10})};
  driver_.ends = {{0, 10}, {1, 7}};
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "--timeout", "20ms"}), kExitRefused);
  EXPECT_EQ(err_,
            "tenfold: popularity did not catch up within 20ms: in batch 4 topic[1], which ends at 7, is not yet in the job\n");
  driver_.ends[1] = 0;
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "--timeout", "20ms"}), kExitOk) << err_;
}

TEST_F(CliTest, CaughtUpWithoutAnyBatchTimesOut) {
  driver_.ends = {{0, 10}};
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "--timeout", "20ms"}), kExitRefused);
  EXPECT_EQ(err_, "tenfold: popularity did not catch up within 20ms: it has no batch yet\n");
}

TEST_F(CliTest, CaughtUpSaysThatKafkaIsOutOfReach) {
  driver_.failure = absl::UnavailableError("Kafka at b:9092 is not reachable");
  EXPECT_EQ(Run({"top", "popularity", "--caught-up"}), kExitUnavailable);
  EXPECT_EQ(err_, "tenfold: Kafka at b:9092 is not reachable\n");
}

// What bash offers for the words, the last of which is being typed.
std::string Complete(const std::string& script, const std::string& words) {
  const std::string command = "bash -c 'source " + script + "; COMP_WORDS=(" + words +
                              "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _tenfold; echo \"${COMPREPLY[*]}\"'";
  FILE* pipe = popen(command.c_str(), "r");
  std::string offered;
  char buffer[4096];
  while (std::fgets(buffer, sizeof(buffer), pipe) != nullptr) offered += buffer;
  EXPECT_EQ(pclose(pipe), 0);
  return offered;
}

TEST_F(CliTest, CompletionOffersVerbsFlagsAndValues) {
  EXPECT_EQ(Run({"completion", "bash"}), kExitOk);
  const std::string script = Write(out_);
  EXPECT_EQ(Complete(script, "tenfold --driver a:1 va"), "validate\n");
  EXPECT_EQ(Complete(script, "tenfold top popularity --wa"), "--watch\n");
  EXPECT_EQ(Complete(script, "tenfold top popularity --dri"), "--driver\n");
  EXPECT_EQ(Complete(script, "tenfold list --wa"), "\n");
  EXPECT_EQ(Complete(script, "tenfold list -o j"), "json\n");
}

}  // namespace
}  // namespace tenfold
