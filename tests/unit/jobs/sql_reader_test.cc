// A job in SQL is the job in YAML, and what is no job is refused in its place.
#include "jobs/cli/sql/sql_reader.h"

#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/jobs/sql_fixture.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;

constexpr char kPlain[] = R"(CREATE TABLE events (page text NOT NULL, clicks numeric NOT NULL, minutes numeric NOT NULL,
  likes numeric NOT NULL) WITH (topics = 'user-behavior-topic', format = 'delimited', separator = '|', interval = '1s',
  sinks = 'stdout, file:top.jsonl', on_bad_record = 'fail above 2.5%');
)";

TEST(SqlReaderTest, AHoppingWindowWithAConditionOfEachKind) {
  ExpectSame(std::string(kClicks) + R"(
SELECT window_start, url_path(page) AS path, SUM(0.8*clicks + coalesce(minutes, 0)) AS score,
       COUNT(*) FILTER (WHERE "like" > 0) AS likes
FROM HOP(clicks, at, INTERVAL '5 minutes', INTERVAL '1 day') WHERE clicks > 0 AND page LIKE 'https:%'
GROUP BY window_start, path HAVING COUNT(*) >= 100 ORDER BY score DESC LIMIT 10;)",
             std::string(kFields) + R"(  time: from_unix_ms(ms)
where: clicks > 0 and page like "https:%"
key: url_path(page)
measures:
  score: sum(0.8*clicks + coalesce(minutes, 0))
  likes: count(if(like > 0, 1, null))
  count: count()
having: count >= 100
top: 10
window: {sliding: {size: 1d, every: 5m}, lateness: 30s}
)");
}

TEST(SqlReaderTest, ATumblingDayInATimeZoneWithTheLowestFirst) {
  ExpectSame(std::string(kClicks) + R"(
SELECT page, SUM(clicks), COUNT(minutes) AS watched FROM TUMBLE(clicks, at, INTERVAL '1 day', zone => 'Europe/Berlin',
  lateness => INTERVAL '10' MINUTE, idle => INTERVAL '1 hour') c
GROUP BY window_start, c.page ORDER BY watched, page FETCH FIRST 3 ROWS ONLY)",
             std::string(kFields) + R"(  time: from_unix_ms(ms)
key: page
measures: {sum: sum(clicks), watched: count(minutes)}
rank: watched
order: ascending
top: 3
window: {tumbling: 1d, zone: Europe/Berlin, lateness: 10m, idle: 1h}
)");
}

TEST(SqlReaderTest, ExpressionsAreThoseOfSpecs) {
  ExpectSame(std::string(kClicks) + R"(
SELECT page, left(page, 3), SUM(CASE WHEN clicks > 1 THEN -clicks % 3 ELSE .5 END) AS a,
       SUM(round(clicks / 3, 2)) FILTER (WHERE NOT ("like" BETWEEN - /* 7 */ ( 12 ) AND 0 OR minutes IS NULL)) AS b
FROM clicks WHERE substring(page from 2 for 3) <> 'a''b' AND page ~ '^x' AND ms IN (1, 5000000000) AND
  (clicks > 1) IS NOT TRUE AND page || 'x' !~ 'y' AND trim(both '/' from page) NOT LIKE '_%' AND
  nullif(clicks, 2) = clicks::numeric
  AND at + INTERVAL '5 minutes' > TIMESTAMP '2026-01-01'
GROUP BY 1, 2 ORDER BY a DESC LIMIT 10)",
             std::string(kFields) + R"(where: >-
  substring(page, 2, 3) <> "a'b" and regex_matches(page, "^x") and ms in (1, 5000000000) and
  not coalesce(clicks > 1, false) and not regex_matches(concat(page, "x"), "y") and trim(page, "/") not like "_%" and
  nullif(clicks, 2) = clicks and from_unix_ms(ms) + 5m > "2026-01-01"
key: [page, 'left(page, 3)']
measures:
  a: sum(case when clicks > 1 then mod(-clicks, 3) else 0.5 end)
  b: sum(if(not (like between -12 and 0 or minutes is null), round(clicks / 3, 2), null))
top: 10
)");
}

