// The whole reader, over real connections, against brokers whose metadata lies, that move, hang or are old.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/wire_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/wire_reader_fixture.h"

namespace tenfold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

// No broker listens there.
constexpr int kClosedPort = 1;
// Less than the shortest time that an answer is waited for.
constexpr absl::Duration kSoon = absl::Seconds(4);

// Two brokers, the first of which leads partition 0 of events.
class WireReaderLeadersTest : public testing::Test {
 protected:
  WireReaderLeadersTest() { Restart(); }

  void Restart() {
    cluster_ = std::make_unique<ScriptedCluster>(2);
    cluster_->AddPartition(SixRecords(), 1);
  }

  WireMetadata::Partition& Placed(int32_t partition = 0) {
    return cluster_->metadata.topics[0].partitions[static_cast<size_t>(partition)];
  }
  // Has a reader for each of these lies read all, after its first question for metadata was answered with that.
  void ReadEach(const std::vector<std::function<void(WireMetadata*)>>& lies) {
    cluster_->Start([this, lies](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
      if (question.call != WireCall::kMetadata || broker != 1 || question.nth != 0) return std::nullopt;
      WireMetadata metadata = cluster_->metadata;
      lies.at(CaseOf(question))(&metadata);
      return Answer(question, MetadataBytes(question.version, metadata));
    });
    EachReader(*cluster_, lies.size(), [](size_t number, const Follower& reader) {
      EXPECT_EQ(reader.Failure(), "") << number;
      EXPECT_EQ(reader.unsupported, "") << number;
    });
  }
  // The answer that has this error of the partition.
  static WireFetched::Partition ErrorOf(WireError error, int32_t partition = 0) {
    WireFetched::Partition fetched;
    fetched.id = kEventsId;
    fetched.partition = partition;
    fetched.error = error;
    return fetched;
  }
  // From its second Fetch on broker 1 answers with the error, and broker 2 leads the partition.
  void StartMoving(WireError error, bool tells) {
    cluster_->batches_at_once = 1;
    cluster_->Start([this, error, tells](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
      if (question.call != WireCall::kFetch || broker != 1 || question.nth == 0) return std::nullopt;
      Placed() = {0, WireError::kNone, 2, 6};
      WireFetched::Partition fetched = ErrorOf(error);
      if (tells) {
        fetched.leader = 2;
        fetched.leader_epoch = 6;
      }
      return ScriptedCluster::Fetched(question, {fetched});
    });
  }
  void ReadAll() {
    Follower reader(*cluster_);
    reader.ReadAll();
    EXPECT_EQ(reader.Failure(), "");
    EXPECT_EQ(reader.unsupported, "");
  }
  // The partitions that a broker was asked for.
  std::vector<WireFetch::Partition> AskedOf(int32_t broker) {
    std::vector<WireFetch::Partition> asked;
    for (const auto& [id, question] : cluster_->Asked(WireCall::kFetch))
      if (id == broker) asked.insert(asked.end(), question.fetch.partitions.begin(), question.fetch.partitions.end());
    return asked;
  }

  std::unique_ptr<ScriptedCluster> cluster_;
};

// ---- metadata ----

TEST_F(WireReaderLeadersTest, MetadataThatNamesNobodyIsAskedForAgain) {
  ReadEach({[](WireMetadata* metadata) { metadata->brokers.clear(); }, [](WireMetadata* metadata) { *metadata = {}; },
            [](WireMetadata* metadata) { metadata->topics[0].partitions.clear(); },
            [](WireMetadata* metadata) { metadata->topics[0].name = "other"; },
            [](WireMetadata* metadata) { metadata->topics[0].name = ""; }});
}

TEST_F(WireReaderLeadersTest, ALeaderThatIsNotAmongTheBrokersIsNoLeader) {
  std::vector<std::function<void(WireMetadata*)>> lies;
  for (const int32_t leader : {-1, 3, -2, INT32_MAX, INT32_MIN})
    lies.emplace_back([leader](WireMetadata* metadata) { metadata->topics[0].partitions[0].leader = leader; });
  ReadEach(lies);
}

