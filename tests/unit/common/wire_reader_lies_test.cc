// The whole reader against answers that are spoilt in each of their places, and in each way: every test has hundreds of
// readers, each of which is lied to once.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/wire_reader_fixture.h"

namespace tenfold {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr int16_t kLastError = 130;
constexpr size_t kErrors = kLastError + 2;

// What a reader makes of an error that stops a partition; for all others it asks again.
const std::set<WireError> kFatal = {WireError::kOffsetOutOfRange, WireError::kCorruptMessage, WireError::kInvalidTopic,
                                    WireError::kTopicAuthorizationFailed, WireError::kUnsupportedCompression};

WireError ErrorOf(size_t number) { return static_cast<WireError>(static_cast<int16_t>(number) - 1); }

class WireReaderLiesTest : public testing::Test {
 protected:
  WireReaderLiesTest() { cluster_.AddPartition(SixRecords()); }

  // The first answer to this call, of each reader, is made by `spoil` from the one that is right.
  void StartSpoilt(WireCall call, const std::function<ScriptedReply(size_t, const ScriptedReply&)>& spoil) {
    cluster_.Start([this, call, spoil](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
      if (question.call != call || question.nth != 0) return std::nullopt;
      return spoil(CaseOf(question), cluster_.Well(broker, question));
    });
  }
  // The bytes of the first answer to this call, which has no secrets.
  std::string RightAnswer(WireCall call) const {
    ScriptedQuestion question;
    question.call = call;
    question.version = call == WireCall::kMetadata ? kMetadataVersions.most : kFetchVersions.most;
    question.correlation = 2;
    question.fetch.partitions = {{.topic = "", .id = kEventsId, .partition = 0, .offset = 10}};
    return cluster_.Well(1, question).bytes();
  }

  ScriptedCluster cluster_;
};

// ---- errors ----

TEST_F(WireReaderLiesTest, EachErrorOfAFetchedPartitionPassesOrIsTold) {
  cluster_.Start([this](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kFetch || question.nth != 0) return std::nullopt;
    std::string bytes;
    WireFetched::Partition fetched = cluster_.FetchedOf(broker, question.fetch.partitions[0], &bytes);
    fetched.error = ErrorOf(CaseOf(question));
    if (fetched.error != WireError::kNone) fetched.records = {};
    return ScriptedCluster::Fetched(question, {fetched});
  });
  EachReader(cluster_, kErrors, [](size_t number, const Follower& reader) {
    EXPECT_EQ(reader.Failure() != "", kFatal.contains(ErrorOf(number))) << number << reader.Failure();
    if (ErrorOf(number) != WireError::kOffsetOutOfRange || reader.Failure().empty()) return;
    EXPECT_EQ(reader.partitions[0].failure->kind, LogReader::Event::Kind::kOffsetLost);
  });
}

TEST_F(WireReaderLiesTest, RecordsThatComeWithAnErrorDoNotCount) {
  cluster_.Start([this](int32_t broker, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kFetch || question.nth != 0) return std::nullopt;
    std::string bytes;
    WireFetched::Partition fetched = cluster_.FetchedOf(broker, question.fetch.partitions[0], &bytes);
    fetched.error = ErrorOf(CaseOf(question));
    MadeBatch other = Batch(10, 12);
    other.records[0].value = "not of this log";
    const std::string wrong = BatchBytes(other);
    if (fetched.error != WireError::kNone) fetched.records = wrong;
    return ScriptedCluster::Fetched(question, {fetched});
  });
  EachReader(cluster_, kErrors);
}

TEST_F(WireReaderLiesTest, EachErrorOfAWholeFetchPasses) {
  cluster_.Start([](int32_t, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kFetch || question.nth != 0) return std::nullopt;
    return ScriptedCluster::Fetched(question, {}, ErrorOf(CaseOf(question)));
  });
  EachReader(cluster_, kErrors, [](size_t number, const Follower& reader) { EXPECT_EQ(reader.Failure(), "") << number; });
}

