#include "jobs/decode/general_decoder.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {
namespace {

// What comes of a record: "KEY UNITS", "filtered", or the reason and its subject.
class Trial {
 public:
  // Sources and key and measures of a spec, in YAML.
  explicit Trial(const std::string& fold) {
    JobSpec spec;
    const std::vector<SpecError> errors = ReadJobSpec("name: job\n" + fold, &spec);
    for (const SpecError& error : errors) ADD_FAILURE() << FormatSpecError("spec", error);
    decoder_ = std::make_unique<GeneralDecoder>(GeneralDecoder::Create(spec.fold().general()).value());
  }

  std::string operator()(const std::string& value) {
    const Contribution& made = decoder_->Decode({.value = value, .topic = "events", .partition = 4, .offset = 17});
    if (made.reason != BAD_NONE) {
      return absl::StrCat(BadReason_Name(made.reason), made.subject.empty() ? "" : " ", std::string(made.subject));
    }
    if (made.filtered) return "filtered";
    std::string events;
    for (const Contribution::Event& event : made.events)
      absl::StrAppend(&events, events.empty() ? "" : ", ", std::string(event.key), " ", event.units[0]);
    return events;
  }

 private:
  std::unique_ptr<GeneralDecoder> decoder_;
};

constexpr char kJson[] = R"(
source:
  kafka: {topics: [events]}
  format: {json: {}}
  fields:
    page: {text: page.url}
    n: {integer: m.n, default: 0}
    amount: {decimal: m.amount, nullable: true}
    at: {timestamp: ts, unit: ms, default: 0}
where: n >= 0
key: page
score: n + coalesce(amount, 0)
)";

TEST(GeneralDecoderTest, JsonFieldsAreReadByTheirPaths) {
  Trial trial(kJson);
  EXPECT_EQ(trial(R"({"page":{"url":"a"},"m":{"n":2,"amount":0.5}})"), "a 2500000000");
  EXPECT_EQ(trial(R"( {"m" : {"amount":1e-9}, "page":{"url":"\u00e4\n"} } )"), "ä\n 1");
  EXPECT_EQ(trial(R"({"page":{"url":"a"},"m":null,"other":[1,{"page":{}}]})"), "a 0");
  EXPECT_EQ(trial(R"({"page":{"url":"a"},"m":{"n":-1}})"), "filtered");
}

