// Holds what decodes records by a plan against the oracle, which shares nothing with it: random folds over random records.

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/number/height.h"
#include "common/number/units.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "jobs/decode/block_decoder.h"
#include "jobs/decode/general_decoder.h"
#include "jobs/oracle/general_record.h"
#include "jobs/plan/plan.h"
#include "tests/unit/jobs/random_fold.h"

namespace tenfold {
namespace {

void AppendUnits(int64_t units, bool is_height, std::string* said) {
  absl::StrAppend(said, " ", is_height ? FormatUnits(HeightOf(units) * kUnitsPerOne) : absl::StrCat(units));
}

std::string Said(const Contribution& made, const Plan& plan) {
  if (made.reason != BAD_NONE) return absl::StrCat(BadReason_Name(made.reason), " ", std::string(made.subject));
  if (made.filtered) return "filtered";
  std::string said;
  for (const Contribution::Event& event : made.events) {
    absl::StrAppend(&said, said.empty() ? "" : ", ", std::string(event.key));
    for (size_t m = 0; m < event.units.size(); ++m) AppendUnits(event.units[m], plan.heights.Has(m), &said);
  }
  return said;
}

std::string Said(const oracle::Contributed& made) {
  if (made.reason != BAD_NONE) return absl::StrCat(BadReason_Name(made.reason), " ", made.subject);
  if (made.filtered) return "filtered";
  std::string said;
  for (const oracle::Contributed::Event& event : made.events) {
    absl::StrAppend(&said, said.empty() ? "" : ", ", event.key);
    for (const oracle::BigInt& units : event.units) absl::StrAppend(&said, " ", units.str());
  }
  return said;
}

// What the block decoder says of the records; nothing of those that it leaves.
std::vector<std::string> SaidOfBlock(BlockDecoder& decoder, const std::vector<Record>& records, const Plan& plan) {
  const DecodedBlock& block = decoder.Decode(records);
  std::vector<std::string> said(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    if ((block.filtered >> i & 1) != 0) said[i] = "filtered";
    if ((block.folded >> i & 1) == 0) continue;
    said[i] += std::string(block.keys[i]);
    for (size_t m = 0; m < block.units.size(); ++m) AppendUnits(block.units[m][i], plan.heights.Has(m), &said[i]);
  }
  return said;
}

// Holds the block decoder against the oracle on random records of the fold; counts what it takes.
void CompareBlocks(uint64_t seed, const GeneralFold& fold, RandomFold* random, uint64_t* taken, uint64_t* sound) {
  std::vector<PlanProblem> problems;
  const std::shared_ptr<const Plan> plan = MakePlan(fold, &problems);
  if (!BlockDecoder::Suits(*plan)) return;
  BlockDecoder decoder(plan);
  const oracle::GeneralRecords oracle(fold);
  std::mt19937_64 sizes(seed);
  for (int block = 0; block < 6; ++block) {
    // Values lie apart, so that a sanitizer sees who looks at those of the block before.
    std::vector<std::string> values(1 + sizes() % (block < 3 ? 64 : 5));
    std::vector<RecordParts> parts(values.size());
    std::vector<Record> records;
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = random->DrawRecord(fold);
      parts[i] = random->DrawParts();
      records.push_back(
          {.value = values[i], .topic = "t-1", .partition = 3, .offset = static_cast<int64_t>(i), .parts = &parts[i]});
    }
    const std::vector<std::string> said = SaidOfBlock(decoder, records, *plan);
    for (size_t i = 0; i < records.size(); ++i) {
      const oracle::Contributed expected = oracle.Read("t-1", 3, records[i].offset, values[i], &parts[i]);
      *sound += expected.reason == BAD_NONE;
      if (said[i].empty()) continue;
      ++*taken;
      ASSERT_EQ(said[i], Said(expected)) << "seed " << seed << " block " << block << " row " << i << "\nrecord " << values[i]
                                         << "\n"
                                         << fold.DebugString();
    }
  }
}

TEST(GeneralFoldTest, BlocksAndOracleAgreeOnRandomFolds) {
  const char* const wanted = std::getenv("TENFOLD_FOLD_SEEDS");
  const uint64_t seeds = wanted == nullptr ? 600 : std::stoull(wanted);
  uint64_t taken = 0;
  uint64_t sound = 0;
  for (uint64_t seed = 1; seed <= seeds && !::testing::Test::HasFatalFailure(); ++seed) {
    RandomFold random(seed);
    const GeneralFold fold = random.Draw();
    CompareBlocks(seed, fold, &random, &taken, &sound);
  }
  EXPECT_GT(taken, sound * 6 / 10) << "most records are left to be decoded alone, so that little is compared: " << taken
                                   << " of " << sound;
}

// An operation with a null argument and one that has no value has none, whatever stands around it.
TEST(GeneralFoldTest, InABlockNullHidesNothingThatIsWrong) {
  GeneralFold fold;
  DelimitedFormat* const format = fold.mutable_format()->mutable_delimited();
  format->set_separator("|");
  format->set_null_as("");
  for (const auto& [name, type] : {std::pair("k", FIELD_TEXT), std::pair("a", FIELD_DECIMAL), std::pair("b", FIELD_TEXT)}) {
    format->add_fields(name);
    Field* const field = fold.add_fields();
    field->set_name(name);
    field->set_place(name);
    field->set_type(type);
    field->set_nullable(true);
  }
  fold.add_key("k");
  Measure* const measure = fold.add_measures();
  measure->set_name("score");
  measure->set_expression("sum(coalesce(a + number(b), 0))");
  std::vector<PlanProblem> problems;
  const std::shared_ptr<const Plan> plan = MakePlan(fold, &problems);
  ASSERT_NE(plan, nullptr) << problems[0].message;
  ASSERT_TRUE(BlockDecoder::Suits(*plan));
  BlockDecoder decoder(plan);
  const std::vector<Record> records = {{.value = "x||abc"}, {.value = "x||1"}, {.value = "x|2|1"}};
  EXPECT_EQ(SaidOfBlock(decoder, records, *plan), (std::vector<std::string>{"", "x 0", "x 3000000000"}));
}

// TENFOLD_FOLD_SEEDS sets how many folds are drawn.
TEST(GeneralFoldTest, DecoderAndOracleAgreeOnRandomFolds) {
  const char* const wanted = std::getenv("TENFOLD_FOLD_SEEDS");
  const uint64_t seeds = wanted == nullptr ? 600 : std::stoull(wanted);
  // How often each outcome was seen: a kind that is never drawn is not tested.
  std::map<BadReason, uint64_t> reasons;
  uint64_t filtered = 0;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    RandomFold random(seed);
    const GeneralFold fold = random.Draw();
    GeneralDecoder decoder = GeneralDecoder::Create(fold).value();
    const oracle::GeneralRecords oracle(fold);
    for (int64_t offset = 0; offset < 60; ++offset) {
      const std::string record = random.DrawRecord(fold);
      const RecordParts parts = random.DrawParts();
      const Contribution& made =
          decoder.Decode({.value = record, .topic = "t-1", .partition = 3, .offset = offset, .parts = &parts});
      ++reasons[made.reason];
      filtered += made.filtered;
      ASSERT_EQ(Said(made, decoder.plan()), Said(oracle.Read("t-1", 3, offset, record, &parts)))
          << "seed " << seed << " offset " << offset << "\nrecord " << record << "\n"
          << fold.DebugString();
    }
  }
  EXPECT_GT(reasons[BAD_NONE] - filtered, seeds * 5) << "most records are bad, so that little is compared";
  EXPECT_GT(filtered, seeds);
  for (const BadReason reason :
       {BAD_EMPTY_RECORD, BAD_WRONG_FIELD_COUNT, BAD_EMPTY_KEY, BAD_MALFORMED_NUMBER, BAD_NUMBER_OUT_OF_RANGE,
        BAD_MALFORMED_RECORD, BAD_FIELD_MISSING, BAD_FIELD_WRONG_TYPE, BAD_FIELD_NOT_UTF8, BAD_MALFORMED_FIELD, BAD_NULL_KEY,
        BAD_DIVISION_BY_ZERO, BAD_WRONG_ARGUMENT}) {
    EXPECT_GT(reasons[reason], 0u) << BadReason_Name(reason);
  }
}

TEST(GeneralFoldTest, TheCanonicalFormIsStable) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const GeneralFold fold = RandomFold(seed).Draw();
    GeneralFold again = fold;
    ASSERT_TRUE(MakeCanonical(&again));
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(fold, again)) << fold.DebugString();
  }
}

}  // namespace
}  // namespace tenfold