TEST_F(WireReaderLeadersTest, BrokersWithNegativeNumbersAreIgnored) {
  const Address other = cluster_->address(2);
  ReadEach({[other](WireMetadata* metadata) {
              metadata->brokers = {{-1, other}};
              metadata->topics[0].partitions[0].leader = -1;
            },
            [other](WireMetadata* metadata) {
              metadata->brokers[INT32_MIN] = other;
              metadata->topics[0].partitions[0].leader = INT32_MIN;
            }});
}

TEST_F(WireReaderLeadersTest, ALeaderUnderAWrongAddressIsFoundOnceMetadataIsRight) {
  std::vector<std::function<void(WireMetadata*)>> lies;
  for (const int port : {kClosedPort, 0, -1, 1 << 20})
    lies.emplace_back([port](WireMetadata* metadata) { metadata->brokers.at(1).port = port; });
  lies.emplace_back([](WireMetadata* metadata) { metadata->brokers.at(1).host = ""; });
  lies.emplace_back([](WireMetadata* metadata) { metadata->brokers.at(1).host = std::string(300, 'a'); });
  ReadEach(lies);
}

TEST_F(WireReaderLeadersTest, TwoBrokersUnderOneAddressAreAskedForTheirOwn) {
  // Broker 2 does not lead the partition that metadata gives it, and says so.
  cluster_->AddPartition(SixRecords(), 1);
  ReadEach({[](WireMetadata* metadata) {
    metadata->brokers.at(2) = metadata->brokers.at(1);
    metadata->topics[0].partitions[1].leader = 2;
  }});
}

TEST_F(WireReaderLeadersTest, ABrokerThatMovedIsNotWaitedForWhereItWas) {
  // A connection to a broker that does not run is made by the system, and never answered.
  const ScriptedBroker silent([](const ScriptedQuestion&) { return ScriptedReply(); });
  cluster_->AddPartition(SixRecords(), 2);
  int lied = 0;
  cluster_->Start([&](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call == WireCall::kMetadata && lied++ == 0) {
      WireMetadata metadata = cluster_->metadata;
      metadata.brokers.at(1) = silent.address();
      return Answer(question, MetadataBytes(question.version, metadata));
    }
    // Has the leaders asked for, and anew until the silent address is not the one that is asked.
    if (question.call == WireCall::kFetch && broker == 2 && question.nth == 0)
      return ScriptedCluster::Fetched(question, {ErrorOf(WireError::kLeaderNotAvailable, 1)});
    return std::nullopt;
  });
  const absl::Time begun = absl::Now();
  ReadAll();
  EXPECT_LT(absl::Now() - begun, kSoon);
}

TEST_F(WireReaderLeadersTest, ATopicThatNobodyHasFailsAfterSomeTime) {
  cluster_->metadata.topics[0].error = WireError::kUnknownTopicOrPartition;
  cluster_->Start();
  Follower reader(*cluster_);
  reader.PollUntil([&] { return reader.partitions[0].failure.has_value(); });
  EXPECT_EQ(reader.Failure(), "read events[0] at 10: topic events does not exist (any more)");
}

// ---- leaders that move ----

TEST_F(WireReaderLeadersTest, MetadataTellsWhereALeaderMoved) {
  for (const WireError error : {WireError::kNotLeader, WireError::kFencedLeaderEpoch, WireError::kUnknownLeaderEpoch,
                                WireError::kStorageError, WireError::kReplicaNotAvailable}) {
    Restart();
    StartMoving(error, false);
    Follower reader(*cluster_);
    reader.ReadAll();
    EXPECT_TRUE(reader.reader()->TakeChanged());
    EXPECT_EQ(AskedOf(2).at(0).offset, 13);
    EXPECT_EQ(AskedOf(2)[0].leader_epoch, 6);
  }
}

