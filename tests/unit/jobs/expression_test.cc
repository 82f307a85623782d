#include "jobs/plan/expression.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using testing::HasSubstr;

// The canonical text, or the reason with the bytes that are meant.
std::string Canonical(const std::string& text) {
  const ParsedExpression parsed = ParseExpression(text);
  if (parsed.expression) return ExpressionText(*parsed.expression);
  return parsed.error + " at '" + text.substr(parsed.begin, parsed.end - parsed.begin) + "'";
}

TEST(ExpressionTest, OperatorsBindAsInSqlAndKeepOnlyTheParenthesesTheyNeed) {
  EXPECT_EQ(Canonical("a+b*c"), "a + b * c");
  EXPECT_EQ(Canonical("((a+b))*c"), "(a + b) * c");
  EXPECT_EQ(Canonical("a-(b-c)-d"), "a - (b - c) - d");
  EXPECT_EQ(Canonical("(a-b)-c"), "a - b - c");
  EXPECT_EQ(Canonical("a/(b*c)"), "a / (b * c)");
  EXPECT_EQ(Canonical("-a*b"), "-a * b");
  EXPECT_EQ(Canonical("-(a*b)"), "-(a * b)");
  EXPECT_EQ(Canonical("- -a"), "- -a");
  EXPECT_EQ(Canonical("-(-(-a))"), "- - -a");
  EXPECT_EQ(Canonical("+a"), "a");
  EXPECT_EQ(Canonical("a OR b AND NOT c"), "a or b and not c");
  EXPECT_EQ(Canonical("(a or b) and c"), "(a or b) and c");
  EXPECT_EQ(Canonical("not (a = b)"), "not a = b");
  EXPECT_EQ(Canonical("(not a) = b"), "(not a) = b");
  EXPECT_EQ(Canonical("a != b"), "a <> b");
  EXPECT_EQ(Canonical("(a = b) = (c = d)"), "(a = b) = (c = d)");
}

TEST(ExpressionTest, ComparisonsInWordsAreKnownInAnyCaseAndNegated) {
  EXPECT_EQ(Canonical("a IN (1,2)"), "a in (1, 2)");
  EXPECT_EQ(Canonical("a not in (1)"), "not a in (1)");
  EXPECT_EQ(Canonical("a Not Like 'x%'"), "not a like \"x%\"");
  EXPECT_EQ(Canonical("a between b+1 and c and d"), "a between b + 1 and c and d");
  EXPECT_EQ(Canonical("a is not null or b is null"), "not a is null or b is null");
}

TEST(ExpressionTest, WordsOfTheLanguageAreNamesWhereAnOperandStands) {
  EXPECT_EQ(Canonical("0.8*clicks + like"), "0.8 * clicks + like");
  EXPECT_EQ(Canonical("like like 'a'"), "like like \"a\"");
  EXPECT_EQ(Canonical("in in (in, or)"), "in in (in, or)");
  EXPECT_FALSE(IsExpressionName("case"));
  EXPECT_FALSE(IsExpressionName("NULL"));
  EXPECT_FALSE(IsExpressionName("1a"));
  EXPECT_TRUE(IsExpressionName("like"));
}

TEST(ExpressionTest, LeavesKeepTheirText) {
  EXPECT_EQ(Canonical("1.50e-3"), "1.50e-3");
  EXPECT_EQ(Canonical("t + 5m - 250ms"), "t + 5m - 250ms");
  EXPECT_EQ(Canonical("'it''s'"), "\"it's\"");
  EXPECT_EQ(Canonical("\"a\"\"b\\n\""), "\"a\"\"b\\n\"");
  EXPECT_EQ(Canonical("TRUE"), "true");
  EXPECT_EQ(Canonical("record.headers[ 'x' ]"), "record.headers[\"x\"]");
}

TEST(ExpressionTest, CallsAndCases) {
  EXPECT_EQ(Canonical("IF(a, 1,2)"), "if(a, 1, 2)");
  EXPECT_EQ(Canonical("count()"), "count()");
  EXPECT_EQ(Canonical("case when a then 1 when b then 2 end"), "case when a then 1 when b then 2 else null end");
  EXPECT_EQ(Canonical("case x when 1 then 'a' else 'b' end"), "case x when 1 then \"a\" else \"b\" end");
}

TEST(ExpressionTest, WhatIsWrongIsNamedWithItsPlace) {
  EXPECT_EQ(Canonical("a + "), "expected a field, a number, a text or a function, not the end at ''");
  EXPECT_EQ(Canonical("a b"), "expected an operator or the end, not 'b' at 'b'");
  EXPECT_THAT(Canonical("a = b = c"), HasSubstr("comparisons do not chain"));
  EXPECT_THAT(Canonical("a == b"), HasSubstr("write ="));
  EXPECT_THAT(Canonical("a || b"), HasSubstr("write concat(a, b)"));
  EXPECT_THAT(Canonical("a % b"), HasSubstr("write mod(a, b)"));
  EXPECT_THAT(Canonical("'abc"), HasSubstr("does not end"));
  EXPECT_THAT(Canonical("1.2.3"), HasSubstr("neither a number"));
  EXPECT_THAT(Canonical("5x"), HasSubstr("neither a number"));
  EXPECT_THAT(Canonical("f(a"), HasSubstr("expected , or ), not the end"));
  EXPECT_THAT(Canonical("a not b"), HasSubstr("expected in, like or between after `not`"));
  EXPECT_THAT(Canonical("case a then b end"), HasSubstr("expected when"));
  EXPECT_THAT(Canonical("a # b"), HasSubstr("'#' is no part of an expression"));
  EXPECT_THAT(Canonical("a \xc3\xa9"), HasSubstr("'\xc3\xa9' is no part"));
  EXPECT_THAT(Canonical(""), HasSubstr("not the end"));
}

// A tree has operators as calls of these names, with as many arguments as they take.
TEST(ExpressionTest, OperatorsAreNoFunctions) {
  for (const char* text :
       {"and(true)", "or()", "in(1)", "like(p)", "BETWEEN(1, 2)", "is_null()", "negate()", "case_of(x)", "and(a, b, c)"})
    EXPECT_THAT(Canonical(text), HasSubstr("is no function")) << text;
  EXPECT_THAT(Canonical("not(a)"), "not a");
}

TEST(ExpressionTest, DeepNestingIsRefusedAndLongChainsAreNot) {
  const auto nested = [](const std::string& open, const std::string& close, int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += open;
    text += "a";
    for (int i = 0; i < depth; ++i) text += close;
    return text;
  };
  for (const auto& [open, close] : std::vector<std::pair<std::string, std::string>>{{"(", ")"},
                                                                                    {"not ", ""},
                                                                                    {"- ", ""},
                                                                                    {"f(", ")"},
                                                                                    {"case when ", " then 1 end"},
                                                                                    {"case ", " when 1 then 2 end"}}) {
    EXPECT_THAT(Canonical(nested(open, close, 100'000)), HasSubstr("nested deeper")) << open;
    EXPECT_TRUE(ParseExpression(nested(open, close, 20)).expression) << open;
  }
  std::string chain = "a";
  for (int i = 0; i < 900; ++i) chain += " + a";
  EXPECT_EQ(Canonical(chain), chain);
  for (int i = 0; i < 200'000; ++i) chain += "+1";
  EXPECT_THAT(Canonical(chain), HasSubstr("more than 1000 operands"));
}

}  // namespace
}  // namespace tenfold
