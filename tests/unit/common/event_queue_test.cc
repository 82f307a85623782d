#include "common/thread/event_queue.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(EventQueueTest, HandsEventsOutInTheOrderPosted) {
  EventQueue<int> queue;
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(queue.Post(i));
  EXPECT_EQ(queue.Take(), 1);
  EXPECT_THAT(queue.TakeAll(), ElementsAre(2, 3));
}

TEST(EventQueueTest, ATakeWaitsForAnEventOfAnotherThread) {
  EventQueue<int> queue;
  std::jthread poster([&] { queue.Post(7); });
  EXPECT_EQ(queue.Take(), 7);
}

TEST(EventQueueTest, ATakeWithADeadlineEndsWithoutAnEvent) {
  EventQueue<int> queue;
  EXPECT_THAT(queue.TakeAll(std::chrono::steady_clock::now() + std::chrono::milliseconds(5)), IsEmpty());
  EXPECT_FALSE(queue.IsClosed());
}

TEST(EventQueueTest, AClosedQueueIsDoneOnceItsEventsAreTaken) {
  EventQueue<int> queue;
  queue.Post(1);
  queue.Close();
  EXPECT_FALSE(queue.IsDone());
  EXPECT_THAT(queue.TakeAll(), ElementsAre(1));
  EXPECT_TRUE(queue.IsDone());
}

TEST(EventQueueTest, TheLatestEventReplacesThoseNotTaken) {
  EventQueue<int> queue;
  queue.Post(1);
  queue.PostLatest(2);
  EXPECT_THAT(queue.TakeAll(), ElementsAre(2));
}

TEST(EventQueueTest, AClosedQueueStillHandsOutWhatIsThereAndTakesNoMore) {
  EventQueue<int> queue;
  queue.Post(1);
  queue.Close();
  EXPECT_FALSE(queue.Post(2));
  EXPECT_FALSE(queue.PostLatest(3));
  EXPECT_EQ(queue.Take(), 1);
  EXPECT_EQ(queue.Take(), std::nullopt);
  EXPECT_THAT(queue.TakeAll(), IsEmpty());
}

TEST(EventQueueTest, AnAbortedQueueDropsWhatIsThere) {
  EventQueue<int> queue;
  queue.Post(1);
  queue.Abort();
  EXPECT_EQ(queue.Take(), std::nullopt);
}

TEST(EventQueueTest, ACloseEndsWhoWaits) {
  EventQueue<int> queue;
  std::atomic<int> ended = 0;
  std::vector<std::jthread> waiting;
  waiting.emplace_back([&] { ended += !queue.Take().has_value(); });
  waiting.emplace_back([&] { ended += queue.TakeAll().empty(); });
  waiting.emplace_back([&] { ended += !queue.Sleep(std::chrono::hours(1)); });
  queue.Close();
  waiting.clear();
  EXPECT_EQ(ended, 3);
}

TEST(EventQueueTest, ASleepEndsByItself) { EXPECT_TRUE(EventQueue<int>().Sleep(std::chrono::milliseconds(1))); }

TEST(TaskThreadTest, RunsTasksInOrderOnOneThread) {
  std::vector<int> done;
  EventQueue<int> ended;
  TaskThread thread;
  for (int i = 0; i < 100; ++i) thread.Post([&done, i] { done.push_back(i); });
  thread.Post([&] { ended.Post(1); });
  ended.Take();
  ASSERT_EQ(done.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(done[static_cast<size_t>(i)], i);
}

TEST(TaskThreadTest, ItsEndWaitsForTheTaskThatRuns) {
  EventQueue<int> began;
  std::atomic<bool> ended = false;
  {
    TaskThread thread;
    thread.Post([&] {
      began.Post(1);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ended = true;
    });
    began.Take();
  }
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace tenfold