TEST(SqlReaderTest, AQuotientIsOfAggregatesThatStandInIt) {
  ExpectSame(std::string(kClicks) + R"(
SELECT page, AVG(minutes), AVG(clicks) FILTER (WHERE ms > 5) AS some, SUM("like") / COUNT(*) AS liked,
       (SUM(clicks) + 10) / (COUNT(minutes) + 2.5) AS prior
FROM clicks GROUP BY page HAVING SUM(clicks) / COUNT(*) > 1 ORDER BY SUM(ms) / SUM(clicks) LIMIT 10)",
             std::string(kFields) + R"(key: page
measures:
  avg: avg(minutes)
  some: avg(if(ms > 5, clicks, null))
  liked: sum(like) / count()
  prior: (sum(clicks) + 10) / (count(minutes) + 2.5)
  quotient: sum(ms) / sum(clicks)
  sum: sum(clicks)
  count: count()
having: sum / count > 1
rank: quotient
order: ascending
top: 10
)");
}

// What needs no types decodes by the direct path, in SQL as well.
TEST(SqlReaderTest, ALinearSumOfDelimitedNumbersHasTheFoldThatItHasAlwaysHad) {
  ExpectSame(std::string(kPlain) +
                 "SELECT page, SUM(0.8*clicks + 0.8*minutes + likes) AS score FROM events GROUP BY page ORDER BY score DESC "
                 "LIMIT 10",
             R"(source:
  kafka: {topics: [user-behavior-topic], start: earliest}
  format: {delimited: {separator: "|", fields: [page, clicks, minutes, likes]}}
key: page
score: 0.8*clicks + 0.8*minutes + likes
top: 10
batch: {interval: 1s}
on_bad_record: {fail_above: 2.5%}
sinks: [{stdout: {}}, {file: {path: top.jsonl}}]
)");
  JobSpec spec;
  ASSERT_EQ(Read(std::string(kPlain) +
                     "SELECT page, SUM(clicks) AS score FROM events GROUP BY page ORDER BY 2, score DESC LIMIT 1",
                 &spec),
            "sql:4:73: behind the measure only the key can stand, ascending: it decides between equal ones in any case");
  ASSERT_EQ(
      Read(std::string(kPlain) + "SELECT page, SUM(clicks) AS score FROM events GROUP BY page ORDER BY score DESC LIMIT 1",
           &spec),
      "");
  EXPECT_FALSE(spec.fold().has_general());
}

TEST(SqlReaderTest, TheExampleOfTheReferenceIsAJob) {
  std::ifstream file(TENFOLD_SOURCE_DIR "/jobs/README.md");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::vector<JobSpec> specs;
  for (size_t at = text.find("```sql\n"); at != std::string::npos; at = text.find("```sql\n", at)) {
    at += 7;
    EXPECT_EQ(Read(text.substr(at, text.find("```", at) - at), &specs.emplace_back()), "");
  }
  ASSERT_EQ(specs.size(), 3u);
  EXPECT_EQ(specs[2].groups(), 200u);
  EXPECT_EQ(specs[0].fold().general().window().panes(), 288u);
  EXPECT_EQ(specs[1].fold().general().others_size(), 1);
}

TEST(SqlReaderTest, AnEventForEachElementOfAList) {
  const std::string yaml = R"(source:
  kafka: {topics: [posts]}
  format: {json: {}}
  fields: {text: {text: text}, tags: {text_list: "tags[*]", nullable: true}, n: {decimal: n}}
where: n > 0 and tag <> "x"
explode: {tag: tags}
key: lower(tag)
measures: {score: sum(n * number(tag))}
)";
  const std::string table =
      "CREATE TABLE posts (text text NOT NULL, tags text[], n numeric NOT NULL) WITH (format = 'json');";
  for (const char* const from :
       {"posts, unnest(tags) AS t(tag)", "posts p CROSS JOIN unnest(p.tags) AS tag", "posts, LATERAL unnest(tags) tag"}) {
    ExpectSame(absl::StrCat(table, "SELECT lower(tag), SUM(n * tag::numeric) AS score FROM ", from,
                            " WHERE n > 0 AND tag <> 'x' GROUP BY lower(tag) ORDER BY score DESC LIMIT 10"),
               yaml);
  }
}

