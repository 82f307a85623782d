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

// A part in millionths.
int64_t PartOf(TimeUnit unit, int64_t us, const PaneCalendar& calendar) {
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
      return us;
    case TimeUnit::kSecond:
      return FloorMod(shown, kMinute);
    case TimeUnit::kMinute:
      return (FloorMod(shown, kHour) / kMinute) * kSecond;
    case TimeUnit::kHour:
      return (FloorMod(shown, 24 * kHour) / kHour) * kSecond;
    case TimeUnit::kDay:
      return day_of_month * kSecond;
    case TimeUnit::kWeek:
      return ((dated - DaysOfDate(year, 1, 1)) / kDaysPerWeek + 1) * kSecond;
    case TimeUnit::kMonth:
      return month * kSecond;
    case TimeUnit::kQuarter:
      return ((month - 1) / kMonthsPerQuarter + 1) * kSecond;
    case TimeUnit::kYear:
    case TimeUnit::kIsoYear:
      return year * kSecond;
    case TimeUnit::kWeekday:
      return ((weekday + 1) % kDaysPerWeek) * kSecond;
    case TimeUnit::kIsoWeekday:
      return (weekday + 1) * kSecond;
    case TimeUnit::kDayOfYear:
      return (dated - DaysOfDate(year, 1, 1) + 1) * kSecond;
  }
  return 0;
}

}  // namespace

Fraction DatePart(TimeUnit unit, int64_t us, const PaneCalendar& calendar) {
  return Fraction::OfDecimal(PartOf(unit, us, calendar), 1, 6);
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
