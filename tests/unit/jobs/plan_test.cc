#include "jobs/plan/plan.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/plan/explain.h"

namespace tenfold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Fields of JSON records: a number n, a nullable one z, a text t, a condition b, a time at, a list l.
GeneralFold BasicFold() {
  GeneralFold fold;
  fold.mutable_format()->mutable_json();
  const auto add = [&fold](const char* name, FieldType type, const char* place) {
    Field* const field = fold.add_fields();
    field->set_name(name);
    field->set_type(type);
    field->set_place(place);
    return field;
  };
  add("n", FIELD_DECIMAL, "n");
  add("z", FIELD_DECIMAL, "z")->set_nullable(true);
  add("t", FIELD_TEXT, "t");
  add("b", FIELD_BOOLEAN, "b");
  add("at", FIELD_TIMESTAMP, "at");
  add("l", FIELD_TEXT_LIST, "l[*]");
  fold.add_key("t");
  Measure* const measure = fold.add_measures();
  measure->set_name("score");
  measure->set_expression("sum(n)");
  return fold;
}

std::vector<std::string> Problems(const GeneralFold& fold) {
  std::vector<PlanProblem> problems;
  const bool planned = MakePlan(fold, &problems) != nullptr;
  EXPECT_EQ(planned, problems.empty());
  std::vector<std::string> texts;
  for (const PlanProblem& problem : problems) texts.push_back(problem.path + ": " + problem.message);
  return texts;
}

// What is wrong with a condition, and the part of it that is meant; "" if nothing is.
std::string WhereProblem(const std::string& where) {
  GeneralFold fold = BasicFold();
  fold.set_where(where);
  std::vector<PlanProblem> problems;
  if (MakePlan(fold, &problems) != nullptr) return "";
  EXPECT_EQ(problems[0].path, "where");
  return problems[0].message + " @ " + where.substr(problems[0].begin, problems[0].end - problems[0].begin);
}

TEST(PlanTest, TypesThatDoNotFitAreNamedWithThePartThatHasThem) {
  EXPECT_EQ(WhereProblem("n > 0 and starts_with(t, \"x\")"), "");
  EXPECT_EQ(WhereProblem("n"), "is a number; it must be a condition @ n");
  EXPECT_EQ(WhereProblem("t > 0"), "is a number, but 't' is a text @ 0");
  EXPECT_EQ(WhereProblem("t + 1 > 0"), "is a text; + computes with numbers, as number(text) is @ t");
  EXPECT_EQ(WhereProblem("not n"), "is a number; `not` takes conditions @ n");
  EXPECT_EQ(WhereProblem("length(n) > 1"), "is a number; length takes a text here: length(text) @ n");
  EXPECT_EQ(WhereProblem("b < true"), "booleans have no order @ b < true");
  EXPECT_EQ(WhereProblem("l = l"), "a list of texts do not compare @ l = l");
  EXPECT_EQ(WhereProblem("if(n, b, b)"), "is a number; it must be a condition @ n");
  EXPECT_EQ(WhereProblem("if(b, n, t) = 1"), "is a text, but 'n' is a number @ t");
  EXPECT_EQ(
      WhereProblem("at + at > at"),
      "a timestamp can have a duration added or subtracted, as in t + 5m, or another timestamp subtracted, which gives "
      "seconds; not + a timestamp @ at + at");
  EXPECT_EQ(WhereProblem("at - at > 5m and at + 5m > at - n"), "");
  EXPECT_EQ(WhereProblem("null"), "");
  EXPECT_EQ(WhereProblem("t in (null, \"a\") or coalesce(z, null, 1) = 1"), "");
}

