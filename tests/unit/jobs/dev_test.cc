#include "jobs/cli/dev/dev.h"

#include <fstream>
#include <iterator>
#include <string>

#include "common/number/units.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "jobs/cli/dev/dev_table.h"
#include "jobs/feed/ready_jobs.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

GetBatchReply MakeReply() {
  GetBatchReply reply;
  reply.set_job("popularity");
  reply.mutable_spec()->set_batch_interval_ms(2000);
  reply.set_lag(12);
  BatchCommitted* batch = reply.mutable_batch();
  batch->set_batch(7);
  batch->set_records(14'000);
  batch->set_bad_records(3);
  batch->set_batch_records(2'000);
  batch->set_published_at_us(1'700'000'000'123'456);
  batch->mutable_timings()->set_processing_us(50'250);
  batch->add_top()->set_key("page37");
  *batch->mutable_top(0)->mutable_sum() = ToProto(Units{2'200'000'000});
  batch->add_top()->set_key("pa\x1b[2Jge");
  *batch->mutable_top(1)->mutable_sum() = ToProto(Units{500'000'000});
  return reply;
}

TEST(Dev, RunsThePopularityJobWithoutItsSinks) {
  std::ifstream file(TENFOLD_SOURCE_DIR "/jobs/popularity.yaml");
  const std::string yaml(std::istreambuf_iterator<char>(file), {});
  JobSpec expected;
  ASSERT_TRUE(ReadJobSpec(yaml, &expected).empty());
  const JobSpec spec = DevSpec("popularity");
  ASSERT_GT(expected.sinks_size(), 0);
  expected.clear_sinks();
  std::string difference;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differencer.Compare(expected, spec)) << difference;
}

TEST(Dev, RunsEveryReadyJob) {
  ASSERT_GE(ReadyJobs().size(), 3u);
  for (const ReadyJob& job : ReadyJobs()) {
    EXPECT_EQ(DevSpec(std::string(job.name)).name(), job.name);
    EXPECT_TRUE(DevSpec(std::string(job.name)).sinks().empty());
  }
  EXPECT_THAT(CheckReadyJob("hot-toda"), HasSubstr("did you mean hot-today?"));
}

TEST(Dev, LinesAreAHeaderAndAPageEach) {
  const GetBatchReply reply = MakeReply();
  EXPECT_EQ(
      DevLines({.reply = &reply, .records_per_second = 999.6, .note = "not here"}),
      "batch 7  records 14000  batch_records 2000  records_per_second 1000  processing_ms 50.2  interval_ms 2000  lag 12\n"
      "1 page37 2.2\n"
      "2 pa\\x1b[2Jge 0.5\n");
}

TEST(Dev, AnUnknownRateIsADash) {
  const GetBatchReply reply = MakeReply();
  EXPECT_THAT(DevLines({.reply = &reply, .note = ""}), HasSubstr("  records_per_second -  "));
}

TEST(Dev, TheScreenIsDrawnOverTheOneBeforeWithoutBlankingIt) {
  const GetBatchReply reply = MakeReply();
  const std::string screen = DevScreen({.reply = &reply, .records_per_second = 1000, .note = "a note"});
  EXPECT_TRUE(screen.starts_with("\x1b[H"));
  EXPECT_TRUE(screen.ends_with("\x1b[J"));
  EXPECT_THAT(screen, Not(HasSubstr("\x1b[2J")));
  for (size_t at = screen.find('\n'); at != std::string::npos; at = screen.find('\n', at + 1)) {
    EXPECT_EQ(screen.substr(at - 3, 3), "\x1b[K");
  }
  for (const char* part :
       {"batch 7 of 2023-11-14T22:13:20.123Z", "RANK  KEY", "   1  page37", "14000, 2000 in this batch, 3 bad",
        "1000 records/s", "50.2 ms of the interval's 2000 ms (2.5 %)", "12 records", "a note"}) {
    EXPECT_THAT(screen, HasSubstr(part));
  }
}

}  // namespace
}  // namespace tenfold
