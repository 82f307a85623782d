// The top of each group in SQL: rows that are numbered, and a query around them that keeps the first ones.
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/jobs/sql_fixture.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;

TEST(SqlRowNumberTest, RowsAreNumberedWithinGroups) {
  const std::string yaml = std::string(kFields) + R"(group: left(page, 2)
key: page
measures: {s: sum(clicks), n_2: count()}
having: n_2 >= 3
top: 7
)";
  const std::string rows = "SELECT page, left(page, 2) AS site, SUM(clicks) AS s, COUNT(*) AS n_2";
  const std::string from = " FROM clicks GROUP BY page, site HAVING COUNT(*) >= 3";
  const std::string over = ", ROW_NUMBER() OVER (PARTITION BY site ORDER BY s DESC) AS n";
  ExpectSame(kClicks + ("SELECT * FROM (" + rows + over + from + ") AS t WHERE n <= 7"), yaml);
  ExpectSame(kClicks + ("SELECT site, t.page, s FROM (" + rows + over + from + ") AS t WHERE t.n < 8 ORDER BY site, n"),
             yaml);
  ExpectSame(kClicks + ("SELECT page, s FROM (SELECT *" + over + " FROM (" + rows + from + ") g) AS t WHERE n <= 7"), yaml);
  ExpectSame(kClicks + ("SELECT * FROM (SELECT *" + over + " FROM (" + rows + from + ") g) AS t WHERE n <= 7"), yaml);
  ExpectSame(
      kClicks + ("SELECT * FROM (" + rows + ", ROW_NUMBER() OVER (PARTITION BY left(page, 2) ORDER BY SUM(clicks) DESC) n" +
                 from + ") AS t WHERE n <= 7"),
      yaml);
}

TEST(SqlRowNumberTest, AQueryAroundAnotherOneKnowsTheNamesThatItGives) {
  ExpectSame(
      std::string(kClicks) +
          "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY ms ORDER BY s) AS n FROM (SELECT page AS ms, ms AS "
          "page, SUM(clicks) AS s FROM clicks GROUP BY clicks.page, clicks.ms) g) AS t WHERE n <= 7",
      std::string(kFields) + "group: page\nkey: ms\nmeasures: {s: sum(clicks)}\norder: ascending\ntop: 7\n");
}

TEST(SqlRowNumberTest, AWindowIsAGroupThatEachResultIsOf) {
  const auto query = [](const std::string& partition) {
    return kClicks +
           ("SELECT * FROM (SELECT window_start, page, SUM(clicks) AS s, ROW_NUMBER() OVER (PARTITION BY " + partition +
            " ORDER BY s) AS n FROM TUMBLE(clicks, at, INTERVAL '1 hour') GROUP BY window_start, ms, page) t WHERE n = 1");
  };
  const std::string yaml = std::string(kFields) + "  time: from_unix_ms(ms)\n" + "window: {tumbling: 1h, lateness: 30s}\n" +
                           "score: clicks\norder: ascending\ntop: 1\n";
  const auto named = [](std::string text) {
    return text.replace(text.find("score: clicks"), 13, "measures: {s: sum(clicks)}");
  };
  ExpectSame(query("window_start, ms"), named(yaml) + "group: ms\nkey: page\n");
  ExpectSame(query("window_start"), named(yaml) + "key: [ms, page]\n");
}