TEST(PlanTest, UnknownNamesAreToldWithTheNearest) {
  EXPECT_EQ(WhereProblem("record.ofset = 1"),
            "'record.ofset' is no part of a record; there are record.key, record.timestamp, record.headers[\"NAME\"], "
            "record.topic, record.partition and record.offset @ record.ofset");
  EXPECT_THAT(WhereProblem("tt = \"a\""), HasSubstr("'tt' is no field (did you mean "));
  EXPECT_EQ(WhereProblem("lenght(t) > 1"), "'lenght' is no function (did you mean length?) @ lenght(t)");
  EXPECT_THAT(WhereProblem("record.time > at"), HasSubstr("'record.time' is no part of a record"));
  EXPECT_THAT(WhereProblem("length = 1"), HasSubstr("length is a function; write length(text)"));
  EXPECT_THAT(WhereProblem("sum(n) > 1"), HasSubstr("sum(...) is a measure, no part of an expression"));
  EXPECT_THAT(WhereProblem("substring(t) = \"\""), HasSubstr("has 1 argument; write substring(text, start[, length])"));
}

TEST(PlanTest, ConstantsThatMustBeOnesAreChecked) {
  EXPECT_EQ(WhereProblem("round(n, 2) = 1 and pow(n, 8) > 1"), "");
  EXPECT_THAT(WhereProblem("round(n, 19) = 1"), HasSubstr("from -18 to 18 @ 19"));
  EXPECT_THAT(WhereProblem("pow(n, 9) = 1"), HasSubstr("the power must be a whole number from 0 to 8 @ 9"));
  EXPECT_THAT(WhereProblem("pow(n, z) = 1"), HasSubstr("the power must be a whole number"));
  EXPECT_THAT(WhereProblem("regex_matches(t, t)"), HasSubstr("a regular expression must be a text in quotes @ t"));
  EXPECT_THAT(WhereProblem("regex_matches(t, \"(\")"), HasSubstr("is no regular expression (RE2): missing )"));
  EXPECT_THAT(WhereProblem("regex_extract(t, \"a(b)\", 2) = \"\""),
              HasSubstr("the group must be a whole number from 0 to 1"));
  EXPECT_THAT(WhereProblem("regex_replace(t, \"a\", \"\\9\") = \"\""), HasSubstr("is no replacement for the pattern"));
  EXPECT_THAT(WhereProblem("t like t"), HasSubstr("the pattern of like must be a text in quotes"));
}

TEST(PlanTest, PatternsThatWouldChangeWithUnicodeAreRefused) {
  EXPECT_THAT(WhereProblem("regex_matches(t, \"\\pL\")"), HasSubstr("\\p is not supported"));
  EXPECT_THAT(WhereProblem("regex_matches(t, \"[\\P{Greek}]\")"), HasSubstr("\\p is not supported"));
  EXPECT_THAT(WhereProblem("regex_matches(t, \"\\C\")"), HasSubstr("\\C, a single byte"));
  EXPECT_THAT(WhereProblem("regex_matches(t, \"(?i)ä\")"), HasSubstr("(?i) is supported for ASCII only"));
  EXPECT_THAT(WhereProblem("regex_matches(t, \"(?si:\\x{e4})\")"), HasSubstr("(?i) is supported for ASCII only"));
  EXPECT_EQ(WhereProblem("regex_matches(t, \"(?i)a(?P<id>ID)\") and regex_matches(t, \"ä(?P<i>x)\\\\pL\")"), "");
}

TEST(PlanTest, NumbersThatMayHaveTooManyDigitsAreRefusedUnlessTheyAreRounded) {
  std::string product = "n";
  for (int i = 0; i < 7; ++i) product += " * n";
  EXPECT_EQ(WhereProblem(product + " > 0"), "");
  for (int i = 0; i < 4; ++i) product += " * n";
  EXPECT_THAT(WhereProblem(product + " > 0"), HasSubstr("may have more than 2000 digits"));
  EXPECT_EQ(WhereProblem("round(" + product.substr(0, 25) + ", 9) * " + "n * n > 0"), "");
  std::string sum = "n";
  for (int i = 0; i < 300; ++i) sum += " + n";
  EXPECT_EQ(WhereProblem(sum + " > 0"), "");
}

