#include "jobs/show/waiting_text.h"

#include <string>

#include "gtest/gtest.h"

namespace tenfold {
namespace {

Waiting Kind(WaitingKind kind) {
  Waiting waiting;
  waiting.set_kind(kind);
  waiting.set_worker("w1");
  waiting.set_shard(3);
  waiting.set_topic("events");
  waiting.set_partition(2);
  return waiting;
}

TEST(WaitingTextTest, NamesTheThing) {
  EXPECT_EQ(WaitingText(Waiting()), "");
  EXPECT_EQ(WaitingText(Kind(WAITING_WORKERS)), "a worker: none has joined");
  EXPECT_EQ(WaitingText(Kind(WAITING_OWNER)), "worker w1, which owns shard 3");
  EXPECT_EQ(WaitingText(Kind(WAITING_ONLY_OWNER)),
            "worker w1, which owns shard 3 and alone has its state, since the log's start is gone");
  EXPECT_EQ(WaitingText(Kind(WAITING_SHARD)), "a worker that takes shard 3");
  EXPECT_EQ(WaitingText(Kind(WAITING_DOUBTED_SHARD)), "shard 3, whose state is doubtful");
  EXPECT_EQ(WaitingText(Kind(WAITING_WORKER)), "worker w1");
  EXPECT_EQ(WaitingText(Kind(WAITING_SUM)), "a sum of events[2]");
  EXPECT_TRUE(WaitingText(Kind(WAITING_COMPACTED)).starts_with("topic events, which has become compacted: "));
}

TEST(WaitingTextTest, SaysHowFarAShardIsFoldedAgain) {
  Waiting waiting = Kind(WAITING_OWNER);
  waiting.mutable_refold()->set_worker("w2");
  EXPECT_EQ(WaitingText(waiting), "worker w1, which owns shard 3, now folded again by worker w2");
  waiting.mutable_refold()->set_folded(10);
  waiting.mutable_refold()->set_total(100);
  EXPECT_EQ(WaitingText(waiting), "worker w1, which owns shard 3, now folded again by worker w2: 10 of 100 offsets");
  waiting.mutable_refold()->set_offsets_per_second(9);
  EXPECT_EQ(WaitingText(waiting),
            "worker w1, which owns shard 3, now folded again by worker w2: 10 of 100 offsets, 9 a second, 10 s left");
  waiting.set_kind(WAITING_SHARD);
  EXPECT_EQ(WaitingText(waiting), "shard 3, now folded again by worker w2: 10 of 100 offsets, 9 a second, 10 s left");
}

TEST(WaitingTextTest, AddsTheDetail) {
  Waiting worker = Kind(WAITING_WORKER);
  worker.set_detail("no route");
  EXPECT_EQ(WaitingText(worker), "worker w1: no route");
  Waiting partition = Kind(WAITING_PARTITION);
  partition.set_detail("it ends at 4");
  EXPECT_EQ(WaitingText(partition), "events[2]: it ends at 4");
  Waiting sink = Kind(WAITING_SINK);
  sink.set_subject("stdout");
  sink.set_batches(1);
  EXPECT_EQ(WaitingText(sink), "sink stdout, which is 1 batch behind");
  sink.set_batches(2);
  sink.set_detail("nobody reads it");
  EXPECT_EQ(WaitingText(sink), "sink stdout, which is 2 batches behind: nobody reads it");
}

TEST(WaitingTextTest, FollowsIsWaiting) {
  EXPECT_EQ(WaitingClause(Waiting()), " for its first batch");
  EXPECT_EQ(WaitingClause(Kind(WAITING_WORKER)), " for worker w1");
  Waiting kafka = Kind(WAITING_KAFKA);
  kafka.set_subject("kafka:9092");
  EXPECT_EQ(WaitingClause(kafka), " for records of Kafka at kafka:9092");
  kafka.set_detail("Kafka at kafka:9092 is not reachable: Connection refused");
  EXPECT_EQ(WaitingClause(kafka), ": Kafka at kafka:9092 is not reachable: Connection refused");
}

}  // namespace
}  // namespace tenfold