TEST(SqlReaderTest, AUnionOfTopicsIsTheirSources) {
  const std::string tables = R"(
CREATE TABLE clicks (page text NOT NULL, n numeric NOT NULL, ms bigint NOT NULL)
  WITH (format = 'delimited', separator = '|', start = 'latest', lateness = '5s');
CREATE TABLE likes (amount numeric DEFAULT 1, ts bigint NOT NULL, url text)
  WITH (topics_matching = 'likes-.*', format = 'json', path.amount = 'm.amount');
)";
  const std::string sources = R"(sources:
  - kafka: {topics: [clicks], start: latest}
    format: {delimited: {separator: "|", fields: [page, n, ms]}}
    fields: {key: {text: page}, n: {decimal: n}, ms: {integer: ms}}
)";
  const std::string second = R"(
  - kafka: {topics_matching: "likes-.*"}
    format: {json: {}}
    fields: {key: {text: url, nullable: true}, n: {decimal: m.amount, default: 1}, ms: {integer: ts}}
)";
  const std::string query = "SELECT page AS key, n, ms FROM clicks UNION ALL SELECT url, amount, ts FROM likes";
  ExpectSame(absl::StrCat(tables, "SELECT key, SUM(n) AS score FROM (", query,
                          ") u WHERE u.n > 0 GROUP BY key ORDER BY score DESC LIMIT 10"),
             absl::StrCat(sources, second, "where: n > 0\nkey: key\nmeasures: {score: sum(n)}\n"));
  const auto with_time = [](std::string text) {
    for (size_t at = text.find("format:"); at != std::string::npos; at = text.find("format:", at + 40))
      text.insert(at, "time: from_unix_ms(ms)\n    ");
    return text;
  };
  ExpectSame(
      absl::StrCat(tables, "CREATE VIEW u AS ", query, "; SELECT key, SUM(n) AS score FROM ",
                   "TUMBLE(u, from_unix_ms(ms), INTERVAL '1 day') GROUP BY window_start, key ORDER BY score DESC LIMIT 10"),
      absl::StrCat(with_time(sources), with_time(second), "key: key\nmeasures: {score: sum(n)}\n",
                   "window: {tumbling: 1d, lateness: 5s}\n"));
}

// Each table may be used alone, and one that is not looked up is no part of a job.
TEST(SqlReaderTest, WhatOtherTablesSayChangesNoJob) {
  const std::string clicks =
      "CREATE TABLE clicks (page text NOT NULL, n numeric NOT NULL) WITH (format = 'delimited', separator = '|', "
      "brokers = 'a:1', kafka.\"security.protocol\" = 'ssl');";
  const std::string query = "SELECT page, SUM(n) AS score FROM clicks GROUP BY page ORDER BY score DESC LIMIT 3";
  JobSpec alone;
  JobSpec beside;
  ASSERT_EQ(Read(clicks + query, &alone), "");
  ASSERT_EQ(Read(absl::StrCat("CREATE TABLE bots (name text) WITH (file = 'bots.csv');", clicks, query), &beside), "");
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(alone, beside));
  EXPECT_FALSE(beside.fold().has_general());
  const std::string likes =
      "CREATE TABLE likes (page text NOT NULL, n numeric NOT NULL) WITH (format = 'json', brokers = 'a:1', "
      "kafka.\"security.protocol\" = 'ssl');";
  JobSpec both;
  EXPECT_EQ(Read(absl::StrCat(clicks, likes,
                              "SELECT page, SUM(n) AS score FROM (SELECT page, n FROM clicks UNION ALL "
                              "SELECT page, n FROM likes) u GROUP BY page ORDER BY score DESC LIMIT 3"),
                 &both),
            "");
  EXPECT_EQ(both.source().brokers(), "a:1");
}

