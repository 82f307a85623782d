// What lies around a cluster is sick: its job stops and says what it is, or goes on without it, and never publishes what the
// log does not have.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"
#include "tests/cluster/record_writer.h"

namespace tenfold {
namespace {

class NeighboursTest : public ::testing::Test {
 protected:
  // A job over a topic of one partition, on a Kafka of one broker, or on brokers 2 and 3 of three.
  void Run(int brokers) {
    kafka_ = std::make_unique<OwnKafka>(brokers);
    if (brokers == 1) {
      absl::StatusOr<std::string> topic = CreateTopic(1);
      ASSERT_OK(topic.status());
      job_.topics = {*topic};
    } else {
      job_.topics = {CreateUncleanTopic(2, 3)};
    }
    cluster_ = std::make_unique<MiniCluster>();
    ASSERT_OK(cluster_->Start(1));
    ASSERT_OK(cluster_->Submit(job_));
  }

  // The job folds this many events of one page, which no other call writes.
  void Fold(const std::string& page, int events) {
    ASSERT_OK(Produce(job_.topics[0], 0, std::vector<std::string>(static_cast<size_t>(events), page + "|1|1|1")));
    ASSERT_OK(cluster_->WaitCaughtUp(job_.name).status());
  }

  // Of 150 records that the job has folded the last 50 are gone, and 120 others are written: the job fails, says so, and
  // publishes none of them.
  void ExpectFailsOnOthers() {
    ASSERT_OK(Produce(job_.topics[0], 0, std::vector<std::string>(120, "other|1|1|1")));
    ASSERT_OK(cluster_->WaitForState(job_.name, "failed"));
    const std::string reason = cluster_->JobStatus(job_.name).value().at("reason");
    // Brokers may say it themselves, if they are asked with the epoch.
    const bool is_told = absl::StrContains(reason, job_.topics[0] + "[0] is another log than was folded up to offset 150");
    EXPECT_TRUE((is_told && !ReadsWithLibrdkafka()) ||
                absl::StrContains(reason, job_.topics[0] + "[0] holds another record at offset 149"))
        << reason;
    EXPECT_TRUE(absl::StrContains(reason, "ancel the job and submit it anew")) << reason;
    for (const std::string& line : cluster_->Published(job_.name)) EXPECT_FALSE(absl::StrContains(line, "other")) << line;
  }

