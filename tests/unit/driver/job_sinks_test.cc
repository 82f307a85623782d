#include "driver/sinks/job_sinks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "common/process/child_process.h"
#include "common/process/fault_point.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/driver/job_sinks_fixture.h"

namespace {
std::atomic<int> syncs = 0;
std::atomic<int> syncs_to_fail = 0;
}  // namespace

extern "C" int fsync(int fd) {
  if (syncs_to_fail > 0) {
    --syncs_to_fail;
    errno = EIO;
    return -1;
  }
  ++syncs;
  return static_cast<int>(syscall(SYS_fsync, fd));
}

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(SinksTest, AFileGetsALineForEachBatchInOrder) {
  AddFile("top.jsonl");
  Start();
  for (uint64_t b = 1; b <= 20; ++b) Commit(b);
  ASSERT_TRUE(WaitDelivered(20)) << Problem();
  EXPECT_EQ(Top(), Lines(1, 20));
  EXPECT_EQ(sinks_->Status()[0].sink(), "file top.jsonl");
  EXPECT_EQ(sinks_->Status()[0].delivered_batch(), 20u);
  EXPECT_EQ(Problem(), "");
}

TEST_F(SinksTest, BatchesOfBeforeARefoldAreWrittenByTheSpecThatMadeThem) {
  AddFile("top.jsonl");
  // Only a fold of expressions tells of filtered records.
  options_.former_specs.push_back(options_.spec);
  options_.former_specs[0].mutable_fold()->mutable_general()->add_key("page");
  journal_.refolded_at_batch = 3;
  Start();
  Commit(4);
  ASSERT_TRUE(WaitDelivered(4)) << Problem();
  const std::string top = Top();
  const size_t third = top.find("\"batch\":3,");
  EXPECT_THAT(top.substr(0, third), HasSubstr("filtered_records"));
  EXPECT_EQ(top.substr(top.rfind('\n', third) + 1), Lines(3, 4));
}

TEST_F(SinksTest, ALineIsSyncedBeforeItCounts) {
  AddFile("top.jsonl");
  std::vector<int> syncs_at_delivery;
  journal_.before_delivered = [&](uint64_t) { syncs_at_delivery.push_back(syncs); };
  Start();
  for (uint64_t b = 1; b <= 3; ++b) {
    Commit(b);
    ASSERT_TRUE(WaitDelivered(b)) << Problem();
    ASSERT_TRUE(WaitFor([&] { return journal_.Delivered("j1", "file top.jsonl") == b; }));
  }
  sinks_.reset();
  ASSERT_EQ(syncs_at_delivery.size(), 3u);
  EXPECT_EQ(syncs_at_delivery[1], syncs_at_delivery[0] + 1);
  EXPECT_EQ(syncs_at_delivery[2], syncs_at_delivery[1] + 1);
}

TEST_F(SinksTest, ALineThatCouldNotBeSyncedIsWrittenAgainOnce) {
  AddFile("top.jsonl");
  Start();
  Commit(1);
  ASSERT_TRUE(WaitDelivered(1)) << Problem();
  syncs_to_fail = 1;
  Commit(2);
  EXPECT_TRUE(WaitProblem("cannot sync"));
  EXPECT_EQ(Top(), Lines(1, 1));
  ASSERT_TRUE(WaitDelivered(2)) << Problem();
  EXPECT_EQ(Top(), Lines(1, 2));
}

TEST_F(SinksTest, DirectoriesOfAPathAreMade) {
  AddFile("a/b/top.jsonl");
  AddFile(directory_ + "/allowed/c/top.jsonl");
  Start();
  Commit(1);
  ASSERT_TRUE(WaitDelivered(1)) << Problem(0) << Problem(1);
  EXPECT_EQ(ReadFile(JobDirectory() / "a/b/top.jsonl"), Lines(1, 1));
  EXPECT_EQ(ReadFile(directory_ + "/allowed/c/top.jsonl"), Lines(1, 1));
}

TEST_F(SinksTest, GoesOnAfterTheFilesLastLineWhenTheJournalTrails) {
  WriteFile(JobDirectory() / "top.jsonl", Lines(1, 3));
  AddFile("top.jsonl");
  Start();
  Commit(5);
  ASSERT_TRUE(WaitDelivered(5)) << Problem();
  EXPECT_EQ(Top(), Lines(1, 5));
}

TEST_F(SinksTest, GoesOnAfterTheJournalsBatchWhenTheFileWasMovedAway) {
  ASSERT_TRUE(journal_.SetDelivered("j1", "file top.jsonl", 3).ok());
  AddFile("top.jsonl");
  Start();
  Commit(5);
  ASSERT_TRUE(WaitDelivered(5)) << Problem();
  EXPECT_EQ(Top(), Lines(4, 5));
}