TEST_F(WireReaderLiesTest, EachErrorOfAPartitionInMetadataPasses) {
  cluster_.Start([this](int32_t, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kMetadata || question.nth != 0) return std::nullopt;
    WireMetadata metadata = cluster_.metadata;
    WireMetadata::Partition& partition = metadata.topics[0].partitions[0];
    partition.error = ErrorOf(CaseOf(question));
    if (partition.error != WireError::kNone) partition.leader = -1;
    return Answer(question, MetadataBytes(question.version, metadata));
  });
  EachReader(cluster_, kErrors, [](size_t number, const Follower& reader) { EXPECT_EQ(reader.Failure(), "") << number; });
}

TEST_F(WireReaderLiesTest, EachErrorOfATopicInMetadataPassesOrIsTold) {
  cluster_.Start([this](int32_t, const ScriptedQuestion& question) -> std::optional<ScriptedReply> {
    if (question.call != WireCall::kMetadata || question.nth != 0) return std::nullopt;
    WireMetadata metadata = cluster_.metadata;
    metadata.topics[0].error = ErrorOf(CaseOf(question));
    if (metadata.topics[0].error != WireError::kNone) metadata.topics[0].partitions = {};
    return Answer(question, MetadataBytes(question.version, metadata));
  });
  EachReader(cluster_, kErrors, [](size_t number, const Follower& reader) {
    const WireError error = ErrorOf(number);
    const bool fatal = error == WireError::kInvalidTopic || error == WireError::kTopicAuthorizationFailed;
    EXPECT_EQ(reader.Failure() != "", fatal) << number << reader.Failure();
  });
}

TEST_F(WireReaderLiesTest, EachErrorOfApiVersionsPassesOrIsForAnotherReader) {
  StartSpoilt(WireCall::kApiVersions, [](size_t number, const ScriptedReply& right) {
    ScriptedReply reply = right;
    WireOutput error;
    error.Add(static_cast<int16_t>(ErrorOf(number)));
    reply.pieces[0].bytes.replace(HeaderBytes(WireCall::kApiVersions), 2, error.bytes());
    return reply;
  });
  EachReader(cluster_, kErrors, [](size_t number, const Follower& reader) {
    EXPECT_EQ(reader.Failure(), "") << number;
    EXPECT_EQ(reader.unsupported != "", ErrorOf(number) == WireError::kUnsupportedVersion) << number;
  });
}

// ---- answers in pieces ----

class WireReaderCutsTest : public WireReaderLiesTest, public testing::WithParamInterface<WireCall> {};

TEST_P(WireReaderCutsTest, AnAnswerInTwoPiecesIsPutTogether) {
  StartSpoilt(GetParam(), [](size_t at, const ScriptedReply& right) {
    const std::string bytes = right.bytes();
    return ScriptedReply{{{bytes.substr(0, at), {}}, {bytes.substr(at), std::chrono::milliseconds(3)}}, false};
  });
  EachReader(cluster_, RightAnswer(GetParam()).size(), [](size_t at, const Follower& reader) {
    EXPECT_EQ(reader.Failure(), "") << at;
    EXPECT_EQ(reader.unsupported, "") << at;
  });
}

TEST_P(WireReaderCutsTest, AConnectionThatEndsInAnAnswerIsMadeAgain) {
  StartSpoilt(GetParam(), [](size_t at, const ScriptedReply& right) {
    return ScriptedReply{{{right.bytes().substr(0, at), {}}}, true};
  });
  EachReader(cluster_, RightAnswer(GetParam()).size() + 1, [](size_t at, const Follower& reader) {
    EXPECT_EQ(reader.Failure(), "") << at;
    EXPECT_EQ(reader.unsupported, "") << at;
  });
}

TEST_P(WireReaderCutsTest, AnAnswerThatIsShorterThanItSaysIsNone) {
  StartSpoilt(GetParam(), [](size_t at, const ScriptedReply& right) {
    return ScriptedReply{{{Framed(right.bytes().substr(4, at)), {}}}, false};
  });
  // A Fetch that has its last tags cut off is none either.
  EachReader(cluster_, RightAnswer(GetParam()).size() - 4,
             [](size_t at, const Follower& reader) { EXPECT_EQ(reader.Failure(), "") << at; });
}

