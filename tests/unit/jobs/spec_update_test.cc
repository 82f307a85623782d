// What a job that runs may get in place of its spec, and what of that takes a refold.
#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {
namespace {

using ::testing::StartsWith;

constexpr std::string_view kSpec = R"(name: popularity
source:
  kafka: {topics: [user-behavior-topic], start: earliest}
  format: {delimited: {separator: "|", fields: [page, clicks, minutes, like]}}
key: page
score: 0.8*clicks + 0.8*minutes + 1*like
sinks: [{stdout: {}}]
)";

// kSpec with one piece of text replaced by another.
std::string With(std::string_view from, std::string_view to) {
  std::string text(kSpec);
  return text.replace(text.find(from), from.size(), to);
}

JobSpec Read(std::string_view yaml) {
  JobSpec spec;
  for (const SpecError& error : ReadJobSpec(yaml, &spec)) ADD_FAILURE() << FormatSpecError("spec", error);
  return spec;
}

TEST(CheckUpdateTest, NamesWhatDecidesTheStateAndDiffers) {
  const JobSpec spec = Read(kSpec);
  JobSpec after = spec;
  after.set_top(3);
  after.set_wal(WAL_OFF);
  after.clear_sinks();
  after.mutable_source()->set_brokers("other:9092");
  EXPECT_EQ(CheckUpdate(spec, after), "");
  const auto differs = [&](const std::string& from, const std::string& to) {
    return CheckUpdate(spec, Read(With(from, to)));
  };
  EXPECT_THAT(differs("0.8*clicks", "0.9*clicks"), StartsWith("score differs from the job's"));
  EXPECT_THAT(differs("key: page", "key: like"), StartsWith("key differs"));
  EXPECT_THAT(differs("separator: \"|\"", "separator: \",\""), StartsWith("source.format differs"));
  EXPECT_THAT(differs("[user-behavior-topic]", "[other]"), StartsWith("source.kafka.topics differs"));
  EXPECT_THAT(differs("earliest", "latest"), StartsWith("source.kafka.start differs"));
}

TEST(CheckUpdateTest, ARefoldMayChangeAllButTheLog) {
  const JobSpec spec = Read(kSpec);
  const auto check = [&](const std::string& from, const std::string& to) {
    return CheckUpdate(spec, Read(With(from, to)), /*refolds=*/true);
  };
  EXPECT_EQ(check("0.8*clicks", "0.9*clicks"), "");
  EXPECT_EQ(check("key: page", "key: like"), "");
  EXPECT_EQ(check("separator: \"|\"", "separator: \",\""), "");
  EXPECT_THAT(check("[user-behavior-topic]", "[other]"),
              StartsWith("source.kafka.topics differs from the job's, which goes on"));
  EXPECT_THAT(check("earliest", "latest"), StartsWith("source.kafka.start differs"));
  EXPECT_EQ(FoldDifference(spec, Read(With("0.8*clicks", "0.9*clicks"))), "score");
  EXPECT_EQ(FoldDifference(spec, spec), "");
}

}  // namespace
}  // namespace tenfold
