// A driver in this process with an embedded broker and no worker: what it does around its decisions. A job of it waits.
#include "driver/driver.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "common/kafka/log.h"
#include "common/limits.h"
#include "common/net/rpc.h"
#include "driver/driver_service.h"
#include "driver/journal/journal.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/spec/job_spec.h"
#include "nlohmann/json.hpp"
#include "worker/worker.h"
#include "worker/worker_service.h"

namespace {
// Whoever syncs the journal, or a sink's file, waits while this is set.
std::atomic<bool> journal_waits = false;
std::atomic<bool> sink_waits = false;
std::atomic<bool> sink_is_waited_for = false;
}  // namespace

extern "C" int fdatasync(int fd) {
  while (journal_waits) absl::SleepFor(absl::Milliseconds(1));
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}
extern "C" int fsync(int fd) {
  std::error_code error;
  const bool waits = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error).filename() == "top.jsonl";
  while (waits && sink_waits) {
    sink_is_waited_for = true;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return static_cast<int>(syscall(SYS_fsync, fd));
}

namespace tenfold {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

constexpr char kSpec[] = R"(
name: popularity
source:
  kafka: {topics: [events], start: earliest}
  format: {delimited: {separator: "|", fields: [page, clicks]}}
key: page
score: 1*clicks
top: 10
batch: {interval: 2s}
sinks: [{file: {path: top.jsonl}}]
)";

class DriverTest : public ::testing::Test {
 protected:
  DriverTest() {
    std::string name = ::testing::TempDir() + "/driver_XXXXXX";
    directory_ = mkdtemp(name.data());
    broker_ = *EmbeddedBroker::Start("events", 1);
    Start();
  }
  ~DriverTest() override {
    driver_.reset();
    fs::remove_all(directory_);
  }

  void Start() {
    driver_.reset();
    Driver::Options options;
    options.places.data_dir = directory_;
    options.cluster.kafka = broker_->brokers();
    driver_ = std::make_unique<Driver>(std::move(options));
    const absl::Status opened = driver_->Open();
    ASSERT_TRUE(opened.ok()) << opened;
  }

  absl::StatusOr<SubmitReply> Submit() {
    SubmitRequest request;
    for (const SpecError& error : ReadJobSpec(kSpec, request.mutable_spec())) ADD_FAILURE() << FormatSpecError("", error);
    // It may be starting.
    absl::StatusOr<SubmitReply> reply = driver_->Submit(request);
    while (absl::IsUnavailable(reply.status())) reply = driver_->Submit(request);
    return reply;
  }

  void Cancel() {
    CancelRequest request;
    request.set_job("popularity");
    ASSERT_TRUE(driver_->Cancel(request).ok());
  }

  absl::StatusOr<JobStatus> GetStatus(const std::string& job) {
    GetStatusRequest request;
    request.set_job(job);
    return driver_->GetStatus(request);
  }

  std::string directory_;
  std::unique_ptr<EmbeddedBroker> broker_;
  std::unique_ptr<Driver> driver_;
};

TEST_F(DriverTest, RefusesCallsThatWouldWaitBeyondTheLimitAndAnswersTheOthers) {
  ASSERT_TRUE(Submit().ok());
  GetBatchRequest request;
  request.set_job("popularity");
  request.set_wait_ms(60'000);
  std::atomic<bool> nobody_waits = false;
  std::atomic<int> asked = 0;
  std::vector<std::thread> waiting;
  for (int i = 0; i < kMaxWaitingCalls; ++i) {
    waiting.emplace_back([&] {
      // Asked now and then while it waits.
      const auto is_cancelled = [&, first = true]() mutable {
        if (std::exchange(first, false)) ++asked;
        return nobody_waits.load();
      };
      driver_->GetBatch(request, is_cancelled).IgnoreError();
    });
  }
  while (asked < kMaxWaitingCalls) absl::SleepFor(absl::Milliseconds(1));

  const absl::StatusOr<GetBatchReply> refused = driver_->GetBatch(request, [] { return true; });
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("lets 128 calls wait"));
  GetEndsRequest ends;
  ends.set_job("popularity");
  EXPECT_TRUE(absl::IsResourceExhausted(driver_->GetEnds(ends).status())) << "it would wait for Kafka";
  HeartbeatRequest heartbeat;
  heartbeat.set_worker_id("w");
  heartbeat.set_incarnation(1);
  heartbeat.set_address("127.0.0.1:1");
  EXPECT_TRUE(driver_->Heartbeat(heartbeat).ok());

  nobody_waits = true;
  for (std::thread& thread : waiting) thread.join();
  EXPECT_TRUE(driver_->GetEnds(ends).ok()) << "the places are free again";
}

