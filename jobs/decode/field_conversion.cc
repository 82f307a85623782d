#include "jobs/decode/field_conversion.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/plan/field_value.h"

namespace tenfold {
namespace {

// Which kind of value a field of the type is read from.
RawValue::Kind WantedKind(FieldType type, TimestampUnit unit) {
  switch (type) {
    case FIELD_DECIMAL:
    case FIELD_INTEGER:
    case FIELD_DECIMAL_LIST:
      return RawValue::Kind::kNumber;
    case FIELD_BOOLEAN:
      return RawValue::Kind::kBoolean;
    case FIELD_TIMESTAMP:
      return unit == TIMESTAMP_TEXT ? RawValue::Kind::kString : RawValue::Kind::kNumber;
    default:
      return RawValue::Kind::kString;
  }
}

BadReason MalformedReason(FieldType type, TimestampUnit unit) {
  if (type == FIELD_DECIMAL || type == FIELD_INTEGER || type == FIELD_DECIMAL_LIST) return BAD_MALFORMED_NUMBER;
  if (type == FIELD_TIMESTAMP && unit != TIMESTAMP_TEXT) return BAD_MALFORMED_NUMBER;
  return type == FIELD_TEXT ? BAD_FIELD_NOT_UTF8 : BAD_MALFORMED_FIELD;
}

BadReason ReadOne(const RawValue& raw, FieldType type, TimestampUnit unit, Value* value) {
  if (type == FIELD_TIMESTAMP && raw.unit != TIMESTAMP_TEXT) unit = raw.unit;
  const bool is_decimal = raw.kind == RawValue::Kind::kDecimal;
  const RawValue::Kind kind = is_decimal ? RawValue::Kind::kNumber : raw.kind;
  if (kind != RawValue::Kind::kBytes && kind != WantedKind(type, unit)) return BAD_FIELD_WRONG_TYPE;
  switch (is_decimal ? ReadFieldNumber(Fraction::OfDecimal(raw.mantissa, 1, raw.decimals), type, unit, value)
                     : ReadFieldText(raw.text, type, unit, value)) {
    case FieldError::kNone:
      return BAD_NONE;
    case FieldError::kMalformed:
      return MalformedReason(type, unit);
    case FieldError::kOutOfRange:
      return BAD_NUMBER_OUT_OF_RANGE;
  }
  return BAD_NONE;
}

// A record's timestamp; null where it has none.
BadReason ReadTimestamp(const RecordParts& parts, Value* value) {
  if (parts.timestamp_ms < 0) return BAD_NONE;
  if (parts.timestamp_ms >= kTimestampEnd / 1000) return BAD_NUMBER_OUT_OF_RANGE;
  *value = Timestamp{parts.timestamp_ms * 1000};
  return BAD_NONE;
}

BadReason ReadPart(const std::optional<std::string_view>& part, const PlannedField& field, Value* value) {
  if (!part) return BAD_NONE;
  return ReadOne({.kind = RawValue::Kind::kBytes, .text = *part}, field.type, field.unit, value);
}

BadReason ConvertList(const PlannedField& field, const RawValue& raw, Value* value) {
  if (raw.kind != RawValue::Kind::kList) return BAD_FIELD_WRONG_TYPE;
  std::vector<std::string> texts;
  std::vector<Fraction> numbers;
  bool out_of_range = false;
  for (const RawValue& item : *raw.items) {
    Value one;
    const BadReason reason = ReadOne(item, field.type == FIELD_TEXT_LIST ? FIELD_TEXT : FIELD_DECIMAL, field.unit, &one);
    out_of_range |= reason == BAD_NUMBER_OUT_OF_RANGE;
    if (reason == BAD_NUMBER_OUT_OF_RANGE) continue;
    if (reason != BAD_NONE) return reason;
    if (field.type == FIELD_TEXT_LIST) {
      texts.push_back(std::get<std::string>(std::move(one)));
    } else {
      numbers.push_back(std::get<Fraction>(std::move(one)));
    }
  }
  if (out_of_range) return BAD_NUMBER_OUT_OF_RANGE;
  if (field.type == FIELD_TEXT_LIST) {
    *value = std::move(texts);
  } else {
    *value = std::move(numbers);
  }
  return BAD_NONE;
}

}  // namespace

BadReason ConvertField(const PlannedField& field, const RawValue& raw, const Record& record, Value* value) {
  BadReason reason = BAD_NONE;
  *value = Null();
  switch (field.place.kind) {
    case FieldPlace::Kind::kTopic:
      *value = std::string(record.topic);
      break;
    case FieldPlace::Kind::kPartition:
      *value = Fraction(record.partition);
      break;
    case FieldPlace::Kind::kOffset:
      *value = Fraction(record.offset);
      break;
    case FieldPlace::Kind::kTimestamp:
      reason = ReadTimestamp(*record.parts, value);
      break;
    case FieldPlace::Kind::kKey:
      reason = ReadPart(record.parts->key, field, value);
      break;
    case FieldPlace::Kind::kHeader: {
      // The last of the name counts.
      const auto& headers = record.parts->headers;
      const auto last = std::find_if(headers.rbegin(), headers.rend(),
                                     [&](const RecordParts::Header& header) { return header.name == field.place.header; });
      if (last != headers.rend()) reason = ReadPart(last->value, field, value);
      break;
    }
    case FieldPlace::Kind::kColumn:
    case FieldPlace::Kind::kPath: {
      if (raw.kind == RawValue::Kind::kNull) break;
      const bool list = field.type == FIELD_TEXT_LIST || field.type == FIELD_DECIMAL_LIST;
      reason = list ? ConvertList(field, raw, value) : ReadOne(raw, field.type, field.unit, value);
    }
  }
  if (reason != BAD_NONE) return reason;
  if (IsNull(*value)) *value = field.default_value;
  return IsNull(*value) && !field.nullable ? BAD_FIELD_MISSING : BAD_NONE;
}

}  // namespace tenfold
