#include <unistd.h>

#include <mutex>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/jobs/cli_fixture.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using TopTest = CliTest;

TEST_F(TopTest, TopShowsTheLastBatchOrTheOneAskedFor) {
  driver_.batches = {MakeBatch(6, {1}), MakeBatch(7, {2})};
  EXPECT_EQ(Run({"top", "popularity"}), kExitOk) << err_;
  EXPECT_EQ(out_,
            "popularity, batch 7 of 2023-11-14T22:13:20.123Z: 700 records, 3 bad, 100 in this batch, lag 5\n"
            "RANK  KEY     SCORE\n"
            "   1  page37   15.4\n"
            "   2  page4     0.5\n");
  EXPECT_EQ(Run({"top", "popularity", "--batch", "6", "-o", "json"}), kExitOk) << err_;
  EXPECT_THAT(PrintedBatches(), ElementsAre(6));
}

TEST_F(TopTest, TopOfAnUnknownBatchIsRefused) {
  EXPECT_EQ(Run({"top", "popularity", "--batch", "99"}), kExitRefused);
  EXPECT_EQ(err_, "tenfold: popularity has no batch 99\n");
}

TEST_F(TopTest, WatchPrintsEveryBatchFromTheLastOnUntilCtrlC) {
  driver_.batches = {MakeBatch(6, {1}), MakeBatch(7, {2})};
  driver_.steps = {driver_.CommitBatch(8, {3}), driver_.CommitBatch(9, {4}), FakeDriver::PressCtrlC()};
  EXPECT_EQ(Run({"top", "popularity", "--watch", "-o", "json"}), kExitOk) << err_;
  EXPECT_THAT(PrintedBatches(), ElementsAre(7, 8, 9));
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(TopTest, WatchFromABatchOn) {
  driver_.batches = {MakeBatch(5, {0}), MakeBatch(6, {1}), MakeBatch(7, {2})};
  driver_.steps = {FakeDriver::PressCtrlC()};
  EXPECT_EQ(Run({"top", "popularity", "--watch", "--batch", "6", "-o", "json"}), kExitOk) << err_;
  EXPECT_THAT(PrintedBatches(), ElementsAre(6, 7));
}

TEST_F(TopTest, WatchGoesOnAfterTheDriverRestarts) {
  driver_.batches = {MakeBatch(1, {1})};
  std::thread restart;
  driver_.steps = {[&](grpc::ServerContext* context) {
                     restart = std::thread([this] {
                       Stop();
                       Start(address_);
                     });
                     while (!context->IsCancelled()) std::this_thread::yield();
                   },
                   driver_.CommitBatch(2, {2}), FakeDriver::PressCtrlC()};
  EXPECT_EQ(Run({"top", "popularity", "--watch", "-o", "json"}), kExitOk);
  restart.join();
  EXPECT_THAT(PrintedBatches(), ElementsAre(1, 2));
  EXPECT_EQ(err_, "tenfold: lost the driver at " + address_ + "; waiting for it to come back\ntenfold: the driver at " +
                      address_ + " is back\n");
}

TEST_F(TopTest, WatchEndsWithAFailedJob) {
  driver_.batches = {MakeBatch(1, {1})};
  driver_.jobs[0].set_state(JOB_FAILED);
  driver_.jobs[0].set_failure("topic[0] at 5 is bad");
  EXPECT_EQ(Run({"top", "popularity", "--watch", "-o", "json"}), kExitRefused);
  EXPECT_THAT(PrintedBatches(), ElementsAre(1));
  EXPECT_EQ(err_, "tenfold: popularity failed because topic[0] at 5 is bad\n");
}

TEST_F(TopTest, WatchSaysOnceWhatTheJobWaitsFor) {
  driver_.batches = {MakeBatch(1, {1})};
  driver_.jobs[0].set_state(JOB_WAITING);
  driver_.jobs[0].mutable_waiting()->set_kind(WAITING_WORKERS);
  const FakeDriver::Step nothing = [](grpc::ServerContext*) {};
  driver_.steps = {nothing, nothing, FakeDriver::PressCtrlC()};
  EXPECT_EQ(Run({"top", "popularity", "--watch", "-o", "json"}), kExitOk);
  EXPECT_EQ(err_, "tenfold: popularity is waiting for a worker: none has joined\n");
}

TEST_F(TopTest, WatchDoesNotMixTwoJobsOfOneName) {
  driver_.batches = {MakeBatch(1, {1})};
  driver_.steps = {[&](grpc::ServerContext*) {
    const std::lock_guard lock(driver_.mutex);
    driver_.batches.push_back(MakeBatch(2, {2}));
    driver_.batches.back().set_job_id("job-2");
  }};
  EXPECT_EQ(Run({"top", "popularity", "--watch", "-o", "json"}), kExitRefused);
  EXPECT_THAT(PrintedBatches(), ElementsAre(1));
  EXPECT_THAT(err_, HasSubstr("another job"));
}

TEST_F(TopTest, WatchEndsQuietlyOnceNobodyReads) {
  driver_.batches = {MakeBatch(1, {1})};
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  EXPECT_EQ(RunTo(ends[1], {"top", "popularity", "--watch", "-o", "json"}), kExitOk);
  close(ends[1]);
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(TopTest, CaughtUpTakesALastBatchThatHasReachedTheEnds) {
  driver_.batches = {MakeBatch(1, {10, 20})};
  driver_.ends = {{0, 10}, {1, 20}};
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "-o", "json"}), kExitOk) << err_;
  EXPECT_THAT(PrintedBatches(), ElementsAre(1));
}

