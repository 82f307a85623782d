// Disks without room, and with room again: nobody dies of it, everybody says it, and every batch is exact afterwards.
#include <sys/mount.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/process/child_process.h"
#include "common/process/process.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

// A file system of its own in memory, at a directory that is made for it.
class SmallDisk {
 public:
  ~SmallDisk() {
    if (!dir_.empty()) umount2(dir_.c_str(), MNT_DETACH);
  }
  // EPERM if this process may not mount.
  int Mount(const std::string& dir, const std::string& size) {
    fs::create_directories(dir);
    if (mount("tenfold-test", dir.c_str(), "tmpfs", 0, absl::StrCat("size=", size).c_str()) != 0) return errno;
    dir_ = dir;
    return 0;
  }
  // Leaves no more room than this.
  void Fill(uintmax_t but_bytes) {
    const uintmax_t free = fs::space(dir_).available;
    std::ofstream file(Filler());
    const std::string block(4096, 'x');
    for (uintmax_t left = free - std::min(free, but_bytes); left >= block.size(); left -= block.size()) file << block;
  }
  void Empty() { fs::remove(Filler()); }

 private:
  std::string Filler() const { return absl::StrCat(dir_, "/filler"); }

  std::string dir_;
};

class FullDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::string> topic = CreateTopic();
    ASSERT_OK(topic.status());
    job_.topics = {*topic};
  }
  void TearDown() override {
    if (cluster_.driver().running()) EXPECT_OK(cluster_.driver().Kill());
    if (cluster_.worker(0).running()) EXPECT_OK(cluster_.worker(0).Kill());
  }
  // False if this process may not.
  bool Mount(const std::string& dir, const std::string& size) {
    const int error = disk_.Mount(dir, size);
    EXPECT_TRUE(error == 0 || error == EPERM) << std::strerror(error);
    return error == 0;
  }

  std::string Summary() {
    const absl::StatusOr<nlohmann::json> status = cluster_.JobStatus(job_.name);
    return status.ok() ? status->value("summary", "") : std::string(status.status().message());
  }
  absl::Status WaitForSummary(const std::string& words) {
    return WaitUntil(words, absl::Seconds(60), [&] { return absl::StrContains(Summary(), words); });
  }
  // SIGTERM, while there is no room: it ends at once, and says what is not written.
  static void ExpectToEndWithASentence(Daemon* daemon) {
    ASSERT_OK(daemon->Signal(SIGTERM));
    const absl::StatusOr<int> code = daemon->WaitForExit(absl::Seconds(5));
    ASSERT_OK(code.status());
    EXPECT_EQ(*code, 1);
    EXPECT_TRUE(absl::StrContains(daemon->LogTail(), "it waited for room on the disk")) << daemon->LogTail();
  }

  MiniCluster cluster_;
  Job job_;
  SmallDisk disk_;
};

TEST_F(FullDiskTest, AWorkerWhoseStatesFillItsDiskWaitsForRoom) {
  Daemon& worker = cluster_.worker(0);
  if (!Mount(worker.data_dir(), "96m")) GTEST_SKIP() << "this user may not mount file systems";
  disk_.Fill(8 << 20);
  ASSERT_OK(cluster_.Start(1));
  const CliResult produced = cluster_.RunCli({"produce", "--kafka", KafkaBrokers(), "--topic", job_.topics[0], "--rate", "0",
                                              "--pages", "2000000", "--count", "600000"});
  ASSERT_EQ(produced.exit_code, 0) << produced.err;
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(WaitForSummary("waits for room on the disk"));
  ASSERT_NO_FATAL_FAILURE(ExpectToEndWithASentence(&worker));
  ASSERT_OK(worker.Start());
  ASSERT_OK(WaitForSummary("waits for room on the disk"));
  EXPECT_TRUE(worker.running());
  disk_.Empty();
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  EXPECT_OK(worker.Stop());
}

