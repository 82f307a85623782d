// What the oracle makes of date_part, date_trunc and time.
#include "absl/strings/ascii.h"
#include "glog/logging.h"
#include "jobs/oracle/formula.h"
#include "jobs/oracle/window_assignment.h"
#include "re2/re2.h"

namespace tenfold::oracle {
namespace {

using Answer = std::variant<Datum, Trouble>;

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;

Answer Number(Rational number) {
  Answer answer;
  std::get<Datum>(answer).is = std::move(number);
  return answer;
}
Answer Time(const BigInt& us) {
  const std::optional<Instant> instant = InstantOf(Rational(us));
  if (!instant) return Trouble{BAD_NUMBER_OUT_OF_RANGE};
  Answer answer;
  std::get<Datum>(answer).is = *instant;
  return answer;
}

int64_t YearDays(int64_t year) { return IsLeap(year) ? 366 : 365; }

// The days from 1970 to the first one of a year, counted year by year.
int64_t DaysBefore(int64_t year) {
  int64_t days = 0;
  for (int64_t y = 1970; y < year; ++y) days += YearDays(y);
  for (int64_t y = year; y < 1970; ++y) days -= YearDays(y);
  return days;
}

struct Date {
  int64_t year = 1970;
  int64_t month = 1;
  int64_t day = 1;
  int64_t of_year = 1;
};
Date DateOf(int64_t days) {
  Date date;
  while (DaysBefore(date.year) > days) --date.year;
  while (DaysBefore(date.year + 1) <= days) ++date.year;
  date.of_year = days - DaysBefore(date.year) + 1;
  date.day = date.of_year;
  for (; date.day > MonthDays(date.year, date.month); ++date.month) date.day -= MonthDays(date.year, date.month);
  return date;
}

// From 1, which is Monday; 1970 began on a Thursday.
int64_t WeekdayOf(int64_t days) { return ((days + 3) % 7 + 7) % 7 + 1; }

// The Monday of the week that has the 4th of January.
int64_t FirstMonday(int64_t year) {
  const int64_t fourth = DaysBefore(year) + 3;
  return fourth - WeekdayOf(fourth) + 1;
}

FoldWindow CalendarOf(PaneUnit unit, const ZoneClock& zone) {
  FoldWindow window;
  window.set_panes(1);
  window.set_unit(unit);
  window.set_utc_offset_s(zone.utc_offset_s());
  *window.mutable_changes() = zone.changes();
  return window;
}

// A part of an instant, in millionths; `in_day` is what has passed of its local day.
int64_t PartOf(const std::string& unit, int64_t us, int64_t in_day, const ZoneClock& zone) {
  if (unit == "epoch") return us;
  if (unit == "second") return in_day % (60 * kSecond);
  if (unit == "minute") return in_day / (60 * kSecond) % 60 * kSecond;
  if (unit == "hour") return in_day / (3600 * kSecond) * kSecond;
  const int64_t days = WindowAssignment(CalendarOf(PANE_DAY, zone), 1).PaneAt(us);
  const Date date = DateOf(days);
  if (unit == "day") return date.day * kSecond;
  if (unit == "month") return date.month * kSecond;
  if (unit == "quarter") return (date.month + 2) / 3 * kSecond;
  if (unit == "year") return date.year * kSecond;
  if (unit == "doy") return date.of_year * kSecond;
  if (unit == "isodow") return WeekdayOf(days) * kSecond;
  if (unit == "dow") return WeekdayOf(days) % 7 * kSecond;
  int64_t year = date.year + 1;
  while (FirstMonday(year) > days) --year;
  if (unit == "isoyear") return year * kSecond;
  CHECK_EQ(unit, "week");
  return ((days - FirstMonday(year)) / 7 + 1) * kSecond;
}

Answer DateFunction(bool truncates, const std::string& unit, int64_t us, const ZoneClock& zone) {
  int64_t offset = zone.utc_offset_s();
  for (const ZoneChange& change : zone.changes()) {
    if (change.from_s() * kSecond <= us) offset = change.utc_offset_s();
  }
  const int64_t shown = us + offset * kSecond;
  // What is left of the local day, which may be one before 1970.
  const int64_t in_day = (shown % kDay + kDay) % kDay;
  if (truncates) {
    if (unit == "second") return Time(us - in_day % kSecond);
    if (unit == "minute") return Time(us - in_day % (60 * kSecond));
    if (unit == "hour") return Time(us - in_day % (3600 * kSecond));
    const PaneUnit of = unit == "day" ? PANE_DAY : unit == "week" ? PANE_WEEK : unit == "year" ? PANE_YEAR : PANE_MONTH;
    const WindowAssignment panes(CalendarOf(of, zone), 1);
    int64_t pane = panes.PaneAt(us);
    while (unit == "quarter" && pane % 3 != 0) --pane;
    return Time(panes.Begin(pane));
  }
  return Number(Rational(PartOf(unit, us, in_day, zone), kSecond));
}

// The format is made a regular expression, whose groups are told apart by the letters of the format.
Answer ReadByFormat(const std::string& text, const std::string& format) {
  std::string pattern;
  std::string letters;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || format[i + 1] == '%') {
      pattern += RE2::QuoteMeta(re2::StringPiece(&format[i], 1));
      i += format[i] == '%' ? 1 : 0;
      continue;
    }
    const char letter = format[++i];
    letters += letter;
    pattern += letter == 'Y'   ? "(\\d{4})"
               : letter == 'b' ? "([A-Za-z]{3})"
               : letter == 'f' ? "(\\d+)"
               : letter == 'z' ? "(Z|[+-]\\d\\d:?\\d\\d)"
                               : "(\\d\\d)";
  }
  const RE2 compiled("(?s)" + pattern);
  std::vector<std::string> groups(letters.size());
  std::vector<RE2::Arg> arguments;
  for (std::string& group : groups) arguments.emplace_back(&group);
  std::vector<const RE2::Arg*> pointers;
  for (const RE2::Arg& argument : arguments) pointers.push_back(&argument);
  if (!RE2::FullMatchN(text, compiled, pointers.data(), static_cast<int>(pointers.size())))
    return Trouble{BAD_WRONG_ARGUMENT};
  const auto said = [&](char letter) -> std::string {
    const size_t at = letters.find(letter);
    return at == std::string::npos ? "" : groups[at];
  };
  const auto number = [&](char letter) { return said(letter).empty() ? 0 : std::stoll(said(letter)); };
  int64_t month = number('m');
  if (letters.find('b') != std::string::npos) {
    const std::string name = absl::AsciiStrToLower(said('b'));
    const size_t at = std::string("jan feb mar apr may jun jul aug sep oct nov dec ").find(name + " ");
    if (at == std::string::npos) return Trouble{BAD_WRONG_ARGUMENT};
    month = static_cast<int64_t>(at) / 4 + 1;
  }
  const int64_t year = number('Y');
  if (month < 1 || month > 12 || number('d') < 1 || number('d') > MonthDays(year, month) || number('H') > 23 ||
      number('M') > 59 || number('S') > 59)
    return Trouble{BAD_WRONG_ARGUMENT};
  int64_t days = DaysBefore(year) + number('d') - 1;
  for (int64_t m = 1; m < month; ++m) days += MonthDays(year, m);
  int64_t minutes = (days * 24 + number('H')) * 60 + number('M');
  if (const std::string zone = said('z'); zone.size() > 1) {
    const int64_t hours = std::stoll(zone.substr(1, 2));
    const int64_t rest = std::stoll(zone.substr(zone.size() - 2));
    if (hours > 23 || rest > 59) return Trouble{BAD_WRONG_ARGUMENT};
    minutes -= (zone[0] == '-' ? -1 : 1) * (hours * 60 + rest);
  }
  std::string decimals = said('f');
  decimals.resize(6, '0');
  return Time(BigInt(minutes * 60 + number('S')) * kSecond + std::stoll(decimals));
}

}  // namespace

Answer CallTimeFunction(const std::string& name, const std::vector<Datum>& arguments, const Names& names) {
  if (name == "time") return ReadByFormat(arguments[0].text(), arguments[1].text());
  const ZoneClock zone = arguments.size() < 3 ? ZoneClock() : names.zones->at(arguments[2].text());
  return DateFunction(name == "date_trunc", arguments[0].text(), std::get<Instant>(arguments[1].is).us, zone);
}

}  // namespace tenfold::oracle
