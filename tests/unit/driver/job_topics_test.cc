#include "driver/job_topics.h"

#include <future>
#include <memory>
#include <stop_token>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

absl::Time Soon() { return absl::Now() + absl::Seconds(5); }

// Nobody listens there, so that each call takes its whole timeout of 3 s.
TEST(JobTopicsTest, BeginsNoCallOnceItIsToStop) {
  JobSpec spec;
  spec.set_name("popularity");
  spec.mutable_source()->add_topics("events");
  std::stop_source stop;
  absl::StatusOr<std::unique_ptr<JobTopics>> topics =
      JobTopics::Create(spec, {.brokers = "127.0.0.1:1", .properties = {}}, stop.get_token());
  ASSERT_TRUE(topics.ok()) << topics.status();
  std::vector<Partition> partitions(1);
  partitions[0].set_topic("events");
  stop.request_stop();

  const absl::Time start = absl::Now();
  EXPECT_TRUE(absl::IsUnavailable((*topics)->Resolve(Soon()).status()));
  EXPECT_TRUE(absl::IsUnavailable((*topics)->HighWatermarks().status()));
  EXPECT_TRUE(absl::IsUnavailable((*topics)->Find(partitions).status()));
  std::promise<absl::Status> ends;
  (*topics)->QueryEnds(partitions, [&](const Ends& got) { ends.set_value(got.front().status()); });
  EXPECT_TRUE(absl::IsUnavailable(ends.get_future().get()));
  (*topics)->SetGroupOffsets(partitions, {1});
  topics->reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
}

}  // namespace
}  // namespace tenfold
