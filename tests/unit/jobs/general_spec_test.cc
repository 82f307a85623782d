// Specs whose fold is of expressions: how they are read, and what is said of wrong ones.

#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> Errors(const std::string& yaml, JobSpec* spec) {
  std::vector<std::string> texts;
  for (const SpecError& error : ReadJobSpec(yaml, spec)) texts.push_back(FormatSpecError("s", error));
  return texts;
}

constexpr char kHead[] = "name: job\nsource:\n  kafka: {topics: [events]}\n";

TEST(GeneralSpecTest, ALinearScoreOfADelimitedFieldKeepsTheFormWithoutExpressions) {
  JobSpec spec;
  EXPECT_THAT(Errors(std::string(kHead) + "  format: {delimited: {separator: '|', fields: [page, clicks]}}\n"
                                          "key: page\nscore: 2*clicks\n",
                     &spec),
              IsEmpty());
  EXPECT_FALSE(spec.fold().has_general());
}

TEST(GeneralSpecTest, ExpressionsAreKeptInTheirCanonicalFormWithTheFieldsThatTheyName) {
  JobSpec spec;
  EXPECT_THAT(Errors(std::string(kHead) + "  format: {delimited: {separator: '|', fields: [page, clicks]}}\n"
                                          "where: clicks>0\nkey: page\nscore: clicks/2\n",
                     &spec),
              IsEmpty());
  const GeneralFold& fold = spec.fold().general();
  EXPECT_EQ(fold.where(), "clicks > 0");
  EXPECT_EQ(fold.measures(0).name(), "score");
  EXPECT_EQ(fold.measures(0).expression(), "sum(clicks / 2)");
  ASSERT_EQ(fold.fields_size(), 2);
  EXPECT_EQ(fold.fields(1).type(), FIELD_DECIMAL);
  EXPECT_EQ(CheckJobSpec(spec), "");
}

TEST(GeneralSpecTest, TheSameJobHasTheSameHashHoweverItIsSpaced) {
  const std::string json = "  format: {json: {}}\n  fields: {p: {text: p}, n: {decimal: n}}\n";
  JobSpec one;
  JobSpec other;
  EXPECT_THAT(Errors(kHead + json + "key: p\nscore: (n+1)*2\n", &one), IsEmpty());
  EXPECT_THAT(Errors(kHead + json + "key: [p]\nmeasures: {score: 'SUM( (n + 1) * 2 )'}\n", &other), IsEmpty());
  EXPECT_EQ(FoldHash(one), FoldHash(other));
}

TEST(GeneralSpecTest, ADriverRefusesExpressionsThatAreNotInTheirCanonicalForm) {
  JobSpec spec;
  EXPECT_THAT(
      Errors(std::string(kHead) + "  format: {json: {}}\n  fields: {p: {text: p}}\nkey: p\nmeasures: {n: count()}\n", &spec),
      IsEmpty());
  EXPECT_EQ(CheckJobSpec(spec), "");
  spec.mutable_fold()->mutable_general()->set_where("p<>\"\"");
  EXPECT_THAT(CheckJobSpec(spec), HasSubstr("not in the form in which they are hashed"));
}

TEST(GeneralSpecTest, EveryErrorIsToldWithItsPlaceInTheText) {
  JobSpec spec;
  EXPECT_THAT(Errors("name: job\n"
                     "source:\n"
                     "  kafka: {topics: [events]}\n"
                     "  format: {json: {}}\n"
                     "  fields:\n"
                     "    page: {text: page}\n"
                     "    n: {decimal: m..n}\n"
                     "where: page > 0 and nn = 1\n"
                     "let: {x: \"lenght(page)\"}\n"
                     "key: page\n"
                     "score: n * clicsk\n",
                     &spec),
              ElementsAre(HasSubstr("s:7:8: source.fields.n: 'm..n' is no place in a record"),
                          HasSubstr("s:8:15: where: is a number, but 'page' is a text"),
                          HasSubstr("s:8:21: where: 'nn' is no field"),
                          HasSubstr("s:9:11: let.x: 'lenght' is no function (did you mean length?)"),
                          HasSubstr("s:11:12: score: 'clicsk' is no field")));
}

