#include "jobs/oracle/oracle.h"

#include <boost/multiprecision/cpp_int.hpp>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "common/number/digest.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "xxhash.h"

namespace tenfold {
namespace {

using boost::multiprecision::cpp_int;
using boost::multiprecision::cpp_rational;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

JobSpec Popularity() {
  JobSpec spec;
  spec.set_name("popularity");
  spec.mutable_fold()->mutable_format()->set_separator("|");
  for (const char* field : {"page", "clicks", "minutes", "like"}) spec.mutable_fold()->mutable_format()->add_fields(field);
  spec.mutable_fold()->set_key("page");
  for (const auto& [constant, field] : {std::pair("0.8", "clicks"), std::pair("0.8", "minutes"), std::pair("1", "like")}) {
    ScoreTerm* const term = spec.mutable_fold()->add_score();
    term->set_constant(constant);
    term->set_field(field);
  }
  spec.set_top(10);
  return spec;
}

// Records "key|number": the score is constant * number.
JobSpec OneNumber(const std::string& constant) {
  JobSpec spec;
  spec.mutable_fold()->mutable_format()->set_separator("|");
  spec.mutable_fold()->mutable_format()->add_fields("key");
  spec.mutable_fold()->mutable_format()->add_fields("number");
  spec.mutable_fold()->set_key("key");
  spec.mutable_fold()->add_score()->set_constant(constant);
  spec.mutable_fold()->mutable_score(0)->set_field("number");
  spec.set_top(3);
  return spec;
}

void AddInitial(JobSpec* spec, const std::string& key, const std::string& score) {
  InitialScore* const initial = spec->mutable_fold()->add_initial();
  initial->set_key(key);
  initial->set_score(score);
}

cpp_int SumOf(const Entry& entry) { return (cpp_int(entry.sum().high()) << 64) + entry.sum().low(); }

std::vector<std::string> Top(const Oracle& oracle) {
  std::vector<std::string> lines;
  for (const Entry& entry : oracle.Compute().top) lines.push_back(entry.key() + " " + SumOf(entry).str());
  return lines;
}

// What a record alone adds, as units, or the reason it is bad.
std::string Outcome(const JobSpec& spec, std::string_view record) {
  Oracle oracle(spec, 1);
  oracle.Add(0, record);
  const Oracle::Result result = oracle.Compute();
  EXPECT_EQ(result.records, 1u);
  EXPECT_EQ(result.bad_records, result.top.empty() ? 1u : 0u);
  return result.top.empty() ? BadReason_Name(result.bad[0].begin()->first) : SumOf(result.top[0]).str();
}

std::string NumberOutcome(std::string_view number, const std::string& constant = "1") {
  return Outcome(OneNumber(constant), fmt::format("k|{}", number));
}

TEST(OracleTest, AddsWeightedFields) {
  EXPECT_EQ(Outcome(Popularity(), "page001.html|1|0.5|1"), "2200000000");
  EXPECT_EQ(Outcome(Popularity(), "page37|5|1.5119122|-1"), "4209529760");
  EXPECT_EQ(Outcome(Popularity(), "page37|0|5.9604645E-4|0"), "476837");
}

TEST(OracleTest, RoundsHalfToEven) {
  EXPECT_EQ(NumberOutcome("0.0000000005"), "0");
  EXPECT_EQ(NumberOutcome("0.0000000015"), "2");
  EXPECT_EQ(NumberOutcome("0.0000000025"), "2");
  EXPECT_EQ(NumberOutcome("-0.0000000005"), "0");
  EXPECT_EQ(NumberOutcome("-0.0000000015"), "-2");
  EXPECT_EQ(NumberOutcome("-0.0000000025"), "-2");
  EXPECT_EQ(NumberOutcome("0.000000000500000000000000000000000000001"), "1");
  EXPECT_EQ(NumberOutcome("25e-10"), "2");
}

TEST(OracleTest, RoundsAContributionOnce) {
  // Each term alone is half a unit.
  EXPECT_EQ(Outcome(Popularity(), "k|0.000000000625|0.000000000625|0"), "1");
}

TEST(OracleTest, EqualsRationalArithmeticOnRandomNumbers) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t limit) { return random() % limit; };
    const auto number = [&](cpp_rational* value) {
      const size_t decimals = below(12);
      const uint64_t mantissa = below(10'000'000) + 1;
      const int exponent = static_cast<int>(below(9)) - 6;
      std::string digits = fmt::format("{:013}", mantissa);
      if (decimals > 0) digits.insert(digits.size() - decimals, ".");
      *value = cpp_rational(cpp_int(mantissa) * pow(cpp_int(10), 6 + static_cast<unsigned>(exponent)),
                            pow(cpp_int(10), 6 + static_cast<unsigned>(decimals)));
      const bool negative = below(2) == 0;
      if (negative) *value = -*value;
      return fmt::format("{}{}e{}", negative ? "-" : "", digits, exponent);
    };
    cpp_rational constant;
    cpp_rational field;
    const std::string constant_text = number(&constant);
    const std::string field_text = number(&field);
    const cpp_rational units = constant * field * 1'000'000'000;
    // Half to even: the nearest integer, and of two as near the even one.
    cpp_int nearest = numerator(units) / denominator(units);
    const auto distance = [&](const cpp_int& to) { return cpp_rational(abs(units - to)); };
    for (const cpp_int& other : {cpp_int(nearest - 1), cpp_int(nearest + 1)}) {
      if (distance(other) < distance(nearest) || (distance(other) == distance(nearest) && other % 2 == 0)) nearest = other;
    }
    const bool fits = abs(nearest) < (cpp_int(1) << 63);
    ASSERT_EQ(NumberOutcome(field_text, constant_text), fits ? nearest.str() : "BAD_NUMBER_OUT_OF_RANGE");
  }
}

