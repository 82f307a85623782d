// What a spec says of results: rank, order and having.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/decode/having.h"
#include "jobs/plan/having.h"
#include "jobs/plan/measures.h"
#include "jobs/spec/job_spec.h"
#include "jobs/spec/spec_writer.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kFold[] =
    "name: j\nsource:\n  kafka: {topics: [t]}\n  format: {json: {}}\n"
    "  fields: {p: {text: p}, n: {decimal: n}, l: {decimal: l, nullable: true}}\n"
    "key: p\nmeasures: {score: sum(n), liked: sum(l), events: count()}\n";
constexpr char kLinear[] =
    "name: j\nsource:\n  kafka: {topics: [t]}\n  format: {delimited: {separator: \"|\", fields: [p, n]}}\n"
    "key: p\nscore: n\n";

std::vector<std::string> Errors(const std::string& yaml, JobSpec* spec) {
  std::vector<std::string> errors;
  for (const SpecError& error : ReadJobSpec(yaml, spec)) errors.push_back(FormatSpecError("s", error));
  return errors;
}

TEST(ResultSpecTest, TheFirstMeasureRanksUnlessAnotherOneIsNamed) {
  JobSpec spec;
  ASSERT_THAT(Errors(kFold, &spec), IsEmpty());
  EXPECT_EQ(MeasuresOf(spec).ranked, 0u);
  EXPECT_EQ(MeasuresOf(spec).ranking, (Ranking{.sums = 4, .by = 0, .ascending = false}));
  ASSERT_THAT(Errors(std::string(kFold) + "rank: score\n", &spec), IsEmpty());
  EXPECT_EQ(spec.rank(), "") << "two ways to say the same are the same";
  ASSERT_THAT(Errors(std::string(kFold) + "rank: events\norder: ascending\n", &spec), IsEmpty());
  // Behind `liked` stands how often it is not null.
  EXPECT_EQ(MeasuresOf(spec).ranking, (Ranking{.sums = 4, .by = 3, .ascending = true}));
}

TEST(ResultSpecTest, WhatRanksAndTheConditionAreOfMeasures) {
  JobSpec spec;
  const auto errors = [&](const std::string& rest) { return Errors(kFold + rest, &spec); };
  EXPECT_THAT(errors("rank: event\n"), ElementsAre(HasSubstr("s:8:7: rank: 'event' is no measure (did you mean events?)")));
  EXPECT_THAT(errors("having: event > 3\n"),
              ElementsAre(HasSubstr("s:8:9: having: 'event' is no measure (did you mean events?)")));
  EXPECT_THAT(errors("having: n > 3\n"), ElementsAre(HasSubstr("'n' is no measure")));
  EXPECT_THAT(errors("having: record.offset > 3\n"), ElementsAre(HasSubstr("'record.offset' is no measure")));
  EXPECT_THAT(errors("having: count() >= 3\n"), ElementsAre(HasSubstr("count(..) stands under measures, with a name")));
  EXPECT_THAT(errors("having: events\n"), ElementsAre(HasSubstr("having: is a number; it must be a condition")));
  EXPECT_THAT(errors("having: ''\n"), ElementsAre(HasSubstr("having: is empty")));
  EXPECT_THAT(errors("limit: 3\n"), ElementsAre(HasSubstr("limit: unknown key; top says how many keys are ranked")));
  EXPECT_THAT(errors("order: asc\n"), IsEmpty());
  EXPECT_EQ(spec.order(), ORDER_ASCENDING);
  EXPECT_THAT(errors("order: down\n"), ElementsAre(HasSubstr("'down' is none of descending, ascending, desc, asc")));
  EXPECT_THAT(Errors(std::string(kLinear) + "rank: clicks\n", &spec), ElementsAre(HasSubstr("'clicks' is no measure")));
  EXPECT_THAT(Errors(std::string(kLinear) + "rank: score\norder: ascending\nhaving: score > 5\n", &spec), IsEmpty());
  EXPECT_FALSE(spec.fold().has_general()) << "what is ranked is no part of the fold";
}

