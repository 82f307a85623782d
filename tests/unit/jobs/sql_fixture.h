// A table in SQL, its fields in YAML, and how queries over it compare, for tests of jobs in SQL.
#pragma once

#include <string>
#include <vector>

#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "jobs/cli/sql/sql_reader.h"

namespace tenfold {

inline constexpr char kClicks[] = R"(CREATE TABLE clicks (page text NOT NULL, clicks numeric NOT NULL, minutes numeric,
  "like" integer DEFAULT 0, ms bigint NOT NULL, at timestamptz GENERATED ALWAYS AS (from_unix_ms(ms)) STORED)
  WITH (topics = 'clicks', format = 'json', path.clicks = 'm.clicks', time = 'at', lateness = '30s');
)";
inline std::string Read(const std::string& sql, JobSpec* spec) {
  const std::vector<SpecError> errors = ReadSqlJob(sql, "job", spec);
  return errors.empty() ? "" : FormatSpecError("sql", errors[0]);
}

// All that is wrong with a query over the tables, which take three lines.
inline std::string Wrong(const std::string& query) {
  JobSpec spec;
  std::string wrong;
  for (const SpecError& error : ReadSqlJob(std::string(kClicks) + query, "job", &spec))
    wrong += FormatSpecError("sql", error) + "\n";
  return wrong;
}

inline void ExpectSame(const std::string& sql, const std::string& yaml) {
  JobSpec by_sql, by_yaml;
  ASSERT_EQ(Read(sql, &by_sql), "");
  const std::vector<SpecError> errors = ReadJobSpec("name: job\n" + yaml, &by_yaml);
  ASSERT_TRUE(errors.empty()) << FormatSpecError("yaml", errors[0]);
  std::string difference;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differencer.Compare(by_yaml, by_sql)) << difference;
}

inline constexpr char kFields[] = R"(source:
  kafka: {topics: [clicks]}
  format: {json: {}}
  fields:
    page: {text: page}
    clicks: {decimal: m.clicks}
    minutes: {decimal: minutes, nullable: true}
    like: {integer: like, default: 0}
    ms: {integer: ms}
)";

}  // namespace tenfold