TEST(OracleTest, KeepsContributionsWithin64Bits) {
  EXPECT_EQ(NumberOutcome("9223372036.854775807"), "9223372036854775807");
  EXPECT_EQ(NumberOutcome("9223372036.854775808"), "BAD_NUMBER_OUT_OF_RANGE");
  EXPECT_EQ(NumberOutcome("9223372036.8547758075"), "BAD_NUMBER_OUT_OF_RANGE") << "rounds to the even 2^63";
  EXPECT_EQ(NumberOutcome("-9223372036.854775808"), "-9223372036854775808");
  EXPECT_EQ(NumberOutcome("-9223372036.8547758085"), "-9223372036854775808");
  EXPECT_EQ(NumberOutcome("-9223372036.854775809"), "BAD_NUMBER_OUT_OF_RANGE");
  EXPECT_EQ(NumberOutcome("1e60", "1e-60"), "1000000000");
  EXPECT_EQ(NumberOutcome("1e-60", "1e-60"), "0");
  EXPECT_EQ(NumberOutcome("1e60", "1e60"), "BAD_NUMBER_OUT_OF_RANGE");
}

TEST(OracleTest, LimitsNumbersAsWritten) {
  EXPECT_EQ(NumberOutcome(std::string(39, '0') + "7"), "7000000000");
  EXPECT_EQ(NumberOutcome(std::string(40, '0') + "7"), "BAD_NUMBER_OUT_OF_RANGE");
  EXPECT_EQ(NumberOutcome("0." + std::string(39, '0')), "0");
  EXPECT_EQ(NumberOutcome("0." + std::string(40, '0')), "BAD_NUMBER_OUT_OF_RANGE");
  EXPECT_EQ(NumberOutcome("0e60"), "0");
  EXPECT_EQ(NumberOutcome("0e61"), "BAD_NUMBER_OUT_OF_RANGE");
  EXPECT_EQ(NumberOutcome("0e-61"), "BAD_NUMBER_OUT_OF_RANGE");
  EXPECT_EQ(NumberOutcome("1E+0000000000000000000000000000009"), "1000000000000000000");
}

TEST(OracleTest, RefusesMalformedNumbers) {
  for (const char* number : {"",   "NaN", "Infinity", "0x10", "1,5", "1.",    ".5",    "+",  "-",   "+-1",     "--1",
                             "1e", "1e+", "1e1.5",    " 1",   "1 ",  "1.5.2", "1e5e5", "1f", "one", "\xd9\xa1"}) {
    EXPECT_EQ(NumberOutcome(number), "BAD_MALFORMED_NUMBER") << "'" << number << "'";
  }
  EXPECT_EQ(NumberOutcome(std::string_view("1\0", 2)), "BAD_MALFORMED_NUMBER");
  EXPECT_EQ(NumberOutcome("1e308"), "BAD_NUMBER_OUT_OF_RANGE");
}