TEST(ResultSpecTest, GroupsAreLimitedToWhatAResultMayHave) {
  JobSpec spec;
  const auto errors = [&](const std::string& rest) { return Errors(kFold + rest, &spec); };
  ASSERT_THAT(errors("group: p\n"), IsEmpty());
  EXPECT_EQ(spec.groups(), 95u) << "as many as fit";
  ASSERT_THAT(errors("group: p\ntop: 1\n"), IsEmpty());
  EXPECT_EQ(spec.groups(), 100u);
  ASSERT_THAT(errors("group: p\ngroups: 1000\nlimits: {key_bytes: 30}\n"), IsEmpty());
  EXPECT_EQ(spec.fold().general().key_bytes(), 30u);
  EXPECT_THAT(errors("group: p\ngroups: 1000\n"),
              ElementsAre(HasSubstr("groups: 1000 tops of 10 keys of up to 1024 bytes")));
  EXPECT_THAT(errors("group: p\ngroups: 1001\n"), ElementsAre(HasSubstr("groups: must be a whole number from 1 to 1000")));
  EXPECT_THAT(errors("groups: 3\n"), ElementsAre(HasSubstr("the job has no group")));
  EXPECT_THAT(errors("group: nope\n"), ElementsAre(HasSubstr("s:8:8: group: 'nope' is no field")));
  EXPECT_THAT(errors("group: ''\n"), ElementsAre(HasSubstr("group: is empty")));
  EXPECT_THAT(errors("limits: {key_bytes: 0}\n"), ElementsAre(HasSubstr("limits.key_bytes: must be a whole number")));
  EXPECT_THAT(errors("limits: {keybytes: 5}\n"), ElementsAre(HasSubstr("did you mean key_bytes?")));
  ASSERT_THAT(errors("limits: {key_bytes: 1024}\n"), IsEmpty());
  EXPECT_EQ(spec.fold().general().key_bytes(), 0u) << "two ways to say the same are the same";
}

TEST(ResultSpecTest, AnInitialScoreIsForASumOfOneKeyPart) {
  JobSpec spec;
  const std::string head = std::string(kFold).substr(0, std::string(kFold).find("measures"));
  const auto errors = [&](const std::string& rest) { return Errors(head + rest + "initial: {a: 1}\n", &spec); };
  EXPECT_THAT(errors("score: n\ngroup: p\n"), ElementsAre(HasSubstr("is for keys of one part, without a group")));
  EXPECT_THAT(errors("measures: {m: avg(n)}\n"), ElementsAre(HasSubstr("the measure is another one")));
  EXPECT_THAT(errors("measures: {m: max(n)}\n"), ElementsAre(HasSubstr("the measure is another one")));
}

TEST(ResultSpecTest, ARowHasAtMostSoManySums) {
  JobSpec spec;
  const std::string head = std::string(kFold).substr(0, std::string(kFold).find("measures"));
  std::string many;
  for (int i = 0; i < 8; ++i) many += "m" + std::to_string(i) + ": sum(l) / sum(l), ";
  EXPECT_THAT(Errors(head + "measures: {" + many + "}\n", &spec), IsEmpty());
  EXPECT_THAT(Errors(head + "measures: {" + many + "one: count()}\n", &spec),
              ElementsAre(HasSubstr(
                  "have 33 sums in a row, of which a quotient takes two to four, max and min two or three; at most 32")));
}

TEST(ResultSpecTest, AResultIsLimited) {
  JobSpec spec;
  std::string many = "measures: {";
  for (int i = 0; i < 16; ++i) many += "m" + std::to_string(i) + ": count(), ";
  const std::string head = std::string(kFold).substr(0, std::string(kFold).find("measures"));
  EXPECT_THAT(Errors(head + many + "}\ntop: 744\n", &spec), IsEmpty());
  EXPECT_THAT(Errors(head + many + "}\ntop: 745\n", &spec), ElementsAre(HasSubstr("at most 744 are allowed")));
  EXPECT_THAT(Errors(head + many + "m16: count()}\n", &spec),
              ElementsAre(HasSubstr("measures: has 17 measures; at most 16 are allowed")));
}

TEST(ResultSpecTest, WritesWhatItReads) {
  JobSpec spec;
  const std::string result = "rank: liked\norder: ascending\nhaving: (events>=3) AND liked is not null\n";
  ASSERT_THAT(Errors(kFold + result, &spec), IsEmpty());
  EXPECT_EQ(spec.having(), "events >= 3 and not liked is null");
  JobSpec again;
  ASSERT_THAT(Errors(WriteJobSpec(spec), &again), IsEmpty());
  EXPECT_EQ(again.ShortDebugString(), spec.ShortDebugString());
  EXPECT_EQ(CheckJobSpec(spec), "");
  spec.set_having("events>=3");
  EXPECT_THAT(CheckJobSpec(spec), HasSubstr("not in the form in which they are hashed"));
}

TEST(ResultSpecTest, TheFoldHashDoesNotDependOnWhatIsRanked) {
  JobSpec before;
  JobSpec after;
  ASSERT_THAT(Errors(kFold, &before), IsEmpty());
  ASSERT_THAT(Errors(std::string(kFold) + "rank: liked\norder: ascending\nhaving: events > 3\n", &after), IsEmpty());
  EXPECT_EQ(FoldHash(before), FoldHash(after));
  EXPECT_EQ(CheckUpdate(before, after), "");
}