TEST(SqlReaderTest, TablesOfFilesAreLookedUp) {
  const SpecFiles files = [](const std::string& name) -> absl::StatusOr<std::string> {
    return name == "bots.csv" ? "b\na\n" : "de,Germany\n";
  };
  JobSpec by_sql;
  const std::vector<SpecError> wrong = ReadSqlJob(
      absl::StrCat(kClicks,
                   "CREATE TABLE bots (name text, value text) WITH (file = 'bots.csv'); SELECT page, COUNT(*) AS n ",
                   "FROM clicks WHERE page IN (SELECT name FROM bots) GROUP BY page ORDER BY n LIMIT 1"),
      "job", &by_sql, nullptr, &files);
  ASSERT_EQ(wrong.size(), 1u);
  EXPECT_EQ(wrong[0].message, "the file of bots has one column, and the table 2");
  const std::vector<SpecError> again = ReadSqlJob(absl::StrCat(kClicks, R"(
CREATE TABLE bots (name text) WITH (file = 'bots.csv');
CREATE TABLE countries (code text, name text) WITH (file = 'countries.csv');
SELECT lookup(countries, page, 'none') AS c, COUNT(*) AS n FROM clicks
WHERE page NOT IN (SELECT name FROM bots) AND lower(page) IN (SELECT code FROM countries)
GROUP BY c ORDER BY n DESC LIMIT 10)"),
                                                  "job", &by_sql, nullptr, &files);
  ASSERT_TRUE(again.empty()) << again[0].message;
  JobSpec by_yaml;
  ASSERT_TRUE(ReadJobSpec(absl::StrCat("name: job\n", kFields, R"(tables: {countries: {de: Germany}, bots: [a, b]}
where: not page in bots and lower(page) in countries
key: lookup(countries, page, "none")
measures: {n: count()}
)"),
                          &by_yaml)
                  .empty());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(by_sql, by_yaml)) << by_sql.DebugString();
}

TEST(SqlReaderTest, NullsAndNamesAreThoseOfSql) {
  JobSpec spec;
  const auto measures = [&spec](const std::string& query) {
    const std::string wrong = Read(std::string(kClicks) + query, &spec);
    std::string text = wrong;
    for (const Measure& measure : spec.fold().general().measures())
      text += measure.name() + "=" + measure.expression() + ";";
    return text + " by " + spec.rank();
  };
  // SQL's GREATEST passes over a null, and CONCAT too.
  EXPECT_EQ(measures("SELECT page, SUM(greatest(minutes, 1)) AS s, SUM(least(clicks, ms)) AS l FROM clicks GROUP BY page "
                     "ORDER BY s LIMIT 1"),
            "s=sum(coalesce(greatest(minutes, 1), minutes, 1));l=sum(least(clicks, ms)); by ");
  EXPECT_EQ(measures("SELECT page, COUNT(concat(page, minutes)) AS s FROM clicks GROUP BY page ORDER BY s LIMIT 1"),
            "s=count(concat(page, coalesce(concat(minutes, \"\"), \"\"), \"\")); by ");
  // A name that SELECT gives is nothing else's.
  EXPECT_EQ(
      measures("SELECT page, SUM(clicks), SUM(ms), COUNT(*) AS sum_2 FROM clicks GROUP BY page ORDER BY sum_2 DESC LIMIT 3"),
      "sum=sum(clicks);sum_3=sum(ms);sum_2=count(); by sum_2");
  // What ORDER BY and HAVING name beside SELECT is shown behind it.
  EXPECT_EQ(measures("SELECT page, COUNT(*) FROM clicks GROUP BY page HAVING SUM(ms) > .5 ORDER BY SUM(clicks) LIMIT 3"),
            "count=count();sum=sum(clicks);sum_2=sum(ms); by sum");
  EXPECT_EQ(measures("SELECT lower(page) AS p, SUM(clicks) AS s FROM clicks GROUP BY p ORDER BY s DESC, p LIMIT 3"),
            "s=sum(clicks); by ");
  EXPECT_EQ(measures("SELECT page, SUM((clicks + ms)::numeric - (- (- clicks)) - -.5) AS s FROM clicks "
                     "WHERE regexp_replace(page, 'a', 'b', 'g') = "
                     "regexp_substr(page, 'c') GROUP BY page ORDER BY s LIMIT 3"),
            "s=sum(clicks + ms - - -clicks - -0.5); by ");
  EXPECT_EQ(spec.fold().general().where(), "regex_replace(page, \"a\", \"b\") = regex_extract(page, \"c\", 0)");
}

TEST(SqlReaderTest, AKeyThatIsNoTextIsNoPlainField) {
  JobSpec spec;
  ASSERT_EQ(Read(std::string(kPlain) +
                     "SELECT clicks, SUM(minutes) AS score FROM events GROUP BY clicks ORDER BY score DESC LIMIT 1",
                 &spec),
            "");
  EXPECT_TRUE(spec.fold().has_general());
  EXPECT_EQ(
      Read(std::string(kPlain) + "SELECT page, SUM(page) AS score FROM events GROUP BY page ORDER BY score DESC LIMIT 1",
           &spec),
      "sql:4:18: measures.score: is a text; it must be a number");
}