TEST_F(WireReaderLeadersTest, ALeaderThatIsToldIsAskedFromWhereItWas) {
  StartMoving(WireError::kNotLeader, true);
  ReadAll();
  EXPECT_EQ(AskedOf(2).at(0).offset, 13);
  EXPECT_EQ(AskedOf(2)[0].leader_epoch, 6);
  EXPECT_EQ(AskedOf(2)[0].last_epoch, 5);
}

TEST_F(WireReaderLeadersTest, MetadataThatIsBehindMovesNothingBack) {
  cluster_->batches_at_once = 1;
  int stale = 0;
  // Broker 2 leads from the second Fetch on, as broker 1 tells; metadata is behind for a while.
  cluster_->Start([&](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call == WireCall::kMetadata && Placed().leader == 2 && stale++ < 3) {
      WireMetadata metadata = cluster_->metadata;
      metadata.topics[0].partitions[0] = {0, WireError::kNone, 1, 5};
      return Answer(question, MetadataBytes(question.version, metadata));
    }
    // Until then there is nothing to read, and leaders are asked for.
    if (question.call == WireCall::kFetch && broker == 2 && stale < 3)
      return ScriptedCluster::Fetched(question, {ErrorOf(WireError::kLeaderNotAvailable)});
    if (question.call != WireCall::kFetch || broker != 1 || question.nth == 0) return std::nullopt;
    Placed() = {0, WireError::kNone, 2, 6};
    WireFetched::Partition fetched = ErrorOf(WireError::kNotLeader);
    fetched.leader = 2;
    fetched.leader_epoch = 6;
    return ScriptedCluster::Fetched(question, {fetched});
  });
  ReadAll();
  EXPECT_EQ(AskedOf(1).size(), 2U) << "broker 1 was asked again";
}

TEST_F(WireReaderLeadersTest, ALeaderThatIsToldAndNotKnownIsLookedFor) {
  StartMoving(WireError::kNotLeader, true);
  cluster_->Change([&] { cluster_->metadata.brokers.erase(2); });
  Follower reader(*cluster_);
  reader.PollUntil([&] { return reader.Read()[0] == 3 && cluster_->Asked(WireCall::kMetadata).size() > 2; });
  cluster_->Change([&] { cluster_->metadata.brokers[2] = cluster_->address(2); });
  reader.ReadAll();
  EXPECT_EQ(reader.Failure(), "");
}

TEST_F(WireReaderLeadersTest, AnUnknownTopicIdPassesIfItIsStillTheTopics) {
  for (const WireError error : {WireError::kUnknownTopicId, WireError::kInconsistentTopicId}) {
    ScriptedCluster cluster;
    cluster.AddPartition(SixRecords());
    cluster.Start([error](int32_t, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
      if (question.call != WireCall::kFetch || question.nth > 1) return std::nullopt;
      return ScriptedCluster::Fetched(question, {ErrorOf(error)});
    });
    Follower reader(cluster);
    reader.ReadAll();
    EXPECT_EQ(reader.Failure(), "");
  }
}

TEST_F(WireReaderLeadersTest, ATopicThatWasCreatedAgainFails) {
  cluster_->batches_at_once = 1;
  cluster_->Start([this](int32_t, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kFetch || question.nth == 0) return std::nullopt;
    cluster_->metadata.topics[0].id = {'n', 'e', 'w'};
    return std::nullopt;
  });
  Follower reader(*cluster_);
  reader.ReadAll();
  EXPECT_THAT(reader.Failure(), HasSubstr("read events[0] at 13: topic events was created again"));
  EXPECT_EQ(reader.partitions[0].failure->kind, LogReader::Event::Kind::kFailed);
}

TEST_F(WireReaderLeadersTest, ALogThatDivergesFails) {
  cluster_->batches_at_once = 1;
  cluster_->Start([](int32_t, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kFetch || question.nth == 0) return std::nullopt;
    WireFetched::Partition fetched = ErrorOf(WireError::kNone);
    fetched.diverging_epoch = 4;
    fetched.diverging_end = 12;
    return ScriptedCluster::Fetched(question, {fetched});
  });
  Follower reader(*cluster_);
  reader.ReadAll();
  EXPECT_EQ(reader.Failure(), "offset 13 was reached in leader epoch 5, which the log has not: its epoch 4 ended at 12");
  EXPECT_EQ(reader.partitions[0].failure->kind, LogReader::Event::Kind::kAnotherLog);
}

