// Processes that hear each other in part: a worker that is heard and cannot be called, connections that are dead without a
// word, two processes of one worker.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"
#include "tests/cluster/tcp_proxy.h"

namespace tenfold {
namespace {

using nlohmann::json;

// A lease, 3 s, and 5 s: within that a cluster has to be rid of what does not answer. A busy machine gets some more.
constexpr absl::Duration kBound = absl::Seconds(8);
constexpr absl::Duration kMargin = absl::Seconds(4);

class ReachTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::string> topic = CreateTopic();
    ASSERT_OK(topic.status());
    job_.topics = {*topic};
    ASSERT_OK(cluster_.driver().Start());
  }

  static Launch Advertising(int port) {
    return {.flags = {"--advertise", absl::StrCat("127.0.0.1:", port)}, .fault_point = "", .instead = {}};
  }
  // The worker at this address, as `workers -o json` shows it; empty if it does not.
  json WorkerAt(const std::string& address) {
    const json workers = json::parse(cluster_.RunCli({"workers", "-o", "json"}).out, nullptr, false);
    for (const json& worker : workers) {
      if (worker.value("address", "") == address) return worker;
    }
    return json::object();
  }
  absl::Status WaitForWorker(const std::string& address, const std::string& state) {
    return WaitUntil(absl::StrCat(address, " to be ", state), kBound + kMargin,
                     [&] { return WorkerAt(address).value("state", "") == state; });
  }
  void Fold(uint64_t seed) {
    ASSERT_OK(ProduceSample(job_.topics[0], 3, seed, 300));
    ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  }

  MiniCluster cluster_;
  Job job_;
};

TEST_F(ReachTest, AWorkerThatCannotBeCalledGetsNoShards) {
  ASSERT_OK(cluster_.worker(0).Start());
  // Nobody listens on port 1.
  ASSERT_OK(cluster_.worker(1).Start(Advertising(1)));
  ASSERT_OK(WaitForWorker("127.0.0.1:1", "unreachable"));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_NO_FATAL_FAILURE(Fold(1));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  const json worker = WorkerAt("127.0.0.1:1");
  EXPECT_EQ(worker.at("shards"), 0) << worker;
  EXPECT_TRUE(absl::StrContains(worker.at("problem").get<std::string>(), "does not answer calls")) << worker;
}

TEST_F(ReachTest, AWorkerThatIsCalledInVainLosesItsShardsUntilItAnswersAgain) {
  TcpProxy proxy(cluster_.worker(0).port());
  const std::string address = absl::StrCat("127.0.0.1:", proxy.port());
  ASSERT_OK(cluster_.worker(0).Start(Advertising(proxy.port())));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_NO_FATAL_FAILURE(Fold(1));
  ASSERT_OK(cluster_.worker(1).Start());
  proxy.SetBlocked(true);
  proxy.Forget();
  ASSERT_OK(WaitForWorker(address, "unreachable"));
  ASSERT_NO_FATAL_FAILURE(Fold(2));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  EXPECT_EQ(WorkerAt(address).at("shards"), 0);
  proxy.SetBlocked(false);
  ASSERT_OK(WaitForWorker(address, "live"));
  ASSERT_NO_FATAL_FAILURE(Fold(3));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
}

TEST_F(ReachTest, ConnectionsThatAreDeadWithoutAWordAreGivenUp) {
  TcpProxy to_worker(cluster_.worker(0).port());
  TcpProxy to_driver(cluster_.driver().port());
  Launch launch = Advertising(to_worker.port());
  launch.instead = {{"--driver", absl::StrCat("127.0.0.1:", to_driver.port())}};
  ASSERT_OK(cluster_.worker(0).Start(launch));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_NO_FATAL_FAILURE(Fold(1));
  to_worker.Forget();
  to_driver.Forget();
  const size_t before = cluster_.Published(job_.name).size();
  ASSERT_OK(ProduceSample(job_.topics[0], 3, 2, 300));
  ASSERT_OK(WaitUntil("the next batch", kBound + kMargin, [&] { return cluster_.Published(job_.name).size() > before; }));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
}