// Nothing else is on the disk that could be deleted. A job's commit and what is written to files with it are less than an
// eighth of the disk.
TEST_F(FullDiskTest, ADiskThatIsFullOfAJobsStatesIsFreedByCancellingTheJob) {
  Daemon& worker = cluster_.worker(0);
  if (!Mount(worker.data_dir(), "768m")) GTEST_SKIP() << "this user may not mount file systems";
  ASSERT_OK(cluster_.Start(1));
  ASSERT_OK(WaitUntil("the ballast", absl::Seconds(30), [&] { return fs::exists(worker.data_dir() + "/ballast"); }));
  disk_.Fill(40 << 20);
  absl::StatusOr<std::string> small = CreateTopic();
  ASSERT_OK(small.status());
  const CliResult produced = cluster_.RunCli({"produce", "--kafka", KafkaBrokers(), "--topic", job_.topics[0], "--rate", "0",
                                              "--pages", "4000000", "--count", "3000000"});
  ASSERT_EQ(produced.exit_code, 0) << produced.err;
  for (const bool starts_again : {false, true}) {
    ASSERT_OK(cluster_.Submit(job_));
    // Where nothing is folded because the ballast has to be made, the words differ.
    ASSERT_OK(WaitForSummary("No space left on device"));
    if (starts_again) {
      ASSERT_OK(worker.Kill());
      ASSERT_OK(worker.Start());
      ASSERT_OK(WaitForSummary("waits for room on the disk"));
    }
    const CliResult cancelled = cluster_.RunCli({"cancel", job_.name});
    ASSERT_EQ(cancelled.exit_code, 0) << cancelled.err;
    Job other = job_;
    other.name = starts_again ? "second" : "first";
    other.topics = {*small};
    ASSERT_OK(cluster_.Submit(other));
    ASSERT_OK(ProduceSample(*small, 3, /*seed=*/1, 300));
    ASSERT_OK(cluster_.VerifyPublished(other.name));
  }
  EXPECT_OK(worker.Stop());
}

TEST_F(FullDiskTest, ADriverWhoseJournalFillsItsDiskWaitsForRoom) {
  Daemon& driver = cluster_.driver();
  if (!Mount(driver.data_dir(), "64m")) GTEST_SKIP() << "this user may not mount file systems";
  ASSERT_OK(cluster_.Start(1));
  job_.interval = "20ms";
  job_.top = 1000;
  ASSERT_OK(ProduceSample(job_.topics[0], 3, 1, 30'000));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  disk_.Fill(64 << 10);
  // Every batch of a thousand keys adds to the journal.
  ChildProcess::Options options;
  options.argv = {TENFOLD_BINARY_DIR "/tenfold",
                  "produce",
                  "--kafka",
                  KafkaBrokers(),
                  "--topic",
                  job_.topics[0],
                  "--rate",
                  "2000",
                  "--pages",
                  "30000"};
  options.stdout_path = options.stderr_path = "/dev/null";
  absl::StatusOr<std::unique_ptr<ChildProcess>> producer = ChildProcess::Start(options);
  ASSERT_OK(producer.status());
  ASSERT_OK(WaitForSummary("is waiting for room on the disk at the driver"));
  producer->reset();
  Job other = job_;
  other.name = "other";
  const CliResult submitted = cluster_.RunCli({"submit", cluster_.WriteFile("other.yaml", SpecText(other))});
  EXPECT_EQ(submitted.exit_code, kExitUnavailable) << submitted.err;
  EXPECT_TRUE(absl::StrContains(submitted.err, "the driver waits for room on the disk")) << submitted.err;
  ASSERT_NO_FATAL_FAILURE(ExpectToEndWithASentence(&driver));
  // Nor is there room to open the journal.
  ASSERT_OK(driver.Start());
  const CliResult listed = cluster_.RunCli({"list"});
  EXPECT_EQ(listed.exit_code, kExitUnavailable) << listed.err;
  EXPECT_TRUE(absl::StrContains(listed.err, "the driver is starting: it waits for room on the disk")) << listed.err;
  ASSERT_NO_FATAL_FAILURE(ExpectToEndWithASentence(&driver));
  ASSERT_OK(driver.Start());
  disk_.Empty();
  ASSERT_OK(ProduceSample(job_.topics[0], 3, 2, 30));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  EXPECT_OK(driver.Stop());
}

}  // namespace
}  // namespace tenfold