TEST_F(DriverTest, ANameIsFreeAsSoonAsItsJobIsCancelled) {
  const std::string first = Submit()->job_id();
  Cancel();
  const absl::StatusOr<SubmitReply> second = Submit();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->job_id(), first);
}

TEST_F(DriverTest, EveryCancelOfAJobReturnsOnceItsSinksHaveEnded) {
  sink_waits = true;
  ASSERT_TRUE(Submit().ok());
  while (!sink_is_waited_for) absl::SleepFor(absl::Milliseconds(1));
  // Nothing is journalled before all have asked, and the sink ends only after that.
  journal_waits = true;
  std::atomic<int> asked = 0;
  std::atomic<int> too_early = 0;
  std::vector<std::thread> cancels;
  for (int i = 0; i < 3; ++i) {
    cancels.emplace_back([&] {
      CancelRequest request;
      request.set_job("popularity");
      ++asked;
      if (driver_->Cancel(request).ok() && sink_waits) ++too_early;
    });
  }
  while (asked < 3) absl::SleepFor(absl::Milliseconds(1));
  journal_waits = false;
  // Time to return too early; nothing else is to happen now.
  for (int i = 0; i < 100 && too_early == 0; ++i) absl::SleepFor(absl::Milliseconds(1));
  sink_waits = false;
  for (std::thread& cancel : cancels) cancel.join();
  EXPECT_EQ(too_early, 0);
  EXPECT_TRUE(Submit().ok());
}

TEST_F(DriverTest, ABatchComesWithAsManyPartitionsAsItHasOffsets) {
  driver_.reset();
  std::vector<JournalRecord> records(5);
  records[0].mutable_cluster_created()->set_cluster_id("cluster");
  records[1].mutable_epoch_started()->set_epoch(1);
  JobSubmitted* submitted = records[2].mutable_job_submitted();
  submitted->set_job_id("id");
  ASSERT_TRUE(ReadJobSpec(kSpec, submitted->mutable_spec()).empty());
  submitted->add_partitions()->set_topic("events");
  BatchCommitted* batch = records[3].mutable_batch_committed();
  batch->set_job_id("id");
  batch->set_batch(1);
  batch->add_next_offsets(0);
  PartitionsAdded* added = records[4].mutable_partitions_added();
  added->set_job_id("id");
  added->add_partitions()->set_topic("events");
  added->mutable_partitions(0)->set_partition(1);
  {
    auto journal = Journal::Open(directory_, [] { return int64_t{0}; });
    ASSERT_TRUE(journal.ok()) << journal.status();
    ASSERT_TRUE((*journal)->Append(&records).ok());
  }
  Start();
  GetBatchRequest request;
  request.set_job("popularity");
  const absl::StatusOr<GetBatchReply> reply = driver_->GetBatch(request, [] { return false; });
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->batch().batch(), 1u);
  EXPECT_EQ(reply->partitions_size(), 1);
}

