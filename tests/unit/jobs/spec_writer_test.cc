#include "jobs/spec/spec_writer.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/number/units.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "jobs/spec/job_spec.h"
#include "tests/unit/jobs/random_fold.h"

namespace tenfold {
namespace {

// Draws sound specs that use every part of the language, in forms that are awkward to write.
class SpecGenerator {
 public:
  explicit SpecGenerator(uint64_t seed) : random_(seed) {}

  JobSpec Draw() {
    JobSpec spec;
    spec.set_name(Pick({"job", "a", "0", "null", "true", "1-2", "popularity"}));
    DrawSource(spec.mutable_source());
    DrawFold(spec.mutable_fold());
    if (spec.fold().has_general() && Below(2) == 0) DrawSecondSource(&spec);
    DrawRange(&spec);
    spec.set_top(1 + Below(700));
    if (!spec.fold().general().group().empty()) {
      spec.set_top(1 + Below(10));
      spec.set_groups(1 + Below(50));
    }
    const auto& measures = spec.fold().general().measures();
    if (measures.size() > 1 && Below(2) == 0) spec.set_rank(measures[1].name());
    spec.set_order(static_cast<RankOrder>(Below(2)));
    if (Below(2) == 0) spec.set_having((measures.empty() ? "score" : measures[0].name()) + Pick({" > 5", " is null"}));
    spec.set_batch_interval_ms(10 + Below(3'600'000 - 9));
    spec.set_wal(static_cast<WalMode>(Below(3)));
    spec.set_on_bad_record(static_cast<BadRecordPolicy>(Below(2)));
    if (spec.on_bad_record() == BAD_RECORD_SKIP && Below(2) == 0) spec.set_fail_above_ppm(1 + Below(999'999));
    spec.set_on_stuck_partition(static_cast<StuckPartitionPolicy>(Below(2)));
    if (Below(2) == 0) spec.add_sinks()->mutable_stdout();
    for (uint32_t i = Below(3); i > 0; --i)
      spec.add_sinks()->mutable_file()->set_path(absl::StrCat(Pick({"top", "a b", "é: #x", "'q' \"q\""}), i, ".jsonl"));
    return spec;
  }

 private:
  uint32_t Below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }
  std::string Pick(const std::vector<std::string>& texts) { return texts[Below(static_cast<uint32_t>(texts.size()))]; }

  void DrawSecondSource(JobSpec* spec) {
    GeneralFold* const fold = spec->mutable_fold()->mutable_general();
    SourceRecords* const other = fold->add_others();
    *other->mutable_format() = fold->format();
    *other->mutable_fields() = fold->fields();
    other->set_time(fold->time());
    SourceTopics* const topics = spec->mutable_source()->add_others();
    topics->set_topics_matching(Pick({"likes-.*", "null", "a\"b|'c'"}));
    if (Below(2) == 0) topics->add_topics("other");
    topics->set_start(static_cast<StartPosition>(Below(2)));
  }

  LogPosition DrawPosition() {
    LogPosition position;
    if (Below(2) == 0) {
      position.set_time_ms(int64_t{Below(2'000'000'000)} * 1000 + Below(1000));
      return position;
    }
    for (int partition = 0; partition < 3; ++partition) {
      NamedOffset* const named = position.mutable_offsets()->add_offsets();
      named->set_partition(partition);
      named->set_offset(Below(1000));
    }
    return position;
  }

  void DrawRange(JobSpec* spec) {
    KafkaSource* const source = spec->mutable_source();
    const auto name = [source](LogPosition position) {
      for (NamedOffset& named : *position.mutable_offsets()->mutable_offsets()) named.set_topic(source->topics(0));
      return position;
    };
    if (Below(3) == 0) {
      const LogPosition start = DrawPosition();
      source->set_start(START_EARLIEST);
      *source->mutable_start_at() = start.has_time_ms() ? start : name(start);
    }
    if (Below(3) > 0) return source->set_wait_for_topics(Below(2) == 0);
    LogPosition until = DrawPosition();
    if (until.has_offsets()) {
      // Each topic has an end.
      std::vector<std::string> topics(source->topics().begin(), source->topics().end());
      std::ranges::sort(topics);
      until.clear_offsets();
      for (const std::string& topic : topics) {
        NamedOffset* const named = until.mutable_offsets()->add_offsets();
        named->set_topic(topic);
        named->set_offset(Below(1000));
      }
    }
    *source->mutable_until() = until;
    for (SourceTopics& other : *source->mutable_others()) other.mutable_until()->set_end(true);
  }

  void DrawSource(KafkaSource* source) {
    for (uint32_t i = 1 + Below(3); i > 0; --i)
      source->add_topics(absl::StrCat(Pick({"events", "1", "null", "a.b_c-d"}), i));
    source->set_start(static_cast<StartPosition>(Below(2)));
    source->set_allow_compacted(Below(2) == 0);
    source->set_allow_internal(Below(2) == 0);
    if (Below(2) == 0) source->set_brokers(Pick({"kafka:9092", "[::1]:9092,b:1"}));
    if (Below(2) == 0) (*source->mutable_properties())["client.id"] = Pick({"x", "yes", "a: b", "#1"});
    if (Below(3) == 0) {
      (*source->mutable_properties())["sasl.password"] = Pick({"${file:/p'\"\\ }", "${env:TENFOLD_SECRET_P}"});
    }
  }

  void DrawFold(Fold* fold) {
    if (Below(2) == 0) {
      *fold->mutable_general() = RandomFold(random_()).Draw();
      return;
    }
    fold->mutable_format()->set_separator(Pick({"|", ",", "\t", "\"", "\\", " ", "#"}));
    const std::vector<std::string> fields = {"page", "null", "NULL", "true", "_x", "clicks"};
    for (const std::string& field : fields) fold->mutable_format()->add_fields(field);
    fold->set_key(Pick(fields));
    for (uint32_t i = 1 + Below(4); i > 0; --i) {
      ScoreTerm* term = fold->add_score();
      term->set_constant(Pick({"1", "0.8", "-7", "2.50", "-0.001", "1e3", "-1E-2"}));
      term->set_field(Pick(fields));
    }
    std::map<std::string, Units> initial;
    for (uint32_t i = Below(4); i > 0; --i) {
      const std::string key =
          absl::StrCat(Pick({"page", "a: b", "- x", "é\u0085\u2028", "\x01\x7f\n", "~", "\U0001F600"}), i);
      initial[key] = static_cast<Units>(random_()) - static_cast<Units>(random_());
    }
    for (const auto& [key, score] : initial) {
      InitialScore* added = fold->add_initial();
      added->set_key(key);
      added->set_score(FormatUnits(score));
    }
  }

  std::mt19937_64 random_;
};

TEST(SpecWriterTest, WhatIsWrittenReadsBackAsTheSameSpec) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const JobSpec spec = SpecGenerator(seed).Draw();
    ASSERT_EQ(CheckJobSpec(spec), "") << "the generator draws sound specs; seed " << seed;
    const std::string text = WriteJobSpec(spec);
    JobSpec read;
    for (const SpecError& error : ReadJobSpec(text, &read)) ADD_FAILURE() << FormatSpecError("written", error);
    ASSERT_TRUE(google::protobuf::util::MessageDifferencer::Equals(read, spec))
        << "seed " << seed << ":\n"
        << text << spec.DebugString() << read.DebugString();
  }
}

TEST(SpecWriterTest, WritesTheKeysInTheOrderInWhichTheyAreDocumented) {
  std::vector<std::string> keys;
  JobSpec spec = SpecGenerator(1).Draw();
  spec.clear_order();
  spec.clear_having();
  const nlohmann::ordered_json json = SpecJson(spec);
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  std::erase(keys, "initial");
  EXPECT_THAT(keys, ::testing::ElementsAre("name", "source", "key", "score", "top", "batch", "state", "on_bad_record",
                                           "on_stuck_partition", "sinks"));
}

}  // namespace
}  // namespace tenfold