TEST(SqlReaderTest, WithoutGroupByAllRecordsAreOneKey) {
  JobSpec spec;
  ASSERT_EQ(Read(std::string(kClicks) + "SELECT COUNT(*) FROM clicks ORDER BY count DESC LIMIT 1", &spec), "");
  EXPECT_EQ(spec.fold().general().key(0), "\"all\"");
}

TEST(SqlReaderTest, WhatIsNoJobIsRefusedWhereItStands) {
  const std::pair<std::string, std::string> cases[] = {
      {"SELECT page, COUNT(DISTINCT ms) FROM clicks GROUP BY page ORDER BY 2 LIMIT 1",
       "sql:4:14: COUNT(DISTINCT ..) is not supported: distinct counts of partitions do not add up"},
      {"SELECT page, 0.8 * SUM(clicks) FROM clicks GROUP BY page LIMIT 1",
       "sql:4:14: a measure is SUM(..), COUNT(..), AVG(..), MAX(..), MIN(..) or a quotient"},
      {"SELECT page, SUM(click) AS s FROM clicks GROUP BY page ORDER BY s LIMIT 1",
       "sql:4:18: there is no column 'click' (did you mean clicks?) in clicks"},
      {"SELECT page, SUM(clicks) AS s FROM click GROUP BY page ORDER BY s LIMIT 1",
       "sql:4:36: there is no table 'click' (did you mean clicks?)"},
      {"SELECT page, SUM(clicks) AS s FROM clicks GROUP BY page ORDER BY s", "LIMIT says how many keys a result has"},
      {"SELECT page, SUM(clicks) AS s FROM clicks GROUP BY page LIMIT 3", "ORDER BY is missing"},
      {"SELECT page, ms, SUM(clicks) AS s FROM clicks GROUP BY page ORDER BY s LIMIT 3",
       "sql:4:14: this is neither in GROUP BY"},
      {"SELECT page, SUM(page) AS s FROM clicks GROUP BY page ORDER BY s LIMIT 3", "sql:4:18: measures.s: is a text"},
      {"SELECT page, SUM(clicks) AS s FROM clicks WHERE nope(page) > 1 GROUP BY page ORDER BY s LIMIT 3",
       "sql:4:49: where: 'nope' is no function"},
      {"SELECT page, SUM(clicks) AS s FROM clicks JOIN clicks b ON true GROUP BY page ORDER BY s LIMIT 3",
       "streams are not joined"},
      {"SELECT page, SUM(clicks) AS s FROM clicks WHERE now() > at GROUP BY page ORDER BY s LIMIT 3",
       "know no present time"},
      {"SELECT page, SUM(clicks) AS s FROM SESSION(clicks, at, INTERVAL '1 day') GROUP BY page ORDER BY s LIMIT 3",
       "SESSION is not supported"},
      {"SELECT page, SUM(clicks) AS s FROM HOP(clicks, at, INTERVAL '1 day') GROUP BY page ORDER BY s LIMIT 3",
       "HOP takes a table"},
      {"SELECT page, SUM(clicks) AS s FROM clicks WHERE page IN (SELECT page FROM clicks) GROUP BY page ORDER BY s LIMIT 3",
       "'clicks' is no table to look up"},
      {"SELECT page, SUM(clicks) AS s FROM clicks WHERE EXISTS (SELECT 1) GROUP BY page ORDER BY s LIMIT 3",
       "a subquery is not supported"},
      {"SELECT page, STDDEV(clicks) AS s FROM clicks GROUP BY page ORDER BY s LIMIT 3",
       "STDDEV is not supported; there are"},
      {"SELECT page, SUM(clicks) AS s FROM clicks GROUP BY page ORDER BY s LIMIT 3 OFFSET 1", "OFFSET is not supported"},
      {"SELECT page, SUM(clicks) AS s FROM clicks GROUP BY page UNION ALL SELECT 1, 2", "UNION, EXCEPT and INTERSECT"},
      {"SELECT page SUM(clicks) FROM clicks", "sql:4:16: syntax error at or near \"(\""},
      {"SELECT window_start, SUM(clicks) s FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(at), INTERVAL '1' DAY)) GROUP BY 1",
       "write FROM TUMBLE(clicks, at, INTERVAL '1 day')"},
      {"CREATE TABLE a (x double precision) WITH (format = 'json'); SELECT COUNT(*) FROM a ORDER BY count LIMIT 1",
       "sql:4:17: a floating point number is not exact; write numeric"},
      {"CREATE TABLE a (x text) WITH (formt = 'json'); SELECT COUNT(*) FROM a ORDER BY count LIMIT 1",
       "sql:4:31: there is no option 'formt' (did you mean format?)"},
      {"CREATE TABLE a (x text PRIMARY KEY) WITH (format = 'json'); SELECT COUNT(*) FROM a ORDER BY count LIMIT 1",
       "a topic has no keys and checks nothing"},
      {"CREATE TABLE a (x text); SELECT COUNT(*) FROM a ORDER BY count LIMIT 1", "a table says how its records are read"},
      {"SELECT page, SUM(clicks) AS s FROM clicks GROUP BY page ORDER BY s USING > LIMIT 1", "USING is not supported"},
      {"SELECT page, SUM(clicks) AS s FROM clicks GROUP BY page ORDER BY SUM(clicks) OVER (PARTITION BY page) LIMIT 1",
       "SUM takes one argument"},
      {"SELECT page, SUM(clicks) AS s FROM clicks GROUP BY page ORDER BY s FETCH FIRST 3 ROWS WITH TIES", "WITH TIES"},
      {"SELECT page, SUM(clicks) AS s FROM clicks AS c(a, page) GROUP BY page ORDER BY s LIMIT 1", "other names of columns"},
      {"SELECT page, SUM(clicks::numeric(10,2)) AS s FROM clicks GROUP BY page ORDER BY s LIMIT 1", "of a certain size"},
      {"SELECT ms::bool, SUM(clicks) AS s FROM clicks GROUP BY 1 ORDER BY s LIMIT 1", "a cast to bool is not supported"},
      {"SELECT page, SUM(clicks) AS s FROM clicks WHERE regexp_replace(page, 'a', '') = '' GROUP BY page ORDER BY s LIMIT 1",
       "which replaces all"},
      {"SELECT page, SUM(clicks) AS s, SUM(ms) AS s FROM clicks GROUP BY page ORDER BY s LIMIT 1", "two items of SELECT"},
      {"SELECT ms AS s, SUM(clicks) FROM clicks GROUP BY ms ORDER BY s LIMIT 1", "ORDER BY begins with the measure"},
      {"SELECT page, SUM(clicks) AS s FROM clicks GROUP BY page HAVING clicks > 5 ORDER BY s LIMIT 1", "stands in WHERE"},
      {"SELECT ms, SUM(clicks) AS s FROM clicks GROUP BY ms ORDER BY s DESC, ms LIMIT 1", "by the key's text"},
      {"SELECT SUM(clicks) s FROM TUMBLE(clicks, at, INTERVAL '1 day') ORDER BY s LIMIT 1", "GROUP BY has no window_start"},
      {"SELECT page, SUM(clicks) s FROM TUMBLE(clicks, at, INTERVAL '5 m' SECOND) GROUP BY window_start, page ORDER BY s "
       "LIMIT 1",
       "this is no length of a window"},
      {"SELECT page, SUM(clicks) s FROM TUMBLE(clicks, ms, INTERVAL '5 m') GROUP BY window_start, page ORDER BY s LIMIT 1",
       "the table's time is at"},
      {"SELECT page, SUM(clicks) s FROM bar.clicks GROUP BY page ORDER BY s LIMIT 1", "and nothing else"},
      {"SELECT page, SUM(*) s FROM clicks GROUP BY page ORDER BY s LIMIT 1", "SUM(*) is nothing"},
      {"SELECT page, foo.sum(clicks) s FROM clicks GROUP BY page ORDER BY s LIMIT 1", "is no function"},
      {"SELECT page, SUM(clicks) s FROM clicks WHERE \"ms + abs\"(ms) > 5 GROUP BY page ORDER BY s LIMIT 1",
       "is no function"},
      {"SELECT page, SUM(clicks) s FROM clicks GROUP BY -1 ORDER BY s LIMIT 1", "SELECT has no item -1"},
      {"CREATE TABLE a (x text DEFAULT 'y'::text, n int GENERATED ALWAYS AS (1) STORED) WITH (format = json); SELECT "
       "COUNT(*) FROM a "
       "ORDER BY count LIMIT 1",
       "what is generated is numeric"},
      {"CREATE TABLE a (x text) INHERITS (clicks) WITH (format = 'json'); SELECT COUNT(*) FROM a ORDER BY count LIMIT 1",
       "which has columns and WITH"},
      {"SELECT COUNT(*) FROM clicks ORDER BY count LIMIT 1; SELECT 1", "sql:4:53: there are two SELECT"},
      {"SELECT page, COUNT(*) FROM (SELECT page FROM clicks UNION SELECT page FROM clicks) u GROUP BY page ORDER BY count "
       "LIMIT 1",
       "is a UNION ALL of SELECT"},
      {"SELECT page, COUNT(*) FROM (SELECT page FROM clicks WHERE clicks > 0) u GROUP BY page ORDER BY count LIMIT 1",
       "names columns of a table and nothing else"},
      {"SELECT page, COUNT(*) FROM (SELECT lower(page) FROM clicks) u GROUP BY page ORDER BY count LIMIT 1",
       "compute with them in the query around it"},
      {"SELECT page, COUNT(*) FROM clicks, unnest(page) AS t(a, b) GROUP BY page ORDER BY count LIMIT 1",
       "write unnest(LIST) AS t(NAME)"},
      {"SELECT page, COUNT(*) FROM clicks, unnest(split(page, ',')) AS page GROUP BY page ORDER BY count LIMIT 1",
       "page is a column of the table"},
      {"SELECT page, COUNT(*) FROM clicks JOIN clicks b ON true GROUP BY page ORDER BY count LIMIT 1",
       "streams are not joined"},
      {"CREATE TABLE f (a text, b text) WITH (file = 'f.csv'); SELECT page, COUNT(*) FROM clicks WHERE page IN (SELECT b "
       "FROM f) GROUP BY page ORDER BY count LIMIT 1",
       "IN asks for the first column of a table, a"},
      {"CREATE TABLE f (a numeric) WITH (file = 'f.csv', format = 'json'); SELECT a, COUNT(*) FROM f GROUP BY a ORDER BY "
       "count LIMIT 1",
       "a table of a file has one column of texts"},
      {"SELECT x, COUNT(*) FROM (SELECT url, page AS x FROM clicks UNION ALL SELECT page, nothing FROM clicks) u GROUP BY x "
       "ORDER BY count LIMIT 1",
       "there is no column 'url' in clicks"},
      {"SELECT page, COUNT(*) FROM (SELECT other.page FROM clicks) u GROUP BY page ORDER BY count LIMIT 1",
       "there is no column 'other.page' in clicks"},
      {"SELECT page, COUNT(*) FROM (SELECT page FROM clicks UNION ALL SELECT page FROM clicks OFFSET 5) u GROUP BY page "
       "ORDER BY count LIMIT 1",
       "is a UNION ALL of SELECT"},
      {"SELECT page FROM clicks UNION ALL SELECT page FROM clicks", "SELECT .. FROM (SELECT .. FROM a UNION ALL"},
      {"CREATE VIEW v (a) AS SELECT page FROM clicks; SELECT page, COUNT(*) FROM v GROUP BY page ORDER BY count LIMIT 1",
       "a view is CREATE VIEW name AS"},
      {"CREATE VIEW v AS SELECT page FROM clicks; CREATE VIEW w AS SELECT page FROM v; SELECT page, COUNT(*) FROM w GROUP "
       "BY "
       "page ORDER BY count LIMIT 1",
       "v is a view, and a union is of topics"},
      {"SELECT page, COUNT(*) FROM clicks, unnest(DISTINCT split(page, ',')) AS t(tag) GROUP BY page ORDER BY count LIMIT 1",
       "write unnest(LIST) AS t(NAME)"},
      {"SELECT page, COUNT(*) FROM clicks WHERE lookup(clicks, page, 'x') = 'x' GROUP BY page ORDER BY count LIMIT 1",
       "'clicks' is no table to look up"},
      {"SELECT page, COUNT(*) FROM clicks WHERE lookup(clicks) = 'x' GROUP BY page ORDER BY count LIMIT 1",
       "write lookup(table, value, otherwise)"},
      {"CREATE TABLE f (a text) WITH (file = 'f.csv'); SELECT page, COUNT(*) FROM clicks WHERE page IN (SELECT x.a FROM f) "
       "GROUP BY page ORDER BY count LIMIT 1",
       "the column is of another table"},
      {"DROP TABLE clicks", "only CREATE TABLE, CREATE VIEW and SELECT are SQL here"},
      {"", "there is no SELECT"},
  };
  for (const auto& [query, expected] : cases) EXPECT_THAT(Wrong(query), HasSubstr(expected)) << query;
}

