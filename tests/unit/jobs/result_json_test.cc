#include "jobs/show/result_json.h"

#include <string>
#include <vector>

#include "common/number/units.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;

Partition MakePartition(const std::string& topic, int32_t number) {
  Partition partition;
  partition.set_topic(topic);
  partition.set_partition(number);
  return partition;
}

void AddTop(BatchCommitted* batch, const std::string& key, Units sum) {
  Entry* entry = batch->add_top();
  entry->set_key(key);
  *entry->mutable_sum() = ToProto(sum);
}

TEST(ResultJson, ALineHasEveryKeyInTheDocumentedOrder) {
  BatchCommitted batch;
  batch.set_job_id("popularity-1f");
  batch.set_batch(42);
  batch.set_attempt(7);
  batch.set_published_at_us(1'700'000'000'123'456);
  batch.add_next_offsets(9'007'199'254'740'993);
  batch.add_next_offsets(0);
  batch.set_records(18'446'744'073'709'551'615u);
  batch.set_bad_records(3);
  batch.set_batch_records(5);
  AddTop(&batch, "page1", 2'200'000'000);
  AddTop(&batch, "page2", -500'000'000);
  *batch.mutable_proof()->mutable_kth_total() = ToProto(Units{-500'000'000});
  batch.mutable_proof()->set_rounds(1);
  batch.mutable_proof()->set_entries(20);
  EXPECT_EQ(TopLines("popularity", {MakePartition("events", 0), MakePartition("events", 1)}, batch)[0],
            R"({"job":"popularity","job_id":"popularity-1f","batch":42,"published_at":"2023-11-14T22:13:20.123Z",)"
            R"("offsets":[{"topic":"events","partition":0,"next_offset":9007199254740993},)"
            R"({"topic":"events","partition":1,"next_offset":0}],)"
            R"("records":18446744073709551615,"bad_records":3,"batch_records":5,)"
            R"("top":[{"rank":1,"key":"page1","score":"2.2"},{"rank":2,"key":"page2","score":"-0.5"}],)"
            R"("proof":{"kth_total":"-0.5","unseen_bound":null,"rounds":1,"entries":20}})");
}

TEST(ResultJson, EmptyListsAreLists) {
  EXPECT_THAT(TopLines("a", {}, BatchCommitted())[0], HasSubstr(R"("offsets":[],)"));
  EXPECT_THAT(TopLines("a", {}, BatchCommitted())[0], HasSubstr(R"("top":[],)"));
}

TEST(ResultJson, PartitionsThatTheBatchDoesNotHaveYetAreLeftOut) {
  BatchCommitted batch;
  batch.add_next_offsets(5);
  EXPECT_THAT(TopLines("a", {MakePartition("t", 0), MakePartition("t", 1)}, batch)[0],
              HasSubstr(R"("offsets":[{"topic":"t","partition":0,"next_offset":5}],)"));
}

TEST(ResultJson, AResultWithGroupsHasALineForEachAndTheLastOneEndsItsBatch) {
  ResultForm form;
  form.general = true;
  form.has_group = true;
  BatchCommitted batch;
  std::vector<std::string> lines = BatchLines("a", {}, batch, form);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], HasSubstr(R"("group":null,"group_number":0,"group_count":0,"groups_cut":false,"top":[])"));
  EXPECT_TRUE(EndsBatch(lines[0]));
  batch.set_groups_cut(true);
  batch.add_groups()->set_group("AT");
  GroupTop* const group = batch.add_groups();
  group->set_group("DE");
  Entry* const entry = group->add_top();
  entry->set_key(std::string("DE\0\1page1\0\1", 11));
  *entry->mutable_sum() = ToProto(Units{kUnitsPerOne});
  lines = BatchLines("a", {}, batch, form);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], HasSubstr(R"("group":"AT","group_number":1,"group_count":2,"groups_cut":true,"top":[])"));
  EXPECT_THAT(lines[1], HasSubstr(R"("group":"DE","group_number":2,"group_count":2,"groups_cut":true,)"
                                  R"("top":[{"rank":1,"key":"page1","score":"1","measures":{"score":"1"}}])"));
  EXPECT_FALSE(EndsBatch(lines[0]));
  EXPECT_TRUE(EndsBatch(lines[1]));
  EXPECT_FALSE(SaysTheSame(lines[0], lines[1]));
}

TEST(ResultJson, AKeyStaysOnItsLine) {
  BatchCommitted batch;
  AddTop(&batch, "a\"b\\c\nd\xc3\xa9", 1'000'000'000);
  const std::string line = TopLines("a", {}, batch)[0];
  EXPECT_THAT(line, HasSubstr("\"key\":\"a\\\"b\\\\c\\nd\xc3\xa9\""));
  EXPECT_EQ(line.find('\n'), std::string::npos);
}

TEST(ResultJson, TimesHaveMillisecondsAlways) {
  EXPECT_EQ(FormatTime(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatTime(951'782'400'050'999), "2000-02-29T00:00:00.050Z");
}

}  // namespace
}  // namespace tenfold