TEST_P(WireReaderCutsTest, LengthsThatMakeNoSenseEndTheConnection) {
  const std::vector<int64_t> lengths = {-1, 0, 1, 3, INT32_MIN, 1 << 30, INT32_MAX, (int64_t{1} << 30) + (64 << 20) + 1};
  StartSpoilt(GetParam(), [lengths](size_t number, const ScriptedReply& right) {
    WireOutput length;
    length.Add(static_cast<int32_t>(lengths[number]));
    // Where the length may be right the reader waits for more, until the connection ends.
    return ScriptedReply{{{length.bytes() + right.bytes().substr(4), {}}}, true};
  });
  EachReader(cluster_, lengths.size(), [](size_t number, const Follower& reader) {
    EXPECT_EQ(reader.Failure(), "") << number;
    EXPECT_EQ(reader.unsupported, "") << number;
  });
}

TEST_P(WireReaderCutsTest, TheAnswerToAnotherQuestionIsNone) {
  const std::vector<int32_t> numbers = {-1, 0, 1, 2, 3, INT32_MAX, INT32_MIN};
  StartSpoilt(GetParam(), [numbers](size_t number, const ScriptedReply& right) {
    std::string bytes = right.bytes();
    WireOutput correlation;
    correlation.Add(numbers[number]);
    if (bytes.substr(4, 4) == correlation.bytes()) return right;
    // What follows is not to be taken for the right answer's.
    bytes.replace(4, 4, correlation.bytes());
    return ScriptedReply{{{bytes, {}}, {right.bytes(), {}}}, false};
  });
  EachReader(cluster_, numbers.size(),
             [](size_t number, const Follower& reader) { EXPECT_EQ(reader.Failure(), "") << number; });
}

TEST_P(WireReaderCutsTest, AnAnswerThatComesTwiceCountsOnce) {
  StartSpoilt(GetParam(), [](size_t, const ScriptedReply& right) {
    return ScriptedReply{{{right.bytes(), {}}, {right.bytes(), {}}}, false};
  });
  EachReader(cluster_, 10);
}

std::string CallName(const testing::TestParamInfo<WireCall>& call) {
  return call.param == WireCall::kFetch ? "Fetch" : call.param == WireCall::kMetadata ? "Metadata" : "ApiVersions";
}

INSTANTIATE_TEST_SUITE_P(Calls, WireReaderCutsTest,
                         testing::Values(WireCall::kApiVersions, WireCall::kMetadata, WireCall::kFetch), CallName);

// ---- wrong bytes ----

// Where the offset of each batch begins in an answer: no checksum, not even Kafka's, covers these eight bytes.
std::set<size_t> Unprotected(const std::string& answer, const ScriptedLog& log) {
  std::set<size_t> places;
  for (const ScriptedLog::Batch& batch : log.batches) {
    const size_t begin = answer.find(batch.bytes);
    for (size_t at = begin; begin != std::string::npos && at < begin + 8; ++at) places.insert(at);
  }
  return places;
}

TEST_F(WireReaderLiesTest, NoBitOfABatchThatFlipsGivesAWrongRecord) {
  const std::string right = RightAnswer(WireCall::kFetch);
  const std::set<size_t> unprotected = Unprotected(right, cluster_.logs.begin()->second);
  const size_t begin = *unprotected.begin();
  // The first two batches are what comes at once.
  std::vector<std::pair<size_t, int>> flips;
  for (size_t at = begin; at < right.size() - 3; ++at) {
    if (unprotected.contains(at)) continue;
    for (const int bit : {0, 1, 4, 7}) flips.emplace_back(at, bit);
  }
  StartSpoilt(WireCall::kFetch, [flips](size_t number, const ScriptedReply& reply) {
    std::string bytes = reply.bytes();
    bytes[flips[number].first] = static_cast<char>(bytes[flips[number].first] ^ (1 << flips[number].second));
    return ScriptedReply{{{bytes, {}}}, false};
  });
  size_t failed = 0;
  size_t unsupported = 0;
  EachReader(cluster_, flips.size(), [&](size_t number, const Follower& reader) {
    failed += reader.Failure().empty() ? 0 : 1;
    unsupported += reader.unsupported.empty() ? 0 : 1;
    EXPECT_THAT(reader.Failure(), AnyOf("", HasSubstr("read events[0] at 1"))) << number;
    EXPECT_THAT(reader.unsupported, AnyOf("", HasSubstr("events[0] at 1"))) << number;
  });
  EXPECT_GT(failed, flips.size() / 2);
  // The number of the format alone.
  EXPECT_EQ(unsupported, 8U);
}

