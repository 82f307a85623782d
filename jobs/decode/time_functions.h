// date_part and date_trunc. Dates are those that windows have in a zone (jobs/plan/pane_calendar.h); hours, minutes and
// seconds are what its clock shows. Pure.
#pragma once

#include <cstdint>

#include "common/number/fraction.h"
#include "jobs/plan/pane_calendar.h"
#include "jobs/plan/time_units.h"

namespace tenfold {

// A part of an instant, which is in microseconds since 1970. Weeks are ISO 8601's.
Fraction DatePart(TimeUnit unit, int64_t us, const PaneCalendar& calendar);

// The instant at which the unit began that this one is in, which may be before 1970. The calendar's panes are of
// CalendarUnitOf(unit).
int64_t DateTrunc(TimeUnit unit, int64_t us, const PaneCalendar& calendar);

}  // namespace tenfold