  // Ended in this order's reverse.
  std::unique_ptr<OwnKafka> kafka_;
  std::unique_ptr<MiniCluster> cluster_;
  Job job_;
};

TEST_F(NeighboursTest, ALogThatLostItsEndAndGrewAgainFailsTheJob) {
  ASSERT_NO_FATAL_FAILURE(Run(1));
  ASSERT_NO_FATAL_FAILURE(Fold("common", 100));
  ASSERT_OK(kafka_->Kill(1));
  kafka_->SaveData(1);
  kafka_->Start(1);
  ASSERT_NO_FATAL_FAILURE(Fold("lost", 50));
  ASSERT_OK(kafka_->Kill(1));
  kafka_->RestoreData(1);
  kafka_->Start(1);
  ASSERT_NO_FATAL_FAILURE(ExpectFailsOnOthers());
}

TEST_F(NeighboursTest, ALeaderWithoutTheLastRecordsFailsTheJob) {
  ASSERT_NO_FATAL_FAILURE(Run(3));
  ASSERT_NO_FATAL_FAILURE(Fold("common", 100));
  ASSERT_OK(kafka_->Kill(3));
  ASSERT_NO_FATAL_FAILURE(Fold("lost", 50));
  ASSERT_OK(kafka_->Kill(2));
  kafka_->Start(3);
  ASSERT_NO_FATAL_FAILURE(ExpectFailsOnOthers());
}

TEST_F(NeighboursTest, ABrokerThatComesBackWithAllOfItsLogChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(Run(1));
  ASSERT_NO_FATAL_FAILURE(Fold("before", 100));
  ASSERT_OK(kafka_->Kill(1));
  kafka_->Start(1);
  ASSERT_NO_FATAL_FAILURE(Fold("after", 100));
  ASSERT_OK(cluster_->VerifyPublished(job_.name));
}

TEST_F(NeighboursTest, DriverAndWorkerOfManyJobsEndInTimeWhileTheBrokerIsSilent) {
  ASSERT_NO_FATAL_FAILURE(Run(1));
  for (int i = 0; i < 9; ++i) {
    Job another = job_;
    another.name = absl::StrCat("another", i);
    ASSERT_OK(cluster_->Submit(another));
  }
  ASSERT_NO_FATAL_FAILURE(Fold("before", 100));
  ASSERT_OK(kafka_->Pause(1));
  EXPECT_OK(cluster_->driver().Stop());
  EXPECT_OK(cluster_->worker(0).Stop());
  ASSERT_OK(kafka_->Kill(1));
}

// One partition gives nothing: the others go on, and everybody can see which one it is.
class StuckPartitionTest : public ::testing::Test {
 protected:
  void Start(const std::vector<std::string>& topics) {
    cluster_ = std::make_unique<MiniCluster>();
    job_.topics = topics;
    ASSERT_OK(cluster_->Start(1));
    ASSERT_OK(cluster_->Submit(job_));
    for (const std::string& topic : topics) ASSERT_OK(ProduceSample(topic, 1, /*seed=*/1, 300));
    ASSERT_OK(cluster_->WaitCaughtUp(job_.name).status());
  }
  absl::Status WaitForRecords(uint64_t records) {
    return WaitUntil(absl::StrCat(records, " records"), absl::Seconds(40), [&] {
      const std::vector<std::string> lines = cluster_->Published(job_.name);
      return !lines.empty() && nlohmann::json::parse(lines.back()).at("records") == records;
    });
  }
  // The job runs without the partition of this topic, and says why in these words.
  void ExpectGoesOnWithout(const std::string& topic, const std::string& why) {
    const nlohmann::json status = cluster_->JobStatus(job_.name).value();
    EXPECT_EQ(status.at("state"), "running");
    EXPECT_TRUE(absl::StrContains(status.at("summary").get<std::string>(), "goes on without 1 of 2 partitions: ")) << status;
    EXPECT_TRUE(absl::StrContains(status.at("reason").get<std::string>(), why)) << status;
    for (const nlohmann::json& partition : status.at("partitions"))
      EXPECT_EQ(partition.at("problem").get<std::string>().empty(), partition.at("topic") != topic) << status;
    EXPECT_TRUE(absl::StrContains(cluster_->RunCli({"top", job_.name}).out, absl::StrCat(topic, "[0] gives nothing")));
  }

  std::unique_ptr<MiniCluster> cluster_;
  Job job_;
};

TEST_F(StuckPartitionTest, OneWhoseBrokerIsDeadHoldsUpNoOther) {
  const OwnKafka kafka(3);
  const std::string alive = CreateTopicAs("--replica-assignment 1");
  const std::string dead = CreateTopicAs("--replica-assignment 3");
  ASSERT_NO_FATAL_FAILURE(Start({alive, dead}));
  ASSERT_OK(kafka.Kill(3));
  ASSERT_OK(ProduceSample(alive, 1, /*seed=*/2, 100));
  ASSERT_OK(WaitForRecords(700));
  ASSERT_OK(WaitUntil("the leader to be gone", absl::Seconds(30), [&] {
    return absl::StrContains(cluster_->JobStatus(job_.name).value().at("reason").get<std::string>(), "has no leader");
  }));
  ExpectGoesOnWithout(dead, dead + "[0] has no leader");
  ASSERT_OK(ProduceSample(alive, 1, /*seed=*/3, 100));
  ASSERT_OK(WaitForRecords(800));
  kafka.Start(3);
  ASSERT_OK(ProduceSample(dead, 1, /*seed=*/4, 100));
  ASSERT_OK(WaitForRecords(900));
  ASSERT_OK(cluster_->VerifyPublished(job_.name));
  cluster_.reset();
}

TEST_F(StuckPartitionTest, ATopicThatWasDeletedHoldsUpNoOther) {
  const std::string kept = CreateTopic(1).value();
  const std::string deleted = CreateTopic(1).value();
  ASSERT_NO_FATAL_FAILURE(Start({kept, deleted}));
  DeleteTopic(deleted);
  ASSERT_OK(ProduceSample(kept, 1, /*seed=*/2, 100));
  ASSERT_OK(WaitForRecords(700));
  ExpectGoesOnWithout(deleted, absl::StrCat("topic ", deleted, " does not exist"));
}

// Whoever compares records sees no difference.
class SameRecordsTest : public NeighboursTest {
 protected:
  // A job of one worker has folded a topic, and both are away when another one of the name is there, with the same records.
  void Replace() {
    absl::StatusOr<std::string> topic = CreateTopic(1);
    ASSERT_OK(topic.status());
    job_.topics = {*topic};
    ASSERT_NO_FATAL_FAILURE(Fill(30));
    cluster_ = std::make_unique<MiniCluster>();
    ASSERT_OK(cluster_->Start(1));
    ASSERT_OK(cluster_->Submit(job_));
    ASSERT_OK(cluster_->WaitCaughtUp(job_.name).status());
    ASSERT_OK(cluster_->worker(0).Kill());
    CreateTopicAgain(*topic, 1);
    ASSERT_NO_FATAL_FAILURE(Fill(60));
  }