TEST(OracleTest, RefusesKeysThatAreNotShortUtf8) {
  const auto outcome = [](std::string_view key) { return Outcome(OneNumber("1"), fmt::format("{}|1", key)); };
  EXPECT_EQ(outcome(""), "BAD_EMPTY_KEY");
  EXPECT_EQ(outcome(std::string(1024, 'k')), "1000000000");
  EXPECT_EQ(outcome(std::string(1025, 'k')), "BAD_KEY_TOO_LONG");
  for (const char* key : {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                          "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(outcome(key), "1000000000") << fmt::format("{:02x}", fmt::join(std::string(key), " "));
  }
  for (const char* key :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2k", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff"}) {
    EXPECT_EQ(outcome(key), "BAD_KEY_NOT_UTF8") << fmt::format("{:02x}", fmt::join(std::string(key), " "));
  }
}

TEST(OracleTest, DoesNotReadAKeyBeyondTheRecord) {
  JobSpec spec = OneNumber("1");
  spec.mutable_fold()->set_key("number");
  spec.mutable_fold()->mutable_score(0)->set_field("key");
  EXPECT_EQ(Outcome(spec, std::string_view("1|\xc2\x80").substr(0, 3)), "BAD_KEY_NOT_UTF8");
}

TEST(OracleTest, TakesTheFirstReasonThatHolds) {
  const JobSpec spec = Popularity();
  EXPECT_EQ(Outcome(spec, ""), "BAD_EMPTY_RECORD");
  EXPECT_EQ(Outcome(spec, std::string(kMaxRecordBytes + 1, '|')), "BAD_RECORD_TOO_LARGE");
  EXPECT_EQ(Outcome(spec, std::string(kMaxRecordBytes, '|')), "BAD_WRONG_FIELD_COUNT");
  EXPECT_EQ(Outcome(spec, "page"), "BAD_WRONG_FIELD_COUNT");
  EXPECT_EQ(Outcome(spec, "|1|2"), "BAD_WRONG_FIELD_COUNT");
  EXPECT_EQ(Outcome(spec, "page|1|2|0|"), "BAD_WRONG_FIELD_COUNT");
  EXPECT_EQ(Outcome(spec, "|x|1|1"), "BAD_EMPTY_KEY");
  EXPECT_EQ(Outcome(spec, std::string(1025, '\xff') + "|x|1|1"), "BAD_KEY_TOO_LONG");
  EXPECT_EQ(Outcome(spec, "\xff|x|1|1"), "BAD_KEY_NOT_UTF8");
  EXPECT_EQ(Outcome(spec, "page|1e61|x|1"), "BAD_MALFORMED_NUMBER");
  EXPECT_EQ(Outcome(spec, "page|x|1e61|1"), "BAD_MALFORMED_NUMBER");
  EXPECT_EQ(Outcome(spec, "page|1e61|1|1"), "BAD_NUMBER_OUT_OF_RANGE");
}

TEST(OracleTest, DoesNotLookAtFieldsItDoesNotUse) {
  JobSpec spec = OneNumber("1");
  spec.mutable_fold()->mutable_format()->add_fields("rest");
  EXPECT_EQ(Outcome(spec, "k|1|\xff NaN"), "1000000000");
  EXPECT_EQ(Outcome(spec, "k|1|" + std::string(kMaxRecordBytes - 4, 'x')), "1000000000");
}

TEST(OracleTest, CountsBadRecordsByPartitionAndReason) {
  Oracle oracle(OneNumber("1"), 2);
  oracle.Add(0, "k|x");
  oracle.Add(1, "k|x");
  oracle.Add(1, "");
  oracle.Add(1, "k|y");
  oracle.Add(1, "k|1");
  const Oracle::Result result = oracle.Compute();
  EXPECT_EQ(result.records, 5u);
  EXPECT_EQ(result.bad_records, 4u);
  using Reasons = std::map<BadReason, uint64_t>;
  EXPECT_THAT(result.bad,
              ElementsAre(Reasons{{BAD_MALFORMED_NUMBER, 1}}, Reasons{{BAD_EMPTY_RECORD, 1}, {BAD_MALFORMED_NUMBER, 2}}));
}