std::string Repeated(const std::string& part, size_t times) {
  std::string text;
  for (size_t i = 0; i < times; ++i) text += part;
  return text;
}

TEST(SqlReaderTest, PartsOfTimesAreThoseOfSql) {
  ExpectSame(std::string(kClicks) + R"(
SELECT EXTRACT(hour FROM at AT TIME ZONE 'Europe/Berlin') AS hour, date_trunc('day', at, 'Asia/Tokyo'),
       SUM(date_part('epoch', at)) AS s
FROM clicks WHERE EXTRACT(dow FROM at) > 0 GROUP BY 1, 2 ORDER BY s DESC LIMIT 3)",
             std::string(kFields) + R"(where: date_part("dow", from_unix_ms(ms)) > 0
key:
  - date_part("hour", from_unix_ms(ms), "Europe/Berlin")
  - date_trunc("day", from_unix_ms(ms), "Asia/Tokyo")
measures: {s: 'sum(date_part("epoch", from_unix_ms(ms)))'}
top: 3
)");
  EXPECT_THAT(Wrong("SELECT at AT TIME ZONE 'Europe/Berlin', COUNT(*) AS n FROM clicks GROUP BY 1 ORDER BY n DESC LIMIT 3"),
              HasSubstr("there is date_trunc(unit, t, zone)"));
}

