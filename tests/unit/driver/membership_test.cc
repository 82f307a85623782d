#include "driver/core/membership.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kLeaseUs = 3'000'000;

// Worker "w" of a cluster with a lease of 3 s.
class MembershipTest : public testing::Test {
 protected:
  absl::StatusOr<bool> Beat(uint64_t incarnation = 1, const std::string& address = "host:1") {
    HeartbeatRequest request;
    request.set_worker_id("w");
    request.set_incarnation(incarnation);
    request.set_address(address);
    return members_.OnHeartbeat(request, now_us_);
  }
  // What the pings that are due get for an answer.
  void AnswerPings(const absl::Status& status) {
    for (const Send<PingRequest>& ping : members_.Pings(now_us_)) members_.OnPingEnded(ping.request, status, now_us_);
  }
  // Is heard all the time, and answers its pings in this way.
  void Pass(int64_t us, const absl::Status& answer, uint64_t incarnation = 1) {
    for (const int64_t end_us = now_us_ + us; now_us_ < end_us; now_us_ += 100'000) {
      EXPECT_TRUE(Beat(incarnation).ok());
      AnswerPings(answer);
      members_.Check(now_us_);
    }
  }
  void Join() {
    EXPECT_TRUE(Beat().ok());
    AnswerPings(absl::OkStatus());
    members_.Check(now_us_);
    EXPECT_EQ(worker().state, WORKER_LIVE);
  }
  const WorkerInfo& worker() const { return cluster_.workers.at("w"); }

  ClusterView cluster_;
  Membership members_{&cluster_};
  int64_t now_us_ = 100'000'000;
};

TEST_F(MembershipTest, AWorkerThatIsHeardIsUsedOnceItAnswers) {
  EXPECT_TRUE(Beat().value());
  members_.Check(now_us_);
  EXPECT_EQ(worker().state, WORKER_JOINING);
  AnswerPings(absl::OkStatus());
  EXPECT_TRUE(members_.Check(now_us_));
  EXPECT_EQ(worker().state, WORKER_LIVE);
}