TEST(GeneralSpecTest, ASyntaxErrorStandsWhereItIs) {
  JobSpec spec;
  const std::string json = "  format: {json: {}}\n  fields: {p: {text: p}}\n";
  EXPECT_THAT(Errors(kHead + json + "where: p = = 1\nkey: p\nmeasures: {n: count()}\n", &spec),
              ElementsAre(HasSubstr("s:6:12: where: expected a field, a number, a text or a function, not '='")));
  EXPECT_THAT(Errors(kHead + json + "key: p\nscore: sum(p\n", &spec), ElementsAre(HasSubstr("score: expected , or )")));
  // A comma of an expression ends a value in braces.
  EXPECT_THAT(Errors(kHead + json + "key: p\nmeasures: {n: count(left(p, 1))}\n", &spec),
              Contains(HasSubstr("in { } and [ ] a comma ends the value; put it in quotes")));
}

TEST(GeneralSpecTest, FieldsHaveOneTypeAndWhatGoesWithIt) {
  JobSpec spec;
  const auto error = [&](const std::string& field) {
    const std::vector<std::string> errors = Errors(
        std::string(kHead) + "  format: {json: {}}\n  fields: {p: " + field + "}\nkey: p\nmeasures: {n: count()}\n", &spec);
    return errors.empty() ? "" : errors[0];
  };
  EXPECT_EQ(error("{text: p, default: '?'}"), "");
  EXPECT_EQ(error("{timestamp: p, unit: ms, nullable: true}"), "");
  EXPECT_THAT(error("{text: p, decimal: p}"), HasSubstr("must have one type with its place"));
  EXPECT_THAT(error("{default: 1}"), HasSubstr("must have one type with its place"));
  EXPECT_THAT(error("{txt: p}"), HasSubstr("unknown key (did you mean text?)"));
  EXPECT_THAT(error("{text: p, unit: ms}"), HasSubstr("has a unit, which only a timestamp has"));
  EXPECT_THAT(error("{timestamp: p, unit: min}"), HasSubstr("'min' is none of s, ms, us"));
  EXPECT_THAT(error("p"), HasSubstr("must be a mapping"));
}

TEST(GeneralSpecTest, NamesAndNumbersOfThingsAreLimited) {
  JobSpec spec;
  const auto errors = [&](const std::string& rest) {
    return Errors(std::string(kHead) + "  format: {json: {}}\n  fields: {p: {text: p}}\n" + rest, &spec);
  };
  EXPECT_THAT(errors("let: {case: p}\nkey: p\nmeasures: {n: count()}\n"),
              ElementsAre(HasSubstr("let.case: 'case' is no name")));
  EXPECT_THAT(errors("key: [p, p, p, p, p, p, p, p, p]\nmeasures: {n: count()}\n"),
              ElementsAre(HasSubstr("key: has 9 parts; at most 8 are allowed")));
  EXPECT_THAT(errors("key: []\nmeasures: {n: count()}\n"), ElementsAre(HasSubstr("key: is an empty list")));
  EXPECT_THAT(errors("measures: {n: count()}\n"), ElementsAre(HasSubstr("key: is missing")));
  EXPECT_THAT(errors("key: p\n"), ElementsAre(HasSubstr("score: is missing")));
  EXPECT_THAT(errors("key: p\nscore: 1\nmeasures: {n: count()}\n"), Contains(HasSubstr("score: stands beside measures")));
  EXPECT_THAT(errors("key: [p, p]\nmeasures: {n: count()}\ninitial: {a: 1}\n"),
              ElementsAre(HasSubstr("initial: is for keys of one part")));
  EXPECT_THAT(errors("key: p\nmeasures: {n: count(), m: count()}\ninitial: {a: 1}\n"),
              ElementsAre(HasSubstr("initial: is for jobs of one measure")));
  EXPECT_THAT(Errors(std::string(kHead) + "  format: {json: {}}\n  fields: {p: {text: p}, n: {decimal: n, nullable: true}}\n"
                                          "key: p\nscore: n\ninitial: {a: 1}\n",
                     &spec),
              ElementsAre(HasSubstr("initial: is for a measure that is never null")));
}

TEST(GeneralSpecTest, WhatAnUpdateMayNotChangeIsNamed) {
  const std::string head = std::string(kHead) + "  format: {json: {}}\n  fields: {p: {text: p}}\n";
  JobSpec before;
  ASSERT_THAT(Errors(head + "where: p <> 'x'\nkey: p\nmeasures: {n: count()}\n", &before), IsEmpty());
  const auto change = [&](const std::string& rest) {
    JobSpec after;
    EXPECT_THAT(Errors(head + rest, &after), IsEmpty());
    return CheckUpdate(before, after);
  };
  EXPECT_EQ(change("where: p<>'x'\nkey: p\nmeasures: {n: count()}\ntop: 3\n"), "");
  EXPECT_THAT(change("where: p <> 'y'\nkey: p\nmeasures: {n: count()}\n"), HasSubstr("where differs"));
  EXPECT_THAT(change("where: p <> 'x'\nkey: lower(p)\nmeasures: {n: count()}\n"), HasSubstr("key differs"));
  EXPECT_THAT(change("where: p <> 'x'\nkey: p\nmeasures: {n: count(p)}\n"), HasSubstr("measures differs"));
}