TEST_F(DriverTest, ACancelledJobIsStillShown) {
  const std::string first = Submit()->job_id();
  Cancel();
  const std::string second = Submit()->job_id();
  Cancel();
  for (int start = 0; start < 2; ++start) {
    const absl::StatusOr<ListJobsReply> list = driver_->ListJobs();
    ASSERT_TRUE(list.ok()) << list.status();
    ASSERT_EQ(list->jobs_size(), 2);
    EXPECT_EQ(list->jobs(0).job_id(), second) << "the latest first";
    EXPECT_EQ(list->jobs(0).state(), JOB_CANCELLED);
    EXPECT_FALSE(list->jobs(0).has_spec()) << "a list of many jobs has to go into a message";
    EXPECT_TRUE(GetStatus("popularity")->has_spec());
    EXPECT_EQ(list->jobs(1).job_id(), first);
    EXPECT_EQ(GetStatus("popularity")->job_id(), second);
    EXPECT_EQ(GetStatus(first)->state(), JOB_CANCELLED);
    Start();
  }
  GetBatchRequest top;
  top.set_job("popularity");
  const absl::StatusOr<GetBatchReply> refused = driver_->GetBatch(top, [] { return false; });
  EXPECT_TRUE(absl::IsNotFound(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("popularity was cancelled after batch 0"));

  const std::string third = Submit()->job_id();
  EXPECT_EQ(GetStatus("popularity")->job_id(), third) << "a job that lives comes first";
  EXPECT_EQ(driver_->ListJobs()->jobs(0).job_id(), third);
}

// With a worker in this process as well, so that the job makes batches.
class DriverWithAWorkerTest : public DriverTest {
 protected:
  DriverWithAWorkerTest() {
    driver_.reset();
    Driver::Options options;
    options.places.data_dir = directory_;
    options.cluster.kafka = broker_->brokers();
    options.kept_batches = 30;
    driver_ = std::make_unique<Driver>(std::move(options));
    EXPECT_TRUE(driver_->Open().ok());
    driver_service_ = std::make_unique<DriverServiceImpl>(driver_.get());
    int port = 0;
    driver_server_ = *StartServer("127.0.0.1:0", driver_service_.get(), &port);
    Worker::Options worker_options;
    worker_options.data_dir = directory_ + "/worker";
    worker_options.driver = "127.0.0.1:" + std::to_string(port);
    worker_ = *Worker::Create(std::move(worker_options));
    EXPECT_TRUE(worker_->OpenStates().ok());
    worker_service_ = std::make_unique<WorkerServiceImpl>(worker_.get());
    worker_server_ = *StartServer("127.0.0.1:0", worker_service_.get(), &port);
    worker_->SetAdvertised("127.0.0.1:" + std::to_string(port));
    worker_->StartHeartbeat([](const absl::Status& status) { ADD_FAILURE() << status; });
    writer_ = *LogWriter::Create({.brokers = broker_->brokers(), .properties = {}}, {});
  }
  ~DriverWithAWorkerTest() override {
    worker_->Stop();
    worker_server_->Shutdown();
    driver_->Stop();
    driver_server_->Shutdown();
    worker_.reset();
  }

  // Appends a record and waits for the batch that has it.
  void MakeBatch(uint64_t batch) {
    ASSERT_TRUE(writer_->Append("events", 0, "page|1").ok());
    ASSERT_TRUE(writer_->Flush(absl::Seconds(10)).ok());
    GetBatchRequest request;
    request.set_job("popularity");
    request.set_batch(batch);
    request.set_wait_ms(20'000);
    const absl::StatusOr<GetBatchReply> reply = driver_->GetBatch(request, [] { return false; });
    ASSERT_TRUE(reply.ok()) << reply.status();
  }

  std::unique_ptr<DriverServiceImpl> driver_service_;
  std::unique_ptr<grpc::Server> driver_server_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<WorkerServiceImpl> worker_service_;
  std::unique_ptr<grpc::Server> worker_server_;
  std::unique_ptr<LogWriter> writer_;
};

TEST_F(DriverWithAWorkerTest, BatchesThatASinkHasYetToTakeStayInTheJournal) {
  SubmitRequest submit;
  ASSERT_TRUE(ReadJobSpec(kSpec, submit.mutable_spec()).empty());
  submit.mutable_spec()->set_batch_interval_ms(10);
  absl::StatusOr<SubmitReply> reply = driver_->Submit(submit);
  while (absl::IsUnavailable(reply.status())) reply = driver_->Submit(submit);
  ASSERT_TRUE(reply.ok()) << reply.status();
  const fs::path file = fs::path(directory_) / "sinks" / ("popularity." + reply->job_id()) / "top.jsonl";
  ASSERT_NO_FATAL_FAILURE(MakeBatch(1));
  while (!fs::exists(file)) absl::SleepFor(absl::Milliseconds(1));
  // Nothing can be written there.
  fs::rename(file, file.string() + ".aside");
  fs::create_directory(file);
  // The journal is trimmed each 100 batches, to 30.
  constexpr uint64_t kBatches = 210;
  for (uint64_t batch = 2; batch <= kBatches; ++batch) ASSERT_NO_FATAL_FAILURE(MakeBatch(batch));
  fs::remove(file);
  fs::rename(file.string() + ".aside", file);

  std::vector<uint64_t> batches;
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while ((batches.empty() || batches.back() < kBatches) && absl::Now() < deadline) {
    batches.clear();
    std::ifstream lines(file);
    for (std::string line; std::getline(lines, line) && !lines.eof();)
      batches.push_back(nlohmann::json::parse(line).at("batch").get<uint64_t>());
    absl::SleepFor(absl::Milliseconds(5));
  }
  ASSERT_GE(batches.size(), kBatches);
  for (size_t i = 0; i < batches.size(); ++i) ASSERT_EQ(batches[i], i + 1) << "every batch once, without a gap";
}

}  // namespace
}  // namespace tenfold
