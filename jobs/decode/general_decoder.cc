#include "jobs/decode/general_decoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "common/limits.h"
#include "common/number/units.h"
#include "fmt/format.h"
#include "jobs/plan/field_value.h"

namespace tenfold {
namespace {

// Which kind of JSON value a field of the type is read from.
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
  if (raw.kind != RawValue::Kind::kBytes && raw.kind != WantedKind(type, unit)) return BAD_FIELD_WRONG_TYPE;
  switch (ReadFieldText(raw.text, type, unit, value)) {
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
  return ReadOne({.kind = RawValue::Kind::kBytes, .text = *part, .items = {}}, field.type, field.unit, value);
}

}  // namespace

GeneralDecoder::GeneralDecoder(std::shared_ptr<const Plan> plan)
    : plan_(std::move(plan)),
      evaluator_(plan_),
      where_subject_{"where"},
      raw_index_(plan_->fields.size()),
      is_converted_(plan_->fields.size()),
      where_value_(plan_->where.nodes.size()),
      key_values_(plan_->key.nodes.size()),
      values_(plan_->values.nodes.size()) {
  std::vector<size_t> columns;
  std::vector<JsonPath> paths;
  for (size_t i = 0; i < plan_->fields.size(); ++i) {
    const FieldPlace& place = plan_->fields[i].place;
    if (place.IsOfRecord()) continue;
    raw_index_[i] = raw_.size();
    raw_.emplace_back();
    columns.push_back(place.column);
    paths.push_back(place.path);
  }
  if (plan_->format.has_json()) {
    json_ = std::make_unique<JsonReader>(paths);
  } else {
    delimited_ = std::make_unique<DelimitedReader>(plan_->format.delimited(), std::move(columns));
  }
  const size_t parts = plan_->key.nodes.size();
  for (size_t i = 0; i < parts; ++i) key_subjects_.push_back(parts == 1 ? "key" : fmt::format("key[{}]", i));
  for (const PlannedMeasure& measure : plan_->measures) {
    if (measure.node) value_subjects_.push_back("measures." + measure.name);
  }
}

absl::StatusOr<GeneralDecoder> GeneralDecoder::Create(const GeneralFold& fold) {
  std::vector<PlanProblem> problems;
  std::shared_ptr<const Plan> plan = MakePlan(fold, &problems);
  if (plan == nullptr) return absl::InvalidArgumentError(fmt::format("{}: {}", problems[0].path, problems[0].message));
  return GeneralDecoder(std::move(plan));
}

bool GeneralDecoder::Bad(BadReason reason, std::string_view subject) {
  contribution_.reason = reason;
  contribution_.subject = subject;
  return false;
}

const Value* GeneralDecoder::FieldValue(uint32_t field) const {
  return is_converted_[field] ? &evaluator_.field(field) : nullptr;
}

const Contribution& GeneralDecoder::Decode(const Record& record) {
  contribution_ = {};
  is_converted_.assign(is_converted_.size(), false);
  evaluator_.Begin();
  if (const BadReason reason = ReadFormat(record); reason != BAD_NONE) {
    Bad(reason, "");
    return contribution_;
  }
  if (!Do(plan_->where, record, where_subject_, &where_value_)) return contribution_;
  if (!where_value_.empty() && (IsNull(where_value_[0]) || !std::get<bool>(where_value_[0]))) {
    contribution_.filtered = true;
    return contribution_;
  }
  if (!Do(plan_->key, record, key_subjects_, &key_values_) || !MakeKey()) return contribution_;
  if (!Do(plan_->values, record, value_subjects_, &values_) || !MakeUnits()) return contribution_;
  contribution_.key = key_;
  contribution_.units = units_;
  return contribution_;
}

BadReason GeneralDecoder::ReadFormat(const Record& record) {
  if (record.value.empty()) return BAD_EMPTY_RECORD;
  if (record.value.size() > kMaxRecordBytes) return BAD_RECORD_TOO_LARGE;
  return json_ != nullptr ? json_->Read(record.value, raw_) : delimited_->Read(record.value, raw_);
}

bool GeneralDecoder::Do(const PlanStep& step, const Record& record, std::span<const std::string> subjects,
                        std::vector<Value>* values) {
  if (!ConvertFields(step, record)) return false;
  for (size_t i = 0; i < step.nodes.size(); ++i) {
    const BadReason reason = evaluator_.Evaluate(step.nodes[i], &(*values)[i]);
    if (reason != BAD_NONE) return Bad(reason, subjects[i]);
  }
  return true;
}

bool GeneralDecoder::ConvertFields(const PlanStep& step, const Record& record) {
  std::optional<uint32_t> out_of_range;
  for (const uint32_t field : step.fields) {
    const BadReason reason = Convert(field, record);
    if (reason == BAD_NUMBER_OUT_OF_RANGE) {
      if (!out_of_range) out_of_range = field;
    } else if (reason != BAD_NONE) {
      return Bad(reason, plan_->fields[field].name);
    }
  }
  return !out_of_range || Bad(BAD_NUMBER_OUT_OF_RANGE, plan_->fields[*out_of_range].name);
}

BadReason GeneralDecoder::Convert(uint32_t index, const Record& record) {
  const PlannedField& field = plan_->fields[index];
  Value value;
  BadReason reason = BAD_NONE;
  switch (field.place.kind) {
    case FieldPlace::Kind::kTopic:
      value = std::string(record.topic);
      break;
    case FieldPlace::Kind::kPartition:
      value = Fraction(record.partition);
      break;
    case FieldPlace::Kind::kOffset:
      value = Fraction(record.offset);
      break;
    case FieldPlace::Kind::kTimestamp:
      reason = ReadTimestamp(*record.parts, &value);
      break;
    case FieldPlace::Kind::kKey:
      reason = ReadPart(record.parts->key, field, &value);
      break;
    case FieldPlace::Kind::kHeader: {
      // The last of the name counts.
      const auto& headers = record.parts->headers;
      const auto last = std::find_if(headers.rbegin(), headers.rend(),
                                     [&](const RecordParts::Header& header) { return header.name == field.place.header; });
      if (last != headers.rend()) reason = ReadPart(last->value, field, &value);
      break;
    }
    case FieldPlace::Kind::kColumn:
    case FieldPlace::Kind::kJsonPath: {
      const RawValue& raw = raw_[raw_index_[index]];
      if (raw.kind == RawValue::Kind::kNull) break;
      const bool list = field.type == FIELD_TEXT_LIST || field.type == FIELD_DECIMAL_LIST;
      reason = list ? ConvertList(field, raw, &value) : ReadOne(raw, field.type, field.unit, &value);
    }
  }
  if (reason != BAD_NONE) return reason;
  if (IsNull(value)) value = field.default_value;
  if (IsNull(value) && !field.nullable) return BAD_FIELD_MISSING;
  evaluator_.SetField(index, std::move(value));
  is_converted_[index] = true;
  return BAD_NONE;
}

BadReason GeneralDecoder::ConvertList(const PlannedField& field, const RawValue& raw, Value* value) const {
  if (raw.kind != RawValue::Kind::kList) return BAD_FIELD_WRONG_TYPE;
  std::vector<std::string> texts;
  std::vector<Fraction> numbers;
  bool out_of_range = false;
  for (const RawValue& item : raw.items) {
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

bool GeneralDecoder::MakeKey() {
  key_.clear();
  const size_t parts = key_values_.size();
  for (size_t i = 0; i < parts; ++i) {
    if (IsNull(key_values_[i])) return Bad(BAD_NULL_KEY, key_subjects_[i]);
    if (parts == 1) {
      key_ = ValueText(key_values_[i]);
    } else {
      AppendKeyPart(ValueText(key_values_[i]), &key_);
    }
  }
  if (key_.empty()) return Bad(BAD_EMPTY_KEY, "");
  return key_.size() <= kMaxKeyBytes || Bad(BAD_KEY_TOO_LONG, "");
}

bool GeneralDecoder::MakeUnits() {
  units_.clear();
  size_t next = 0;
  for (const PlannedMeasure& measure : plan_->measures) {
    if (!measure.node) {
      units_.push_back(kUnitsPerOne);
      continue;
    }
    const Value& value = values_[next];
    const std::string& subject = value_subjects_[next++];
    if (IsNull(value)) {
      units_.push_back(0);
    } else if (measure.kind == PlannedMeasure::Kind::kCount) {
      units_.push_back(kUnitsPerOne);
    } else {
      const std::optional<int64_t> units = std::get<Fraction>(value).ToUnits();
      if (!units) return Bad(BAD_NUMBER_OUT_OF_RANGE, subject);
      units_.push_back(*units);
    }
    if (measure.nullable) units_.push_back(IsNull(value) ? 0 : kUnitsPerOne);
  }
  return true;
}

void AppendKeyPart(std::string_view part, std::string* frame) {
  for (const char c : part) {
    *frame += c;
    if (c == '\0') *frame += '\xff';
  }
  frame->append("\0\1", 2);
}

}  // namespace tenfold
