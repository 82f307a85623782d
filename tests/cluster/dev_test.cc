// `tenfold dev` as a user runs it. A TMPDIR of its own tells its directory and processes from all others.
#include <signal.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/process/child_process.h"
#include "common/process/process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  // What reads a file of a process that ends meanwhile throws, but where a stream takes it from a buffer.
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class DevTest : public ::testing::Test {
 protected:
  DevTest() {
    std::string name = ::testing::TempDir() + "/dev_XXXXXX";
    directory_ = mkdtemp(name.data());
    fs::create_directories(directory_ + "/tmp");
  }
  ~DevTest() override {
    dev_.reset();
    WaitFor([&] { return Processes().empty(); });
    fs::remove_all(directory_);
  }

  void Start(std::vector<std::string> flags) {
    ChildProcess::Options options;
    options.argv = {TENFOLD_BINARY_DIR "/tenfold", "dev"};
    options.argv.insert(options.argv.end(), flags.begin(), flags.end());
    options.environment = {{"TMPDIR", directory_ + "/tmp"}};
    options.stdout_path = directory_ + "/out";
    options.stderr_path = directory_ + "/err";
    auto dev = ChildProcess::Start(options);
    ASSERT_TRUE(dev.ok()) << dev.status();
    dev_ = *std::move(dev);
  }
  void StartAndWaitForABatch() {
    Start({});
    ASSERT_TRUE(WaitFor([&] { return Out().find("batch 1 ") != std::string::npos; })) << Err();
    ASSERT_THAT(Processes(), SizeIs(3));
  }

  bool WaitFor(const std::function<bool()>& condition) const {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (!condition()) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return true;
  }
  // Driver and workers: what runs with a directory below its TMPDIR. Those that have ended but are not reaped do not count.
  std::vector<pid_t> Processes(const std::string& part = "") const {
    std::vector<pid_t> found;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
      const std::string command = ReadFile(entry.path() / "cmdline");
      if (command.find(directory_ + "/tmp/") == std::string::npos || command.find(part) == std::string::npos) continue;
      found.push_back(std::stoi(entry.path().filename()));
    }
    return found;
  }
  bool NothingIsLeft() const { return fs::is_empty(directory_ + "/tmp"); }
  std::string Out() const { return ReadFile(directory_ + "/out"); }
  std::string Err() const { return ReadFile(directory_ + "/err"); }

  std::string directory_;
  std::unique_ptr<ChildProcess> dev_;
};

TEST_F(DevTest, EndsAfterTheBatchesAskedForAndLeavesNothing) {
  Start({"--batches", "3", "--workers", "1", "--rate", "500"});
  ASSERT_EQ(dev_->Wait(absl::Seconds(120)), kExitOk) << Err();
  std::vector<std::string> headers;
  std::vector<std::string> last_table;
  for (absl::string_view line : absl::StrSplit(Out(), '\n', absl::SkipEmpty())) {
    if (line.substr(0, 6) == "batch ") {
      headers.emplace_back(line);
      last_table.clear();
    } else {
      last_table.emplace_back(line);
    }
  }
  ASSERT_THAT(headers, SizeIs(3)) << Out();
  EXPECT_THAT(headers[0], HasSubstr("batch 1  records "));
  EXPECT_THAT(headers[2], HasSubstr("batch 3  records "));
  ASSERT_THAT(last_table, SizeIs(10)) << Out();
  EXPECT_THAT(last_table[0], ::testing::MatchesRegex("1 page[0-9]+ [0-9.]+"));
  EXPECT_THAT(last_table[9], ::testing::MatchesRegex("10 page[0-9]+ [0-9.]+"));
  EXPECT_EQ(Err(), "");
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(DevTest, CtrlCEndsEveryProcess) {
  StartAndWaitForABatch();
  ASSERT_TRUE(dev_->Signal(SIGINT).ok());
  EXPECT_EQ(dev_->Wait(absl::Seconds(10)), kExitOk);
  EXPECT_THAT(Processes(), IsEmpty());
  EXPECT_EQ(Err(), "");
  EXPECT_TRUE(NothingIsLeft());
}

TEST_F(DevTest, ItsDeathEndsEveryProcessAndTheNextOneRemovesWhatItLeft) {
  StartAndWaitForABatch();
  ASSERT_TRUE(dev_->Signal(SIGKILL).ok());
  EXPECT_TRUE(WaitFor([&] { return Processes().empty(); }));
  ASSERT_FALSE(NothingIsLeft());
  const fs::path left = fs::directory_iterator(directory_ + "/tmp")->path();
  fs::last_write_time(left, fs::file_time_type::clock::now() - std::chrono::hours(1));
  // Of somebody else, who lives.
  fs::create_directories(directory_ + "/tmp/tenfold-dev-other");
  Start({"--batches", "1", "--workers", "1"});
  ASSERT_EQ(dev_->Wait(absl::Seconds(60)), kExitOk) << Err();
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(directory_ + "/tmp/tenfold-dev-other"));
}

TEST_F(DevTest, AProcessThatDiesIsNamedWithItsLog) {
  StartAndWaitForABatch();
  const std::vector<pid_t> worker = Processes("/worker-2");
  ASSERT_THAT(worker, SizeIs(1));
  kill(worker[0], SIGKILL);
  EXPECT_EQ(dev_->Wait(absl::Seconds(20)), kExitRefused);
  EXPECT_THAT(Processes(), IsEmpty());
  EXPECT_THAT(Err(), HasSubstr("the process worker-2 was killed by signal 9"));
  const size_t path = Err().find(directory_ + "/tmp/");
  ASSERT_NE(path, std::string::npos) << Err();
  EXPECT_TRUE(fs::exists(Err().substr(path, Err().find_first_of(" \n", path) - path))) << Err();
}

TEST_F(DevTest, AKafkaThatIsNotThereIsTold) {
  Start({"--kafka", "127.0.0.1:1"});
  EXPECT_EQ(dev_->Wait(absl::Seconds(20)), kExitUnavailable);
  EXPECT_THAT(Err(), HasSubstr("127.0.0.1:1"));
  EXPECT_TRUE(NothingIsLeft());
}

}  // namespace
}  // namespace tenfold
