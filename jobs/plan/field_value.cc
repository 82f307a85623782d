#include "jobs/plan/field_value.h"

#include <string>
#include <utility>

#include "common/text/utf8.h"
#include "fmt/format.h"
#include "jobs/plan/pane_calendar.h"

namespace tenfold {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;

FieldError OfNumber(NumberError error) {
  return error == NumberError::kNone        ? FieldError::kNone
         : error == NumberError::kMalformed ? FieldError::kMalformed
                                            : FieldError::kOutOfRange;
}

int64_t DaysIn(int64_t year, int64_t month) {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

class TimestampReader {
 public:
  explicit TimestampReader(std::string_view text) : text_(text) {}

  FieldError Read(Timestamp* time) {
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    if (!Digits(4, &year) || !Take('-') || !Digits(2, &month) || !Take('-') || !Digits(2, &day))
      return FieldError::kMalformed;
    if (month < 1 || month > 12 || day < 1 || day > DaysIn(year, month)) return FieldError::kMalformed;
    int64_t within = 0;
    if (!AtEnd() && (!(Take('T') || Take(' ')) || !ReadTime(&within))) return FieldError::kMalformed;
    time->us = DaysOfDate(year, month, day) * kDay + within;
    return time->us >= 0 && time->us < kTimestampEnd ? FieldError::kNone : FieldError::kOutOfRange;
  }

 private:
  bool AtEnd() const { return at_ == text_.size(); }
  bool Take(char c) {
    if (AtEnd() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool Digits(size_t count, int64_t* value) {
    *value = 0;
    for (size_t i = 0; i < count; ++i) {
      if (AtEnd() || text_[at_] < '0' || text_[at_] > '9') return false;
      *value = *value * 10 + (text_[at_++] - '0');
    }
    return true;
  }

  // Reads the time of day and its zone to the end of the text, as microseconds of UTC.
  bool ReadTime(int64_t* us) {
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    if (!Digits(2, &hour) || !Take(':') || !Digits(2, &minute) || hour > 23 || minute > 59) return false;
    const bool has_second = Take(':');
    if (has_second && (!Digits(2, &second) || second > 59)) return false;
    *us = ((hour * 60 + minute) * 60 + second) * kSecond;
    if (has_second && Take('.')) {
      size_t digits = 0;
      for (int64_t unit = kSecond / 10; !AtEnd() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_, ++digits, unit /= 10)
        *us += (text_[at_] - '0') * unit;
      if (digits == 0) return false;
    }
    if (AtEnd()) return true;
    if (Take('Z')) return AtEnd();
    const bool behind = Take('-');
    if (!behind && !Take('+')) return false;
    int64_t zone_hour = 0;
    int64_t zone_minute = 0;
    if (!Digits(2, &zone_hour) || !Take(':') || !Digits(2, &zone_minute) || zone_hour > 23 || zone_minute > 59) return false;
    const int64_t ahead = (zone_hour * 60 + zone_minute) * 60 * kSecond;
    *us += behind ? ahead : -ahead;
    return AtEnd();
  }

  const std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::string TimestampText(int64_t us) {
  int64_t year = 0;
  int64_t month = 0;
  int64_t day = 0;
  DateOfDays(us / kDay, &year, &month, &day);
  const int64_t seconds = us % kDay / kSecond;
  std::string text =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", year, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (us % kSecond != 0) {
    text += fmt::format(".{:06}", us % kSecond);
    while (text.back() == '0') text.pop_back();
  }
  return text + "Z";
}

std::optional<Timestamp> TimestampOf(const Fraction& number, TimestampUnit unit) {
  const int64_t us = unit == TIMESTAMP_SECONDS ? kSecond : unit == TIMESTAMP_MILLISECONDS ? 1000 : 1;
  const std::optional<int64_t> whole = Fraction((number * Fraction(us)).Floor(), 1, 0).ToInteger();
  if (!whole || *whole < 0 || *whole >= kTimestampEnd) return std::nullopt;
  return Timestamp{*whole};
}

FieldError ReadFieldNumber(Fraction number, FieldType type, TimestampUnit unit, Value* value) {
  if (type == FIELD_TIMESTAMP) {
    const std::optional<Timestamp> read = TimestampOf(number, unit);
    if (!read) return FieldError::kOutOfRange;
    *value = *read;
    return FieldError::kNone;
  }
  if (type == FIELD_INTEGER && !number.IsWhole()) return FieldError::kMalformed;
  if (type == FIELD_INTEGER && !number.ToInteger()) return FieldError::kOutOfRange;
  *value = std::move(number);
  return FieldError::kNone;
}

FieldError ReadFieldText(std::string_view text, FieldType type, TimestampUnit unit, Value* value) {
  if (type == FIELD_DECIMAL || type == FIELD_INTEGER || (type == FIELD_TIMESTAMP && unit != TIMESTAMP_TEXT)) {
    Fraction number;
    const FieldError error = OfNumber(Fraction::Parse(text, &number));
    return error != FieldError::kNone ? error : ReadFieldNumber(std::move(number), type, unit, value);
  }
  switch (type) {
    case FIELD_BOOLEAN:
      if (text != "true" && text != "false") return FieldError::kMalformed;
      *value = text == "true";
      return FieldError::kNone;
    case FIELD_TIMESTAMP: {
      Timestamp time;
      const FieldError error = TimestampReader(text).Read(&time);
      if (error == FieldError::kNone) *value = time;
      return error;
    }
    default:
      if (!IsUtf8(text)) return FieldError::kMalformed;
      *value = std::string(text);
      return FieldError::kNone;
  }
}

std::string_view FieldTypeName(FieldType type) {
  switch (type) {
    case FIELD_DECIMAL:
      return "decimal";
    case FIELD_INTEGER:
      return "integer";
    case FIELD_BOOLEAN:
      return "boolean";
    case FIELD_TIMESTAMP:
      return "timestamp";
    case FIELD_TEXT_LIST:
      return "text_list";
    case FIELD_DECIMAL_LIST:
      return "decimal_list";
    default:
      return "text";
  }
}

std::string ValueText(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<Fraction>(&value)) return number->Text();
  if (const auto* boolean = std::get_if<bool>(&value)) return *boolean ? "true" : "false";
  if (const auto* time = std::get_if<Timestamp>(&value)) return TimestampText(time->us);
  return "";
}

}  // namespace tenfold
