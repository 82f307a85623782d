// Processes that die, lose their disks or crawl under load: the published stream stays the oracle's, each batch once.
#include <signal.h>

#include <chrono>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/process/fault_point.h"
#include "gtest/gtest.h"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

constexpr int kEventsPerSecond = 1000;

class FailureTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::string> topic = CreateTopic();
    ASSERT_OK(topic.status());
    job_.topics = {*topic};
  }

  void SubmitUnderLoad() {
    load_ = std::make_unique<Load>(job_.topics[0], 3, kEventsPerSecond);
    ASSERT_OK(cluster_.Submit(job_));
  }

  // A job under load that has published some batches.
  void RunUnderLoad() {
    ASSERT_NO_FATAL_FAILURE(SubmitUnderLoad());
    ASSERT_OK(cluster_.WaitForBatches(job_.name, 3));
  }

  // The job still makes batches under load, and all it has published is right.
  void ExpectExact() {
    ASSERT_OK(cluster_.WaitForMoreBatches(job_.name, 3));
    ASSERT_OK(load_->Stop());
    ASSERT_OK(cluster_.VerifyPublished(job_.name));
  }

  MiniCluster cluster_;
  Job job_;
  std::unique_ptr<Load> load_;
};

class WalTest : public FailureTest, public ::testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Modes, WalTest, ::testing::Values("sync", "async", "off"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(WalTest, WorkerIsKilledAndComesBack) {
  job_.wal = GetParam();
  ASSERT_OK(cluster_.Start(2));
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad());
  ASSERT_OK(cluster_.worker(0).Kill());
  ASSERT_OK(cluster_.worker(0).Start());
  ExpectExact();
}

TEST_P(WalTest, OnlyWorkerIsKilledAndComesBack) {
  job_.wal = GetParam();
  ASSERT_OK(cluster_.Start(1));
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad());
  for (int death = 0; death < 3; ++death) {
    ASSERT_OK(cluster_.worker(0).Kill());
    ASSERT_OK(cluster_.worker(0).Start());
    ASSERT_OK(cluster_.WaitForMoreBatches(job_.name, 2));
  }
  ExpectExact();
}

TEST_F(FailureTest, WorkersAreStoppedAndComeBack) {
  ASSERT_OK(cluster_.Start(2));
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad());
  for (int i : {0, 1}) ASSERT_OK(cluster_.worker(i).Stop());
  for (int i : {0, 1}) ASSERT_OK(cluster_.worker(i).Start());
  ExpectExact();
}

TEST_F(FailureTest, DriverIsKilledAndComesBack) {
  ASSERT_OK(cluster_.Start(2));
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad());
  for (int death = 0; death < 3; ++death) {
    ASSERT_OK(cluster_.driver().Kill());
    ASSERT_OK(cluster_.driver().Start());
    ASSERT_OK(cluster_.WaitForMoreBatches(job_.name, 2));
  }
  ExpectExact();
}

TEST_F(FailureTest, DriverIsStoppedAndComesBack) {
  ASSERT_OK(cluster_.Start(1));
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad());
  ASSERT_OK(cluster_.driver().Stop());
  ASSERT_OK(cluster_.driver().Start());
  ExpectExact();
}

TEST_F(FailureTest, AllAreKilledAndComeBack) {
  ASSERT_OK(cluster_.Start(2));
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad());
  for (Daemon* daemon : {&cluster_.worker(0), &cluster_.driver(), &cluster_.worker(1)}) ASSERT_OK(daemon->Kill());
  ASSERT_OK(cluster_.Start(2));
  ExpectExact();
}

TEST_F(FailureTest, AnotherTakesOverWhenWorkerAndDiskAreLost) {
  ASSERT_OK(cluster_.Start(2));
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad());
  ASSERT_OK(cluster_.worker(1).Kill());
  ASSERT_OK(cluster_.worker(1).LoseDisk());
  ExpectExact();
}

TEST_F(FailureTest, NewWorkerTakesOverWhenTheOnlyOneAndItsDiskAreLost) {
  ASSERT_OK(cluster_.Start(1));
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad());
  ASSERT_OK(cluster_.worker(0).Kill());
  ASSERT_OK(cluster_.worker(0).LoseDisk());
  ASSERT_OK(cluster_.worker(1).Start());
  ExpectExact();
}

TEST_F(FailureTest, WorkerComesBackWithoutItsDisk) {
  ASSERT_OK(cluster_.Start(2));
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad());
  ASSERT_OK(cluster_.worker(0).Kill());
  ASSERT_OK(cluster_.worker(0).LoseDisk());
  ASSERT_OK(cluster_.worker(0).Start());
  ExpectExact();
}

TEST_F(FailureTest, SilentWorkerLosesItsShardsAndReturns) {
  ASSERT_OK(cluster_.Start(2));
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad());
  ASSERT_OK(cluster_.worker(0).Signal(SIGSTOP));
  // More than it can have under way: the other one serves alone now.
  ASSERT_OK(cluster_.WaitForMoreBatches(job_.name, 5));
  ASSERT_OK(cluster_.worker(0).Signal(SIGCONT));
  ExpectExact();
}

