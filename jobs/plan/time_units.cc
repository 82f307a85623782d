#include "jobs/plan/time_units.h"

#include <algorithm>
#include <array>
#include <set>

#include "absl/strings/ascii.h"
#include "common/text/utf8.h"
#include "fmt/format.h"
#include "jobs/plan/pane_calendar.h"

namespace tenfold {
namespace {

constexpr int64_t kSecondUs = 1'000'000;
constexpr int64_t kDaySeconds = 86'400;

struct NamedUnit {
  std::string_view name;
  TimeUnit unit;
  bool truncates;
};
constexpr auto kUnits = std::to_array<NamedUnit>({{"second", TimeUnit::kSecond, true},
                                                  {"minute", TimeUnit::kMinute, true},
                                                  {"hour", TimeUnit::kHour, true},
                                                  {"day", TimeUnit::kDay, true},
                                                  {"week", TimeUnit::kWeek, true},
                                                  {"month", TimeUnit::kMonth, true},
                                                  {"quarter", TimeUnit::kQuarter, true},
                                                  {"year", TimeUnit::kYear, true},
                                                  {"dow", TimeUnit::kWeekday, false},
                                                  {"isodow", TimeUnit::kIsoWeekday, false},
                                                  {"doy", TimeUnit::kDayOfYear, false},
                                                  {"isoyear", TimeUnit::kIsoYear, false},
                                                  {"epoch", TimeUnit::kEpoch, false}});

constexpr std::string_view kDirectives = "YmdbHMSfz%";
constexpr auto kMonths =
    std::to_array<std::string_view>({"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"});

class TimeReader {
 public:
  explicit TimeReader(std::string_view text) : text_(text) {}

  std::optional<int64_t> Read(std::string_view format) {
    for (size_t i = 0; i < format.size(); ++i) {
      const bool directive = format[i] == '%';
      if (directive) ++i;
      if (directive && format[i] != '%' ? !ReadDirective(format[i]) : !Take(format[i])) return std::nullopt;
    }
    if (at_ != text_.size() || month_ < 1 || month_ > 12 || day_ < 1 || hour_ > 23 || minute_ > 59 || second_ > 59)
      return std::nullopt;
    const int64_t days = DaysOfDate(year_, month_, day_);
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    DateOfDays(days, &year, &month, &day);
    // A day that the month has not is one of the next.
    if (month != month_) return std::nullopt;
    return (days * kDaySeconds + (hour_ * 60 + minute_) * 60 + second_ - zone_seconds_) * kSecondUs + fraction_us_;
  }

 private:
  bool Take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool AtDigit() const { return at_ < text_.size() && absl::ascii_isdigit(static_cast<unsigned char>(text_[at_])); }
  bool Digits(int count, int64_t* value) {
    *value = 0;
    for (int i = 0; i < count; ++i, ++at_) {
      if (!AtDigit()) return false;
      *value = *value * 10 + (text_[at_] - '0');
    }
    return true;
  }

  bool ReadDirective(char directive) {
    switch (directive) {
      case 'Y':
        return Digits(4, &year_);
      case 'm':
        return Digits(2, &month_);
      case 'd':
        return Digits(2, &day_);
      case 'H':
        return Digits(2, &hour_);
      case 'M':
        return Digits(2, &minute_);
      case 'S':
        return Digits(2, &second_);
      case 'b': {
        const auto found = std::ranges::find(kMonths, absl::AsciiStrToLower(std::string(text_.substr(at_, 3))));
        if (found == kMonths.end()) return false;
        month_ = found - kMonths.begin() + 1;
        at_ += 3;
        return true;
      }
      case 'f': {
        const size_t begin = at_;
        for (int64_t unit = kSecondUs / 10; AtDigit(); ++at_, unit /= 10) fraction_us_ += (text_[at_] - '0') * unit;
        return at_ > begin;
      }
      default:
        return ReadZone();
    }
  }

  bool ReadZone() {
    if (Take('Z')) return true;
    const bool behind = Take('-');
    if (!behind && !Take('+')) return false;
    int64_t hours = 0;
    int64_t minutes = 0;
    if (!Digits(2, &hours)) return false;
    Take(':');
    if (!Digits(2, &minutes) || hours > 23 || minutes > 59) return false;
    zone_seconds_ = (behind ? -60 : 60) * (hours * 60 + minutes);
    return true;
  }

  const std::string_view text_;
  size_t at_ = 0;
  int64_t year_ = 0;
  int64_t month_ = 0;
  int64_t day_ = 0;
  int64_t hour_ = 0;
  int64_t minute_ = 0;
  int64_t second_ = 0;
  int64_t fraction_us_ = 0;
  int64_t zone_seconds_ = 0;
};

}  // namespace

std::optional<TimeUnit> TimeUnitOf(std::string_view name, bool truncates) {
  const auto found = std::ranges::find(kUnits, absl::AsciiStrToLower(std::string(name)), &NamedUnit::name);
  return found == kUnits.end() || (truncates && !found->truncates) ? std::nullopt : std::optional(found->unit);
}

std::string TimeUnitNames(bool truncates) {
  std::string names;
  for (const NamedUnit& unit : kUnits) {
    if (!truncates || unit.truncates) names += fmt::format("{}{}", names.empty() ? "" : ", ", unit.name);
  }
  return names;
}

PaneUnit CalendarUnitOf(TimeUnit unit) {
  switch (unit) {
    case TimeUnit::kWeek:
      return PANE_WEEK;
    case TimeUnit::kMonth:
    case TimeUnit::kQuarter:
      return PANE_MONTH;
    case TimeUnit::kYear:
      return PANE_YEAR;
    default:
      return PANE_DAY;
  }
}

std::string TimeFormatProblem(std::string_view format) {
  if (!IsUtf8(format)) return "is not UTF-8";
  std::set<char> seen;
  for (size_t i = format.find('%'); i < format.size(); i = format.find('%', i + 2)) {
    const std::string_view directive = format.substr(i, 2);
    if (directive.size() < 2 || kDirectives.find(directive[1]) == std::string_view::npos)
      return fmt::format("has '{}', which reads nothing; there are %Y %m %d %b %H %M %S %f %z and %%", directive);
    if (directive[1] != '%' && !seen.insert(directive[1] == 'b' ? 'm' : directive[1]).second)
      return fmt::format("reads the same twice, by {}", directive);
  }
  if (!seen.contains('Y') || !seen.contains('m') || !seen.contains('d'))
    return "lacks a year, a month or a day: %Y, %m or %b, and %d";
  return seen.contains('f') && !seen.contains('S') ? "has decimals, %f, of seconds that it has not, %S" : "";
}

std::optional<int64_t> ReadTime(std::string_view text, std::string_view format) { return TimeReader(text).Read(format); }

}  // namespace tenfold
