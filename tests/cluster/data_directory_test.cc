// Data directories that vanish under running processes: who has one ends and says so, instead of writing to nowhere.
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/process/process.h"
#include "gtest/gtest.h"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

void ExpectToEnd(Daemon* daemon) {
  const absl::StatusOr<int> code = daemon->WaitForExit(absl::Seconds(10));
  ASSERT_OK(code.status());
  EXPECT_EQ(*code, kExitRefused);
  EXPECT_TRUE(absl::StrContains(daemon->LogTail(),
                                absl::StrCat("the data directory ", daemon->data_dir(), " was removed or replaced")))
      << daemon->LogTail();
}

TEST(DataDirectoryTest, WhoseDirectoryIsRemovedEndsAndSaysSo) {
  MiniCluster cluster;
  ASSERT_OK(cluster.Start(1));
  const absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  Job job;
  job.topics = {*topic};
  ASSERT_OK(ProduceSample(*topic, 3, 1, 300));
  ASSERT_OK(cluster.Submit(job));
  ASSERT_OK(cluster.WaitCaughtUp(job.name).status());
  fs::remove_all(cluster.worker(0).data_dir());
  ASSERT_NO_FATAL_FAILURE(ExpectToEnd(&cluster.worker(0)));
  // A worker without states begins anew, and the journal goes on.
  ASSERT_OK(cluster.worker(0).Start());
  ASSERT_OK(ProduceSample(*topic, 3, 2, 300));
  ASSERT_OK(cluster.WaitCaughtUp(job.name).status());
  fs::remove_all(cluster.driver().data_dir() + "/journal");
  ASSERT_OK(ProduceSample(*topic, 3, 3, 300));
  ASSERT_NO_FATAL_FAILURE(ExpectToEnd(&cluster.driver()));
  EXPECT_OK(cluster.worker(0).Stop());
}

}  // namespace
}  // namespace tenfold
