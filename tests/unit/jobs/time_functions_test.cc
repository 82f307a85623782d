#include "jobs/decode/time_functions.h"

#include <map>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/oracle/formula.h"
#include "jobs/plan/field_value.h"
#include "jobs/spec/window_text.h"

namespace tenfold {
namespace {

constexpr int64_t kSecond = 1'000'000;

PaneCalendar CalendarOf(const std::string& zone, TimeUnit unit) {
  FoldWindow window;
  window.set_panes(1);
  EXPECT_TRUE(SetWindowZone(zone, &window)) << zone;
  window.set_unit(CalendarUnitOf(unit));
  return PaneCalendar(window);
}

int64_t At(const std::string& text) {
  Value time;
  EXPECT_EQ(ReadFieldText(text, FIELD_TIMESTAMP, TIMESTAMP_TEXT, &time), FieldError::kNone) << text;
  return std::get<Timestamp>(time).us;
}

std::string Part(const std::string& unit, const std::string& time, const std::string& zone = "UTC") {
  const TimeUnit of = *TimeUnitOf(unit, false);
  return DatePart(of, At(time), CalendarOf(zone, of)).Text();
}

std::string Truncated(const std::string& unit, const std::string& time, const std::string& zone = "UTC") {
  const TimeUnit of = *TimeUnitOf(unit, true);
  return TimestampText(DateTrunc(of, At(time), CalendarOf(zone, of)));
}

TEST(TimeFunctionsTest, PartsAreThoseOfTheCalendar) {
  const std::string time = "2024-12-30T23:59:58.25Z";
  const std::map<std::string, std::string> parts = {
      {"second", "58.25"},       {"minute", "59"}, {"hour", "23"}, {"day", "30"},   {"week", "1"},       {"month", "12"},
      {"quarter", "4"},          {"year", "2024"}, {"dow", "1"},   {"isodow", "1"}, {"isoyear", "2025"}, {"doy", "365"},
      {"epoch", "1735603198.25"}};
  for (const auto& [unit, part] : parts) EXPECT_EQ(Part(unit, time), part) << unit;
  EXPECT_EQ(Part("dow", "2026-11-29"), "0") << "a Sunday";
  EXPECT_EQ(Part("isodow", "2026-11-29"), "7");
  EXPECT_EQ(Part("week", "2027-01-03"), "53");
  EXPECT_EQ(Part("isoyear", "2027-01-03"), "2026");
  EXPECT_EQ(Part("hour", "2026-07-01T22:30:00Z", "Asia/Kathmandu"), "4");
  EXPECT_EQ(Part("minute", "2026-07-01T22:30:00Z", "Asia/Kathmandu"), "15");
  EXPECT_EQ(Part("day", "1970-01-01T00:00:00Z", "America/New_York"), "31");
  EXPECT_EQ(Part("year", "1970-01-01T00:00:00Z", "America/New_York"), "1969");
}

TEST(TimeFunctionsTest, TruncatedIsWhereTheUnitBegan) {
  const std::string time = "2026-05-20T13:45:59.5Z";
  const std::map<std::string, std::string> begins = {{"second", "2026-05-20T13:45:59Z"},  {"minute", "2026-05-20T13:45:00Z"},
                                                     {"hour", "2026-05-20T13:00:00Z"},    {"day", "2026-05-20T00:00:00Z"},
                                                     {"week", "2026-05-18T00:00:00Z"},    {"month", "2026-05-01T00:00:00Z"},
                                                     {"quarter", "2026-04-01T00:00:00Z"}, {"year", "2026-01-01T00:00:00Z"}};
  for (const auto& [unit, begin] : begins) EXPECT_EQ(Truncated(unit, time), begin) << unit;
  EXPECT_EQ(Truncated("day", "2026-07-01T22:30:00Z", "Europe/Berlin"), "2026-07-01T22:00:00Z");
  EXPECT_EQ(Truncated("month", "2026-03-31T22:30:00Z", "Europe/Berlin"), "2026-03-31T22:00:00Z");
  EXPECT_EQ(Truncated("hour", "2026-07-01T22:30:00Z", "Asia/Kathmandu"), "2026-07-01T22:15:00Z");
}

// The clock went back from midnight to 23:00, so that its date is that of the day before for an hour again, which the
// windows of days do not see.
TEST(TimeFunctionsTest, ADayThatHasBegunDoesNotEndBeforeTheNext) {
  const std::string again = "2018-02-18T02:30:00Z";
  EXPECT_EQ(Part("hour", again, "America/Sao_Paulo"), "23");
  EXPECT_EQ(Part("day", again, "America/Sao_Paulo"), "17");
  EXPECT_EQ(Truncated("day", again, "America/Sao_Paulo"), "2018-02-17T02:00:00Z");
  // Here it went back from 00:01, when the day had begun.
  EXPECT_EQ(Part("day", "1999-10-31T02:31:00Z", "America/St_Johns"), "31");
  EXPECT_EQ(Part("hour", "1999-10-31T02:45:00Z", "America/St_Johns"), "23") << "the clock shows the day before";
  EXPECT_EQ(Part("day", "1999-10-31T02:45:00Z", "America/St_Johns"), "31");
}

TEST(TimeFunctionsTest, PartsAndBeginsAreTheOraclesInEveryZoneAroundEachChange) {
  std::mt19937_64 random(1);
  for (const char* name :
       {"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/St_Johns", "Asia/Kathmandu",
        "Pacific/Apia", "Africa/Casablanca", "Australia/Lord_Howe", "America/Asuncion", "Asia/Gaza", "America/Godthab"}) {
    const ZoneClock zone = ReadZone(name).value();
    const std::map<std::string, ZoneClock> zones = {{name, zone}};
    oracle::Names names;
    names.zones = &zones;
    std::vector<int64_t> times = {0, kSecond, kTimestampEnd - 1};
    for (int i = 0; i < zone.changes_size(); i += 7) {
      const int64_t at = zone.changes(i).from_s() * kSecond;
      for (const int64_t hours : {-26, -2, -1, 0, 1, 2, 23})
        times.push_back(at + hours * 3600 * kSecond + static_cast<int64_t>(random() % 7200) * kSecond / 2);
      times.push_back(at);
      times.push_back(at - 1);
    }
    for (const bool truncates : {true, false}) {
      for (const char* unit_name : {"second", "minute", "hour", "day", "week", "month", "quarter", "year", "dow", "isodow",
                                    "doy", "isoyear", "epoch"}) {
        const std::optional<TimeUnit> unit = TimeUnitOf(unit_name, truncates);
        if (!unit) continue;
        const PaneCalendar calendar = CalendarOf(name, *unit);
        for (const int64_t us : times) {
          const auto expected =
              oracle::CallTimeFunction(truncates ? "date_trunc" : "date_part",
                                       {{std::string(unit_name)}, {oracle::Instant{us}}, {std::string(name)}}, names);
          const int64_t begin = truncates ? DateTrunc(*unit, us, calendar) : 0;
          if (std::holds_alternative<oracle::Trouble>(expected)) {
            ASSERT_TRUE(begin < 0) << name << " " << unit_name << " " << us;
            continue;
          }
          const std::string said = truncates ? TimestampText(begin) : DatePart(*unit, us, calendar).Text();
          ASSERT_EQ(said, oracle::FormOf(std::get<oracle::Datum>(expected)))
              << name << " " << unit_name << " of " << TimestampText(us);
        }
      }
    }
  }
}

TEST(TimeFunctionsTest, ATimeIsReadByItsFormat) {
  const auto read = [](const std::string& text, const std::string& format) -> std::string {
    EXPECT_EQ(TimeFormatProblem(format), "");
    const std::optional<int64_t> us = ReadTime(text, format);
    return us ? TimestampText(*us) : "none";
  };
  EXPECT_EQ(read("10/Oct/2000:13:55:36 -0700", "%d/%b/%Y:%H:%M:%S %z"), "2000-10-10T20:55:36Z");
  EXPECT_EQ(read("20240229 235959.123456789+05:45", "%Y%m%d %H%M%S.%f%z"), "2024-02-29T18:14:59.123456Z");
  EXPECT_EQ(read("100% 2024-01-02", "100%% %Y-%m-%d"), "2024-01-02T00:00:00Z");
  EXPECT_EQ(read("2024-01-02Z", "%Y-%m-%d%z"), "2024-01-02T00:00:00Z");
  for (const char* text :
       {"2023-02-29", "2024-13-01", "2024-00-01", "2024-01-00", "2024-1-01", "2024-01-01 ", "", "2024-01"})
    EXPECT_EQ(read(text, "%Y-%m-%d"), "none") << text;
  EXPECT_EQ(read("01 Foo 2024", "%d %b %Y"), "none");
  EXPECT_EQ(read("01 ju", "%d %b %Y"), "none");
  EXPECT_EQ(read("2024-01-01 24", "%Y-%m-%d %H"), "none");
  EXPECT_EQ(read("2024-01-01 00:60", "%Y-%m-%d %H:%M"), "none");
  EXPECT_EQ(read("2024-01-01+2400", "%Y-%m-%d%z"), "none");
}

TEST(TimeFunctionsTest, AFormatThatReadsNoTimeIsRefused) {
  using ::testing::HasSubstr;
  EXPECT_THAT(TimeFormatProblem("%Y-%m-%q"), HasSubstr("has '%q', which reads nothing; there are %Y"));
  EXPECT_THAT(TimeFormatProblem("%Y-%m-%d %"), HasSubstr("has '%', which reads nothing"));
  EXPECT_THAT(TimeFormatProblem("%Y-%m-%d %Y"), HasSubstr("reads the same twice, by %Y"));
  EXPECT_THAT(TimeFormatProblem("%Y-%m-%d %b"), HasSubstr("reads the same twice, by %b"));
  EXPECT_THAT(TimeFormatProblem("%H:%M"), HasSubstr("lacks a year, a month or a day"));
  EXPECT_THAT(TimeFormatProblem("%Y-%m-%d.%f"), HasSubstr("has decimals, %f, of seconds that it has not"));
  EXPECT_THAT(TimeFormatProblem(""), HasSubstr("lacks a year"));
}

}  // namespace
}  // namespace tenfold
