// A driver in this process with an embedded broker and no worker: what it does around its decisions. A job of it waits.
#include "driver/driver.h"

#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/job_spec.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

constexpr char kSpec[] = R"(
name: popularity
source:
  kafka: {topics: [events], start: earliest}
  format: {delimited: {separator: "|", fields: [page, clicks]}}
key: page
score: 1*clicks
top: 10
batch: {interval: 2s}
sinks: [{file: {path: top.jsonl}}]
)";

class DriverTest : public ::testing::Test {
 protected:
  DriverTest() {
    std::string name = ::testing::TempDir() + "/driver_XXXXXX";
    folder_ = mkdtemp(name.data());
    broker_ = *EmbeddedBroker::Start("events", 1);
    Start();
  }
  ~DriverTest() override {
    driver_.reset();
    fs::remove_all(folder_);
  }

  void Start() {
    driver_.reset();
    Driver::Options options;
    options.data_dir = folder_;
    options.kafka = broker_->brokers();
    auto driver = Driver::Start(options);
    ASSERT_TRUE(driver.ok()) << driver.status();
    driver_ = *std::move(driver);
  }

  absl::StatusOr<SubmitReply> Submit() {
    SubmitRequest request;
    for (const SpecError& error : ReadJobSpec(kSpec, request.mutable_spec())) ADD_FAILURE() << FormatSpecError("", error);
    // It may be starting.
    absl::StatusOr<SubmitReply> reply = driver_->Submit(request);
    while (absl::IsUnavailable(reply.status())) reply = driver_->Submit(request);
    return reply;
  }

  std::string folder_;
  std::unique_ptr<EmbeddedBroker> broker_;
  std::unique_ptr<Driver> driver_;
};

TEST_F(DriverTest, RefusesCallsThatWouldWaitBeyondTheLimitAndAnswersTheOthers) {
  ASSERT_TRUE(Submit().ok());
  GetBatchRequest request;
  request.set_job("popularity");
  request.set_wait_ms(60'000);
  std::atomic<bool> nobody_waits = false;
  std::atomic<int> asked = 0;
  std::vector<std::thread> waiting;
  for (int i = 0; i < kMaxWaitingCalls; ++i) {
    waiting.emplace_back([&] {
      // Asked now and then while it waits.
      const auto is_cancelled = [&, first = true]() mutable {
        if (std::exchange(first, false)) ++asked;
        return nobody_waits.load();
      };
      driver_->GetBatch(request, is_cancelled).IgnoreError();
    });
  }
  while (asked < kMaxWaitingCalls) absl::SleepFor(absl::Milliseconds(1));

  const absl::StatusOr<GetBatchReply> refused = driver_->GetBatch(request, [] { return true; });
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("lets 128 calls wait"));
  GetEndsRequest ends;
  ends.set_job("popularity");
  EXPECT_TRUE(absl::IsResourceExhausted(driver_->GetEnds(ends).status())) << "it would wait for Kafka";
  HeartbeatRequest heartbeat;
  heartbeat.set_worker_id("w");
  EXPECT_TRUE(driver_->Heartbeat(heartbeat).ok());

  nobody_waits = true;
  for (std::thread& thread : waiting) thread.join();
  EXPECT_TRUE(driver_->GetEnds(ends).ok()) << "the places are free again";
}

}  // namespace
}  // namespace tenfold