TEST(OracleTest, RanksTotalsOverShardsByScoreThenKey) {
  Oracle oracle(OneNumber("1"), 3);
  oracle.Add(0, "b|3");
  oracle.Add(1, "a|1");
  oracle.Add(2, "a|2");
  oracle.Add(0, "fallen|100");
  oracle.Add(1, "fallen|-101");
  oracle.Add(2, "B|3");
  oracle.Add(2, "low|0");
  EXPECT_THAT(Top(oracle), ElementsAre("B 3000000000", "a 3000000000", "b 3000000000"));
}

TEST(OracleTest, KeepsKeysOfZeroAndBelow) {
  Oracle oracle(OneNumber("1"), 1);
  oracle.Add(0, "negative|-1");
  oracle.Add(0, "zero|1");
  oracle.Add(0, "zero|-1");
  EXPECT_THAT(Top(oracle), ElementsAre("zero 0", "negative -1000000000"));
}

TEST(OracleTest, SumsBeyond64Bits) {
  Oracle oracle(OneNumber("1"), 1);
  for (int i = 0; i < 5; ++i) {
    oracle.Add(0, "high|9000000000");
    oracle.Add(0, "low|-9000000000");
  }
  EXPECT_THAT(Top(oracle), ElementsAre("high 45000000000000000000", "low -45000000000000000000"));
}

// R4 by its formula, in big numbers.
std::string DigestOf(const std::vector<std::tuple<std::string, uint64_t, cpp_int>>& rows) {
  const auto big = [](Uint128 value) {
    return (cpp_int(static_cast<uint64_t>(value >> 64)) << 64) + static_cast<uint64_t>(value);
  };
  const cpp_int modulus = cpp_int(1) << 128;
  cpp_int digest = 0;
  for (const auto& [key, count, sum] : rows) {
    const std::string frame = std::string(8, '\0') + key;
    const XXH128_hash_t hash = XXH3_128bits(frame.data(), frame.size());
    const cpp_int odd = (cpp_int(hash.high64) << 64) + (hash.low64 | 1);
    digest += odd * (big(kDigestCountFactor) * count + big(kDigestSumFactor) * sum);
  }
  digest %= modulus;
  if (digest < 0) digest += modulus;
  return digest.str();
}

std::vector<std::string> Digests(const Oracle& oracle) {
  std::vector<std::string> digests;
  for (const Digest& digest : oracle.Compute().digests) {
    digests.push_back(((cpp_int(digest.high()) << 64) + digest.low()).str());
  }
  return digests;
}

