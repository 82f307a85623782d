#include "worker/fold/record_fold.h"

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/number/digest.h"
#include "common/table/row_pane.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/oracle/oracle.h"
#include "jobs/plan/plan.h"
#include "worker/fold/delta_table.h"
#include "worker/fold/pane_digests.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

// Hashes a record to its offset times ten, or to what a test sets.
class FakeLog : public LogReader {
 public:
  absl::Status Assign(const std::vector<Start>&) override { return absl::OkStatus(); }
  absl::Status Poll(absl::Duration, std::vector<LogRecord>*, std::vector<Event>*) override { return absl::OkStatus(); }
  bool TakeChanged() override { return false; }
  absl::StatusOr<int64_t> Begin(uint32_t, absl::Duration) override { return 0; }
  void ReadParts(const LogRecord&, RecordParts* read) const override { *read = parts; }
  uint64_t Hash(const LogRecord& record) const override {
    const auto set = hashes.find(record.offset);
    return set != hashes.end() ? set->second : static_cast<uint64_t>(record.offset) * 10;
  }
  LogIdentity Identity(const LogRecord& record) const override {
    return {"cluster", id, tells_epochs ? static_cast<int32_t>(record.offset / 10) : -1};
  }
  absl::Duration TakeWaited() override { return absl::ZeroDuration(); }
  std::string WhyRdkafka() const override { return ""; }

  RecordParts parts;
  std::map<int64_t, uint64_t> hashes;
  TopicId id = {'i', 'd'};
  bool tells_epochs = true;
};

// A partition that is folded below offset 10, whose record at 9 was the last.
class RecordFoldTest : public ::testing::Test {
 protected:
  RecordFoldTest() : fold_(RecordFold::Create(Spec()).value()) {
    state_.set_next_offset(10);
    state_.set_last_offset(9);
    Cursor& cursor = cursors_.emplace_back();
    cursor.partition = {"events", 2};
    cursor.state = &state_;
    cursor.table = &table_;
    cursor.end = 100;
    cursor.expected = {9, 90};
  }

  static JobSpec Spec() {
    JobSpec spec;
    spec.mutable_fold()->mutable_format()->set_separator("|");
    for (const char* field : {"page", "clicks"}) spec.mutable_fold()->mutable_format()->add_fields(field);
    spec.mutable_fold()->set_key("page");
    ScoreTerm* const term = spec.mutable_fold()->add_score();
    term->set_constant("1");
    term->set_field("clicks");
    return spec;
  }

  // Folds records at these offsets, in one poll.
  std::optional<std::string> Fold(const std::vector<int64_t>& offsets) {
    std::vector<LogRecord> records;
    for (const int64_t offset : offsets) records.push_back({.position = 0, .offset = offset, .value = "page1|1"});
    return fold_.Fold(records, log_, /*exact=*/false, &cursors_);
  }
  // Of a job that bad records end: a good record and then a bad one.
  std::optional<std::string> FoldBad(bool exact) {
    JobSpec spec = Spec();
    spec.set_on_bad_record(BAD_RECORD_FAIL);
    RecordFold fold = RecordFold::Create(spec).value();
    cursors_[0].expected = {};
    const std::vector<LogRecord> records = {{.position = 0, .offset = 10, .value = "page1|1"},
                                            {.position = 0, .offset = 11, .value = "bad"}};
    return fold.Fold(records, log_, exact, &cursors_);
  }

  FakeLog log_;
  PartitionState state_;
  DeltaTable table_;
  std::vector<Cursor> cursors_;
  RecordFold fold_;
};

TEST_F(RecordFoldTest, FoldsOnBehindTheExpectedRecord) {
  EXPECT_EQ(Fold({9, 10, 12}), std::nullopt);
  EXPECT_EQ(state_.next_offset(), 13);
  EXPECT_EQ(state_.last_offset(), 12);
  EXPECT_EQ(cursors_[0].records, 2u);
}