TEST_F(TopTest, CaughtUpWaitsForTheFirstBatchThatReachesAllEnds) {
  driver_.ends = {{0, 10}, {1, 20}};
  driver_.steps = {driver_.CommitBatch(1, {10, 0}), driver_.CommitBatch(2, {15, 19}), driver_.CommitBatch(3, {20, 21}),
                   driver_.CommitBatch(4, {20, 22})};
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "-o", "json"}), kExitOk) << err_;
  EXPECT_THAT(PrintedBatches(), ElementsAre(3));
  EXPECT_THAT(err_, IsEmpty());
}

TEST_F(TopTest, CaughtUpNamesThePartitionThatHoldsIt) {
  driver_.batches = {MakeBatch(4, {10, 0, 19})};
  driver_.ends = {{0, 10}, {1, 7}, {2, 20}};
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "--timeout", "20ms"}), kExitRefused);
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_EQ(err_, "tenfold: popularity did not catch up within 20ms: in batch 4 topic[1] is at 0 of 7\n");
}

TEST_F(TopTest, CaughtUpNamesAPartitionThatIsNotInTheJobUnlessItIsEmpty) {
  driver_.batches = {MakeBatch(4, {10})};
  driver_.ends = {{0, 10}, {1, 7}};
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "--timeout", "20ms"}), kExitRefused);
  EXPECT_EQ(
      err_,
      "tenfold: popularity did not catch up within 20ms: in batch 4 topic[1], which ends at 7, is not yet in the job\n");
  driver_.ends[1] = 0;
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "--timeout", "20ms"}), kExitOk) << err_;
}

TEST_F(TopTest, CaughtUpWithoutAnyBatchTimesOut) {
  driver_.ends = {{0, 10}};
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "--timeout", "20ms"}), kExitRefused);
  EXPECT_EQ(err_, "tenfold: popularity did not catch up within 20ms: it has no batch yet\n");
}

TEST_F(TopTest, CaughtUpWaitsUntilKafkaTellsItsEnds) {
  driver_.batches = {MakeBatch(1, {10})};
  driver_.ends = {{0, 10}};
  driver_.ends_failures = 2;
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "-o", "json"}), kExitOk) << err_;
  EXPECT_EQ(err_, "tenfold: topic[0] has no leader\n");
  EXPECT_THAT(PrintedBatches(), ElementsAre(1));
}

TEST_F(TopTest, CaughtUpSaysThatKafkaIsOutOfReach) {
  driver_.failure = absl::UnavailableError("Kafka at b:9092 is not reachable");
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "--timeout", "20ms"}), kExitUnavailable);
  EXPECT_THAT(err_, EndsWith("popularity did not catch up within 20ms: Kafka at b:9092 is not reachable\n"));
  driver_.failure = absl::DeadlineExceededError("late");
  EXPECT_EQ(Run({"top", "popularity", "--caught-up", "--timeout", "20ms"}), kExitUnavailable);
  EXPECT_THAT(err_, EndsWith("within 20ms: Kafka does not tell in time where its topics end\n"));
}

}  // namespace
}  // namespace tenfold