TEST(GeneralSpecTest, WindowsAreReadWithTheirZoneAndToldWhatIsWrongWithThem) {
  const std::string head = std::string(kHead) + "  format: {json: {}}\n  fields: {p: {text: p}, t: {timestamp: t}}\n";
  JobSpec spec;
  const auto errors = [&](const std::string& window, const std::string& more = "") {
    return Errors(head + "  time: t\nkey: p\nscore: 1\nwindow: " + window + "\n" + more, &spec);
  };
  EXPECT_THAT(errors("{tumbling: 1d, zone: Europe/Berlin, lateness: 30s}"), IsEmpty());
  FoldWindow window = spec.fold().general().window();
  EXPECT_EQ(window.panes(), 1u);
  EXPECT_EQ(window.unit(), PANE_DAY);
  EXPECT_EQ(window.lateness_us(), 30'000'000);
  EXPECT_EQ(window.ahead_us(), 60'000'000);
  EXPECT_GT(window.changes_size(), 200);
  EXPECT_EQ(CheckJobSpec(spec), "");
  EXPECT_THAT(errors("{sliding: {size: 1h, every: 5m}, lateness: 0s, ahead: 1h}"), IsEmpty());
  window = spec.fold().general().window();
  EXPECT_EQ(window.panes(), 12u);
  EXPECT_EQ(window.pane_us(), 300'000'000);
  EXPECT_THAT(errors("{tumbling: 1h}"), ElementsAre(HasSubstr("window.lateness: is missing")));
  EXPECT_THAT(errors("{lateness: 1s}"), ElementsAre(HasSubstr("window: is one of tumbling: SIZE and sliding")));
  EXPECT_THAT(errors("{tumbling: 1x, lateness: 1s}"), ElementsAre(HasSubstr("'1x' is no length of a window")));
  EXPECT_THAT(errors("{tumbling: 1d, zone: Europe/Berlun, lateness: 1s}"), ElementsAre(HasSubstr("is no time zone")));
  EXPECT_THAT(errors("{tumbling: 1h, zone: Europe/Berlin, lateness: 1s}"), ElementsAre(HasSubstr("has a zone")));
  EXPECT_THAT(errors("{sliding: {size: 1h, every: 7m}, lateness: 1s}"), ElementsAre(HasSubstr("is no multiple")));
  EXPECT_THAT(errors("{tumbling: 1s, lateness: 2h}"), ElementsAre(HasSubstr("keeps over 4096 windows open")));
  EXPECT_THAT(errors("{tumbling: 1h, lateness: 1s}", "initial: {a: 1}\n"),
              ElementsAre(HasSubstr("initial: is for jobs without")));
  EXPECT_THAT(errors("cumulative"), ElementsAre(HasSubstr("source.time: is of use with a window only")));
}

TEST(GeneralSpecTest, ADriverRefusesWindowsThatNoSpecHas) {
  JobSpec sound;
  ASSERT_THAT(Errors(std::string(kHead) + "  format: {json: {}}\n  fields: {p: {text: p}}\nkey: p\nscore: 1\n"
                                          "window: {tumbling: 1d, zone: Europe/Berlin, lateness: 30s}\n",
                     &sound),
              IsEmpty());
  ASSERT_EQ(CheckJobSpec(sound), "");
  const auto refused = [&](const std::function<void(FoldWindow*)>& change) {
    JobSpec spec = sound;
    change(spec.mutable_fold()->mutable_general()->mutable_window());
    return CheckJobSpec(spec) != "";
  };
  EXPECT_TRUE(refused([](FoldWindow* window) { window->set_panes(0); }));
  EXPECT_TRUE(refused([](FoldWindow* window) { window->set_panes(1'000'000); }));
  EXPECT_TRUE(refused([](FoldWindow* window) { window->set_unit(PANE_FIXED); }));
  EXPECT_TRUE(refused([](FoldWindow* window) { window->set_pane_us(5); }));
  EXPECT_TRUE(refused([](FoldWindow* window) { window->set_lateness_us(-1); }));
  EXPECT_TRUE(refused([](FoldWindow* window) { window->set_ahead_us(0); }));
  EXPECT_TRUE(refused([](FoldWindow* window) { window->set_utc_offset_s(1'000'000); }));
  EXPECT_TRUE(refused([](FoldWindow* window) { window->mutable_changes(3)->set_from_s(5); }));
}