// ---- brokers that do not answer, or are old ----

TEST_F(WireReaderLeadersTest, ABrokerThatHangsHoldsUpNoOther) {
  for (const WireCall call : {WireCall::kApiVersions, WireCall::kFetch}) {
    ScriptedCluster cluster(2);
    cluster.AddPartition(SixRecords(), 1);
    cluster.AddPartition(SixRecords(), 2);
    bool metadata = false;
    cluster.Start([&](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
      metadata |= question.call == WireCall::kMetadata;
      // It answers until metadata is known.
      if (broker == 1 && metadata && question.call == call) return ScriptedReply();
      return std::nullopt;
    });
    const absl::Time begun = absl::Now();
    Follower reader(cluster);
    reader.PollUntil([&] { return reader.Read()[1] == 6 && !reader.partitions[1].ends.empty(); });
    EXPECT_LT(absl::Now() - begun, kSoon);
    EXPECT_EQ(reader.Read()[0], 0U);
    EXPECT_FALSE(reader.partitions[0].failure.has_value());
    EXPECT_TRUE(reader.status.ok()) << reader.status;
  }
}

TEST_F(WireReaderLeadersTest, ABrokerThatHangsIsConnectedAnew) {
  cluster_->Start([](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (broker == 1 && question.call == WireCall::kFetch && question.nth == 0) return ScriptedReply();
    return std::nullopt;
  });
  ReadAll();
}

TEST_F(WireReaderLeadersTest, BrokersThatKnowOnlyOldVersionsAreNamed) {
  const auto unsupported = [](const std::function<void(ScriptedCluster*)>& age,
                              const ScriptedCluster::Script& script = nullptr) {
    ScriptedCluster cluster;
    cluster.AddPartition(SixRecords());
    age(&cluster);
    cluster.Start(script);
    absl::StatusOr<std::unique_ptr<WireReader>> reader =
        WireReader::Create({.brokers = cluster.Addresses(), .properties = {}});
    EXPECT_TRUE((*reader)->Assign({{{kEvents, 0}, 12}}).ok());
    std::vector<LogRecord> records;
    std::vector<LogReader::Event> events;
    const absl::Time deadline = absl::Now() + kPatience;
    while ((*reader)->Unsupported().empty() && absl::Now() < deadline)
      EXPECT_TRUE((*reader)->Poll(absl::Seconds(1), &records, &events).ok());
    EXPECT_THAT(records, IsEmpty());
    EXPECT_THAT(events, IsEmpty());
    EXPECT_EQ((*reader)->Positions().at(0).offset, 12);
    EXPECT_THAT((*reader)->Unsupported(), HasSubstr(cluster.address(1).ToString()));
    return (*reader)->Unsupported();
  };
  const auto fetch = [](WireVersions versions) {
    return [versions](ScriptedCluster* cluster) { cluster->fetch_versions = versions; };
  };
  EXPECT_THAT(unsupported(fetch({0, 11})), HasSubstr("knows no Fetch of version 12 or 13"));
  EXPECT_THAT(unsupported(fetch({14, 17})), HasSubstr("knows no Fetch of version 12 or 13"));
  EXPECT_THAT(unsupported(fetch({13, 12})), HasSubstr("knows no Fetch of version 12 or 13"));
  EXPECT_THAT(unsupported([](ScriptedCluster* cluster) { cluster->metadata_versions = {0, 8}; }),
              HasSubstr("knows no Metadata of version 9 to 12"));
  // A broker before 2.4 answers in version 0 that it does not know version 3.
  const auto refuse = [](int32_t, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    WireOutput out;
    out.Add(static_cast<int16_t>(WireError::kUnsupportedVersion));
    out.Add(int32_t{1});
    out.Add(static_cast<int16_t>(WireCall::kApiVersions));
    out.Add(int16_t{0});
    out.Add(int16_t{2});
    return Answer(question, out.bytes());
  };
  EXPECT_THAT(unsupported([](ScriptedCluster*) {}, refuse), HasSubstr("knows no Fetch of version 12 or 13"));
}

