// Standard output as a sink: a file, a pipe that is full or closed, and one that two jobs share.
#include "driver/sinks/stdout_target.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "driver/sinks/job_sinks.h"
#include "gtest/gtest.h"
#include "tests/unit/driver/job_sinks_fixture.h"

namespace tenfold {
namespace {

TEST_F(SinksTest, StdoutGetsTheSameLines) {
  StdoutPipe out;
  AddStdout();
  Start();
  Commit(2);
  EXPECT_EQ(out.Read(Lines(1, 2).size()), Lines(1, 2));
  ASSERT_TRUE(WaitDelivered(2));
  Commit(3);
  EXPECT_EQ(out.Read(Lines(3, 3).size()), Lines(3, 3));
  EXPECT_EQ(sinks_->Status()[0].sink(), "stdout");
}

TEST_F(SinksTest, AFullStdoutLosesNothing) {
  StdoutPipe out;
  out.Fill();
  AddStdout();
  Start();
  Commit(60);
  EXPECT_TRUE(WaitProblem("standard output is full"));
  out.Read(4096);
  EXPECT_EQ(out.Read(Lines(1, 60).size()), Lines(1, 60));
}

// Two jobs on a standard output of one page, the first of which has lines of several.
class SharedStdoutTest : public SinksTest {
 protected:
  SharedStdoutTest() {
    out_.MakeSmall();
    AddStdout();
    long_partitions_[0].set_topic(std::string(20'000, 't'));
    long_line_ = TopLines("popularity", long_partitions_, MakeBatch("j1", 1))[0] + "\n";
    Start();
    sinks_->OnCommitted(1, long_partitions_);
    EXPECT_TRUE(WaitProblem("standard output is full"));
    // By now it waits longer before it tries again than the other one will.
    EXPECT_TRUE(WaitFor([&] { return journal_.reads == 3; }));
    options_.job_id = "j2";
    other_ = std::make_unique<JobSinks>(options_, &journal_);
    other_->OnCommitted(1, Partitions());
    EXPECT_TRUE(WaitFor([&] { return other_->Status()[0].problem().find("standard output") != std::string::npos; }));
  }

  StdoutPipe out_;
  std::vector<Partition> long_partitions_ = Partitions();
  std::string long_line_;
  std::unique_ptr<JobSinks> other_;
};

TEST_F(SharedStdoutTest, ALineIsWholeHoweverLongItsReaderStalls) {
  const std::string both = long_line_ + Line("j2", 1);
  // Too long to be told on this standard output.
  EXPECT_TRUE(out_.Read(both.size()) == both);
}

TEST_F(SharedStdoutTest, AJobThatEndsInTheMiddleOfALineLeavesTheNextOneWhole) {
  sinks_.reset();
  EXPECT_TRUE(out_.Read(4096) == long_line_.substr(0, 4096));
  EXPECT_EQ(out_.Read(1 + Line("j2", 1).size()), "\n" + Line("j2", 1));
}

TEST_F(SinksTest, AClosedStdoutIsTold) {
  StdoutPipe out;
  out.CloseReader();
  AddStdout();
  Start();
  Commit(1);
  EXPECT_TRUE(WaitProblem("Broken pipe"));
}

}  // namespace
}  // namespace tenfold
