// Driver and workers on machines of their own, which are network namespaces: they reach each other by what they advertise,
// and one whose cable is out for longer than its lease comes back without harm.
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/lan.h"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

using nlohmann::json;

// The driver's machine, then the workers'.
constexpr int kDriver = 0, kFirstWorker = 1, kMachines = 3;

class NamespacesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (absl::Status possible = Lan::Possible(); !possible.ok()) GTEST_SKIP() << possible.message();
    lan_ = std::make_unique<Lan>(kMachines);
    ASSERT_OK(lan_->status());
    kafka_ = std::make_unique<OwnKafka>(1, lan_->own_address());
    absl::StatusOr<std::string> topic = CreateTopic();
    ASSERT_OK(topic.status());
    job_.topics = {*topic};
  }

  Host Machine(int machine, bool listen_on_all) const {
    return {lan_->address(machine), lan_->network_namespace(machine), listen_on_all};
  }

  // A job under load that has published some batches.
  void RunUnderLoad(bool listen_on_all) {
    cluster_ = std::make_unique<MiniCluster>(
        Machine(kDriver, listen_on_all),
        std::vector<Host>{Machine(kFirstWorker, listen_on_all), Machine(kFirstWorker + 1, listen_on_all)});
    ASSERT_OK(cluster_->Start(2));
    load_ = std::make_unique<Load>(job_.topics[0], 3, 1000);
    ASSERT_OK(cluster_->Submit(job_));
    ASSERT_OK(cluster_->WaitForBatches(job_.name, 3));
  }

  // As `workers` shows it; empty while it does not.
  json Shown(Daemon& worker) {
    const json workers = json::parse(cluster_->RunCli({"workers", "-o", "json"}).out, nullptr, false);
    for (const json& shown : workers) {
      if (shown.is_object() && shown.value("address", "") == worker.address()) return shown;
    }
    return json::object();
  }

  // Ended in this order's reverse.
  std::unique_ptr<Lan> lan_;
  std::unique_ptr<OwnKafka> kafka_;
  std::unique_ptr<MiniCluster> cluster_;
  Job job_;
  std::unique_ptr<Load> load_;
};

TEST_F(NamespacesTest, WorkersOnOtherMachinesShareTheJob) {
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad(false));
  ASSERT_OK(load_->Stop());
  ASSERT_OK(cluster_->VerifyPublished(job_.name));
  for (int i : {0, 1}) {
    const json shown = Shown(cluster_->worker(i));
    EXPECT_EQ(shown.value("state", "absent"), "live") << cluster_->worker(i).address();
    EXPECT_GE(shown.value("shards", 0), 1) << shown;
  }
}

TEST_F(NamespacesTest, WorkerCutOffForLongerThanItsLeaseIsSummedOnce) {
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad(true));
  Daemon& cut = cluster_->worker(0);
  ASSERT_OK(lan_->Cut(kFirstWorker));
  ASSERT_OK(
      WaitUntil("the cut worker to be lost", absl::Seconds(30), [&] { return Shown(cut).value("state", "") == "lost"; }));
  // More than it can have under way: the other one serves alone now.
  ASSERT_OK(cluster_->WaitForMoreBatches(job_.name, 5));
  ASSERT_OK(cluster_->VerifyPublished(job_.name));
  EXPECT_EQ(Shown(cut).value("shards", -1), 0);

  ASSERT_OK(lan_->Mend(kFirstWorker));
  ASSERT_OK(
      WaitUntil("the worker to get shards again", absl::Seconds(60), [&] { return Shown(cut).value("shards", 0) > 0; }));
  ASSERT_OK(cluster_->WaitForMoreBatches(job_.name, 5));
  ASSERT_OK(load_->Stop());
  ASSERT_OK(cluster_->VerifyPublished(job_.name));
  EXPECT_TRUE(cut.running());
}

}  // namespace
}  // namespace tenfold