TEST_F(SinksTest, AFileMovedAwayWhileRunningIsStartedAnew) {
  AddFile("top.jsonl");
  Start();
  Commit(2);
  ASSERT_TRUE(WaitDelivered(2)) << Problem();
  fs::rename(JobDirectory() / "top.jsonl", JobDirectory() / "old.jsonl");
  Commit(3);
  ASSERT_TRUE(WaitDelivered(3)) << Problem();
  EXPECT_EQ(ReadFile(JobDirectory() / "old.jsonl"), Lines(1, 2));
  EXPECT_EQ(Top(), Lines(3, 3));
}

TEST_F(SinksTest, ATornLastLineIsWrittenAgain) {
  AddFile("top.jsonl");
  // From its first byte alone to all but its newline.
  for (size_t cut : {size_t{1}, size_t{20}, Line("j1", 3).size() - 1}) {
    WriteFile(JobDirectory() / "top.jsonl", Lines(1, 2) + Line("j1", 3).substr(0, cut));
    Start();
    Commit(4);
    ASSERT_TRUE(WaitDelivered(4)) << Problem();
    EXPECT_EQ(Top(), Lines(1, 4)) << cut;
    sinks_.reset();
    ASSERT_TRUE(journal_.SetDelivered("j1", "file top.jsonl", 0).ok());
  }
}

TEST_F(SinksTest, ALongTornLineIsCutWhole) {
  WriteFile(JobDirectory() / "top.jsonl", Lines(1, 2) + R"({"job":"popularity","job_id":")" + std::string(300'000, 'j'));
  AddFile("top.jsonl");
  Start();
  Commit(3);
  ASSERT_TRUE(WaitDelivered(3)) << Problem();
  EXPECT_EQ(Top(), Lines(1, 3));
}

TEST_F(SinksTest, AnUnfinishedLineOfSomebodyElseIsNotCut) {
  WriteFile(JobDirectory() / "top.jsonl", "my notes");
  AddFile("top.jsonl");
  Start();
  Commit(1);
  EXPECT_TRUE(WaitProblem("end it with a newline"));
  EXPECT_EQ(Top(), "my notes");
  WriteFile(JobDirectory() / "top.jsonl", "my notes\n");
  ASSERT_TRUE(WaitDelivered(1)) << Problem();
  EXPECT_EQ(Top(), "my notes\n" + Lines(1, 1));
}

TEST_F(SinksTest, LinesOfAnOlderJobAreLeftAlone) {
  WriteFile(JobDirectory() / "top.jsonl", Line("j0", 70));
  AddFile("top.jsonl");
  Start();
  Commit(2);
  ASSERT_TRUE(WaitDelivered(2)) << Problem();
  EXPECT_EQ(Top(), Line("j0", 70) + Lines(1, 2));
}

// Not a test by itself: the next one runs it in a process of its own, which the fault point ends.
TEST_F(SinksTest, DISABLED_DeliverUntilTheFaultPoint) {
  places_.data_dir = getenv("TENFOLD_TEST_DATA_DIR");
  AddFile("top.jsonl");
  Start();
  Commit(5);
  WaitDelivered(5);
}

TEST_F(SinksTest, ACrashAfterTheWriteDoesNotDoubleTheLine) {
  ChildProcess::Options options;
  options.argv = {"/proc/self/exe", "--gtest_filter=*DISABLED_DeliverUntilTheFaultPoint", "--gtest_also_run_disabled_tests"};
  // Its own directory it does not clean up: that is to lie in this one's.
  options.environment = {{"TENFOLD_TEST_DATA_DIR", places_.data_dir},
                         {"TENFOLD_FAULT_POINT", "driver.sink_written:2"},
                         {"TEST_TMPDIR", directory_}};
  options.stdout_path = directory_ + "/out";
  auto child = ChildProcess::Start(options);
  ASSERT_TRUE(child.ok()) << child.status();
  ASSERT_EQ((*child)->Wait(absl::Seconds(60)), kFaultExitCode) << ReadFile(options.stdout_path);
  ASSERT_EQ(Top(), Lines(1, 2));
  AddFile("top.jsonl");
  Start();
  Commit(5);
  ASSERT_TRUE(WaitDelivered(5)) << Problem();
  EXPECT_EQ(Top(), Lines(1, 5));
}