TEST_F(ReachTest, OfTwoProcessesOfOneWorkerTheElderEnds) {
  ASSERT_OK(cluster_.worker(0).Start());
  ASSERT_OK(WaitForWorker(cluster_.worker(0).address(), "live"));
  ASSERT_OK(cluster_.worker(0).Stop());
  const std::string copy = cluster_.worker(0).data_dir() + ".copy";
  std::filesystem::copy(cluster_.worker(0).data_dir(), copy, std::filesystem::copy_options::recursive);
  ASSERT_OK(cluster_.worker(0).Start());
  ASSERT_OK(WaitForWorker(cluster_.worker(0).address(), "live"));
  const std::unique_ptr<Daemon> younger = cluster_.NewWorker("younger", copy);
  ASSERT_OK(younger->Start());
  const absl::StatusOr<int> ended = cluster_.worker(0).WaitForExit(kBound);
  ASSERT_OK(ended.status());
  EXPECT_EQ(*ended, 1);
  EXPECT_TRUE(absl::StrContains(cluster_.worker(0).LogTail(), "a younger process has the worker id"));
  EXPECT_OK(WaitUntil("the younger one's log", kBound,
                      [&] { return absl::StrContains(younger->LogTail(), "another process had the worker id"); }));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_NO_FATAL_FAILURE(Fold(1));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
}

// The driver starts from an older copy of its journal, in the place of the present one.
TEST_F(ReachTest, ADriverOnAnOlderJournalIsRefusedByNameUntilItIsToBeObeyed) {
  namespace fs = std::filesystem;
  Daemon& driver = cluster_.driver();
  const std::string data = driver.data_dir();
  const std::string copy = data + ".copy";
  const std::string present = data + ".present";
  ASSERT_OK(cluster_.worker(0).Start());
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_NO_FATAL_FAILURE(Fold(1));
  ASSERT_OK(driver.Stop());
  fs::copy(data, copy, fs::copy_options::recursive);
  for (int start = 0; start < 2; ++start) {
    ASSERT_OK(driver.Start());
    ASSERT_NO_FATAL_FAILURE(Fold(2));
    if (start == 0) ASSERT_OK(driver.Stop());
  }
  Job later = job_;
  later.name = "later";
  ASSERT_OK(cluster_.Submit(later));
  ASSERT_OK(cluster_.WaitCaughtUp(later.name).status());
  ASSERT_OK(driver.Stop());

  fs::rename(data, present);
  fs::copy(copy, data, fs::copy_options::recursive);
  ASSERT_OK(driver.Start());
  const std::string address = absl::StrCat("127.0.0.1:", cluster_.worker(0).port());
  ASSERT_OK(WaitForWorker(address, "unreachable"));
  const std::string problem = WorkerAt(address).value("problem", "");
  EXPECT_TRUE(absl::StrContains(problem, "it has obeyed a later driver of this cluster")) << problem;
  EXPECT_TRUE(absl::StrContains(problem, "start it with --restored")) << problem;
  ASSERT_OK(driver.Stop());

  // Nothing was dropped that the copy does not know.
  fs::rename(data, data + ".used");
  fs::rename(present, data);
  ASSERT_OK(driver.Start());
  ASSERT_NO_FATAL_FAILURE(Fold(3));
  ASSERT_OK(cluster_.VerifyPublished(later.name));
  ASSERT_OK(driver.Stop());

  fs::rename(data, present);
  fs::rename(data + ".used", data);
  ASSERT_OK(driver.Start({.flags = {"--restored"}, .fault_point = "", .instead = {}}));
  // The numbers of the lost batches were published; only a job with an id of its own goes on.
  ASSERT_OK(cluster_.WaitForState(job_.name, "failed"));
  const std::string failure = cluster_.JobStatus(job_.name).value().value("reason", "");
  EXPECT_TRUE(absl::StrContains(failure, "the driver runs on an older copy of its journal")) << failure;
  const CliResult cancelled = cluster_.RunCli({"cancel", job_.name});
  ASSERT_EQ(cancelled.exit_code, 0) << cancelled.err;
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_NO_FATAL_FAILURE(Fold(4));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
}

}  // namespace
}  // namespace tenfold