TEST_F(MembershipTest, OneThatNeverAnswersIsUnreachableAfterALease) {
  Pass(kLeaseUs, absl::UnavailableError("host:1: connection refused"));
  EXPECT_EQ(worker().state, WORKER_JOINING);
  Pass(200'000, absl::UnavailableError("host:1: connection refused"));
  EXPECT_EQ(worker().state, WORKER_UNREACHABLE);
  EXPECT_THAT(worker().problem, HasSubstr("does not answer calls: host:1: connection refused"));
}

TEST_F(MembershipTest, OneThatAnswersNoLongerIsUnreachableAfterALeaseAndLiveWhenItAnswersAgain) {
  Join();
  Pass(2 * kLeaseUs, absl::OkStatus());
  EXPECT_EQ(worker().state, WORKER_LIVE);
  Pass(kLeaseUs, absl::UnavailableError("no answer in time"));
  EXPECT_EQ(worker().state, WORKER_LIVE) << "its first ping failed at most half a lease ago";
  Pass(kLeaseUs / 2 + 200'000, absl::UnavailableError("no answer in time"));
  EXPECT_EQ(worker().state, WORKER_UNREACHABLE);
  Pass(200'000 + kLeaseUs / 8, absl::OkStatus());
  EXPECT_EQ(worker().state, WORKER_LIVE);
  EXPECT_EQ(worker().problem, "");
}

TEST_F(MembershipTest, ARefusedPingCountsAsNoAnswer) {
  Join();
  Pass(2 * kLeaseUs, absl::FailedPreconditionError("its disk does not take a write"));
  EXPECT_EQ(worker().state, WORKER_UNREACHABLE);
  EXPECT_THAT(worker().problem, HasSubstr("its disk does not take a write"));
}

TEST_F(MembershipTest, WhileJobsAreAnsweredThereAreNoPings) {
  Join();
  for (int i = 0; i < 100; ++i) {
    now_us_ += 100'000;
    members_.OnAnswer("w", 1, now_us_);
    EXPECT_TRUE(Beat().ok());
    EXPECT_THAT(members_.Pings(now_us_), IsEmpty());
  }
  now_us_ += kLeaseUs / 2;
  EXPECT_THAT(members_.Pings(now_us_), SizeIs(1));
  EXPECT_THAT(members_.Pings(now_us_), IsEmpty()) << "one is in flight";
}

TEST_F(MembershipTest, APingThatIsInFlightWhileTheDriverStandsStillCostsNoLease) {
  Join();
  now_us_ += kLeaseUs / 2;
  EXPECT_TRUE(Beat().ok());
  const std::vector<Send<PingRequest>> pings = members_.Pings(now_us_);
  ASSERT_THAT(pings, SizeIs(1));
  now_us_ += 10 * kLeaseUs;
  members_.OnPaused(10 * kLeaseUs, now_us_);
  EXPECT_TRUE(Beat().ok());
  members_.OnPingEnded(pings[0].request, absl::UnavailableError("no answer in time"), now_us_);
  members_.Check(now_us_);
  EXPECT_EQ(worker().state, WORKER_LIVE);
}

TEST_F(MembershipTest, OfALostWorkerNothingIsSaidButThat) {
  Join();
  now_us_ += kLeaseUs / 2;
  const std::vector<Send<PingRequest>> pings = members_.Pings(now_us_);
  ASSERT_THAT(pings, SizeIs(1));
  now_us_ += kLeaseUs;
  members_.Check(now_us_);
  EXPECT_EQ(worker().state, WORKER_LOST);
  members_.OnPingEnded(pings[0].request, absl::UnavailableError("no answer in time"), now_us_);
  EXPECT_EQ(worker().problem, "");
}

TEST_F(MembershipTest, ALostWorkerIsForgottenOnceItHasNoShards) {
  Join();
  now_us_ += kLeaseUs;
  members_.Check(now_us_);
  cluster_.workers.at("w").shards = cluster_.workers.at("w").jobs = 1;
  now_us_ += int64_t{3600} * 1'000'000;
  members_.Check(now_us_);
  EXPECT_EQ(worker().state, WORKER_LOST);
  cluster_.workers.at("w").shards = cluster_.workers.at("w").jobs = 0;
  EXPECT_LE(members_.NextTimeUs(), now_us_);
  members_.Check(now_us_);
  EXPECT_THAT(cluster_.workers, IsEmpty());
}

TEST_F(MembershipTest, AnAnswerOfAnEarlierProcessCountsForNothing) {
  Join();
  EXPECT_TRUE(Beat(2).value());
  members_.OnAnswer("w", 1, now_us_);
  members_.Check(now_us_);
  EXPECT_EQ(worker().state, WORKER_JOINING);
}

TEST_F(MembershipTest, OfTwoProcessesTheElderIsToldAndTheYoungerHearsOfIt) {
  Join();
  EXPECT_TRUE(Beat(2, "host:2").value());
  const absl::StatusOr<bool> elder = Beat(1);
  EXPECT_TRUE(absl::IsAborted(elder.status())) << elder.status();
  EXPECT_THAT(std::string(elder.status().message()), HasSubstr("a younger process has the worker id w, at host:2"));
  EXPECT_EQ(worker().incarnation, 2u);
  EXPECT_THAT(members_.TakeNotice("w"), HasSubstr("another process had the worker id w, at host:1"));
  EXPECT_EQ(members_.TakeNotice("w"), "");
}

TEST_F(MembershipTest, APauseOfTheDriverMakesNobodyUnreachable) {
  Join();
  Pass(kLeaseUs / 2 + 100'000, absl::UnavailableError("no answer in time"));
  now_us_ += 60'000'000;
  members_.OnPaused(60'000'000, now_us_);
  members_.Check(now_us_);
  EXPECT_EQ(worker().state, WORKER_LIVE);
}

}  // namespace
}  // namespace tenfold