// Each int of an answer, wherever one may begin, is in turn each of these numbers.
class WireReaderIntsTest : public WireReaderLiesTest, public testing::WithParamInterface<WireCall> {
 protected:
  struct Lie {
    size_t at;
    int32_t number;
  };
  static std::vector<Lie> Lies(const std::string& right, const std::set<size_t>& but) {
    std::vector<Lie> lies;
    for (size_t at = 4; at + 4 <= right.size(); ++at) {
      if (but.contains(at)) continue;
      for (const int32_t number : {-1, 0, 1 << 20, INT32_MAX}) lies.push_back({at, number});
    }
    return lies;
  }
};

TEST_P(WireReaderIntsTest, NoIntThatLiesGivesAWrongRecord) {
  const std::string right = RightAnswer(GetParam());
  std::set<size_t> but;
  const auto spare = [&](size_t begin, size_t size) {
    for (size_t at = begin - 3; at < begin + size; ++at) but.insert(at);
  };
  if (GetParam() == WireCall::kFetch) {
    for (const size_t place : Unprotected(right, cluster_.logs.begin()->second)) spare(place, 1);
    // A broker may ask to be left alone for a minute.
    spare(HeaderBytes(GetParam()), 4);
  } else if (GetParam() == WireCall::kMetadata) {
    // Another host may be one that never answers, which takes seconds.
    const std::string host = cluster_.address(1).host;
    spare(right.find(host), host.size());
    // A leader of an older epoch than one that was named is believed after seconds.
    spare(right.find(std::string("\0\0\0\1\0\0\0\5", 8)) + 4, 4);
  }
  const std::vector<Lie> lies = Lies(right, but);
  StartSpoilt(GetParam(), [lies](size_t number, const ScriptedReply& reply) {
    std::string bytes = reply.bytes();
    WireOutput lie;
    lie.Add(lies[number].number);
    bytes.replace(lies[number].at, 4, lie.bytes());
    return ScriptedReply{{{bytes, {}}}, false};
  });
  EachReader(cluster_, lies.size());
}

INSTANTIATE_TEST_SUITE_P(Calls, WireReaderIntsTest,
                         testing::Values(WireCall::kApiVersions, WireCall::kMetadata, WireCall::kFetch), CallName);

TEST_F(WireReaderLiesTest, WrongOffsetsOfBatchesDoNoHarm) {
  // They cannot be noticed, so what comes is not compared with the log: it has to come in order, and to end.
  const std::string right = RightAnswer(WireCall::kFetch);
  const std::set<size_t> unprotected = Unprotected(right, cluster_.logs.begin()->second);
  const std::vector<size_t> places(unprotected.begin(), unprotected.end());
  StartSpoilt(WireCall::kFetch, [places](size_t number, const ScriptedReply& reply) {
    std::string bytes = reply.bytes();
    bytes[places[number / 2]] = number % 2 == 0 ? '\x7f' : '\xff';
    return ScriptedReply{{{bytes, {}}}, false};
  });
  for (size_t number = 0; number < 2 * places.size(); ++number) {
    absl::StatusOr<std::unique_ptr<WireReader>> reader =
        WireReader::Create({.brokers = cluster_.Addresses(), .properties = {{"client.id", absl::StrCat(number)}}});
    ASSERT_TRUE(reader.ok());
    ASSERT_TRUE((*reader)->Assign({{{kEvents, 0}, 10}}).ok());
    std::vector<LogRecord> records;
    std::vector<LogReader::Event> events;
    int64_t next = 10;
    const absl::Time deadline = absl::Now() + kPatience;
    for (bool over = false; !over && absl::Now() < deadline;) {
      ASSERT_TRUE((*reader)->Poll(absl::Milliseconds(200), &records, &events).ok());
      for (const LogRecord& record : records) {
        EXPECT_GE(record.offset, next) << number;
        next = record.offset + 1;
        EXPECT_TRUE(record.value.starts_with("value ")) << number;
      }
      over = !events.empty() || !(*reader)->Unsupported().empty();
    }
    EXPECT_LT(absl::Now(), deadline) << number;
  }
}

}  // namespace
}  // namespace tenfold