TEST(ResultSpecTest, KeysWhoseConditionHasNoValueAreNotRanked) {
  JobSpec spec;
  const auto holds = [&](const std::string& rest, const std::vector<Units>& sums) {
    EXPECT_THAT(Errors(kFold + rest, &spec), IsEmpty());
    const RowCondition condition = MakeRowCondition(spec);
    return condition == nullptr || condition(sums);
  };
  const Units one = kUnitsPerOne;
  EXPECT_TRUE(holds("", {5 * one, 0, 0, one}));
  EXPECT_FALSE(holds("rank: liked\n", {5 * one, 0, 0, one})) << "what ranks is null";
  EXPECT_TRUE(holds("rank: liked\n", {5 * one, 0, one, one}));
  EXPECT_FALSE(holds("having: liked > 0 or liked <= 0\n", {5 * one, 0, 0, one})) << "null";
  EXPECT_FALSE(holds("having: 1 / (events - 1) <> 7\n", {5 * one, 0, 0, one})) << "a division by 0";
  EXPECT_TRUE(holds("having: 1 / (events - 1) <> 7\n", {5 * one, 0, 0, 3 * one}));
}

TEST(ResultSpecTest, TheHighestAndTheLowestAreReadFromTheirHeights) {
  JobSpec spec;
  const std::string head = std::string(kFold).substr(0, std::string(kFold).find("measures"));
  EXPECT_THAT(Errors(head + "measures: {most: max(n), least: min(l)}\nrank: least\norder: ascending\n", &spec), IsEmpty());
  const JobMeasures of = MeasuresOf(spec);
  EXPECT_EQ(of.ranking, (Ranking{.sums = 5, .by = 2, .heights = HeightSet(0b101)}));
  EXPECT_TRUE(of.ascending);
  const Units one = kUnitsPerOne;
  const std::vector<Units> sums = {HeightOf(-kUnitsPerOne / 2), -3 * one, HeightOf(7 * kUnitsPerOne), 0, one};
  EXPECT_EQ(of.measures[0].TextOf(sums), "-0.5");
  EXPECT_EQ(of.measures[1].TextOf(sums), "-7") << "the height of a lowest number is that of its negative";
  EXPECT_TRUE(of.RankedNumber(sums[2]) == -7 * one);
  EXPECT_EQ(of.measures[1].TextOf(std::vector<Units>{0, 0, 0, 0, 0}), std::nullopt) << "none was there";
}

TEST(ResultSpecTest, AHighestGoesWithTumblingWindowsAndNotWithSlidingOnes) {
  JobSpec spec;
  const std::string head = std::string(kFold).substr(0, std::string(kFold).find("measures")) + "measures: {m: max(n)}\n";
  EXPECT_THAT(Errors(head + "window: {tumbling: 1h, lateness: 1m}\n", &spec), IsEmpty());
  EXPECT_THAT(Errors(head + "window: {sliding: {size: 2h, every: 1h}, lateness: 1m}\n", &spec),
              ElementsAre(HasSubstr("measures.m: is a max or min, from which nothing can be taken as a window slides on")));
}

TEST(ResultSpecTest, ABoundOfWhatRanksIsFoundWhereTheConditionSaysOne) {
  JobSpec spec;
  const auto least = [&](const std::string& rest) -> std::optional<Units> {
    EXPECT_THAT(Errors(kFold + rest, &spec), IsEmpty());
    std::vector<PlanProblem> problems;
    return LeastRanked(spec, *MakeHavingPlan(spec, &problems));
  };
  const Units five = 5 * Units{kUnitsPerOne} - 1;
  EXPECT_TRUE(least("") == std::nullopt);
  EXPECT_TRUE(least("having: score > 5\n") == five);
  EXPECT_TRUE(least("having: events > 1 and 5 <= score\n") == five);
  EXPECT_TRUE(least("having: score between 5 and 7\n") == five);
  EXPECT_TRUE(least("having: score > 5 or events > 1\n") == std::nullopt);
  EXPECT_TRUE(least("having: score < 5\n") == std::nullopt);
  EXPECT_TRUE(least("order: ascending\nhaving: score < -5\n") == five);
  EXPECT_TRUE(least("order: ascending\nhaving: score > 5\n") == std::nullopt);
  EXPECT_TRUE(least("rank: events\nhaving: score > 7 and events = 5\n") == five);
  const std::string head = std::string(kFold).substr(0, std::string(kFold).find("measures"));
  const auto of_height = [&](const std::string& measure, const std::string& rest) -> std::optional<Units> {
    EXPECT_THAT(Errors(head + "measures: {m: " + measure + "}\n" + rest, &spec), IsEmpty());
    std::vector<PlanProblem> problems;
    return LeastRanked(spec, *MakeHavingPlan(spec, &problems));
  };
  const Units middle = Units{1} << 63;
  EXPECT_TRUE(of_height("max(n)", "having: m > 5\n") == middle + five);
  EXPECT_TRUE(of_height("max(n)", "order: ascending\nhaving: m <= 5\n") == -middle - five - 2);
  EXPECT_TRUE(of_height("min(n)", "order: ascending\nhaving: m < -5\n") == middle + five);
  EXPECT_TRUE(of_height("min(n)", "having: m >= 5\n") == -middle + five);
  EXPECT_TRUE(of_height("min(n)", "having: m < 5\n") == std::nullopt);
}

}  // namespace
}  // namespace tenfold