TEST(PlanTest, AllProblemsAreToldAtOnce) {
  GeneralFold fold = BasicFold();
  fold.set_where("n");
  fold.mutable_measures(0)->set_expression("min(n) / count()");
  fold.set_key(0, "l");
  Let* const let = fold.add_let();
  let->set_name("v");
  let->set_expression("nope");
  EXPECT_THAT(Problems(fold),
              ElementsAre(HasSubstr("let.v: 'nope' is no field"), HasSubstr("where: is a number"),
                          HasSubstr("key: is a list"), HasSubstr("measures.score: computes with max or min")));
}

// What is wrong with a measure, and the part of it that is meant; "" if nothing is.
std::string MeasureProblemOf(const std::string& expression) {
  GeneralFold fold = BasicFold();
  fold.mutable_measures(0)->set_expression(expression);
  std::vector<PlanProblem> problems;
  if (MakePlan(fold, &problems) != nullptr) return "";
  EXPECT_EQ(problems[0].path, "measures.score");
  return problems[0].message + " @ " + expression.substr(problems[0].begin, problems[0].end - problems[0].begin);
}

TEST(PlanTest, AMeasureIsAnAggregateOrAQuotientOfTwo) {
  for (const char* sound : {"sum(n)", "count()", "count(t)", "avg(n)", "avg(z)", "sum(n) / count()", "sum(n) / sum(z)",
                            "count(z) / count()", "(sum(n) + 10) / (count() + 2)", "sum(n - 2)",
                            "(sum(n) - 0.5) / (2 + count())", "sum(if(n > 500, 1, 0)) / count()"}) {
    EXPECT_EQ(MeasureProblemOf(sound), "") << sound;
  }
  EXPECT_THAT(MeasureProblemOf("n"), HasSubstr("is no measure; write sum(number), count()"));
  EXPECT_THAT(MeasureProblemOf("0.8 * sum(n)"), HasSubstr("what is computed stands within it, as in sum(0.8 * x)"));
  EXPECT_THAT(MeasureProblemOf("sum(n) + 1"), HasSubstr("computes with an aggregate"));
  EXPECT_THAT(MeasureProblemOf("sum(n) / 3"), HasSubstr("it stands within it, as in sum(x / 2) @ 3"));
  EXPECT_THAT(MeasureProblemOf("sum(n) / (count() - 1)"), HasSubstr("so that it may be negative @ (count() - 1)"));
  EXPECT_THAT(MeasureProblemOf("(sum(n) + z) / count()"), HasSubstr("where a quotient may have a number alone @ z"));
  EXPECT_THAT(MeasureProblemOf("(sum(n) + 1e-10) / count()"), HasSubstr("must be a multiple of 1e-9"));
  EXPECT_THAT(MeasureProblemOf("avg(n) / count()"), HasSubstr("avg stands alone"));
  EXPECT_THAT(MeasureProblemOf("avg()"), HasSubstr("avg has 0 arguments"));
  EXPECT_THAT(MeasureProblemOf("sum(n) / sum(t)"), HasSubstr("@ t"));
  EXPECT_EQ(MeasureProblemOf("max(n)"), "");
  EXPECT_THAT(MeasureProblemOf("max()"), HasSubstr("max has 0 arguments"));
  EXPECT_THAT(MeasureProblemOf("max(t)"), HasSubstr("@ t"));
  EXPECT_THAT(MeasureProblemOf("max(n) / count()"), HasSubstr("max or min, which stand alone"));
  EXPECT_THAT(MeasureProblemOf("(max(n) + 1) / count()"), HasSubstr("max or min, which stand alone"));
  EXPECT_THAT(MeasureProblemOf("max(n) - min(n)"), HasSubstr("compared in having"));
  EXPECT_THAT(MeasureProblemOf("max(n) + 1"), HasSubstr("computes with max or min"));
}