TEST(OracleTest, DigestsTheRowsOfEachShard) {
  Oracle oracle(OneNumber("1"), 3);
  oracle.Add(0, "a|1");
  oracle.Add(0, "a|-3");
  oracle.Add(0, "b|0");
  oracle.Add(1, "a|7");
  EXPECT_THAT(Digests(oracle), ElementsAre(DigestOf({{"a", 2, cpp_int(-2'000'000'000)}, {"b", 1, cpp_int(0)}}),
                                           DigestOf({{"a", 1, cpp_int(7'000'000'000)}}), "0"));
}

TEST(OracleTest, PutsInitialScoresIntoTheFirstShardWithACountOfOne) {
  JobSpec spec = OneNumber("1");
  AddInitial(&spec, "a", "0");
  AddInitial(&spec, "big", "1000000000000000000000000000");
  Oracle oracle(spec, 2);
  oracle.Add(1, "a|-2.5");
  const cpp_int big = pow(cpp_int(10), 36);
  EXPECT_THAT(Top(oracle), ElementsAre("big " + big.str(), "a -2500000000"));
  EXPECT_THAT(Digests(oracle),
              ElementsAre(DigestOf({{"a", 1, cpp_int(0)}, {"big", 1, big}}), DigestOf({{"a", 1, cpp_int(-2'500'000'000)}})));
  EXPECT_EQ(oracle.Compute().records, 1u);
}

TEST(OracleTest, FoldsEverySixtyFourthPartitionIntoOneShard) {
  Oracle oracle(OneNumber("1"), 130);
  oracle.Add(1, "a|1");
  oracle.Add(65, "a|2");
  oracle.Add(129, "b|3");
  const std::vector<std::string> digests = Digests(oracle);
  ASSERT_EQ(digests.size(), 64u);
  EXPECT_EQ(digests[1], DigestOf({{"a", 2, cpp_int(3'000'000'000)}, {"b", 1, cpp_int(3'000'000'000)}}));
}

class OracleDifferenceTest : public ::testing::Test {
 protected:
  OracleDifferenceTest() : oracle_(OneNumber("1"), 3) {
    for (const char* record : {"a|5", "b|4.5", "c|4.5", "d|1", "bad"}) oracle_.Add(0, record);
    oracle_.Add(1, "a|-0.25");
    const Oracle::Result result = oracle_.Compute();
    for (const Entry& entry : result.top) *batch_.add_top() = entry;
    for (const Digest& digest : result.digests) *batch_.add_digests() = digest;
    batch_.set_records(result.records);
    batch_.set_bad_records(result.bad_records);
  }

  Oracle oracle_;
  BatchCommitted batch_;
};

TEST_F(OracleDifferenceTest, IsEmptyForARightBatch) { EXPECT_EQ(oracle_.Difference(batch_), ""); }

TEST_F(OracleDifferenceTest, TakesAMissingDigestForAnEmptyOne) {
  batch_.mutable_digests()->RemoveLast();
  EXPECT_EQ(oracle_.Difference(batch_), "");
  batch_.mutable_digests()->RemoveLast();
  EXPECT_THAT(oracle_.Difference(batch_), HasSubstr("the digest of shard 1 is 00000000000000000000000000000000 in"));
}

TEST_F(OracleDifferenceTest, NamesADigestOfAShardThatTheLogDoesNotHave) {
  *batch_.add_digests() = Digest();
  EXPECT_EQ(oracle_.Difference(batch_), "");
  batch_.mutable_digests(3)->set_low(255);
  EXPECT_EQ(oracle_.Difference(batch_),
            "the digest of shard 3 is 000000000000000000000000000000ff in the batch, "
            "00000000000000000000000000000000 by the log");
}

TEST_F(OracleDifferenceTest, NamesAWrongSum) {
  batch_.mutable_top(0)->mutable_sum()->set_low(batch_.top(0).sum().low() + 1);
  EXPECT_EQ(oracle_.Difference(batch_), "rank 1 is 'a' with 4.750000001 in the batch, 'a' with 4.75 by the log");
}

TEST_F(OracleDifferenceTest, NamesASumThatDiffersOnlyInItsUpperHalf) {
  batch_.mutable_top(0)->mutable_sum()->set_high(-1);
  EXPECT_THAT(oracle_.Difference(batch_), HasSubstr("rank 1 is 'a' with -18446744068.959551616 in the batch"));
}

TEST_F(OracleDifferenceTest, NamesAWrongKey) {
  batch_.mutable_top(2)->set_key("\xff");
  EXPECT_EQ(oracle_.Difference(batch_), "rank 3 is '\\377' with 4.5 in the batch, 'c' with 4.5 by the log");
}

TEST_F(OracleDifferenceTest, NamesTiesInTheWrongOrder) {
  batch_.mutable_top()->SwapElements(1, 2);
  EXPECT_EQ(oracle_.Difference(batch_), "rank 2 is 'c' with 4.5 in the batch, 'b' with 4.5 by the log");
}

TEST_F(OracleDifferenceTest, NamesAMissingAndAnExtraRank) {
  batch_.mutable_top()->RemoveLast();
  EXPECT_EQ(oracle_.Difference(batch_), "the top has 2 keys in the batch, 3 by the log");
  *batch_.add_top() = oracle_.Compute().top[2];
  batch_.add_top()->set_key("d");
  EXPECT_EQ(oracle_.Difference(batch_), "the top has 4 keys in the batch, 3 by the log");
}

TEST_F(OracleDifferenceTest, NamesAWrongDigest) {
  batch_.mutable_digests(0)->set_high(batch_.digests(0).high() ^ 1);
  EXPECT_THAT(oracle_.Difference(batch_), HasSubstr("the digest of shard 0 is "));
}

TEST_F(OracleDifferenceTest, NamesWrongCounts) {
  batch_.set_bad_records(2);
  EXPECT_EQ(oracle_.Difference(batch_), "the bad records are 2 in the batch, 1 by the log");
  batch_.set_records(7);
  EXPECT_EQ(oracle_.Difference(batch_), "the records are 7 in the batch, 6 by the log");
}

}  // namespace
}  // namespace tenfold
