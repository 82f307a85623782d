// Neighbours that take minutes to fall sick, or a machine of one's own: the target nightly runs these.
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

using nlohmann::json;

void Run(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

// A disk with a file system that can be frozen: what is written to it waits, and tells nobody.
class FreezableDisk {
 public:
  explicit FreezableDisk(std::string dir) : dir_(std::move(dir)) {
    std::filesystem::create_directories(dir_);
    const std::string image = dir_ + ".image";
    Run(absl::StrCat("truncate --size 256M ", image, " && mkfs.ext4 -q -F ", image, " && mount -o loop ", image, " ", dir_));
  }
  ~FreezableDisk() { EXPECT_EQ(umount2(dir_.c_str(), MNT_DETACH), 0) << std::strerror(errno); }
  void Freeze() { Run("fsfreeze --freeze " + dir_); }
  void Thaw() { Run("fsfreeze --unfreeze " + dir_); }

 private:
  const std::string dir_;
};

// The names that this process, and those that it starts, can look up: one, until that is forgotten. Then the name server
// is asked, which says nothing.
class OneName {
 public:
  OneName(const std::string& name, const std::string& dir) : hosts_(dir + "/hosts") {
    // The mounts are seen by this process and its children alone.
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      ADD_FAILURE() << std::strerror(errno);
    Write(name);
    const std::string resolv = dir + "/resolv.conf";
    std::ofstream(resolv) << "nameserver 127.0.0.77\noptions timeout:30 attempts:5\n";
    Mount(hosts_, "/etc/hosts");
    Mount(resolv, "/etc/resolv.conf");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(53);
    address.sin_addr.s_addr = htonl(0x7f00004d);
    EXPECT_EQ(bind(silent_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << std::strerror(errno);
  }
  ~OneName() {
    umount2("/etc/hosts", MNT_DETACH);
    umount2("/etc/resolv.conf", MNT_DETACH);
    close(silent_);
  }
  // In place: a mounted file keeps its inode.
  void Forget() const { Write(""); }

 private:
  void Write(const std::string& name) const {
    char own[256] = "";
    EXPECT_EQ(gethostname(own, sizeof(own) - 1), 0);
    std::ofstream(hosts_) << "127.0.0.1 localhost " << own << " " << name << "\n";
  }
  static void Mount(const std::string& file, const char* over) {
    EXPECT_EQ(mount(file.c_str(), over, nullptr, MS_BIND, nullptr), 0) << over << ": " << std::strerror(errno);
  }

  const std::string hosts_;
  const int silent_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

class NightlyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root may mount file systems";
  }

  Job job_;
};

TEST_F(NightlyTest, AWorkerWhoseDiskHangsLosesItsShardsUntilItGoesOn) {
  MiniCluster cluster;
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  job_.topics = {*topic};
  Daemon& hung = cluster.worker(0);
  FreezableDisk disk(hung.data_dir());
  ASSERT_NO_FATAL_FAILURE();
  ASSERT_OK(cluster.Start(2));
  Load load(*topic, 3, 1000);
  ASSERT_OK(cluster.Submit(job_));
  ASSERT_OK(cluster.WaitForBatches(job_.name, 3));
  disk.Freeze();
  absl::Cleanup thaw = [&] { disk.Thaw(); };
  const auto shown = [&] {
    for (const json& worker : json::parse(cluster.RunCli({"workers", "-o", "json"}).out))
      if (worker.value("address", "") == hung.address()) return worker;
    return json::object();
  };
  ASSERT_OK(WaitUntil("the worker to be unreachable", absl::Seconds(15),
                      [&] { return shown().value("state", "") == "unreachable"; }));
  EXPECT_TRUE(absl::StrContains(shown().value("problem", ""), "disk")) << shown();
  ASSERT_OK(cluster.WaitForMoreBatches(job_.name, 10));
  std::move(thaw).Invoke();
  ASSERT_OK(WaitUntil("the worker to be live", absl::Seconds(30), [&] { return shown().value("state", "") == "live"; }));
  ASSERT_OK(cluster.WaitForMoreBatches(job_.name, 10));
  ASSERT_OK(load.Stop());
  ASSERT_OK(cluster.VerifyPublished(job_.name));
  EXPECT_OK(hung.Kill());
}

TEST_F(NightlyTest, DriverAndWorkerOfThirtyJobsEndInTimeWhileTheNameServerHangs) {
  std::string dir = ::testing::TempDir() + "one_name_XXXXXX";
  ASSERT_NE(mkdtemp(dir.data()), nullptr);
  const absl::Cleanup remove = [&] { std::filesystem::remove_all(dir); };
  const OneName name("kafka-by-name", dir);
  OwnKafka kafka(1, "kafka-by-name");
  ASSERT_TRUE(absl::StrContains(kafka.brokers(), "kafka-by-name")) << kafka.brokers();
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  job_.topics = {*topic};
  MiniCluster cluster;
  ASSERT_OK(cluster.Start(1));
  for (int i = 0; i < 30; ++i) {
    job_.name = absl::StrCat("job", i);
    ASSERT_OK(cluster.Submit(job_));
  }
  ASSERT_OK(ProduceSample(*topic, 3, /*seed=*/1, 300));
  ASSERT_OK(cluster.WaitCaughtUp(job_.name).status());
  name.Forget();
  ASSERT_OK(kafka.Kill(1));
  ASSERT_OK(WaitUntil("Kafka to be missed", absl::Seconds(60), [&] {
    const absl::StatusOr<json> status = cluster.JobStatus(job_.name);
    return status.ok() && absl::StrContains(status->value("summary", ""), "Kafka at kafka-by-name");
  }));
  EXPECT_OK(cluster.driver().Stop());
  EXPECT_OK(cluster.worker(0).Stop());
}

TEST_F(NightlyTest, WhatKafkaHasCompactedIsSaidToBeCompacted) {
  MiniCluster cluster;
  job_.topics = {
      CreateTopicAs("--partitions 1 --replication-factor 1 --config segment.ms=100 "
                    "--config min.cleanable.dirty.ratio=0.01 --config delete.retention.ms=100")};
  job_.kafka = "allow_compacted: true, ";
  const auto produce = [&] { return Produce(job_.topics[0], 0, std::vector<std::string>(100, "page|1|1|1")); };
  ASSERT_OK(produce());
  ASSERT_OK(cluster.Start(1));
  ASSERT_OK(cluster.Submit(job_));
  ASSERT_OK(cluster.WaitCaughtUp(job_.name).status());
  // A record without a key is deleted from every segment but the last one, which this begins.
  ASSERT_OK(produce());
  ASSERT_OK(cluster.VerifyPublished(job_.name));
  ConfigureTopic(job_.topics[0], "cleanup.policy=compact");
  CliResult verified;
  ASSERT_OK(WaitUntil("the log to be compacted", absl::Seconds(120), [&] {
    verified = cluster.RunCli({"verify", job_.name});
    return verified.exit_code != 0;
  }));
  EXPECT_TRUE(absl::StrContains(verified.err, absl::StrCat("topic ", job_.topics[0], " is compacted"))) << verified.err;
  const json status = cluster.JobStatus(job_.name).value();
  EXPECT_EQ(status.at("state"), "running");
  // Its states are the last copy: without them nothing is folded again to something less.
  ASSERT_OK(cluster.worker(0).Kill());
  ASSERT_OK(cluster.worker(0).LoseDisk());
  ASSERT_OK(cluster.worker(0).Start());
  ASSERT_OK(WaitUntil("the loss to be named", absl::Seconds(60), [&] {
    const absl::StatusOr<json> now = cluster.JobStatus(job_.name);
    return now.ok() && absl::StrContains(now->value("summary", ""), "a compacted log does not keep every record");
  }));
}

}  // namespace
}  // namespace tenfold