TEST(SqlReaderTest, HostileTextsAreRefused) {
  std::string sums = "SELECT sum(0)";
  for (int i = 1; i < 4'000; ++i) sums += ",sum(" + std::to_string(i) + ")";
  EXPECT_THAT(Wrong(sums + " FROM clicks ORDER BY sum DESC LIMIT 3"), HasSubstr("at most 16 measures"));
  const std::string bomb = "CREATE TABLE b (n int, g text GENERATED ALWAYS AS (concat(n" + Repeated(",n", 9'000) +
                           ")) STORED) WITH (format = 'json'); SELECT COUNT(concat(g" + Repeated(",g", 9'000) +
                           ")) FROM b ORDER BY count LIMIT 1";
  EXPECT_THAT(Wrong(bomb), HasSubstr("the expression is too long"));
  const std::string query = "SELECT page, SUM(clicks) AS s FROM clicks WHERE ";
  for (const std::string& where : {Repeated("1+", 30'000) + "1 > 0", Repeated("NOT ", 15'000) + "true",
                                   Repeated("(", 30'000), Repeated("'", 60'001), Repeated("a.", 30'000) + "a",
                                   Repeated("(", 200) + "1" + Repeated(")", 200) + " > 0 AND \xff", Repeated("x", 70'000)}) {
    EXPECT_NE(Wrong(query + where + " GROUP BY page ORDER BY s LIMIT 1"), "");
  }
}

// Texts near by what is right are read or refused, and never more than that.
TEST(SqlReaderTest, AnyTextIsReadOrRefused) {
  std::mt19937_64 random(1);
  const std::string whole = std::string(kClicks) + R"(
SELECT window_start, url_path(page) AS path, SUM(0.8*clicks + coalesce(minutes, 0)) AS score,
  COUNT(*) FILTER (WHERE "like" > 0)
FROM HOP(clicks, at, INTERVAL '5 minutes', INTERVAL '1 day', zone => 'UTC') WHERE clicks > 0 AND
  CASE WHEN true THEN ms IN (1) END
GROUP BY window_start, path HAVING COUNT(*) >= 100 ORDER BY score DESC NULLS LAST LIMIT 10;)";
  constexpr std::string_view kParts[] = {"(",        ")",  ",",   "'",        "\"", "NULL",    "*",          ".",   "SELECT",
                                         "::",       "-1", "[1]", "ROW(1)",   ";",  "DEFAULT", "OVER ()",    "'x'", "$1",
                                         "interval", "=>", "x",   "ARRAY[1]", "IS", "\\",      "99999999999"};
  for (int i = 0; i < 4'000; ++i) {
    std::string text = whole;
    for (uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
      const size_t at = random() % text.size();
      text.replace(at, random() % 12, kParts[random() % std::size(kParts)]);
    }
    JobSpec spec;
    Read(text, &spec);
  }
}

}  // namespace
}  // namespace tenfold