TEST(GeneralDecoderTest, WhatIsNoJsonIsBadAsAWhole) {
  Trial trial(kJson);
  for (const char* text : {"{",
                           "{}}",
                           "\xef\xbb\xbf{}",
                           "{\"a\":01}",
                           "{\"a\":1.}",
                           "{\"a\":+1}",
                           "{\"a\":.5}",
                           "{'a':1}",
                           "{\"a\":1,}",
                           "[1,]",
                           "{\"a\" 1}",
                           "nul",
                           "\"\\x\"",
                           "\"\\ud800\"",
                           "\"\\ud800\\u0041\"",
                           "\"\t\"",
                           "\"\xff\"",
                           "{\"page\":{},\"page\":{}}",
                           "{\"m\":{\"n\":1,\"n\":1}}",
                           "1 2",
                           "{\"a\":1}x",
                           "NaN",
                           "// c\n{}"}) {
    EXPECT_EQ(trial(text), "BAD_MALFORMED_RECORD") << text;
  }
  EXPECT_EQ(trial(std::string(65, '[') + std::string(65, ']')), "BAD_MALFORMED_RECORD");
  EXPECT_EQ(trial(std::string(64, '[') + std::string(64, ']')), "BAD_FIELD_MISSING page");
  EXPECT_EQ(trial(std::string(100'000, '[')), "BAD_MALFORMED_RECORD");
  // A name that no path has may be there twice.
  EXPECT_EQ(trial(R"({"page":{"url":"a","x":1,"x":2},"x":{"page":1,"page":2}})"), "a 0");
}

TEST(GeneralDecoderTest, AFieldHasItsTypeOrTheRecordIsBad) {
  Trial trial(kJson);
  EXPECT_EQ(trial(R"({"page":{"url":1}})"), "BAD_FIELD_WRONG_TYPE page");
  EXPECT_EQ(trial(R"({"page":"a"})"), "BAD_FIELD_MISSING page");
  EXPECT_EQ(trial(R"({"page":{"url":"a"},"m":{"n":"1"}})"), "BAD_FIELD_WRONG_TYPE n");
  EXPECT_EQ(trial(R"({"page":{"url":"a"},"m":{"n":1.5}})"), "BAD_MALFORMED_NUMBER n");
  EXPECT_EQ(trial(R"({"page":{"url":"a"},"m":{"n":1.50e1}})"), "a 15000000000");
  EXPECT_EQ(trial(R"({"page":{"url":"a"},"m":{"n":9223372036854775808}})"), "BAD_NUMBER_OUT_OF_RANGE n");
  EXPECT_EQ(trial(R"({"page":{"url":"a"},"m":{"amount":1e400}})"), "BAD_NUMBER_OUT_OF_RANGE amount");
  EXPECT_EQ(trial(R"({"page":{"url":"a"},"m":{"amount":1e20}})"), "BAD_NUMBER_OUT_OF_RANGE measures.score");
  // at is not used, so that nothing is said of it.
  EXPECT_EQ(trial(R"({"page":{"url":"a"},"ts":"never"})"), "a 0");
}

TEST(GeneralDecoderTest, KeysAreCheckedWhenTheyAreMade) {
  Trial trial(kJson);
  EXPECT_EQ(trial(""), "BAD_EMPTY_RECORD");
  EXPECT_EQ(trial(R"({"page":{"url":""}})"), "BAD_EMPTY_KEY");
  EXPECT_EQ(trial(R"({"page":{"url":")" + std::string(1025, 'x') + R"("}})"), "BAD_KEY_TOO_LONG");
  EXPECT_EQ(trial("{\"x\":\"" + std::string(1 << 20, 'x') + "\"}"), "BAD_RECORD_TOO_LARGE");
}

TEST(GeneralDecoderTest, APatternMatchesWholeRecordsAndItsGroupsAreFields) {
  const std::string spec = R"(
source:
  kafka: {topics: [events]}
  format: {regex: {pattern: '(?P<page>\w+)(?: n=(?P<n>-?\d+))?', unmatched: UNMATCHED}}
  fields: {n: {integer: n, default: 7}}
key: page
score: n
)";
  Trial bad(absl::StrReplaceAll(spec, {{"UNMATCHED", "bad"}}));
  EXPECT_EQ(bad("a n=-3"), "a -3000000000");
  EXPECT_EQ(bad("a"), "a 7000000000") << "a group that took no part";
  EXPECT_EQ(bad("a n=5 "), "BAD_UNMATCHED_RECORD");
  EXPECT_EQ(bad("\n"), "BAD_UNMATCHED_RECORD");
  EXPECT_EQ(bad("a n=1\xff"), "BAD_MALFORMED_RECORD");
  EXPECT_EQ(bad(""), "BAD_EMPTY_RECORD");
  EXPECT_EQ(bad("a n=99999999999999999999"), "BAD_NUMBER_OUT_OF_RANGE n");
  Trial filters(absl::StrReplaceAll(spec, {{"UNMATCHED", "filter"}}));
  EXPECT_EQ(filters("a n=5 "), "filtered");
  EXPECT_EQ(filters(""), "BAD_EMPTY_RECORD");
}

TEST(GeneralDecoderTest, ATextIsItsValue) {
  Trial trial(R"(
source: {kafka: {topics: [events]}, format: {text: {}}}
key: value
score: length(value)
)");
  EXPECT_EQ(trial("a|b"), "a|b 3000000000");
  EXPECT_EQ(trial("\xff"), "BAD_FIELD_NOT_UTF8 value");
}

constexpr char kDelimited[] = R"(
source:
  kafka: {topics: [events]}
  format:
    delimited: {separator: ",", fields: [page, clicks, minutes], quoting: rfc4180, trim: true, bom: strip, null_as: "NULL"}
  fields: {minutes: {decimal: minutes, nullable: true}}
key: [lower(page), clicks > 1]
measures: {events: count(minutes)}
)";

TEST(GeneralDecoderTest, DelimitedRecordsAreReadByTheirOptions) {
  Trial trial(kDelimited);
  const auto key = [](const std::string& page, const std::string& many) {
    return page + std::string("\0\1", 2) + many + std::string("\0\1", 2);
  };
  EXPECT_EQ(trial("A,1,2"), key("a", "false") + " 1000000000");
  EXPECT_EQ(trial("\xef\xbb\xbf A\t, 2 ,2\r"), key("a", "true") + " 1000000000");
  EXPECT_EQ(trial("\"A,\"\"B\"\" \" ,2,NULL"), key("a,\"b\" ", "true") + " 0");
  EXPECT_EQ(trial("a\"b,2,2"), key("a\"b", "true") + " 1000000000");
  EXPECT_EQ(trial("\"NULL\",2,2"), key("null", "true") + " 1000000000");
  EXPECT_EQ(trial("NULL,2,2"), "BAD_NULL_KEY key[0]");
  EXPECT_EQ(trial("a,NULL,2"), "BAD_NULL_KEY key[1]");
  EXPECT_EQ(trial("\"a,2,2"), "BAD_MALFORMED_RECORD");
  EXPECT_EQ(trial("\"a\"b,2,2"), "BAD_MALFORMED_RECORD");
  EXPECT_EQ(trial("a,2"), "BAD_WRONG_FIELD_COUNT");
  EXPECT_EQ(trial("a,2,2,"), "BAD_WRONG_FIELD_COUNT");
  EXPECT_EQ(trial("a,x,2"), "BAD_MALFORMED_NUMBER clicks");
  EXPECT_EQ(trial("a\xff,1,2"), "BAD_FIELD_NOT_UTF8 page");
  EXPECT_EQ(trial("a,1,"), "BAD_MALFORMED_NUMBER minutes");
}

TEST(GeneralDecoderTest, AnEventForEachElementOfTheList) {
  Trial trial(R"(
source:
  kafka: {topics: [events]}
  format: {json: {}}
  fields:
    tags: {text_list: "tags[*]", nullable: true}
    n: {decimal: n}
    m: {decimal: m}
where: n > 0 and not tag = "x" and n < 100
let: {length: length(tag), twice: 2 * n}
explode: {tag: tags}
key: upper(tag)
score: twice / (length - 3) + m
)");
  EXPECT_EQ(trial(R"({"tags":["a","ab","a"],"n":1,"m":0})"), "A -1000000000, AB -2000000000, A -1000000000");
  EXPECT_EQ(trial(R"({"tags":["x","a"],"n":1,"m":0})"), "A -1000000000") << "where keeps elements";
  EXPECT_EQ(trial(R"({"tags":["x"],"n":1,"m":0})"), "") << "the record is not filtered";
  EXPECT_EQ(trial(R"({"tags":["a"],"n":100,"m":0})"), "filtered");
  EXPECT_EQ(trial(R"({"tags":[],"n":1})"), "") << "what no element needs is not read";
  EXPECT_EQ(trial(R"({"tags":null,"n":1})"), "");
  EXPECT_EQ(trial(R"({"tags":["a"],"n":1})"), "BAD_FIELD_MISSING m");
  EXPECT_EQ(trial(R"({"tags":["a","abc"],"n":1,"m":0})"), "BAD_DIVISION_BY_ZERO measures.score") << "and a adds nothing";
  EXPECT_EQ(trial(R"({"tags":["a",""],"n":1,"m":0})"), "BAD_EMPTY_KEY");
  EXPECT_EQ(trial(R"({"tags":["a",null],"n":1,"m":0})"), "BAD_FIELD_WRONG_TYPE tags");
  std::string most = "{\"n\":1,\"m\":0,\"tags\":[\"x\"";
  for (int i = 1; i < 1000; ++i) most += ",\"x\"";
  EXPECT_EQ(trial(most + "]}"), "");
  EXPECT_EQ(trial(most + ",\"x\"]}"), "BAD_TOO_MANY_ELEMENTS explode.tag");
}

// Of malformed fields the first in the order of the spec, before any that is out of range; fields of an earlier step first.
TEST(GeneralDecoderTest, ReadsWhatARecordHasBesideItsValue) {
  JobSpec spec;
  const std::vector<SpecError> errors = ReadJobSpec(
      "name: j\nsource:\n  kafka: {topics: [t]}\n  format: {json: {}}\n"
      "  fields:\n    n: {integer: record.key}\n    h: {text: 'record.headers[\"a \"\"b\"\"\"]', nullable: true}\n"
      "    at: {timestamp: record.timestamp}\n"
      "key:\n  - coalesce(h, \"-\")\n  - coalesce(record.headers['x'], record.topic)\n"
      "measures: {ms: sum(at - from_unix_ms(0)), n: sum(n)}\n",
      &spec);
  ASSERT_TRUE(errors.empty()) << FormatSpecError("s", errors[0]);
  GeneralDecoder decoder = GeneralDecoder::Create(spec.fold().general()).value();
  EXPECT_TRUE(decoder.plan().reads_parts);
  RecordParts parts{.timestamp_ms = 1500, .key = "7", .headers = {{"a \"b\"", "1"}, {"x", "y"}, {"a \"b\"", "2"}}};
  const auto made = [&] {
    const Contribution& read = decoder.Decode({.value = "{}", .topic = "t", .partition = 0, .offset = 0, .parts = &parts});
    if (read.reason != BAD_NONE) return absl::StrCat(BadReason_Name(read.reason), " ", std::string(read.subject));
    const Contribution::Event& event = read.events[0];
    return absl::StrCat(absl::CEscape(std::string(event.key)), " ", event.units[0], " ", event.units[1]);
  };
  EXPECT_EQ(made(), "2\\000\\001y\\000\\001 1500000000 7000000000") << "the last header of a name counts";
  parts.headers = {{"x", std::nullopt}};
  EXPECT_EQ(made(), "-\\000\\001t\\000\\001 1500000000 7000000000");
  parts.key = "seven";
  EXPECT_EQ(made(), "BAD_MALFORMED_NUMBER n");
  parts.key.reset();
  EXPECT_EQ(made(), "BAD_FIELD_MISSING n");
  parts.key = "7";
  parts.timestamp_ms = -1;
  EXPECT_EQ(made(), "BAD_FIELD_MISSING at");
  parts.headers = {{"x", "\xff"}};
  EXPECT_EQ(made(), "BAD_FIELD_NOT_UTF8 record.headers[\"x\"]");
}

TEST(GeneralDecoderTest, ARecordHasTheFirstReasonThatHolds) {
  Trial trial(R"(
source:
  kafka: {topics: [events]}
  format: {delimited: {separator: "|", fields: [a, b, c, d]}}
  fields: {b: {decimal: b}, a: {decimal: a}, c: {decimal: c}, d: {decimal: d}}
where: a + c > 0
key: record.topic
score: b / d
)");
  EXPECT_EQ(trial("1|6|1|2"), "events 3000000000");
  EXPECT_EQ(trial("x|x|x|x"), "BAD_MALFORMED_NUMBER a");
  EXPECT_EQ(trial("1e99|x|x|x"), "BAD_MALFORMED_NUMBER c");
  EXPECT_EQ(trial("1e99|x|1e99|x"), "BAD_NUMBER_OUT_OF_RANGE a");
  EXPECT_EQ(trial("-1|x|1|x"), "filtered");
  EXPECT_EQ(trial("1|1e99|1|x"), "BAD_MALFORMED_NUMBER d");
  EXPECT_EQ(trial("1|1e99|1|1"), "BAD_NUMBER_OUT_OF_RANGE b");
  EXPECT_EQ(trial("1|1|1|0"), "BAD_DIVISION_BY_ZERO measures.score");
}

TEST(GeneralDecoderTest, WhatIsNotNeededIsNotComputed) {
  Trial trial(R"(
source:
  kafka: {topics: [events]}
  format: {delimited: {separator: "|", fields: [t, n]}}
  fields: {t: {text: t}, n: {decimal: n}}
where: n = 0 or 1 / n > 0
let: {x: number(t), y: 1 / n}
key: record.partition
score: if(n > 5, x, if(n = 0, 7, y))
)");
  EXPECT_EQ(trial("no number|0"), "4 7000000000");
  EXPECT_EQ(trial("no number|2"), "4 500000000");
  EXPECT_EQ(trial("no number|6"), "BAD_MALFORMED_NUMBER measures.score");
  EXPECT_EQ(trial("1.5|6"), "4 1500000000");
  // A declared type is a promise, which `if` does not guard.
  EXPECT_EQ(trial("1|x"), "BAD_MALFORMED_NUMBER n");
}

TEST(GeneralDecoderTest, TimestampsAreReadInAllTheirForms) {
  Trial trial(R"(
source:
  kafka: {topics: [events]}
  format: {delimited: {separator: "|", fields: [at]}}
  fields: {at: {timestamp: at}}
key: at
measures: {n: count()}
)");
  EXPECT_EQ(trial("2026-11-28T03:10:57.123456789Z"), "2026-11-28T03:10:57.123456Z 1000000000");
  EXPECT_EQ(trial("2026-11-28 03:10"), "2026-11-28T03:10:00Z 1000000000");
  EXPECT_EQ(trial("2024-02-29"), "2024-02-29T00:00:00Z 1000000000");
  EXPECT_EQ(trial("2026-11-28T03:10:57.5+05:30"), "2026-11-27T21:40:57.5Z 1000000000");
  EXPECT_EQ(trial("1970-01-01T01:00:00+01:00"), "1970-01-01T00:00:00Z 1000000000");
  EXPECT_EQ(trial("2199-12-31T23:59:59.999999Z"), "2199-12-31T23:59:59.999999Z 1000000000");
  for (const char* text :
       {"2023-02-29", "2026-13-01", "2026-11-28T24:00", "2026-11-28T03:10:60Z", "2026-11-28T", "x", "2026-11-28T03:10:57.Z",
        "2026-11-28T03:10.5", "2026-11-28T03:10:57+0530", "2026-11-28 03:10Zx", "2026-11-28T03:10Z+01:00"}) {
    EXPECT_EQ(trial(text), "BAD_MALFORMED_FIELD at") << text;
  }
  for (const char* text : {"1969-12-31T23:59:59Z", "2200-01-01", "1970-01-01T00:00:00+00:01"}) {
    EXPECT_EQ(trial(text), "BAD_NUMBER_OUT_OF_RANGE at") << text;
  }
}

TEST(GeneralDecoderTest, TextsThatWouldGrowBeyondARecordAreBad) {
  Trial trial(R"(
source:
  kafka: {topics: [events]}
  format: {delimited: {separator: "|", fields: [t]}}
key: left(replace(t, "a", "bbbbbbbbbbbbbbbb"), 3)
measures: {n: count()}
)");
  EXPECT_EQ(trial("aaa"), "bbb 1000000000");
  EXPECT_EQ(trial(std::string(100'000, 'a')), "BAD_WRONG_ARGUMENT key");
  Trial lower(
      "source: {kafka: {topics: [events]}, format: {delimited: {separator: '|', fields: [t]}}}\n"
      "key: left(lower(t), 1)\nmeasures: {n: count()}\n");
  std::string grows;
  for (int i = 0; i < 400'000; ++i) grows += "\u023a";
  EXPECT_EQ(lower(grows), "BAD_WRONG_ARGUMENT key");
}

}  // namespace
}  // namespace tenfold