TEST(GeneralSpecTest, SourcesHaveTheSameFieldsAndTopicsOfTheirOwn) {
  const std::string first = R"(name: job
sources:
  - kafka: {topics: [clicks]}
    format: {delimited: {separator: "|", fields: [page, n]}}
    fields: {page: {text: page}, n: {decimal: n}}
)";
  const std::string rest = "key: page\nscore: n\n";
  const auto with = [&](const std::string& second) {
    JobSpec spec;
    return Errors(first + second + rest, &spec);
  };
  EXPECT_THAT(with(""), IsEmpty()) << "one alone is as if it stood under source";
  EXPECT_THAT(with("  - kafka: {topics: [a]}\n    format: {json: {}}\n    fields: {n: {decimal: x}, page: {text: y}}\n"),
              IsEmpty());
  EXPECT_THAT(
      with("  - kafka: {topics: [a]}\n    format: {json: {}}\n    fields: {n: {text: x}, url: {text: y}}\n"),
      ElementsAre("s:8:13: sources[1].fields: has no page, which sources[0] has; sources have the same fields",
                  "s:8:17: sources[1].fields.n: is text, and in sources[0] it is decimal; sources have the same fields",
                  "s:8:33: sources[1].fields.url: is no field of sources[0]; sources have the same fields"));
  EXPECT_THAT(with("  - kafka: {topics: [clicks], brokers: \"a:1\"}\n    format: {json: {}}\n"
                   "    fields: {n: {decimal: x}, page: {text: y}}\n"),
              ElementsAre(HasSubstr("'clicks' is of sources[0] already"),
                          HasSubstr("sources[1].kafka.brokers: stands in the first of the sources")));
  EXPECT_THAT(with("source: {kafka: {topics: [b]}}\n"), Contains(HasSubstr("sources: stands beside source")));
}

TEST(GeneralSpecTest, WhatIsOfAnElementIsOfNoRecord) {
  const auto with = [](const std::string& lines) {
    JobSpec spec;
    return Errors(std::string(kHead) + "  format: {json: {}}\n  fields: {p: {text: p}, ms: {integer: ms}}\n" + lines +
                      "explode: {a: 'split(p, \",\")'}\nkey: a\nmeasures: {n: count()}\n",
                  &spec);
  };
  EXPECT_THAT(with("let: {x: lower(a), y: 'concat(x, a)'}\nwhere: x <> \"\" and ms > 0\n"), IsEmpty());
  const std::string window = "window: {tumbling: 1d, lateness: 1s}\n";
  EXPECT_THAT(with("  time: from_unix_ms(number(a))\n" + window),
              ElementsAre(HasSubstr("source.time: 'a' is no field; it is of each element of the list")));
  EXPECT_THAT(with("  time: from_unix_ms(x)\nlet: {x: number(a)}\n" + window),
              ElementsAre(HasSubstr("source.time: 'x' is no field; it is of each element of the list")));
  EXPECT_THAT(with("let: {x: 'concat(a, y)', y: lower(p)}\n"),
              ElementsAre(HasSubstr("let.x: uses a value that stands behind it")));
}