  void Fill(int records) {
    RecordWriter writer("none");
    for (int i = 0; i < records; ++i) {
      const RecordToWrite record = {.key = "same", .value = "page|1|1|1", .headers = {}, .timestamp_ms = 1'700'000'000'000};
      ASSERT_OK(writer.Append(job_.topics[0], 0, record));
    }
    ASSERT_OK(writer.Flush());
  }

  void ExpectFailsOnItsId() {
    if (ReadsWithLibrdkafka()) return;  // it tells no ids
    ASSERT_OK(cluster_->WaitForState(job_.name, "failed"));
    const std::string reason = cluster_->JobStatus(job_.name).value().at("reason");
    EXPECT_TRUE(absl::StrContains(reason, "created again: its id is ")) << reason;
    for (const std::string& line : cluster_->Published(job_.name))
      EXPECT_LE(nlohmann::json::parse(line).at("records"), 30) << line;
  }
};

TEST_F(SameRecordsTest, OfAnotherTopicAreNotReadOn) {
  ASSERT_NO_FATAL_FAILURE(Replace());
  ASSERT_OK(cluster_->worker(0).Start());
  ExpectFailsOnItsId();
}

TEST_F(SameRecordsTest, OfAnotherTopicAreNotReadInPlaceOfAStateThatIsLost) {
  ASSERT_NO_FATAL_FAILURE(Replace());
  ASSERT_OK(cluster_->worker(1).Start());
  if (ReadsWithLibrdkafka()) return;  // it tells no ids
  ASSERT_OK(WaitUntil("the worker to find another topic", absl::Seconds(30), [&] {
    const std::string summary = cluster_->JobStatus(job_.name).value().at("summary");
    return absl::StrContains(summary, "alone has its state, since the log's start is gone");
  }));
  ASSERT_OK(cluster_->worker(0).Start());
  ExpectFailsOnItsId();
}

TEST_F(NeighboursTest, RecordsThatWaitForATransactionAreCounted) {
  absl::StatusOr<std::string> topic = CreateTopic(1);
  ASSERT_OK(topic.status());
  job_.topics = {*topic};
  cluster_ = std::make_unique<MiniCluster>();
  ASSERT_OK(cluster_->Start(1));
  ASSERT_OK(cluster_->Submit(job_));
  ASSERT_NO_FATAL_FAILURE(Fold("before", 10));
  const std::string name = UniqueName("payments");
  absl::StatusOr<std::unique_ptr<LogWriter>> writer =
      LogWriter::Create({.brokers = KafkaBrokers(), .properties = {}}, {.transactional_id = name});
  ASSERT_OK(writer.status());
  ASSERT_OK((*writer)->BeginTransaction());
  for (int i = 0; i < 35; ++i) ASSERT_OK((*writer)->Append(*topic, 0, "held|1|1|1"));
  ASSERT_OK((*writer)->Flush(absl::Seconds(30)));
  const auto held_back = [&] {
    const absl::StatusOr<nlohmann::json> status = cluster_->JobStatus(job_.name);
    return status.ok() ? status->at("partitions").at(0).at("held_back").get<int>() : -1;
  };
  ASSERT_OK(WaitUntil("held back records", absl::Seconds(30), [&] { return held_back() == 35; }));
  const auto summary = [&] { return cluster_->JobStatus(job_.name).value().at("summary").get<std::string>(); };
  EXPECT_TRUE(absl::StrContains(summary(), "is keeping up; 35 records wait for an open transaction")) << summary();
  ASSERT_OK(WaitUntil("the producer's name", absl::Seconds(30),
                      [&] { return absl::StrContains(summary(), absl::StrCat(" (transactional.id ", name, "), in ")); }));
  ASSERT_OK((*writer)->CommitTransaction(absl::Seconds(30)));
  ASSERT_OK(WaitUntil("none held back", absl::Seconds(30), [&] { return held_back() == 0; }));
  ASSERT_OK(cluster_->VerifyPublished(job_.name));
}

}  // namespace
}  // namespace tenfold