TEST(PlanTest, ARowHasASumForEachAggregateAndForEachThatMayBeNull) {
  const auto sums = [](const char* expression) {
    GeneralFold fold = BasicFold();
    fold.mutable_measures(0)->set_expression(expression);
    EXPECT_TRUE(MakeCanonical(&fold));
    std::vector<PlanProblem> problems;
    return MakePlan(fold, &problems)->sums.size();
  };
  EXPECT_EQ(sums("sum(n)"), 1u);
  EXPECT_EQ(sums("sum(z)"), 2u);
  EXPECT_EQ(sums("count(z)"), 1u);
  EXPECT_EQ(sums("avg(n)"), 2u);
  EXPECT_EQ(sums("avg(z)"), 2u) << "how many were not null is what it is divided by";
  EXPECT_EQ(sums("max(n)"), 2u) << "its height, and the sum by which the digest tells rows apart";
  EXPECT_EQ(sums("min(z)"), 3u);
  EXPECT_EQ(sums("sum(z) / count()"), 3u);
  EXPECT_EQ(sums("sum(z) / sum(z)"), 4u);
}

TEST(PlanTest, AGroupIsTheFirstPartOfTheKey) {
  GeneralFold fold = BasicFold();
  fold.set_group("upper(t)");
  fold.set_key_bytes(100);
  std::vector<PlanProblem> problems;
  const auto plan = MakePlan(fold, &problems);
  ASSERT_NE(plan, nullptr);
  EXPECT_TRUE(plan->has_group);
  EXPECT_EQ(plan->key.nodes.size(), 2u);
  EXPECT_EQ(plan->key_bytes, 100u);
  fold.set_group("l");
  EXPECT_THAT(Problems(fold), ElementsAre(HasSubstr("group: is a list of texts; a group is a text, a number")));
}

TEST(PlanTest, ALetThatIsWrongIsToldOnceAndLetsKnowOnlyThoseBefore) {
  GeneralFold fold = BasicFold();
  const auto let = [&fold](const char* name, const char* text) {
    Let* const made = fold.add_let();
    made->set_name(name);
    made->set_expression(text);
  };
  let("a", "c + 1");
  let("c", "n + 1");
  fold.mutable_measures(0)->set_expression("sum(a + c)");
  EXPECT_THAT(Problems(fold), ElementsAre(HasSubstr("let.a: 'c' is no field")));
}

TEST(PlanTest, PlacesAndDefaultsAreChecked) {
  const auto problem = [](const Field& field, bool json) {
    GeneralFold fold = BasicFold();
    if (!json) {
      DelimitedFormat* const format = fold.mutable_format()->mutable_delimited();
      format->set_separator("|");
      for (const char* name : {"n", "t", "column"}) format->add_fields(name);
      fold.clear_fields();
    }
    *fold.add_fields() = field;
    const std::vector<std::string> problems = Problems(fold);
    return problems.empty() ? "" : problems[0];
  };
  Field field;
  field.set_name("f");
  field.set_place("a..b");
  EXPECT_THAT(problem(field, true), HasSubstr("source.fields.f: 'a..b' is no place in a record: at byte 2"));
  field.set_place("a[*].b");
  EXPECT_THAT(problem(field, true), HasSubstr("nothing can follow [*]"));
  field.set_place("a[*]");
  EXPECT_THAT(problem(field, true), HasSubstr("a text_list or decimal_list has all"));
  field.set_type(FIELD_TEXT_LIST);
  EXPECT_EQ(problem(field, true), "");
  field.set_default_value("x");
  EXPECT_THAT(problem(field, true), HasSubstr("is a list, which has no default"));
  field.clear_default_value();
  field.set_place("a");
  EXPECT_THAT(problem(field, true), HasSubstr("its place ends with [*]: a[*]"));
  field.set_place("column");
  EXPECT_THAT(problem(field, false), HasSubstr("only records with paths have lists"));
  field.set_type(FIELD_INTEGER);
  field.set_place("colum");
  EXPECT_THAT(problem(field, false), HasSubstr("'colum' is no field of the format (did you mean column?)"));
  field.set_place("column");
  field.set_default_value("1.5");
  EXPECT_THAT(problem(field, false), HasSubstr("its default '1.5' is no integer"));
  field.set_default_value("1");
  EXPECT_EQ(problem(field, false), "");
  field.set_nullable(true);
  EXPECT_THAT(problem(field, false), HasSubstr("is nullable and has a default"));
  field = {};
  field.set_name("f");
  field.set_place("record.offset");
  EXPECT_THAT(problem(field, true), HasSubstr("record.offset is an integer"));
}