TEST_F(SinksTest, TroubleIsToldAndRetried) {
  WriteFile(directory_ + "/data/sinks", "in the way");
  AddFile("top.jsonl");
  Start();
  Commit(2);
  EXPECT_TRUE(WaitProblem(directory_ + "/data/sinks/popularity.j1"));
  EXPECT_EQ(sinks_->DeliveredByAll(), 0u);
  fs::remove(directory_ + "/data/sinks");
  ASSERT_TRUE(WaitDelivered(2)) << Problem();
  EXPECT_TRUE(WaitFor([&] { return Problem().empty(); }));
  EXPECT_EQ(Top(), Lines(1, 2));
}

TEST_F(SinksTest, AHalfWrittenLineIsTakenBack) {
  signal(SIGXFSZ, SIG_IGN);
  AddFile("top.jsonl");
  Start();
  Commit(1);
  ASSERT_TRUE(WaitDelivered(1)) << Problem();
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit before = limit;
  limit.rlim_cur = Line("j1", 1).size() + 10;
  setrlimit(RLIMIT_FSIZE, &limit);
  Commit(2);
  const bool told = WaitProblem("cannot write");
  const std::string during = Top();
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_TRUE(told);
  EXPECT_EQ(during, Lines(1, 1));
  ASSERT_TRUE(WaitDelivered(2)) << Problem();
  EXPECT_EQ(Top(), Lines(1, 2));
}

TEST_F(SinksTest, ABrokenSinkDelaysOnlyItself) {
  fs::create_directories(JobDirectory() / "broken.jsonl");
  AddFile("broken.jsonl");
  AddFile("top.jsonl");
  Start();
  Commit(3);
  ASSERT_TRUE(WaitFor([&] { return sinks_->Status()[1].delivered_batch() == 3; })) << Problem(1);
  EXPECT_EQ(Top(), Lines(1, 3));
  EXPECT_TRUE(WaitProblem("broken.jsonl"));
  EXPECT_EQ(sinks_->DeliveredByAll(), 0u);
}

// What a sink has may be trimmed, and a driver that starts again asks for what follows the last batch it knows of.
TEST_F(SinksTest, ABatchIsDeliveredOnceTheJournalSaysSo) {
  AddFile("top.jsonl");
  std::atomic<bool> told_too_early = false;
  journal_.before_delivered = [&](uint64_t batch) {
    if (sinks_->DeliveredByAll() >= batch) told_too_early = true;
  };
  Start();
  Commit(3);
  ASSERT_TRUE(WaitDelivered(3)) << Problem();
  EXPECT_FALSE(told_too_early);
  sinks_.reset();
}

// What the journal says is delivered is never delivered again.
TEST_F(SinksTest, TheJournalIsToldOfABatchOnlyOnceTheSinkHasIt) {
  AddFile("top.jsonl");
  std::atomic<bool> told_too_early = false;
  journal_.before_delivered = [&](uint64_t batch) {
    if (Top() != Lines(1, static_cast<int>(batch))) told_too_early = true;
  };
  Start();
  Commit(3);
  ASSERT_TRUE(WaitDelivered(3)) << Problem();
  EXPECT_FALSE(told_too_early);
  sinks_.reset();
}

TEST_F(SinksTest, AnUnreadableBatchIsTold) {
  AddFile("top.jsonl");
  journal_.broken = true;
  Start();
  Commit(1);
  EXPECT_TRUE(WaitProblem("the journal is damaged"));
  journal_.broken = false;
  EXPECT_TRUE(WaitDelivered(1));
}

TEST_F(SinksTest, StopsWithinASecondInTheMiddleOfTrouble) {
  fs::create_directories(JobDirectory() / "broken.jsonl");
  StdoutPipe out;
  out.Fill();
  AddFile("broken.jsonl");
  AddStdout();
  Start();
  Commit(1);
  EXPECT_TRUE(WaitProblem("broken.jsonl"));
  EXPECT_TRUE(WaitProblem("standard output is full", 1));
  const absl::Time start = absl::Now();
  sinks_.reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
}

TEST_F(SinksTest, AFileInUseIsToldUntilItIsFree) {
  AddFile(directory_ + "/allowed/top.jsonl");
  Start();
  Commit(1);
  ASSERT_TRUE(WaitDelivered(1)) << Problem();
  std::unique_ptr<JobSinks> first = std::move(sinks_);
  options_.job_id = "j2";
  Start();
  Commit(1);
  EXPECT_TRUE(WaitProblem("in use"));
  first.reset();
  ASSERT_TRUE(WaitDelivered(1)) << Problem();
  EXPECT_EQ(ReadFile(directory_ + "/allowed/top.jsonl"), Line("j1", 1) + Line("j2", 1));
}

