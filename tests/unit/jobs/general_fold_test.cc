// Holds what decodes records by a plan against the oracle, which shares nothing with it: random folds over random records.

#include <cstdlib>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "jobs/decode/general_decoder.h"
#include "jobs/oracle/general_record.h"
#include "jobs/plan/plan.h"
#include "tests/unit/jobs/random_fold.h"

namespace tenfold {
namespace {

std::string Said(const Contribution& made) {
  if (made.reason != BAD_NONE) return absl::StrCat(BadReason_Name(made.reason), " ", std::string(made.subject));
  if (made.filtered) return "filtered";
  std::string said = std::string(made.key);
  for (const int64_t units : made.units) absl::StrAppend(&said, " ", units);
  return said;
}

std::string Said(const oracle::Contributed& made) {
  if (made.reason != BAD_NONE) return absl::StrCat(BadReason_Name(made.reason), " ", made.subject);
  if (made.filtered) return "filtered";
  std::string said = made.key;
  for (const oracle::BigInt& units : made.units) absl::StrAppend(&said, " ", units.str());
  return said;
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
      ASSERT_EQ(Said(made), Said(oracle.Read("t-1", 3, offset, record, &parts)))
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
