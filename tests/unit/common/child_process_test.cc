#include "common/process/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(20);

class ChildProcessTest : public ::testing::Test {
 protected:
  ChildProcessTest() {
    std::string name = ::testing::TempDir() + "/child_process_XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~ChildProcessTest() override { std::filesystem::remove_all(directory_); }

  ChildProcess::Options Shell(const std::string& script) const {
    ChildProcess::Options options;
    options.argv = {"sh", "-c", script};
    options.stdout_path = directory_ + "/out";
    options.stderr_path = directory_ + "/err";
    return options;
  }
  std::string Read(const std::string& name) const {
    std::ifstream in(directory_ + "/" + name);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string directory_;
};

TEST_F(ChildProcessTest, TellsTheExitCode) {
  auto child = ChildProcess::Start(Shell("exit 7"));
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ((*child)->Wait(kLong), 7);
  EXPECT_EQ((*child)->Poll(), 7);
}

TEST_F(ChildProcessTest, TellsTheSignalThatKilledIt) {
  auto child = ChildProcess::Start(Shell("exec sleep 1000"));
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ((*child)->Poll(), std::nullopt);
  ASSERT_TRUE((*child)->Signal(SIGTERM).ok());
  EXPECT_EQ((*child)->Wait(kLong), 128 + SIGTERM);
  EXPECT_TRUE(absl::IsFailedPrecondition((*child)->Signal(SIGTERM)));
}

TEST_F(ChildProcessTest, WaitGivesUpAtItsTimeout) {
  auto child = ChildProcess::Start(Shell("exec sleep 1000"));
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ((*child)->Wait(absl::Milliseconds(20)), std::nullopt);
}

TEST_F(ChildProcessTest, AProgramThatIsNotThereIsAnErrorThatNamesIt) {
  ChildProcess::Options options;
  options.argv = {"/nonexistent/program"};
  auto child = ChildProcess::Start(options);
  ASSERT_FALSE(child.ok());
  EXPECT_TRUE(absl::IsNotFound(child.status()));
  EXPECT_THAT(std::string(child.status().message()), HasSubstr("/nonexistent/program"));
}

TEST_F(ChildProcessTest, OutputIsAppendedToItsFiles) {
  for (int i = 0; i < 2; ++i) {
    auto child = ChildProcess::Start(Shell("echo out; echo err >&2"));
    ASSERT_TRUE(child.ok()) << child.status();
    ASSERT_EQ((*child)->Wait(kLong), 0);
  }
  EXPECT_EQ(Read("out"), "out\nout\n");
  EXPECT_EQ(Read("err"), "err\nerr\n");
}

TEST_F(ChildProcessTest, EnvironmentAddsToThisProcessAndOverridesIt) {
  setenv("TENFOLD_TEST_KEPT", "kept", 1);
  setenv("TENFOLD_TEST_CHANGED", "old", 1);
  ChildProcess::Options options = Shell("echo $TENFOLD_TEST_KEPT $TENFOLD_TEST_CHANGED $TENFOLD_TEST_NEW");
  options.environment = {{"TENFOLD_TEST_CHANGED", "changed"}, {"TENFOLD_TEST_NEW", "new"}};
  auto child = ChildProcess::Start(options);
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_EQ((*child)->Wait(kLong), 0);
  EXPECT_EQ(Read("out"), "kept changed new\n");
}

TEST_F(ChildProcessTest, InheritsNoDescriptorAndNoBlockedSignal) {
  const int leaked = open("/dev/null", O_RDONLY);
  ASSERT_GE(leaked, 0);
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  auto child = ChildProcess::Start(Shell("ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status"));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_EQ((*child)->Wait(kLong), 0);
  close(leaked);
  // 0, 1, 2 and the directory that ls reads.
  EXPECT_EQ(Read("out"), "4\nSigBlk:\t0000000000000000\n");
}

TEST_F(ChildProcessTest, DestructionKillsIt) {
  auto child = ChildProcess::Start(Shell("exec sleep 1000"));
  ASSERT_TRUE(child.ok()) << child.status();
  const pid_t pid = (*child)->pid();
  child->reset();
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(ChildProcessTest, DiesWithTheThreadThatStartedIt) {
  absl::StatusOr<std::unique_ptr<ChildProcess>> child;
  std::thread([&] { child = ChildProcess::Start(Shell("exec sleep 1000")); }).join();
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ((*child)->Wait(kLong), 128 + SIGKILL);
}

TEST_F(ChildProcessTest, OutlivesTheThreadThatStartedItIfAsked) {
  ChildProcess::Options options = Shell("exec sleep 1000");
  options.die_with_parent = false;
  absl::StatusOr<std::unique_ptr<ChildProcess>> child;
  std::thread([&] { child = ChildProcess::Start(options); }).join();
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ((*child)->Wait(absl::Milliseconds(50)), std::nullopt);
}

}  // namespace
}  // namespace tenfold