TEST(GeneralSpecTest, StartsAndEndsAreTimesAndOffsets) {
  const auto with = [&](const std::string& kafka, JobSpec* spec) {
    return Errors("name: job\nsource:\n  kafka: {topics: [a, b], " + kafka +
                      "}\n  format: {delimited: {separator: '|', fields: [page, n]}}\nkey: page\nscore: n\n",
                  spec);
  };
  JobSpec spec;
  EXPECT_THAT(with("start: 2026-01-01T00:00:00.5+01:00, until: {b: {7: 5}, a: {0: 9}}", &spec), IsEmpty());
  EXPECT_EQ(spec.source().start_at().time_ms(), 1'767'222'000'500);
  ASSERT_EQ(spec.source().until().offsets().offsets_size(), 2);
  EXPECT_EQ(spec.source().until().offsets().offsets(0).topic(), "a");
  EXPECT_FALSE(spec.fold().has_general()) << "where records are decides no state";
  EXPECT_THAT(with("until: latest", &spec), IsEmpty());
  EXPECT_TRUE(spec.source().until().end());
  for (const auto& [kafka, expected] : {std::pair{"start: yesterday", "'yesterday' is none of earliest, latest, a time"},
                                        {"until: earliest", "'earliest' is none of latest, a time"},
                                        {"start: {c: {0: 1}}", "'c' is none of the source's topics"},
                                        {"start: {a: {x: 1}}", "'x' is no number of a partition"},
                                        {"start: {a: {0: -1}}", "'-1' is no offset"},
                                        {"start: {a: {}}", "names no offset"},
                                        {"until: {a: {0: 1}}", "has no offset of 'b', which so has no end"},
                                        {"start: 1969-01-01", "is none of earliest"},
                                        {"topics_matching: '('", "is no regular expression"},
                                        {"until: latest, missing_topics: wait", "goes with topics that are there"}}) {
    EXPECT_THAT(with(kafka, &spec), ElementsAre(HasSubstr(expected))) << kafka;
  }
}

TEST(GeneralSpecTest, TablesAreFilesOrStandInTheSpec) {
  std::string csv;
  const SpecFiles files = [&](const std::string&) -> absl::StatusOr<std::string> { return csv; };
  const auto with = [&](const std::string& table) {
    JobSpec spec;
    const std::vector<SpecError> errors =
        ReadJobSpec(std::string(kHead) + "  format: {delimited: {separator: '|', fields: [page, n]}}\ntables: {t: " + table +
                        "}\nkey: page\nscore: if(page in t, n, 0)\n",
                    &spec, &files);
    return errors.empty() ? spec.fold().general().tables(0).ShortDebugString() : errors[0].message;
  };
  EXPECT_EQ(with("{b: x, a: y}"), R"(name: "t" keys: "a" keys: "b" values: "y" values: "x")");
  EXPECT_EQ(with("[b, a, b]"), R"(name: "t" keys: "a" keys: "b")");
  csv =
      "\xef\xbb\xbf"
      "b,\"x,\"\"1\"\"\"\r\na,\"two\nlines\"\nb,\"x,\"\"1\"\"\"";
  EXPECT_EQ(with("f.csv"), R"(name: "t" keys: "a" keys: "b" values: "two\nlines" values: "x,\"1\"")");
  csv = "\n\"\"\r\n\r\na\n\n";
  EXPECT_EQ(with("f.csv"), R"(name: "t" keys: "" keys: "a")") << "blank lines are no keys";
  for (const auto& [text, expected] : {std::pair{"a,1\nb\n", "line 2: has 1 columns, and line 1 has 2"},
                                       {"a,1,2\n", "line 1: has 3 columns"},
                                       {"a,1\nb,2\na,3\n", "line 3: 'a' is '3', and '1' in a line before"},
                                       {"a,\"1\n", "line 1: a field in quotes does not end"},
                                       {"a,\"1\"2\n", "a field goes on behind its quotes"},
                                       {"a\rb\n", "a carriage return stands alone"},
                                       {"\xff\n", "it is not UTF-8"}}) {
    csv = text;
    EXPECT_THAT(with("f.csv"), HasSubstr(expected));
  }
  csv = "a," + std::string(1 << 20, 'x');
  EXPECT_THAT(with("f.csv"), HasSubstr("have 1048577 bytes together; 1048576 are allowed"));
  JobSpec spec;
  EXPECT_THAT(
      Errors(std::string(kHead) + "  format: {json: {}}\n  fields: {page: {text: p}}\ntables: {t: f.csv}\nkey: page\n"
                                  "measures: {n: count()}\n",
             &spec),
      ElementsAre(HasSubstr("names a file, and a spec that is no file itself has none")));
}

TEST(GeneralSpecTest, TheSpecsOfTheReferenceAreSound) {
  std::ifstream file(TENFOLD_SOURCE_DIR "/jobs/README.md");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  size_t specs = 0;
  for (size_t at = text.find("```yaml\n"); at != std::string::npos; at = text.find("```yaml\n", at)) {
    at += 8;
    const std::string yaml = text.substr(at, text.find("```", at) - at);
    JobSpec spec;
    EXPECT_THAT(Errors(yaml, &spec), IsEmpty()) << yaml;
    ++specs;
  }
  EXPECT_GT(specs, 0u);
}

}  // namespace
}  // namespace tenfold
