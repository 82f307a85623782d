// A fold stops in front of a record by a schema that is not known, and goes on once it is (rule L1 of the job language).
#include <memory>
#include <string>
#include <vector>

#include "common/number/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/feed/avro_encoding.h"
#include "jobs/oracle/oracle.h"
#include "worker/fold/kafka_fold_task.h"

namespace tenfold {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr char kTopic[] = "events";
constexpr int kRecords = 100;
constexpr absl::Duration kTimeout = absl::Seconds(20);

JobSpec Spec() {
  JobSpec spec;
  spec.mutable_registry()->set_url("http://registry:8081");
  GeneralFold* const fold = spec.mutable_fold()->mutable_general();
  fold->mutable_format()->mutable_avro()->set_registry(true);
  for (const char* name : {"page", "clicks"}) {
    Field* const field = fold->add_fields();
    field->set_name(name);
    field->set_place(name);
  }
  fold->mutable_fields(0)->set_type(FIELD_TEXT);
  fold->add_key("page");
  fold->add_measures()->set_name("score");
  fold->mutable_measures(0)->set_expression("sum(clicks)");
  return spec;
}

std::string Event(uint32_t id, int i) {
  std::string record = std::string(4, '\0') + static_cast<char>(id);
  AppendAvroText("page" + std::to_string(i % 7), &record);
  AppendAvroLong(i, &record);
  return record;
}

LearnedSchema Schema(uint32_t id, bool is_known = true) {
  LearnedSchema schema;
  schema.set_id(id);
  if (is_known) {
    schema.set_avro(
        R"({"type":"record","name":"R","fields":[{"name":"page","type":"string"},{"name":"clicks","type":"long"}]})");
  }
  return schema;
}

class MissingSchemaTest : public testing::Test {
 protected:
  void SetUp() override {
    broker_ = EmbeddedBroker::Start(kTopic, 2).value();
    writer_ = LogWriter::Create({.brokers = broker_->brokers(), .properties = {}}, {}).value();
    task_ = KafkaFoldTask::Create(Spec(), {.brokers = broker_->brokers(), .properties = {}}, 1, &slots_).value();
    // In the first partition one in the middle is by another schema.
    for (int p = 0; p < 2; ++p) {
      for (int i = 0; i < kRecords; ++i) Write(p, Event(p == 0 && i == kRecords / 2 ? 2 : 1, i));
    }
    ASSERT_TRUE(writer_->Flush(kTimeout).ok());
  }
  void Write(int partition, const std::string& record) {
    ASSERT_TRUE(writer_->Append(kTopic, partition, record).ok());
    records_[partition].push_back(record);
  }
  void Learn(const LearnedSchema& schema) { *learned_.Add() = schema; }

  // From where the last fold ended.
  FoldOutcome Fold() {
    if (ranges_.empty()) {
      for (int p = 0; p < 2; ++p) {
        JobCore::ShardRange& range = ranges_.emplace_back();
        range.state.mutable_id()->set_shard(static_cast<uint32_t>(p));
        range.state.mutable_id()->add_partitions()->set_topic(kTopic);
        range.state.mutable_id()->mutable_partitions(0)->set_partition(p);
        range.state.add_partitions()->set_partition(static_cast<uint32_t>(p));
        range.state.mutable_partitions(0)->set_last_offset(-1);
      }
    }
    for (int p = 0; p < 2; ++p)
      ranges_[static_cast<size_t>(p)].ends = {static_cast<int64_t>(records_[static_cast<size_t>(p)].size())};
    FoldOptions options{.budget = kTimeout, .memory = {}, .stop = [] { return false; }};
    options.schemas = ReadLearnedSchemas(learned_).value();
    FoldOutcome outcome = task_->Fold(ranges_, options);
    EXPECT_FALSE(outcome.failure) << *outcome.failure;
    for (const FoldOutcome::Shard& shard : outcome.shards) ranges_[shard.state.id().shard()].state = shard.state;
    ExpectExact();
    return outcome;
  }
  int64_t NextOffset(size_t partition) const { return ranges_[partition].state.partitions(0).next_offset(); }

  // Both states are what the log says they are at their offsets.
  void ExpectExact() const {
    for (size_t p = 0; p < 2; ++p) {
      Oracle oracle(Spec(), 1);
      for (const LearnedSchema& schema : learned_) oracle.Learn(schema);
      for (size_t offset = 0; offset < static_cast<size_t>(NextOffset(p)); ++offset) oracle.Add(0, records_[p][offset]);
      const Oracle::Result exact = oracle.Compute();
      EXPECT_EQ(FromProto(ranges_[p].state.digest()), FromProto(exact.digests[0])) << ranges_[p].state.ShortDebugString();
      const PartitionState& state = ranges_[p].state.partitions(0);
      EXPECT_EQ(state.records(), exact.records);
      EXPECT_EQ(state.bad_size() == 0 ? 0 : state.bad(0).count(), exact.bad_records);
    }
  }

  ReaderSlots slots_{2};
  std::unique_ptr<EmbeddedBroker> broker_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<KafkaFoldTask> task_;
  std::array<std::vector<std::string>, 2> records_;
  google::protobuf::RepeatedPtrField<LearnedSchema> learned_;
  std::vector<JobCore::ShardRange> ranges_;
};

TEST_F(MissingSchemaTest, APartitionStopsInFrontOfTheRecordAndTheOthersDoNot) {
  Learn(Schema(1));
  const FoldOutcome outcome = Fold();
  ASSERT_THAT(outcome.needs_schemas, SizeIs(1));
  EXPECT_EQ(outcome.needs_schemas[0].id(), 2u);
  EXPECT_EQ(outcome.needs_schemas[0].partition(), 0u);
  EXPECT_EQ(outcome.needs_schemas[0].offset(), kRecords / 2);
  EXPECT_EQ(NextOffset(0), kRecords / 2);
  EXPECT_EQ(NextOffset(1), kRecords);
}

TEST_F(MissingSchemaTest, ItGoesOnOnceTheSchemaIsKnown) {
  Learn(Schema(1));
  Fold();
  // As long as it is not, nothing changes, though records come.
  for (int p = 0; p < 2; ++p) Write(p, Event(1, 1));
  ASSERT_TRUE(writer_->Flush(kTimeout).ok());
  EXPECT_THAT(Fold().needs_schemas, SizeIs(1));
  EXPECT_EQ(NextOffset(0), kRecords / 2);
  EXPECT_EQ(NextOffset(1), kRecords + 1);
  Learn(Schema(2));
  EXPECT_THAT(Fold().needs_schemas, IsEmpty());
  EXPECT_EQ(NextOffset(0), kRecords + 1);
}

TEST_F(MissingSchemaTest, ItGoesOnOverRecordsOfAnUnknownSchema) {
  Learn(Schema(1));
  Fold();
  Learn(Schema(2, /*is_known=*/false));
  EXPECT_THAT(Fold().needs_schemas, IsEmpty());
  EXPECT_EQ(NextOffset(0), kRecords);
  ASSERT_THAT(ranges_[0].state.partitions(0).bad(), SizeIs(1));
  EXPECT_EQ(ranges_[0].state.partitions(0).bad(0).reason(), BAD_UNKNOWN_SCHEMA);
}

TEST_F(MissingSchemaTest, WithoutAnySchemaNothingIsFoldedAndEachPartitionSaysWhatItNeeds) {
  EXPECT_THAT(Fold().needs_schemas, SizeIs(2));
  EXPECT_EQ(NextOffset(0), 0);
  EXPECT_EQ(NextOffset(1), 0);
}

}  // namespace
}  // namespace tenfold