TEST(SqlRowNumberTest, RefusesOtherNumbersOfRows) {
  const std::string rows = "SELECT page, ms, SUM(clicks) AS s, ROW_NUMBER() OVER (PARTITION BY ms ORDER BY s DESC) AS n";
  const std::string from = " FROM clicks GROUP BY page, ms";
  const std::pair<std::string, const char*> cases[] = {
      {rows + from + " ORDER BY s LIMIT 3", "the rows that ROW_NUMBER() numbers are kept by a query around it"},
      {"SELECT * FROM (" + rows + from + ") t", "keeps the first rows, by WHERE n <= 10"},
      {"SELECT * FROM (" + rows + from + ") t WHERE n > 3", "keeps the first rows, by WHERE n <= 10"},
      {"SELECT * FROM (" + rows + from + ") t WHERE n = 2", "keeps the first rows, by WHERE n <= 10"},
      {"SELECT * FROM (" + rows + from + ") t WHERE n <= 0", "a group has 1 to 1000 keys"},
      {"SELECT * FROM (" + rows + from + ") t WHERE n <= 3 LIMIT 5", "LIMIT does not stand here"},
      {"SELECT * FROM (" + rows + from + ") t WHERE n <= 3 ORDER BY s DESC", "groups come by name"},
      {"SELECT * FROM (" + rows + from + ") t WHERE n <= 3 ORDER BY ms", "groups are ordered by their text"},
      {"SELECT * FROM (" + rows + from + ") t WHERE n IS DISTINCT FROM 1", "keeps the first rows, by WHERE n <= 10"},
      {"SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY left(page, 2) ORDER BY s) AS n FROM (SELECT page, ms, "
       "SUM(clicks) AS s FROM clicks GROUP BY page, ms) g) t WHERE n <= 3",
       "PARTITION BY names a column that the query in FROM has"},
      {"SELECT * FROM (SELECT page, SUM(clicks) AS s, RANK() OVER (ORDER BY s) AS n FROM clicks GROUP BY page) t WHERE n <= "
       "3",
       "RANK OVER is not supported; the top of each group is"},
      {"SELECT page, AVG(s) AS a FROM (SELECT page, ms, SUM(clicks) AS s FROM clicks GROUP BY page, ms) t GROUP BY page "
       "ORDER BY a LIMIT 3",
       "a query of what another one has counted is not supported"},
      {"SELECT * FROM (" + rows + from + ") AS t(n, page, s, ms) WHERE n <= 3", "the columns of t keep their names"},
      {"SELECT * INTO x FROM (" + rows + from + ") t WHERE n <= 3", "INTO does not stand here"},
      {"SELECT page AS url FROM (" + rows + from + ") t WHERE n <= 3", "leaves names as they are"},
      {"SELECT * FROM (" + rows + ", ROW_NUMBER() OVER (ORDER BY s) AS m" + from + ") t WHERE n <= 3",
       "rows are numbered once"},
      {"SELECT * FROM (SELECT page, ms, SUM(clicks) AS s, ROW_NUMBER() FILTER (WHERE ms > 1) OVER (PARTITION BY ms ORDER BY "
       "s) "
       "AS n" +
           from + ") t WHERE n <= 3",
       "and nothing else"},
      {"SELECT page, s + 1 FROM (" + rows + from + ") t WHERE n <= 3", "selects what the query in it has, or *"},
      {"SELECT * FROM (SELECT page, SUM(clicks) AS s, ROW_NUMBER() OVER (PARTITION BY ms ORDER BY s) AS n FROM clicks "
       "GROUP BY page) t WHERE n <= 3",
       "what PARTITION BY says stands in GROUP BY, too"},
      {"SELECT * FROM (SELECT page, SUM(clicks) AS s, ROW_NUMBER() OVER (PARTITION BY page ORDER BY s) AS n FROM clicks "
       "GROUP BY page) t WHERE n <= 3",
       "GROUP BY has nothing beside the group"},
      {"SELECT * FROM (SELECT page, ms, clicks, SUM(clicks) AS s, ROW_NUMBER() OVER (PARTITION BY page, ms ORDER BY s) AS n "
       "FROM clicks GROUP BY page, ms, clicks) t WHERE n <= 3",
       "a group is one expression"},
      {"SELECT * FROM (SELECT page, ms, SUM(clicks) AS s, ROW_NUMBER() OVER (PARTITION BY ms ORDER BY s) FROM clicks "
       "GROUP BY page, ms) t WHERE n <= 3",
       "ROW_NUMBER() needs a name"},
      {"SELECT page, SUM(clicks) + 1 AS s FROM clicks GROUP BY page ORDER BY s LIMIT 3",
       "a measure is SUM(..), COUNT(..), AVG(..)"},
      {"SELECT page, SUM(clicks) / ms AS s FROM clicks GROUP BY page ORDER BY s LIMIT 3", "'ms' stands beside an aggregate"},
      {"SELECT page, STDDEV(clicks) AS s FROM clicks GROUP BY page ORDER BY s LIMIT 3",
       "STDDEV is not supported; there are"}};
  for (const auto& [query, wrong] : cases) EXPECT_THAT(Wrong(query), HasSubstr(wrong)) << query;
}

}  // namespace
}  // namespace tenfold