TEST_F(FailureTest, WorkerSlowedToAFifthKeepsUp) {
  ASSERT_OK(cluster_.Start(2));
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad());
  const pid_t pid = cluster_.worker(0).pid();
  std::jthread slow([pid](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      kill(pid, SIGSTOP);
      std::this_thread::sleep_for(std::chrono::milliseconds(80));
      kill(pid, SIGCONT);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  ASSERT_OK(cluster_.WaitForMoreBatches(job_.name, 15));
  ExpectExact();
}

// One event for each of `keys` pages from `first` on, dealt out to three partitions so that a page's events come to several.
absl::Status ProducePages(const std::string& topic, int first, int keys, const std::function<std::string(int)>& event) {
  std::vector<std::vector<std::string>> values(3);
  for (int i = first; i < first + keys; ++i)
    values[static_cast<size_t>(i + keys) % 3].push_back(absl::StrCat("page", i, "|", event(i)));
  for (int32_t p = 0; p < 3; ++p) {
    if (absl::Status produced = Produce(topic, p, values[static_cast<size_t>(p)]); !produced.ok()) return produced;
  }
  return absl::OkStatus();
}

TEST_F(FailureTest, FarMoreKeysThanFitInMemoryStayExact) {
  const Launch little{.flags = {"--memory", "64MiB"}, .fault_point = ""};
  ASSERT_OK(cluster_.driver().Start());
  for (int i : {0, 1}) ASSERT_OK(cluster_.worker(i).Start(little));
  ASSERT_OK(cluster_.Submit(job_));
  const std::string& topic = job_.topics[0];
  ASSERT_OK(ProducePages(topic, 0, 150'000, [](int i) { return absl::StrCat(i % 997, "|", i % 89, ".25|1"); }));
  ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  ASSERT_OK(cluster_.worker(0).Kill());
  // Some that were far below rise to the top.
  ASSERT_OK(ProducePages(topic, 70'000, 20'000, [](int i) { return absl::StrCat(i % 1'009, "|", i % 7, "|-1"); }));
  ASSERT_OK(cluster_.worker(0).Start(little));
  ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  // All that is in memory sinks below what is not.
  ASSERT_OK(ProducePages(topic, 0, 150'000, [](int i) { return i % 997 > 300 ? "-1000|-100|-1" : "0|0|1"; }));
  ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  ASSERT_OK(cluster_.worker(0).Kill());
  ASSERT_OK(cluster_.worker(0).LoseDisk());
  ASSERT_OK(ProducePages(topic, 100, 1'000, [](int) { return "1|0.5|1"; }));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
}

struct Fault {
  const char* name;
  // A passing some batches into the stream.
  const char* point;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.point; }

class WorkerFaultTest : public FailureTest, public ::testing::WithParamInterface<Fault> {};
class DriverFaultTest : public FailureTest, public ::testing::WithParamInterface<Fault> {};

INSTANTIATE_TEST_SUITE_P(Points, WorkerFaultTest, ::testing::Values(Fault{"BetweenPersistAndReply", "worker.persisted:5"}),
                         [](const auto& test) { return std::string(test.param.name); });
INSTANTIATE_TEST_SUITE_P(Points, DriverFaultTest,
                         ::testing::Values(Fault{"BetweenJournalAndPublish", "driver.journalled:12"},
                                           Fault{"InsideASinkWrite", "driver.sink_written:5"},
                                           Fault{"BetweenASinkWriteAndItsNote", "driver.sink_appended:5"}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(WorkerFaultTest, StreamStaysExact) {
  ASSERT_OK(cluster_.driver().Start());
  ASSERT_OK(cluster_.worker(0).Start({.flags = {}, .fault_point = GetParam().point}));
  ASSERT_OK(cluster_.worker(1).Start());
  ASSERT_NO_FATAL_FAILURE(SubmitUnderLoad());
  absl::StatusOr<int> exit_code = cluster_.worker(0).WaitForExit(absl::Seconds(60));
  ASSERT_OK(exit_code.status());
  ASSERT_EQ(*exit_code, kFaultExitCode);
  ASSERT_OK(cluster_.worker(0).Start());
  ExpectExact();
}

TEST_P(DriverFaultTest, StreamStaysExact) {
  ASSERT_OK(cluster_.driver().Start({.flags = {}, .fault_point = GetParam().point}));
  for (int i : {0, 1}) ASSERT_OK(cluster_.worker(i).Start());
  ASSERT_NO_FATAL_FAILURE(SubmitUnderLoad());
  absl::StatusOr<int> exit_code = cluster_.driver().WaitForExit(absl::Seconds(60));
  ASSERT_OK(exit_code.status());
  ASSERT_EQ(*exit_code, kFaultExitCode);
  ASSERT_OK(cluster_.driver().Start());
  ExpectExact();
}

}  // namespace
}  // namespace tenfold