// Whoever folds ahead of a batch stops there, too.
TEST_F(RecordFoldTest, NothingIsFoldedBehindTheEndOfTheJob) {
  cursors_[0].job_end = 12;
  EXPECT_EQ(Fold({9, 10, 11, 12, 13}), std::nullopt);
  EXPECT_EQ(state_.next_offset(), 12);
  EXPECT_EQ(state_.last_offset(), 11);
  EXPECT_EQ(cursors_[0].records, 2u);
}

TEST_F(RecordFoldTest, MoreSumsThanARowHasAreRefused) {
  JobSpec spec;
  GeneralFold* const fold = spec.mutable_fold()->mutable_general();
  fold->mutable_format()->mutable_text();
  fold->add_key("value");
  for (int i = 0; i < 40; ++i) {
    Measure* const measure = fold->add_measures();
    measure->set_name("m" + std::to_string(i));
    measure->set_expression("max(length(value))");
  }
  EXPECT_EQ(RecordFold::Create(spec).status().message(), "the job has 80 sums in a row; 32 are allowed");
}

TEST_F(RecordFoldTest, ARecordIsReadAsItsSourceSays) {
  JobSpec spec;
  GeneralFold* const fold = spec.mutable_fold()->mutable_general();
  fold->mutable_format()->mutable_delimited()->set_separator("|");
  for (const char* field : {"page", "n"}) fold->mutable_format()->mutable_delimited()->add_fields(field);
  fold->add_key("page");
  Measure* const measure = fold->add_measures();
  measure->set_name("score");
  measure->set_expression("sum(n)");
  SourceRecords* const other = fold->add_others();
  other->mutable_format()->mutable_delimited()->set_separator("|");
  for (const char* field : {"n", "page"}) other->mutable_format()->mutable_delimited()->add_fields(field);
  ASSERT_TRUE(MakeCanonical(fold));
  RecordFold by_source = RecordFold::Create(spec).value();
  cursors_[0].expected = {};
  cursors_[0].source = 1;
  EXPECT_EQ(
      by_source.Fold(std::vector<LogRecord>{{.position = 0, .offset = 10, .value = "7|page1"}}, log_, false, &cursors_),
      std::nullopt);
  const std::vector<Delta> deltas = table_.Deltas();
  ASSERT_EQ(deltas.size(), 1u);
  EXPECT_EQ(deltas[0].key, "page1");
  EXPECT_EQ(deltas[0].sum, Units{7'000'000'000});
  cursors_[0].source = 2;
  EXPECT_THAT(
      by_source.Fold(std::vector<LogRecord>{{.position = 0, .offset = 11, .value = "7|page1"}}, log_, false, &cursors_),
      Optional(HasSubstr("events[2] is of a source that the job does not have")));
}

TEST_F(RecordFoldTest, AnotherRecordInItsPlaceFailsTheJob) {
  log_.hashes[9] = 1;
  EXPECT_THAT(Fold({9, 10}), Optional(HasSubstr("events[2] holds another record at offset 9")));
  EXPECT_EQ(state_.next_offset(), 10);
}

// Behind the last record was an aborted transaction; what is there now came later, to a log that had lost its end.
TEST_F(RecordFoldTest, ARecordWhereNoneWasFoldedFailsTheJob) {
  state_.set_last_offset(5);
  cursors_[0].expected = {5, 50};
  EXPECT_THAT(Fold({5, 8, 10}), Optional(HasSubstr("it has a record at offset 8, where none was folded")));
}

TEST_F(RecordFoldTest, RecordsBetweenTheExpectedAndTheLastOneAreNotFoldedAgain) {
  cursors_[0].expected = {5, 50};
  EXPECT_EQ(Fold({5, 7, 9, 10}), std::nullopt);
  EXPECT_EQ(cursors_[0].records, 1U);
}

TEST_F(RecordFoldTest, TheStateKnowsTheLogThatItWasFoldedFrom) {
  EXPECT_EQ(Fold({9, 10, 25}), std::nullopt);
  EXPECT_EQ(state_.topic_id(), std::string(log_.id.data(), log_.id.size()));
  EXPECT_EQ(state_.kafka_cluster(), "cluster");
  EXPECT_EQ(state_.leader_epoch(), 2);
  EXPECT_EQ(state_.epoch_offset(), 26);
  // One who does not tell leaves the topic what it was, but not the epoch.
  log_.id = {};
  log_.tells_epochs = false;
  EXPECT_EQ(Fold({26}), std::nullopt);
  EXPECT_THAT(state_.topic_id(), HasSubstr("id"));
  EXPECT_FALSE(state_.has_leader_epoch());
}

// A worker that knows nothing of epochs has folded on, and leaders may have changed meanwhile.
TEST_F(RecordFoldTest, AnEpochOfAnotherOffsetIsOfNoUse) {
  EXPECT_EQ(Fold({9, 10}), std::nullopt);
  EXPECT_EQ(cursors_[0].Known().leader_epoch, 1);
  EXPECT_EQ(cursors_[0].Known().topic_id, log_.id);
  EXPECT_EQ(cursors_[0].Known().cluster, "cluster");
  state_.set_next_offset(12);
  EXPECT_EQ(cursors_[0].Known().leader_epoch, -1);
}

// What lies between the last record and the end may be of a later epoch, and then the last record's does not reach to it.
TEST_F(RecordFoldTest, AnEndBeforeTheNextRecordHasNoEpoch) {
  cursors_[0].end = 15;
  const std::vector<LogRecord> records = {{.position = 0, .offset = 9, .value = "page1|1"},
                                          {.position = 0, .offset = 10, .value = "page1|1"},
                                          {.position = 0, .offset = 20, .value = "page1|1"}};
  EXPECT_EQ(fold_.Fold(records, log_, /*exact=*/true, &cursors_), std::nullopt);
  EXPECT_EQ(state_.next_offset(), 15);
  EXPECT_FALSE(state_.has_leader_epoch());
}

// As where a topic was created again and filled by transactions of one record, each of which ends with a marker.
TEST_F(RecordFoldTest, NoRecordInItsPlaceFailsTheJob) {
  EXPECT_THAT(Fold({10, 12}), Optional(HasSubstr("events[2] has no record at offset 9 any more")));
  EXPECT_EQ(state_.next_offset(), 10);
}

TEST_F(RecordFoldTest, WhereTopicsMayBeCompactedTheRecordMayVanishButNotChange) {
  cursors_[0].compacted = true;
  cursors_[0].expected = {5, 50};
  cursors_[0].expected_next = {9, 90};
  EXPECT_EQ(Fold({9, 10}), std::nullopt);
  EXPECT_EQ(state_.next_offset(), 11);
  cursors_[0].expected = {5, 50};
  cursors_[0].expected_next = {9, 90};
  log_.hashes[9] = 1;
  EXPECT_THAT(Fold({7, 9}), Optional(HasSubstr("events[2] holds another record at offset 9")));
}

TEST_F(RecordFoldTest, TheRecordExpectedNextIsComparedBeforeWhatFollows) {
  cursors_[0].expected = {5, 50};
  cursors_[0].expected_next = {9, 90};
  log_.hashes[9] = 1;
  EXPECT_THAT(Fold({5, 6, 9, 10}), Optional(HasSubstr("events[2] holds another record at offset 9")));
  EXPECT_EQ(state_.next_offset(), 10);
}

TEST_F(RecordFoldTest, ABadRecordEndsAJobThatDoesNotSkipThem) {
  EXPECT_THAT(FoldBad(/*exact=*/false), Optional(HasSubstr("events[2] has a bad record at offset 11")));
}

// The job may have skipped it before an update.
TEST_F(RecordFoldTest, WhatIsFoldedAgainUpToTheJournalPassesOverBadRecords) {
  EXPECT_EQ(FoldBad(/*exact=*/true), std::nullopt);
  EXPECT_EQ(state_.next_offset(), 12);
  ASSERT_EQ(state_.bad_size(), 1);
  EXPECT_EQ(state_.bad(0).count(), 1u);
}

TEST_F(RecordFoldTest, ByAPlanRecordsAreAddedFilteredOrBadWithTheirField) {
  JobSpec spec;
  GeneralFold* const general = spec.mutable_fold()->mutable_general();
  DelimitedFormat* const format = general->mutable_format()->mutable_delimited();
  format->set_separator("|");
  for (const char* field : {"page", "clicks"}) format->add_fields(field);
  general->set_where("clicks > 0");
  general->add_key("concat(page, record.partition)");
  Measure* const measure = general->add_measures();
  measure->set_name("score");
  measure->set_expression("sum(1 / (clicks - 3))");
  ASSERT_TRUE(MakeCanonical(general));
  RecordFold fold = RecordFold::Create(spec).value();
  cursors_[0].expected = {};
  std::vector<LogRecord> records;
  for (const char* value : {"a|1", "a|0", "a|x", "a|5", "a|3", "|7", "a|y"})
    records.push_back({.position = 0, .offset = 10 + static_cast<int64_t>(records.size()), .value = value});
  EXPECT_EQ(fold.Fold(records, log_, /*exact=*/false, &cursors_), std::nullopt);
  EXPECT_EQ(cursors_[0].records, 7u);
  EXPECT_EQ(state_.filtered(), 1u);
  ASSERT_EQ(state_.bad_size(), 2);
  EXPECT_EQ(state_.bad(0).reason(), BAD_MALFORMED_NUMBER);
  EXPECT_EQ(state_.bad(0).subject(), "clicks");
  EXPECT_EQ(state_.bad(0).count(), 2u);
  EXPECT_EQ(state_.bad(1).reason(), BAD_DIVISION_BY_ZERO);
  EXPECT_EQ(state_.bad(1).subject(), "measures.score");
  EXPECT_EQ(state_.samples(0).subject(), "clicks");
  const std::vector<Delta> deltas = table_.Deltas();
  ASSERT_EQ(deltas.size(), 2u);
  EXPECT_EQ(deltas[0].key, "a2");
  EXPECT_EQ(deltas[0].count, 2u);
  EXPECT_EQ(deltas[0].sum, 0);
  EXPECT_EQ(deltas[1].key, "2");
  EXPECT_EQ(deltas[1].sum, 250'000'000);
}

// A job with windows of the same fields, whose second one is a record's time in seconds.
JobSpec WindowSpec(uint32_t panes, int64_t lateness_s) {
  JobSpec spec;
  GeneralFold* const fold = spec.mutable_fold()->mutable_general();
  DelimitedFormat* const format = fold->mutable_format()->mutable_delimited();
  format->set_separator("|");
  for (const char* field : {"page", "at", "clicks"}) format->add_fields(field);
  for (const auto& [name, type] :
       {std::pair("page", FIELD_TEXT), std::pair("at", FIELD_TIMESTAMP), std::pair("clicks", FIELD_INTEGER)}) {
    Field* const field = fold->add_fields();
    field->set_name(name);
    field->set_place(name);
    field->set_type(type);
    if (type == FIELD_TIMESTAMP) field->set_unit(TIMESTAMP_SECONDS);
  }
  fold->set_time("at");
  fold->set_where("clicks > 0");
  fold->add_key("page");
  Measure* const measure = fold->add_measures();
  measure->set_name("score");
  measure->set_expression("sum(clicks)");
  FoldWindow* const window = fold->mutable_window();
  window->set_panes(panes);
  window->set_pane_us(10'000'000);
  window->set_lateness_us(lateness_s * 1'000'000);
  window->set_ahead_us(1'000'000'000'000'000);
  spec.set_top(10);
  return spec;
}

TEST(WindowFoldTest, AKeyMayHaveAsManyBytesAsWithoutWindows) {
  RecordFold fold = RecordFold::Create(WindowSpec(1, 0)).value();
  PartitionState partition;
  DeltaTable table;
  FakeLog log;
  const std::string longest(kMaxKeyBytes, 'k');
  // The second number is decoded alone.
  const std::vector<std::string> values = {longest + "|5|1", longest + "|5|1e0", longest + "k|5|1"};
  std::vector<LogRecord> records;
  for (const std::string& value : values)
    records.push_back({.position = 0, .offset = static_cast<int64_t>(records.size()), .value = value});
  std::vector<Cursor> cursors(1);
  cursors[0].state = &partition;
  cursors[0].table = &table;
  cursors[0].end = 3;
  ASSERT_EQ(fold.Fold(records, log, /*exact=*/false, &cursors), std::nullopt);
  const std::vector<Delta> deltas = table.Deltas();
  ASSERT_EQ(deltas.size(), 1u);
  EXPECT_EQ(RowPane::KeyOf(deltas[0].key), longest);
  EXPECT_EQ(deltas[0].count, 2u);
  ASSERT_EQ(partition.bad_size(), 1);
  EXPECT_EQ(partition.bad(0).reason(), BAD_KEY_TOO_LONG);
}

// Many records at once and one by one, sound and bad, filtered and late, in polls of any size.
TEST(WindowFoldTest, WindowsAreThoseOfTheOracleHoweverRecordsCome) {
  uint64_t late = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    const JobSpec spec = WindowSpec(1 + static_cast<uint32_t>(random() % 4), static_cast<int64_t>(random() % 3) * 12);
    std::vector<std::string> values;
    for (int i = 0; i < 400; ++i) {
      const uint64_t at = 1'000 + static_cast<uint64_t>(i) - random() % 60;
      std::string time = absl::StrCat(at);
      // What is no plain number is decoded alone, and so is what is bad.
      if (random() % 20 == 0) time = absl::StrCat(at, "e0");
      if (random() % 40 == 0) time = "never";
      values.push_back(absl::StrCat(random() % 30 == 0 ? "" : "p", random() % 9, "|", time, "|", random() % 4));
    }
    ShardState state;
    PartitionState* const partition = state.add_partitions();
    partition->set_last_offset(-1);
    DeltaTable table;
    RecordFold fold = RecordFold::Create(spec).value();
    FakeLog log;
    for (size_t begin = 0; begin < values.size();) {
      const size_t end = std::min(values.size(), begin + 1 + random() % 150);
      std::vector<LogRecord> records;
      for (size_t i = begin; i < end; ++i)
        records.push_back(
            {.position = 0, .batch = 0, .offset = static_cast<int64_t>(i), .value = values[i], .handle = nullptr});
      std::vector<Cursor> cursors(1);
      cursors[0].partition = {"events", 0};
      cursors[0].state = partition;
      cursors[0].table = &table;
      cursors[0].end = static_cast<int64_t>(values.size());
      ASSERT_EQ(fold.Fold(records, log, /*exact=*/false, &cursors), std::nullopt);
      begin = end;
    }
    std::vector<Delta> deltas = table.Deltas();
    AddToPanes(std::nullopt, &deltas, &state);
    Oracle oracle(spec, 1);
    const RecordParts parts;
    for (const std::string& value : values) oracle.Add(0, value, {.topic = "events", .parts = &parts});
    const Oracle::Result expected = oracle.Compute();
    ASSERT_EQ(partition->late(), expected.late_records) << "seed " << seed;
    ASSERT_EQ(partition->filtered(), expected.filtered_records) << "seed " << seed;
    ASSERT_EQ(FromProto(state.digest()), FromProto(expected.digests[0])) << "seed " << seed;
    late += partition->late();
  }
  EXPECT_GT(late, 1'000u) << "nearly nothing is late";
}

}  // namespace
}  // namespace tenfold
