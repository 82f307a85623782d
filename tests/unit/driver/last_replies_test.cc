#include "driver/core/last_replies.h"

#include <string>
#include <vector>

#include "tests/unit/driver/job_machine_fixture.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

TEST_F(JobMachineTest, AnAssignSaysWhichLogsTheRecordsAreOf) {
  const std::string id = "0123456789abcdef";
  for (const Send<FoldRequest>& send : RunToFolds({10, 20})) {
    FoldReply reply = FoldedAs(send, 1);
    if (send.worker == "b") reply.mutable_partitions(0)->set_topic_id(id);
    Reply(send, reply);
  }
  Apply(TakeRecord());
  cluster_.workers["b"].state = WORKER_LOST;
  job_.OnWorkersChanged(now_us_, &actions_);
  if (const JournalRecord assigned = TakeRecord(); assigned.has_shards_assigned()) Apply(assigned);
  now_us_ += kIntervalUs;
  job_.OnTime(now_us_, &actions_);
  AnswerEnds({10, 20});
  const std::vector<Send<AssignRequest>> assigns = Take<Send<AssignRequest>>();
  ASSERT_THAT(assigns, SizeIs(1));
  EXPECT_THAT(assigns[0].request.prepared(), ElementsAre(1));
  ASSERT_THAT(assigns[0].request.logs(), SizeIs(2));
  EXPECT_EQ(assigns[0].request.logs(0).topic_id(), "");
  EXPECT_EQ(assigns[0].request.logs(1).topic_id(), id);
}

}  // namespace
}  // namespace tenfold