TEST_F(SinksTest, ALinkOutOfTheDirectoryIsRefused) {
  fs::create_directories(JobDirectory());
  fs::create_directories(directory_ + "/elsewhere");
  fs::create_directory_symlink(directory_ + "/elsewhere", JobDirectory() / "link");
  AddFile("link/top.jsonl");
  AddFile("link/sub/top.jsonl");
  Start();
  Commit(1);
  EXPECT_TRUE(WaitProblem("symbolic link", 0));
  EXPECT_TRUE(WaitProblem("symbolic link", 1));
  EXPECT_TRUE(fs::is_empty(directory_ + "/elsewhere"));
}

TEST_F(SinksTest, ALinkInPlaceOfTheFileIsRefused) {
  WriteFile(directory_ + "/elsewhere", "");
  fs::create_directories(JobDirectory());
  fs::create_symlink(directory_ + "/elsewhere", JobDirectory() / "top.jsonl");
  AddFile("top.jsonl");
  Start();
  Commit(1);
  EXPECT_TRUE(WaitProblem("symbolic link"));
  EXPECT_EQ(ReadFile(directory_ + "/elsewhere"), "");
}

TEST_F(SinksTest, APathThatIsNoLongerAllowedIsTold) {
  AddFile(directory_ + "/other/top.jsonl");
  Start();
  EXPECT_TRUE(WaitProblem("configuration"));
  EXPECT_FALSE(fs::exists(directory_ + "/other"));
}

TEST_F(SinksTest, WithoutSinksEverythingIsDelivered) {
  Start();
  Commit(4);
  EXPECT_EQ(sinks_->DeliveredByAll(), 4u);
}

TEST_F(SinksTest, AJobWritesNothingWhereAnEarlierOneOfItsNameWrote) {
  AddFile("top.jsonl");
  Start();
  Commit(1);
  ASSERT_TRUE(WaitDelivered(1)) << Problem();
  options_.job_id = "j2";
  Start();
  Commit(2);
  ASSERT_TRUE(WaitDelivered(2)) << Problem();
  EXPECT_EQ(Top(), Lines(1, 1));
  EXPECT_TRUE(fs::exists(directory_ + "/data/sinks/popularity.j2/top.jsonl"));
}

class ForkedSinkTest : public SinksTest {
 protected:
  ForkedSinkTest() {
    options_.forked = [this](const std::string& sink, const std::string& knows) {
      std::lock_guard lock(mutex_);
      told_ = sink + " " + knows;
    };
    AddFile("top.jsonl");
  }
  std::string Told() {
    WaitFor([this] {
      std::lock_guard lock(mutex_);
      return !told_.empty();
    });
    std::lock_guard lock(mutex_);
    return told_;
  }

  std::mutex mutex_;
  std::string told_;
};

TEST_F(ForkedSinkTest, AFileThatIsAheadOfTheJournalGetsNothing) {
  WriteFile(JobDirectory() / "top.jsonl", Lines(1, 7));
  Start();
  Commit(5);
  EXPECT_EQ(Told(), "sink file top.jsonl has batch 7 of the job, and the journal ends at batch 5");
  Commit(8);
  EXPECT_TRUE(WaitProblem("has batch 7"));
  EXPECT_EQ(Top(), Lines(1, 7));
}

TEST_F(ForkedSinkTest, AFileWithAnotherBatchUnderTheNumberGetsNothing) {
  BatchCommitted other = MakeBatch("j1", 3);
  other.set_records(31);
  const std::string text = Lines(1, 2) + TopLines("popularity", Partitions(), other)[0] + "\n";
  WriteFile(JobDirectory() / "top.jsonl", text);
  Start();
  Commit(5);
  EXPECT_EQ(Told(), "sink file top.jsonl has another batch 3 of the job than the journal");
  EXPECT_EQ(Top(), text);
}

// Which is not kept over a loss of power.
TEST_F(ForkedSinkTest, TheTimeOfPublicationMayDiffer) {
  BatchCommitted same = MakeBatch("j1", 3);
  same.set_published_at_us(1'000'000);
  const std::string text = Lines(1, 2) + TopLines("popularity", Partitions(), same)[0] + "\n";
  WriteFile(JobDirectory() / "top.jsonl", text);
  Start();
  Commit(4);
  ASSERT_TRUE(WaitDelivered(4)) << Problem();
  EXPECT_EQ(Top(), text + Lines(4, 4));
}

}  // namespace
}  // namespace tenfold
