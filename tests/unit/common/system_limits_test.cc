#include "common/process/system_limits.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

class ThreadsLimitTest : public testing::Test {
 protected:
  ThreadsLimitTest() : dir_(testing::TempDir() + "threads_limit_test_" + std::to_string(getpid())) {
    for (const char* task : {"1", "2", "3"}) fs::create_directories(dir_ + "/proc/task/" + task);
  }
  ~ThreadsLimitTest() override { fs::remove_all(dir_); }

  void Write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(dir_ + "/" + name).parent_path());
    std::ofstream(dir_ + "/" + name) << text << "\n";
  }
  size_t Limit() const { return ThreadsLimit(dir_ + "/proc", dir_ + "/cgroup"); }

  const std::string dir_;
};

TEST_F(ThreadsLimitTest, IsTheLeastOfTheGroupsAround) {
  Write("proc/cgroup", "0::/system.slice/tenfold.service");
  Write("cgroup/system.slice/tenfold.service/pids.max", "max");
  Write("cgroup/system.slice/pids.max", "500");
  EXPECT_EQ(Limit(), 500U);
  Write("cgroup/system.slice/tenfold.service/pids.max", "120");
  EXPECT_EQ(Limit(), 120U);
}

TEST_F(ThreadsLimitTest, LeavesWhatOthersOfTheGroupHave) {
  Write("proc/cgroup", "9:name=systemd:/x\n8:pids:/docker/abc\n0::/");
  Write("cgroup/pids/docker/abc/pids.max", "100");
  Write("cgroup/pids/docker/abc/pids.current", "43");
  EXPECT_EQ(Limit(), 60U);
}

TEST_F(ThreadsLimitTest, AContainerSeesTheRootOfItsOwn) {
  Write("proc/cgroup", "0::/kubepods/pod1");
  Write("cgroup/pids.max", "77");
  EXPECT_EQ(Limit(), 77U);
}

TEST_F(ThreadsLimitTest, IsLargeWhereThereIsNone) {
  EXPECT_GT(Limit(), 10'000U);
  Write("proc/cgroup", "nonsense");
  EXPECT_GT(Limit(), 10'000U);
}

}  // namespace
}  // namespace tenfold