TEST(PlanTest, ColumnsAreNumbersOrTextsAsTheyAreFirstUsedAndTheCanonicalFormSaysSo) {
  GeneralFold fold;
  DelimitedFormat* const format = fold.mutable_format()->mutable_delimited();
  format->set_separator("|");
  for (const char* name : {"page", "clicks", "spare", "like"}) format->add_fields(name);
  fold.set_where("like >= 0 and page <> \"\"");
  fold.add_key("page");
  Measure* const measure = fold.add_measures();
  measure->set_name("score");
  measure->set_expression("sum(clicks*2)");
  EXPECT_THAT(Problems(fold), IsEmpty());
  ASSERT_TRUE(MakeCanonical(&fold));
  ASSERT_EQ(fold.fields_size(), 3);
  EXPECT_EQ(fold.fields(0).name(), "page");
  EXPECT_EQ(fold.fields(0).type(), FIELD_TEXT);
  EXPECT_EQ(fold.fields(1).name(), "clicks");
  EXPECT_EQ(fold.fields(1).type(), FIELD_DECIMAL);
  EXPECT_EQ(fold.fields(2).name(), "like");
  EXPECT_EQ(fold.measures(0).expression(), "sum(clicks * 2)");
  fold.clear_fields();
  fold.set_where("page = spare");
  EXPECT_THAT(Problems(fold), ElementsAre(HasSubstr("is it a number or a text?")));
  fold.set_where("page <> \"\"");
  Let* const let = fold.add_let();
  let->set_name("page");
  let->set_expression("lower(page)");
  EXPECT_THAT(Problems(fold), ElementsAre(HasSubstr("let.page: is the name of a field")));
}

TEST(PlanTest, AChainOfLetsThatDoublesItsSizeIsPlannedInNoTime) {
  GeneralFold fold = BasicFold();
  std::string last = "t";
  for (int i = 0; i < 60; ++i) {
    Let* const let = fold.add_let();
    let->set_name("v" + std::to_string(i));
    let->set_expression("concat(left(" + last + ", 1), left(" + last + ", 1))");
    last = let->name();
  }
  fold.set_key(0, last);
  EXPECT_THAT(Problems(fold), IsEmpty());
}

TEST(PlanTest, ExpressionsOfMoreThanAThousandNodesAreRefusedOnce) {
  GeneralFold fold = BasicFold();
  std::string sum = "n";
  for (int i = 0; i < 600; ++i) sum += " + n";
  fold.set_where(sum + " > 0");
  EXPECT_THAT(Problems(fold), ElementsAre(HasSubstr("more than 1000 operands")));
}

TEST(PlanTest, ExplainNamesEveryStep) {
  JobSpec spec;
  spec.set_name("job");
  spec.mutable_source()->add_topics("events");
  spec.set_top(10);
  spec.set_batch_interval_ms(2000);
  *spec.mutable_fold()->mutable_general() = BasicFold();
  spec.mutable_fold()->mutable_general()->set_where("n > 0");
  const std::string text = Explain(spec);
  EXPECT_THAT(
      text, AllOf(HasSubstr("where    n > 0; other records are filtered"), HasSubstr("read     n: decimal at n, never null"),
                  HasSubstr("measure  score = sum(n)"), HasSubstr("unused   4 of the fields")));
}

}  // namespace
}  // namespace tenfold
