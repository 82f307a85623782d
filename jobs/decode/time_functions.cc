#include "jobs/decode/time_functions.h"

namespace tenfold {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kMonthsPerQuarter = 3;
constexpr int64_t kDaysPerWeek = 7;
// 1970-01-01 was a Thursday, three days after a Monday.
constexpr int64_t kDaysFromMonday = 3;

// The rest of a division that is rounded down.
int64_t FloorMod(int64_t a, int64_t b) { return (a % b + b) % b; }

}  // namespace

Fraction DatePart(TimeUnit unit, int64_t us, const PaneCalendar& calendar) {
  const int64_t shown = us + calendar.OffsetAt(us);
  const int64_t day = calendar.DayOf(us);
  const int64_t weekday = FloorMod(day + kDaysFromMonday, kDaysPerWeek);
  // The week is of the year that its Thursday is in.
  const bool of_week = unit == TimeUnit::kWeek || unit == TimeUnit::kIsoYear;
  const int64_t dated = of_week ? day - weekday + 3 : day;
  int64_t year = 0;
  int64_t month = 0;
  int64_t day_of_month = 0;
  DateOfDays(dated, &year, &month, &day_of_month);
  switch (unit) {
    case TimeUnit::kEpoch:
      return Fraction(us) * Fraction(1, 1, 6);
    case TimeUnit::kSecond:
      return Fraction(FloorMod(shown, kMinute)) * Fraction(1, 1, 6);
    case TimeUnit::kMinute:
      return Fraction(FloorMod(shown, kHour) / kMinute);
    case TimeUnit::kHour:
      return Fraction(FloorMod(shown, 24 * kHour) / kHour);
    case TimeUnit::kDay:
      return Fraction(day_of_month);
    case TimeUnit::kWeek:
      return Fraction((dated - DaysOfDate(year, 1, 1)) / kDaysPerWeek + 1);
    case TimeUnit::kMonth:
      return Fraction(month);
    case TimeUnit::kQuarter:
      return Fraction((month - 1) / kMonthsPerQuarter + 1);
    case TimeUnit::kYear:
    case TimeUnit::kIsoYear:
      return Fraction(year);
    case TimeUnit::kWeekday:
      return Fraction((weekday + 1) % kDaysPerWeek);
    case TimeUnit::kIsoWeekday:
      return Fraction(weekday + 1);
    case TimeUnit::kDayOfYear:
      return Fraction(dated - DaysOfDate(year, 1, 1) + 1);
  }
  return {};
}

int64_t DateTrunc(TimeUnit unit, int64_t us, const PaneCalendar& calendar) {
  const int64_t shown = us + calendar.OffsetAt(us);
  switch (unit) {
    case TimeUnit::kSecond:
      return us - FloorMod(shown, kSecond);
    case TimeUnit::kMinute:
      return us - FloorMod(shown, kMinute);
    case TimeUnit::kHour:
      return us - FloorMod(shown, kHour);
    case TimeUnit::kQuarter: {
      const int64_t month = calendar.PaneOf(us);
      return calendar.BeginOf(month - FloorMod(month, kMonthsPerQuarter));
    }
    default:
      return calendar.BeginOf(calendar.PaneOf(us));
  }
}

}  // namespace tenfold