TEST_F(WireReaderLeadersTest, EachPairOfVersionsIsSpoken) {
  for (int16_t fetch = kFetchVersions.least; fetch <= kFetchVersions.most; ++fetch) {
    for (int16_t metadata = kMetadataVersions.least; metadata <= kMetadataVersions.most; ++metadata) {
      ScriptedCluster cluster;
      cluster.AddPartition(SixRecords());
      cluster.fetch_versions.most = fetch;
      cluster.metadata_versions.most = metadata;
      cluster.Start();
      Follower reader(cluster);
      reader.ReadAll();
      EXPECT_EQ(cluster.Asked(WireCall::kMetadata).at(0).second.version, metadata);
      // Without topic ids the topic's name is asked for.
      EXPECT_EQ(cluster.Asked(WireCall::kFetch).at(0).second.version, metadata == 9 ? 12 : fetch);
    }
  }
}

TEST_F(WireReaderLeadersTest, WhereNobodyListensPollSaysSo) {
  absl::StatusOr<std::unique_ptr<WireReader>> reader =
      WireReader::Create({.brokers = absl::StrCat("127.0.0.1:", kClosedPort), .properties = {}});
  ASSERT_TRUE((*reader)->Assign({{{kEvents, 0}, 12}}).ok());
  std::vector<LogRecord> records;
  std::vector<LogReader::Event> events;
  absl::Status status;
  for (const absl::Time deadline = absl::Now() + kPatience; status.ok() && absl::Now() < deadline;)
    status = (*reader)->Poll(absl::Milliseconds(100), &records, &events);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("127.0.0.1:1"));
}

// ---- where a partition begins ----

TEST_F(WireReaderLeadersTest, BeginTellsWhatTheLeaderSaysOrWhyItDoesNot) {
  const auto right = [](const ScriptedQuestion& question) {
    return Answer(question, ScriptedCluster::FirstOffsetBytes(7)).bytes();
  };
  cluster_->Start([&](int32_t, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kListOffsets) return std::nullopt;
    const std::string bytes = right(question);
    const auto half = static_cast<size_t>(question.nth - 3);
    switch (question.nth) {
      case 0:
        return ScriptedReply{{{bytes, {}}}, false};
      case 1:
        return Answer(question, ScriptedCluster::FirstOffsetBytes(-1, WireError::kNotLeader));
      case 2:
        return ScriptedReply();
      default:
        if (half < bytes.size()) return ScriptedReply{{{bytes.substr(0, half), {}}}, true};
        return ScriptedReply{{{Framed(bytes.substr(4, half - bytes.size())), {}}}, true};
    }
  });
  Follower reader(*cluster_);
  reader.ReadAll();
  const auto begin = [&](absl::Duration timeout = absl::Seconds(10)) { return reader.reader()->Begin(0, timeout); };
  EXPECT_EQ(begin().value(), 7);
  const auto fails = [&](const absl::Status& status, const std::string& why) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("events[0]"), HasSubstr(why)));
  };
  fails(begin().status(), "Not leader");
  fails(begin(absl::Milliseconds(100)).status(), "does not answer in time");
  ScriptedQuestion asked;
  asked.call = WireCall::kListOffsets;
  const size_t size = right(asked).size();
  for (size_t cut = 0; cut < size; ++cut) fails(begin().status(), "closed the connection");
  // Nothing behind the offset is read: the leader's epoch, and tags.
  for (size_t cut = 0; cut + 4 + 7 < size; ++cut) fails(begin().status(), "");
}

}  // namespace
}  // namespace tenfold
