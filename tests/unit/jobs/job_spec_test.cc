#include "jobs/spec/job_spec.h"

#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr std::string_view kSpec = R"(name: popularity
source:
  kafka: {topics: [user-behavior-topic], start: earliest}
  format: {delimited: {separator: "|", fields: [page, clicks, minutes, like]}}
key: page
score: 0.8*clicks + 0.8*minutes + 1*like
top: 10
batch: {interval: 2s}
initial: {page1: 0}
state: {wal: sync}
on_bad_record: skip
sinks: [{stdout: {}}, {file: {path: top.jsonl}}]
)";

// kSpec with one piece of text replaced by another.
std::string With(std::string_view from, std::string_view to) {
  std::string text(kSpec);
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// "LINE:COLUMN: PATH: MESSAGE" of each error.
std::vector<std::string> Errors(std::string_view yaml) {
  JobSpec spec;
  std::vector<std::string> lines;
  for (const SpecError& error : ReadJobSpec(yaml, &spec)) lines.push_back(FormatSpecError("f", error).substr(2));
  return lines;
}

JobSpec Read(std::string_view yaml) {
  JobSpec spec;
  for (const SpecError& error : ReadJobSpec(yaml, &spec)) ADD_FAILURE() << FormatSpecError("spec", error);
  return spec;
}

std::vector<std::string> Terms(const JobSpec& spec) {
  std::vector<std::string> terms;
  for (const ScoreTerm& term : spec.fold().score()) terms.push_back(term.constant() + "*" + term.field());
  return terms;
}

TEST(JobSpecTest, ReadsThePopularityJob) {
  std::ifstream file(TENFOLD_SOURCE_DIR "/jobs/popularity.yaml");
  std::stringstream text;
  text << file.rdbuf();
  const JobSpec spec = Read(text.str());
  EXPECT_EQ(spec.name(), "popularity");
  EXPECT_THAT(spec.source().topics(), ElementsAre("user-behavior-topic"));
  EXPECT_EQ(spec.source().start(), START_EARLIEST);
  EXPECT_EQ(spec.fold().format().separator(), "|");
  EXPECT_THAT(spec.fold().format().fields(), ElementsAre("page", "clicks", "minutes", "like"));
  EXPECT_EQ(spec.fold().key(), "page");
  EXPECT_THAT(Terms(spec), ElementsAre("0.8*clicks", "0.8*minutes", "1*like"));
  EXPECT_EQ(spec.top(), 10u);
  EXPECT_EQ(spec.batch_interval_ms(), 2000u);
  ASSERT_EQ(spec.fold().initial_size(), 1);
  EXPECT_EQ(spec.fold().initial(0).key(), "page1");
  EXPECT_EQ(spec.fold().initial(0).score(), "0");
  EXPECT_EQ(spec.wal(), WAL_SYNC);
  EXPECT_EQ(spec.on_bad_record(), BAD_RECORD_SKIP);
  ASSERT_EQ(spec.sinks_size(), 2);
  EXPECT_TRUE(spec.sinks(0).has_stdout());
  EXPECT_EQ(spec.sinks(1).file().path(), "top.jsonl");
}

TEST(JobSpecTest, FillsInDefaults) {
  const JobSpec spec = Read(
      "name: a\nsource: {kafka: {topics: [t]}, format: {delimited: {separator: ',', fields: [k, v]}}}\nkey: k\nscore: v\n");
  EXPECT_EQ(spec.source().start(), START_EARLIEST);
  EXPECT_EQ(spec.source().brokers(), "");
  EXPECT_EQ(spec.top(), 10u);
  EXPECT_EQ(spec.batch_interval_ms(), 2000u);
  EXPECT_EQ(spec.wal(), WAL_SYNC);
  EXPECT_EQ(spec.on_bad_record(), BAD_RECORD_SKIP);
  EXPECT_EQ(spec.sinks_size(), 0);
  EXPECT_EQ(spec.fold().initial_size(), 0);
}

TEST(JobSpecTest, ReadsWhatIsNotTheDefault) {
  EXPECT_EQ(Read(With("start: earliest", "start: latest")).source().start(), START_LATEST);
  EXPECT_EQ(Read(With("wal: sync", "wal: async")).wal(), WAL_ASYNC);
  EXPECT_EQ(Read(With("wal: sync", "wal: off")).wal(), WAL_OFF);
  EXPECT_EQ(Read(With("record: skip", "record: fail")).on_bad_record(), BAD_RECORD_FAIL);
  EXPECT_EQ(Read(With("record: skip", "record: {fail_above: 5%}")).fail_above_ppm(), 50'000u);
  EXPECT_EQ(Read(With("record: skip", "record: {fail_above: 0.0001%}")).fail_above_ppm(), 1u);
  for (const char* wrong : {"5", "0%", "100%", "-1%", "0.00001%", "1e1%", "99999999999999999%", "5 %", "%"}) {
    EXPECT_THAT(Errors(With("record: skip", std::string("record: {fail_above: '") + wrong + "'}")),
                ElementsAre(HasSubstr("on_bad_record.fail_above: must be a percentage above 0% and below 100%")))
        << wrong;
  }
  EXPECT_EQ(Read(With("start:", "brokers: 'a:9092,[::1]:9093', start:")).source().brokers(), "a:9092,[::1]:9093");
  const JobSpec secure = Read(With("start:", "properties: {security.protocol: ssl, fetch.min.bytes: 1}, start:"));
  EXPECT_EQ(secure.source().properties().at("security.protocol"), "ssl");
  EXPECT_EQ(secure.source().properties().at("fetch.min.bytes"), "1");
}

TEST(JobSpecTest, ReadsDurationsInEveryUnit) {
  EXPECT_EQ(Read(With("2s", "10ms")).batch_interval_ms(), 10u);
  EXPECT_EQ(Read(With("2s", "3m")).batch_interval_ms(), 180'000u);
  EXPECT_EQ(Read(With("2s", "1h")).batch_interval_ms(), 3'600'000u);
  EXPECT_EQ(Read(With("2s", "2.5s")).batch_interval_ms(), 2'500u);
}

TEST(JobSpecTest, RefusesOtherDurations) {
  for (const char* text : {"2", "2.5ms", "-2s", "2 s", "s", "2d", "9ms", "2h", "3600001ms", "99999999999999999999h"}) {
    EXPECT_THAT(Errors(With("2s", text)), ElementsAre(StartsWith("8:19: batch.interval: "))) << text;
  }
}

TEST(JobSpecTest, ReadsInitialScoresInOneFormSortedByKey) {
  const JobSpec spec = Read(With("{page1: 0}", "{zoo: -0.0, b: 1.50e1, \"\\u00e9\": 1e-9, a: +7}"));
  std::vector<std::string> scores;
  for (const InitialScore& initial : spec.fold().initial()) scores.push_back(initial.key() + "=" + initial.score());
  EXPECT_THAT(scores, ElementsAre("a=7", "b=15", "zoo=0", "\xc3\xa9=0.000000001"));
}

TEST(JobSpecTest, RefusesInitialScoresOutsideTheLimits) {
  for (const char* text : {"1e-10", "1e60", "abc", "0x10", "''", "1,5"}) {
    EXPECT_THAT(Errors(With("{page1: 0}", std::string("{page1: \"") + text + "\"}")),
                ElementsAre(StartsWith("9:18: initial.page1: ")))
        << text;
  }
}

TEST(JobSpecTest, RefusesInitialKeysThatNoRecordCouldHave) {
  EXPECT_THAT(Errors(With("page1", "''")), ElementsAre(HasSubstr("must not be empty")));
  EXPECT_THAT(Errors(With("page1", std::string(1024, 'k'))), IsEmpty());
  EXPECT_THAT(Errors(With("{page1: 0}", "{? " + std::string(1025, 'k') + " : 0}")), ElementsAre(HasSubstr("1025 bytes")));
}

TEST(JobSpecTest, ReadsSumsOfConstantTimesField) {
  const std::string_view score = "0.8*clicks + 0.8*minutes + 1*like";
  EXPECT_THAT(Terms(Read(With(score, "clicks"))), ElementsAre("1*clicks"));
  EXPECT_THAT(Terms(Read(With(score, "-clicks"))), ElementsAre("-1*clicks"));
  EXPECT_THAT(Terms(Read(With(score, "clicks - 2*like"))), ElementsAre("1*clicks", "-2*like"));
  EXPECT_THAT(Terms(Read(With(score, "+1.5e-3 *clicks-2E2*like+minutes"))),
              ElementsAre("1.5e-3*clicks", "-2E2*like", "1*minutes"));
  EXPECT_THAT(Terms(Read(With(score, "clicks + -0.5*like - -2*like"))), ElementsAre("1*clicks", "-0.5*like", "2*like"));
  EXPECT_THAT(Terms(Read(With(score, "\"0.8 * clicks\\n + like\""))), ElementsAre("0.8*clicks", "1*like"));
}

TEST(JobSpecTest, TakesOtherScoresAsExpressions) {
  for (const char* score :
       {"clicks*2", "clicks*minutes", "clicks/2", "5", "clicks + 5", "(clicks)", "2*3*clicks", "clicks + + + like"}) {
    const JobSpec spec = Read(With("0.8*clicks + 0.8*minutes + 1*like", score));
    EXPECT_TRUE(spec.fold().has_general()) << score;
    EXPECT_EQ(spec.fold().score_size(), 0) << score;
  }
}

TEST(JobSpecTest, RefusesAScoreThatIsNoneAtItsColumn) {
  // The score begins in column 8.
  const std::vector<std::pair<std::string, int>> cases = {
      {"log(clicks)", 8},        {"clicks minutes", 15}, {"clicks +", 16},  {"0.8**clicks", 12},
      {".5*clicks", 8},          {"1.*clicks", 8},       {"1e*clicks", 8},  {"0x10*clicks", 8},
      {"clicks + 1_0*like", 17}, {"0.8*clicks ^ 2", 19}, {"1,5*clicks", 8}, {"5 5*clicks", 8},
  };
  for (const auto& [score, column] : cases) {
    const std::string place = "6:" + std::to_string(column) + ": score: ";
    EXPECT_THAT(Errors(With("0.8*clicks + 0.8*minutes + 1*like", score)), ElementsAre(StartsWith(place))) << score;
  }
}

TEST(JobSpecTest, PlacesScoreErrorsWithinEveryKindOfScalar) {
  const std::string_view score = "0.8*clicks + 0.8*minutes + 1*like";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"clicks + lik", "6:17"},           {"\"clicks + lik\"", "6:18"},     {"'clicks + lik'", "6:18"},
      {"\"cl\\x69cks\\t+ lik\"", "6:22"}, {"clicks\n  + lik", "7:5"},       {"\"clicks\n  + \\\n  lik\"", "8:3"},
      {"|\n  clicks\n  + lik", "8:5"},    {">-\n  clicks\n  + lik", "8:5"},
  };
  for (const auto& [text, place] : cases) {
    EXPECT_THAT(Errors(With(score, text)), ElementsAre(StartsWith(place + ": score: 'lik' is no field"))) << text;
  }
}

TEST(JobSpecTest, PlacesTheEndOfAScoreBeforeItsQuote) {
  EXPECT_THAT(Errors(With("0.8*clicks + 0.8*minutes + 1*like", "\"clicks + \"")), ElementsAre(StartsWith("6:17: score: ")));
}

TEST(JobSpecTest, RefusesConstantsBeyondTheLimitsOfNumbers) {
  const std::string_view score = "0.8*clicks + 0.8*minutes + 1*like";
  EXPECT_THAT(Errors(With(score, std::string(40, '1') + "*clicks")), IsEmpty());
  EXPECT_THAT(Errors(With(score, "clicks + " + std::string(41, '1') + "*clicks")), ElementsAre(StartsWith("6:17: score: ")));
  EXPECT_THAT(Errors(With(score, "1e61*clicks")), ElementsAre(StartsWith("6:8: score: ")));
  EXPECT_THAT(Errors(With(score, "1e-60*clicks")), IsEmpty());
}

TEST(JobSpecTest, RefusesMoreScoreTermsThanAllowed) {
  const std::string_view score = "0.8*clicks + 0.8*minutes + 1*like";
  EXPECT_THAT(Errors(With(score, absl::StrJoin(std::vector<std::string>(64, "like"), "+"))), IsEmpty());
  EXPECT_THAT(Errors(With(score, absl::StrJoin(std::vector<std::string>(65, "like"), "+"))),
              ElementsAre(HasSubstr("65 terms")));
}

TEST(JobSpecTest, TellsAllErrorsInTheOrderOfTheText) {
  const std::string text = absl::StrReplaceAll(std::string(kSpec), {{"name: popularity", "name: Popularity"},
                                                                    {"start: earliest", "strat: earliest"},
                                                                    {"key: page", "key: pge"},
                                                                    {"1*like", "1*lik"},
                                                                    {"top: 10", "top: 0"},
                                                                    {"wal: sync", "wal: synch"},
                                                                    {"stdout: {}", "stdou: {}"}});
  EXPECT_THAT(Errors(text),
              ElementsAre(AllOf(StartsWith("1:7: name: "), HasSubstr("[a-z0-9][a-z0-9-]{0,62}")),
                          AllOf(StartsWith("3:42: source.kafka.strat: unknown key"), HasSubstr("did you mean start?")),
                          AllOf(StartsWith("5:6: key: 'pge'"), HasSubstr("did you mean page?")),
                          AllOf(StartsWith("6:37: score: 'lik'"), HasSubstr("did you mean like?")),
                          AllOf(StartsWith("7:6: top: "), HasSubstr("from 1 to 1000")),
                          AllOf(StartsWith("10:14: state.wal: 'synch'"), HasSubstr("did you mean sync?")),
                          AllOf(StartsWith("12:10: sinks[0].stdou: unknown key"), HasSubstr("did you mean stdout?"))));
}

TEST(JobSpecTest, NamesEveryMissingKey) {
  EXPECT_THAT(Errors("top: 3\n"),
              ElementsAre(StartsWith("1:1: name: is missing"), StartsWith("1:1: source.kafka.topics: is missing"),
                          StartsWith("1:1: source.format: is missing"), StartsWith("1:1: key: is missing"),
                          StartsWith("1:1: score: is missing")));
}

TEST(JobSpecTest, DoesNotCallAMisspeltKeyMissing) {
  EXPECT_THAT(Errors(With("fields:", "feilds:")),
              ElementsAre(AllOf(StartsWith("4:40: source.format.delimited.feilds: unknown key"),
                                HasSubstr("did you mean fields?"))));
}

TEST(JobSpecTest, SaysNothingMoreAboutWhatHasTheWrongShape) {
  EXPECT_THAT(Errors(With("[user-behavior-topic]", "user-behavior-topic")),
              ElementsAre(StartsWith("3:19: source.kafka.topics: must be a list")));
  EXPECT_THAT(Errors(With("key: page", "key: {page: page}")), ElementsAre(StartsWith("5:6: key: must be one value")));
  EXPECT_THAT(Errors(With("key: page", "key:")), ElementsAre(StartsWith("5:1: key: has no value")));
  EXPECT_THAT(Errors(With("batch: {interval: 2s}", "batch: 2s")), ElementsAre(StartsWith("8:8: batch: must be a mapping")));
  EXPECT_THAT(Errors("- name: a\n"), ElementsAre(StartsWith("1:1: must be a job spec")));
}

TEST(JobSpecTest, RefusesDuplicateKeysAtTheSecond) {
  EXPECT_THAT(Errors(With("top: 10", "top: 10\n'top': 11")),
              ElementsAre("8:1: top: duplicate key; it is on line 7 already"));
  EXPECT_THAT(Errors(With("{page1: 0}", "{page1: 0, \"page\\x31\": 0}")),
              ElementsAre(StartsWith("9:21: initial.page1: duplicate key")));
}

TEST(JobSpecTest, RefusesAnchorsAliasesAndTags) {
  EXPECT_THAT(Errors(With("key: page", "key: &k page")), ElementsAre(StartsWith("5:6: key: anchors")));
  EXPECT_THAT(Errors(With("[page, clicks, minutes, like]", "&f [page, clicks, minutes, like]")),
              ElementsAre(StartsWith("4:48: source.format.delimited.fields: anchors")));
  EXPECT_THAT(Errors(With("name: popularity\n", "") + "name: &n a\nbatch2: *n\n"),
              ElementsAre(StartsWith("12:7: name: anchors"), StartsWith("13:1: batch2: unknown key"),
                          StartsWith("13:9: batch2: aliases")));
  EXPECT_THAT(Errors(With("key: page", "key: *page")), ElementsAre(AllOf(StartsWith("5:6: "), HasSubstr("aliases"))));
  EXPECT_THAT(Errors(With("key: page", "key: !!str page")), ElementsAre(StartsWith("5:6: key: tags")));
  EXPECT_THAT(Errors(With("key: page", "key: ! page")), ElementsAre(StartsWith("5:6: key: tags")));
  EXPECT_THAT(Errors(With("top: 10", "<<: {top: 10}")), ElementsAre(StartsWith("7:1: <<: unknown key")));
  EXPECT_THAT(Errors("a: &a [*a]"), Not(IsEmpty()));
}

TEST(JobSpecTest, RefusesASecondDocument) {
  EXPECT_THAT(Errors(std::string(kSpec) + "---\nname: b\n"), ElementsAre(StartsWith("13:1: a second document")));
  EXPECT_THAT(Errors("---\n" + std::string(kSpec) + "...\n"), IsEmpty());
}

TEST(JobSpecTest, RefusesWhatIsNoMapping) {
  EXPECT_THAT(Errors(""), ElementsAre(StartsWith("1:1: is empty")));
  EXPECT_THAT(Errors("# nothing\n"), ElementsAre(HasSubstr("is empty")));
  EXPECT_THAT(Errors("just text"), ElementsAre(StartsWith("1:1: must be a job spec")));
  EXPECT_THAT(Errors("name: [a\n"), ElementsAre(HasSubstr("is no valid YAML")));
  EXPECT_THAT(Errors("name: a\nsource:\n \ttop: 1\n"), ElementsAre(AllOf(StartsWith("3:2: "), HasSubstr("use spaces"))));
  EXPECT_THAT(Errors("? [a]\n: b\n"), Each(Not(HasSubstr("duplicate"))));
}

TEST(JobSpecTest, RefusesBytesThatNoSpecHas) {
  EXPECT_THAT(Errors("name: \xff\n"), ElementsAre(HasSubstr("not UTF-8")));
  EXPECT_THAT(Errors(std::string("name: a\x04\n")), ElementsAre(AllOf(StartsWith("1:8: "), HasSubstr("control character"))));
  EXPECT_THAT(Errors(std::string("name: a\0b\n", 10)), ElementsAre(StartsWith("1:8: ")));
  EXPECT_THAT(Errors("\xef\xbb\xbf" + std::string(kSpec)), IsEmpty());
  EXPECT_THAT(Errors(absl::StrReplaceAll(std::string(kSpec), {{"\n", "\r\n"}})), IsEmpty());
}

TEST(JobSpecTest, CountsColumnsInCharacters) {
  EXPECT_THAT(Errors(With("{page1: 0}", "{\xc3\xa9\xe2\x82\xac: x}")), ElementsAre(StartsWith("9:15: initial.")));
}

TEST(JobSpecTest, RefusesALargeSpecUnread) {
  std::string text = std::string(kSpec) + "# ";
  text.resize(64 << 10, 'x');
  EXPECT_THAT(Errors(text), IsEmpty());
  EXPECT_THAT(Errors(text + "x"), ElementsAre(HasSubstr("more than 65536 bytes")));
}

TEST(JobSpecTest, RefusesDeepNestingWithoutFollowingIt) {
  EXPECT_THAT(Errors(With("key: page", "key: " + std::string(30, '[') + std::string(30, ']'))),
              ElementsAre(StartsWith("5:7: key[0]: must be one value"),
                          AllOf(StartsWith("5:21: key[0]"), HasSubstr("nested deeper"))));
  EXPECT_THAT(Errors("name: " + std::string(60'000, '[')), SizeIs(1 + 1));
}

TEST(JobSpecTest, ChecksTopicNamesAsKafkaDoes) {
  for (const char* topic : {"a b", "..", ".", "a/b", "''", "\"t\\u00e9\""}) {
    EXPECT_THAT(Errors(With("[user-behavior-topic]", std::string("[ok, ") + topic + "]")),
                ElementsAre(StartsWith("3:24: source.kafka.topics[1]: ")))
        << topic;
  }
  EXPECT_THAT(Errors(With("user-behavior-topic", std::string(249, 'A'))), IsEmpty());
  EXPECT_THAT(Errors(With("user-behavior-topic", std::string(250, 'A'))), SizeIs(1));
  EXPECT_THAT(Errors(With("user-behavior-topic", "a, b, a")),
              ElementsAre(StartsWith("3:26: source.kafka.topics[2]: 'a' is listed twice")));
  EXPECT_THAT(Errors(With("[user-behavior-topic]", "[]")), ElementsAre(StartsWith("3:19: source.kafka.topics: is missing")));
}

TEST(JobSpecTest, ReadsWhichTopicsAreAllowed) {
  const std::string internal = With("[user-behavior-topic]", "[__consumer_offsets]");
  EXPECT_THAT(Errors(internal), ElementsAre(HasSubstr("source.kafka.topics[0]: '__consumer_offsets' is a topic of Kafka's "
                                                      "own; read it with allow_internal: true")));
  const JobSpec spec =
      Read(absl::StrReplaceAll(internal, {{"topics:", "allow_internal: true, allow_compacted: true, topics:"}}));
  EXPECT_TRUE(spec.source().allow_internal());
  EXPECT_TRUE(spec.source().allow_compacted());
  EXPECT_THAT(Errors(With("topics:", "allow_compacted: yes, topics:")),
              ElementsAre(HasSubstr("source.kafka.allow_compacted: 'yes' is none of true, false")));
}

TEST(JobSpecTest, ChecksEveryBrokersAddress) {
  EXPECT_THAT(Errors(With("start:", "brokers: 'a:9092,b', start:")),
              ElementsAre(StartsWith("3:51: source.kafka.brokers: ")));
  EXPECT_THAT(Errors(With("start:", "brokers: '0.0.0.0:9092', start:")), ElementsAre(HasSubstr("no address to connect to")));
  EXPECT_THAT(Errors(With("start:", "brokers: 'a:0', start:")), ElementsAre(HasSubstr("no address to connect to")));
  EXPECT_THAT(Errors(With("start:", "brokers: '', start:")), ElementsAre(StartsWith("3:51: source.kafka.brokers: ")));
}

TEST(JobSpecTest, ChecksJobNames) {
  EXPECT_THAT(Errors(With("popularity", "0-a")), IsEmpty());
  EXPECT_THAT(Errors(With("popularity", std::string(63, 'a'))), IsEmpty());
  for (const std::string& name :
       {std::string("-a"), std::string("a_b"), std::string("A"), std::string("a.b"), std::string(64, 'a')}) {
    EXPECT_THAT(Errors(With("popularity", name)), ElementsAre(StartsWith("1:7: name: "))) << name;
  }
}

TEST(JobSpecTest, ChecksTheFormat) {
  EXPECT_THAT(Errors(With("\"|\"", "\"\\t\"")), IsEmpty());
  EXPECT_THAT(Errors(With("\"|\"", "'||'")), IsEmpty());
  EXPECT_THAT(Errors(With("\"|\"", "\xc3\xa9")), IsEmpty());
  EXPECT_THAT(Errors(With("\"|\"", "'" + std::string(17, '|') + "'")),
              ElementsAre(StartsWith("4:35: source.format.delimited.separator: ")));
  EXPECT_THAT(Errors(With("like]", "like, page]")), ElementsAre(HasSubstr("fields[4]: 'page' is listed twice")));
  EXPECT_THAT(Errors(With("like]", "like, 1st]")), ElementsAre(HasSubstr("fields[4]: '1st' is no field name")));
}

TEST(JobSpecTest, ChecksTop) {
  EXPECT_EQ(Read(With("top: 10", "top: 1000")).top(), 1000u);
  for (const char* top : {"0", "1001", "-1", "ten", "1.5", "4294967306", "99999999999999999999", "''", "+5"}) {
    EXPECT_THAT(Errors(With("top: 10", std::string("top: ") + top)), ElementsAre(StartsWith("7:6: top: "))) << top;
  }
}

TEST(JobSpecTest, ChecksSinks) {
  const std::string_view sinks = "[{stdout: {}}, {file: {path: top.jsonl}}]";
  EXPECT_THAT(Errors(With(sinks, "[{stdout: }, {file: {path: a/b.jsonl}}, {file: {path: /abs/c}}]")), IsEmpty());
  EXPECT_THAT(Errors(With(sinks, "[{stdout: {}}, {stdout: {}}]")),
              ElementsAre(StartsWith("12:23: sinks[1]: stdout is listed twice")));
  for (const char* path : {"../a", "a/../b", "/a/..", "..", "a/", ".", "''"}) {
    EXPECT_THAT(Errors(With("top.jsonl", path)), ElementsAre(StartsWith("12:37: sinks[1].file.path: "))) << path;
  }
  EXPECT_THAT(Errors(With(sinks, "[{file: {path: a}}, {file: {path: ./a}}]")),
              ElementsAre(HasSubstr("written by two sinks")));
  EXPECT_THAT(Errors(With(sinks, "[{}]")), ElementsAre(StartsWith("12:9: sinks[0]: is no sink")));
  EXPECT_THAT(Errors(With(sinks, "[{stdout: {}, file: {path: a}}]")), ElementsAre(HasSubstr("several sinks")));
  EXPECT_THAT(Errors(With(sinks, "[{file: {}}]")), ElementsAre(StartsWith("12:16: sinks[0].file.path: is missing")));
}

TEST(JobSpecTest, RefusesPropertiesThatAreNotAJobsToSet) {
  for (const char* name :
       {"plugin.library.paths", "bootstrap.servers", "metadata.broker.list", "group.id", "enable.auto.commit",
        "isolation.level", "auto.offset.reset", "enable.partition.eof", "queued.min.messages", "ssl.engine.location",
        "ssl.providers", "sasl.kerberos.kinit.cmd", "debug", "log_cb", "check.crcs", "statistics.interval.ms"}) {
    EXPECT_THAT(Errors(With("start:", std::string("properties: {") + name + ": \"value\"}, start:")),
                ElementsAre(StartsWith(std::string("3:55: source.kafka.properties.") + name + ": a job cannot set this: ")))
        << name;
  }
}

TEST(JobSpecTest, GuessesAMisspeltProperty) {
  EXPECT_THAT(Errors(With("start:", "properties: {fetch.min.byte: 1}, start:")),
              ElementsAre(HasSubstr("did you mean fetch.min.bytes?")));
}

TEST(JobSpecTest, KeepsShellCharactersOutOfKerberosCommands) {
  const auto with_principal = [](const std::string& value) {
    return With("start:", "properties: {sasl.kerberos.principal: \"" + value + "\"}, start:");
  };
  EXPECT_THAT(Errors(with_principal("tenfold/host.example@REALM")), IsEmpty());
  for (const char* value : {"a; id", "$(id)", "-k", "a`id`", "%{x}", "a b"}) {
    EXPECT_THAT(Errors(with_principal(value)), ElementsAre(HasSubstr("becomes part of a command"))) << value;
  }
}

// A job that waited longer would never get a record.
TEST(JobSpecTest, ABrokerMayHoldRecordsBackForNoLongerThanABatchWaits) {
  EXPECT_THAT(Errors(With("start:", "properties: {fetch.wait.max.ms: 1000}, start:")), IsEmpty());
  EXPECT_THAT(Errors(With("start:", "properties: {fetch.wait.max.ms: 1001}, start:")),
              ElementsAre(HasSubstr("must be at most 1000")));
}

TEST(JobSpecTest, TakesSecretsByReferenceOnly) {
  const auto with_password = [](const std::string& value) {
    return With("start:", "properties: {sasl.password: \"" + value + "\"}, start:");
  };
  for (const char* value : {"${file:/etc/tenfold/kafka}", "${env:TENFOLD_SECRET_KAFKA}"}) {
    EXPECT_THAT(Errors(with_password(value)), IsEmpty()) << value;
  }
  EXPECT_THAT(Errors(with_password("hunter2")), ElementsAre(HasSubstr("write a reference to it, ${file:/PATH} or ${env:")));
  for (const char* value : {"${file:relative}", "${env:TENFOLD_SECRET_A B}", "${vault:x}", "${file:/x"}) {
    EXPECT_THAT(Errors(with_password(value)), ElementsAre(HasSubstr("is no reference"))) << value;
  }
  EXPECT_THAT(Errors(with_password("${env:AWS_SECRET_ACCESS_KEY}")),
              ElementsAre(HasSubstr("variables that begin with TENFOLD_SECRET_")));
  EXPECT_THAT(Errors(With("start:", "properties: {ssl.keystore.location: \"${file:/etc/tenfold/x}\"}, start:")),
              ElementsAre(HasSubstr("is no secret")));
  EXPECT_THAT(Errors(With("start:", "properties: {ssl.ca.location: ca.pem}, start:")),
              ElementsAre(HasSubstr("give its absolute path")));
}

TEST(JobSpecTest, NeverShowsASecretInAnError) {
  for (const char* properties :
       {"{sasl.password: [hunter2]}", "{sasl.password: *hunter2}", "{sasl.password: &hunter2 x}",
        "{sasl.password: !hunter2 x}", "{sasl.pasword: hunter2}", "{plugin.library.paths: hunter2}",
        "{sasl.password=hunter2}", "{sasl.password hunter2: }", "hunter2", "[hunter2]", "{sasl.password: \"hunter2\\q\"}",
        "{sasl.kerberos.principal: \"hunter2;\"}", "{sasl.password: hunter2, sasl.password: hunter2}"}) {
    EXPECT_THAT(Errors(With("start:", std::string("properties: ") + properties + ", start:")),
                AllOf(Not(IsEmpty()), Each(Not(HasSubstr("hunter2")))))
        << properties;
  }
}

TEST(JobSpecTest, FormatsAnErrorOnOneLine) {
  EXPECT_EQ(FormatSpecError("a.yaml", {3, 7, 0, "source.kafka", "is missing"}), "a.yaml:3:7: source.kafka: is missing");
  EXPECT_EQ(FormatSpecError("a.yaml", {1, 1, 0, "", "is empty"}), "a.yaml:1:1: is empty");
  EXPECT_THAT(Errors(With("{page1: 0}", "{\"a\\nb\": x}")), ElementsAre(AllOf(HasSubstr("a\\x0ab"), Not(HasSubstr("\n")))));
}

TEST(CheckJobSpecTest, AcceptsWhatTheReaderReads) { EXPECT_EQ(CheckJobSpec(Read(kSpec)), ""); }

TEST(CheckJobSpecTest, HoldsASpecToTheSameRules) {
  const std::vector<std::pair<std::string, std::function<void(JobSpec*)>>> cases = {
      {"name", [](JobSpec* spec) { spec->set_name("A"); }},
      {"source.kafka.topics", [](JobSpec* spec) { spec->clear_source(); }},
      {"source.kafka.start", [](JobSpec* spec) { spec->mutable_source()->set_start(static_cast<StartPosition>(7)); }},
      {"source.kafka.properties.group.id",
       [](JobSpec* spec) { (*spec->mutable_source()->mutable_properties())["group.id"] = "g"; }},
      {"source.kafka.properties.sasl.password",
       [](JobSpec* spec) { (*spec->mutable_source()->mutable_properties())["sasl.password"] = "***"; }},
      {"source.format", [](JobSpec* spec) { spec->mutable_fold()->clear_format(); }},
      {"key", [](JobSpec* spec) { spec->mutable_fold()->set_key("nothing"); }},
      {"score", [](JobSpec* spec) { spec->mutable_fold()->clear_score(); }},
      {"score[1].field", [](JobSpec* spec) { spec->mutable_fold()->mutable_score(1)->set_field("nothing"); }},
      {"score[2].constant", [](JobSpec* spec) { spec->mutable_fold()->mutable_score(2)->set_constant("1,5"); }},
      {"top", [](JobSpec* spec) { spec->set_top(1001); }},
      {"batch.interval", [](JobSpec* spec) { spec->set_batch_interval_ms(9); }},
      {"initial.page1", [](JobSpec* spec) { spec->mutable_fold()->mutable_initial(0)->set_score("0.0"); }},
      {"initial.page0", [](JobSpec* spec) { spec->mutable_fold()->add_initial()->set_key("page0"); }},
      {"initial.page1", [](JobSpec* spec) { *spec->mutable_fold()->add_initial() = spec->fold().initial(0); }},
      {"initial.\\xff", [](JobSpec* spec) { spec->mutable_fold()->mutable_initial(0)->set_key("\xff"); }},
      {"state.wal", [](JobSpec* spec) { spec->set_wal(static_cast<WalMode>(3)); }},
      {"on_bad_record", [](JobSpec* spec) { spec->set_on_bad_record(static_cast<BadRecordPolicy>(2)); }},
      {"sinks[2]", [](JobSpec* spec) { spec->add_sinks(); }},
      {"sinks[1].file.path", [](JobSpec* spec) { spec->mutable_sinks(1)->mutable_file()->set_path("a/../../b"); }},
  };
  for (const auto& [path, change] : cases) {
    JobSpec spec = Read(kSpec);
    change(&spec);
    EXPECT_THAT(CheckJobSpec(spec), StartsWith(path + ": "));
  }
}

TEST(CheckJobSpecTest, RefusesALargeSpec) {
  JobSpec spec = Read(kSpec);
  (*spec.mutable_source()->mutable_properties())["ssl.ca.pem"] = std::string(1 << 20, 'x');
  EXPECT_THAT(CheckJobSpec(spec), HasSubstr("are allowed"));
}

TEST(FoldHashTest, DependsOnExactlyWhatAFoldDoes) {
  const JobSpec spec = Read(kSpec);
  const std::vector<std::function<void(JobSpec*)>> folded = {
      [](JobSpec* s) { s->mutable_fold()->mutable_format()->set_separator(","); },
      [](JobSpec* s) { s->mutable_fold()->mutable_format()->set_fields(1, "klicks"); },
      [](JobSpec* s) { s->mutable_fold()->mutable_format()->add_fields("more"); },
      [](JobSpec* s) { s->mutable_fold()->set_key("like"); },
      [](JobSpec* s) { s->mutable_fold()->mutable_score(0)->set_constant("0.9"); },
      [](JobSpec* s) { s->mutable_fold()->mutable_score(0)->set_field("like"); },
      [](JobSpec* s) { s->mutable_fold()->mutable_score()->RemoveLast(); },
      [](JobSpec* s) { s->mutable_fold()->mutable_initial(0)->set_key("page2"); },
      [](JobSpec* s) { s->mutable_fold()->mutable_initial(0)->set_score("1"); },
      [](JobSpec* s) { s->mutable_fold()->clear_initial(); },
  };
  for (size_t i = 0; i < folded.size(); ++i) {
    JobSpec changed = spec;
    folded[i](&changed);
    EXPECT_NE(FoldHash(changed), FoldHash(spec)) << i;
  }
  JobSpec other = spec;
  other.set_name("other");
  other.set_top(3);
  other.set_batch_interval_ms(500);
  other.set_wal(WAL_OFF);
  other.set_on_bad_record(BAD_RECORD_FAIL);
  other.clear_sinks();
  other.mutable_source()->set_brokers("a:1");
  other.mutable_source()->set_start(START_LATEST);
  EXPECT_EQ(FoldHash(other), FoldHash(spec));
}

TEST(FoldHashTest, FramesWhatItHashes) {
  JobSpec one = Read(kSpec);
  JobSpec other = one;
  one.mutable_fold()->mutable_format()->set_fields(0, "ab");
  one.mutable_fold()->mutable_format()->set_fields(1, "c");
  other.mutable_fold()->mutable_format()->set_fields(0, "a");
  other.mutable_fold()->mutable_format()->set_fields(1, "bc");
  EXPECT_NE(FoldHash(one), FoldHash(other));
}

// States on disk carry it: change the number only together with the fold's version.
TEST(FoldHashTest, StaysTheSameForThePopularityJob) { EXPECT_EQ(FoldHash(Read(kSpec)), 4636524990116044443u); }

TEST(WithoutSecretsTest, MasksSecretsAndNothingElse) {
  // As a journal of an earlier version may have it.
  JobSpec spec = Read(kSpec);
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"sasl.username", "me"},
                                                        {"sasl.password", "s1"},
                                                        {"ssl.key.password", "s2"},
                                                        {"ssl.key.pem", "s3"},
                                                        {"ssl.certificate.pem", "s4"},
                                                        {"ssl.ca.pem", "s5"},
                                                        {"sasl.oauthbearer.config", "s6"},
                                                        {"sasl.oauthbearer.client.secret", "s7"},
                                                        {"ssl.keystore.password", "${file:/etc/tenfold/store}"},
                                                        {"ssl.ca.location", "/ca"}}) {
    (*spec.mutable_source()->mutable_properties())[name] = value;
  }
  JobSpec expected = spec;
  for (auto& [name, value] : *expected.mutable_source()->mutable_properties()) {
    if (value.starts_with("s")) value = "***";
  }
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(WithoutSecrets(spec), expected));
  EXPECT_EQ(WithoutSecrets(spec).source().properties().at("sasl.username"), "me");
}

TEST(WithoutSecretsTest, MasksWhatItDoesNotKnow) {
  JobSpec spec;
  (*spec.mutable_source()->mutable_properties())["new.secret"] = "hunter2";
  EXPECT_EQ(WithoutSecrets(spec).source().properties().at("new.secret"), "***");
}

}  // namespace
}  // namespace tenfold
