#include "driver/job_log.h"

#include <future>
#include <memory>
#include <stop_token>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

// Nobody listens there, so that each call takes its whole timeout of 3 s.
TEST(JobLogTest, BeginsNoCallOnceItIsToStop) {
  JobSpec spec;
  spec.set_name("popularity");
  spec.mutable_source()->add_topics("events");
  std::stop_source stop;
  absl::StatusOr<std::unique_ptr<JobLog>> log = JobLog::Create(spec, "127.0.0.1:1", stop.get_token());
  ASSERT_TRUE(log.ok()) << log.status();
  std::vector<Partition> partitions(1);
  partitions[0].set_topic("events");
  stop.request_stop();

  const absl::Time start = absl::Now();
  EXPECT_TRUE(absl::IsUnavailable((*log)->Resolve().status()));
  EXPECT_TRUE(absl::IsUnavailable((*log)->HighWatermarks().status()));
  EXPECT_TRUE(absl::IsUnavailable((*log)->Find(partitions).status()));
  std::promise<absl::Status> ends;
  (*log)->QueryEnds(partitions, [&](const absl::StatusOr<std::vector<int64_t>>& got) { ends.set_value(got.status()); });
  EXPECT_TRUE(absl::IsUnavailable(ends.get_future().get()));
  (*log)->SetGroupOffsets(partitions, {1});
  log->reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
}

}  // namespace
}  // namespace tenfold
