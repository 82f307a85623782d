// What date_part and date_trunc take of a time, and the formats in which time(text, format) reads one. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "job_spec.pb.h"

namespace tenfold {

enum class TimeUnit : uint8_t {
  kSecond,
  kMinute,
  kHour,
  kDay,
  kWeek,
  kMonth,
  kQuarter,
  kYear,
  // Of date_part alone.
  kWeekday,
  kIsoWeekday,
  kDayOfYear,
  kIsoYear,
  kEpoch,
};

// By the names that SQL has: second, .., year; dow, isodow, doy, isoyear, epoch. Nullopt for what is none of those that
// `truncates` has.
std::optional<TimeUnit> TimeUnitOf(std::string_view name, bool truncates);
// Those names, as messages have them.
std::string TimeUnitNames(bool truncates);
// The unit of panes that the calendar has which the unit is computed by.
PaneUnit CalendarUnitOf(TimeUnit unit);

// Why a text is no format of times, to follow its name; empty if it is one. A format has text, which is there as it is, and
//   %Y           a year of four digits
//   %m %d        month and day, of two digits
//   %b           a month's first three letters in English, in either case
//   %H %M %S     hour, minute and second, of two digits; 0 where the format has them not
//   %f           one or more decimals of a second, of which those behind the sixth count nothing
//   %z           Z, +hh:mm or +hhmm; UTC where the format has it not
//   %%           a percent sign
// each at most once; year, month and day must be there.
std::string TimeFormatProblem(std::string_view format);

// Reads a whole text by a format, in microseconds since 1970, which may be before 1970 or after 2200; nullopt if it is
// another text, or says a time that is none.
std::optional<int64_t> ReadTime(std::string_view text, std::string_view format);

}  // namespace tenfold
