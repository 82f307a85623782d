#include "jobs/decode/general_decoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "common/limits.h"
#include "common/number/height.h"
#include "common/number/units.h"
#include "common/text/framed_key.h"
#include "fmt/format.h"
#include "jobs/decode/field_conversion.h"
#include "jobs/plan/field_value.h"

namespace tenfold {
GeneralDecoder::GeneralDecoder(std::shared_ptr<const Plan> plan)
    : plan_(std::move(plan)),
      reader_(*plan_),
      raw_(reader_.size()),
      evaluator_(plan_),
      time_subject_{"source.time"},
      where_subject_{"where"},
      list_subject_(plan_->list.nodes.size()),
      is_converted_(plan_->fields.size()),
      time_value_(plan_->time.nodes.size()),
      where_value_(plan_->where.nodes.size()),
      list_value_(plan_->list.nodes.size()),
      element_where_value_(plan_->element_where.nodes.size()),
      key_values_(plan_->key.nodes.size()),
      values_(plan_->values.nodes.size()) {
  if (!list_subject_.empty()) list_subject_[0] = "explode." + plan_->element;
  const size_t parts = plan_->key.nodes.size();
  const size_t first = plan_->has_group ? 1 : 0;
  if (plan_->has_group) key_subjects_.emplace_back("group");
  for (size_t i = first; i < parts; ++i)
    key_subjects_.push_back(parts == first + 1 ? "key" : fmt::format("key[{}]", i - first));
  for (const size_t measure : plan_->measure_of_value)
    value_subjects_.push_back("measures." + plan_->measures[measure].name);
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

bool GeneralDecoder::TakeTime(const Record& record, PaneClock* clock) {
  if (IsNull(time_value_[0])) return Bad(BAD_NULL_TIME, time_subject_[0]);
  const int64_t time_us = std::get<Timestamp>(time_value_[0]).us;
  if (IsAhead(time_us, *record.parts, plan_->calendar->window())) return Bad(BAD_TIME_AHEAD, time_subject_[0]);
  clock->Take(time_us);
  return true;
}

bool IsAhead(int64_t time_us, const RecordParts& parts, const FoldWindow& window) {
  return parts.timestamp_ms >= 0 && time_us / 1000 - parts.timestamp_ms > window.ahead_us() / 1000;
}

const Contribution& GeneralDecoder::Decode(const Record& record, PaneClock* clock) {
  contribution_ = {};
  is_converted_.assign(is_converted_.size(), false);
  evaluator_.Begin();
  reader_.Clear();
  if (const BadReason reason = reader_.Read(record.value, raw_); reason != BAD_NONE) {
    contribution_.unmatched = reason == BAD_UNMATCHED_RECORD && plan_->format.regex().filter_unmatched();
    contribution_.filtered = contribution_.unmatched;
    if (!contribution_.filtered) Bad(reason, "");
    return contribution_;
  }
  const bool windows = plan_->calendar != nullptr;
  if (windows && (!Do(plan_->time, record, time_subject_, &time_value_) || !TakeTime(record, clock))) return contribution_;
  if (!Do(plan_->where, record, where_subject_, &where_value_)) return contribution_;
  if (!where_value_.empty() && (IsNull(where_value_[0]) || !std::get<bool>(where_value_[0]))) {
    contribution_.filtered = true;
    return contribution_;
  }
  if (windows) {
    contribution_.pane = clock->Row();
    contribution_.late = !contribution_.pane;
    if (contribution_.late) return contribution_;
  }
  const bool explodes = !plan_->list.nodes.empty();
  if (explodes && !Explode(record)) return contribution_;
  units_.clear();
  size_t events = 0;
  const size_t most = explodes ? elements_.size() : 1;
  if (keys_.size() < most) keys_.resize(most);
  for (size_t i = 0; i < most; ++i) {
    if (explodes) evaluator_.SetElement(std::move(elements_[i]));
    bool made = true;
    if (!MakeEvent(record, &keys_[events], &made)) return contribution_;
    events += made;
  }
  events_.resize(events);
  const size_t sums = events == 0 ? 0 : units_.size() / events;
  for (size_t i = 0; i < events; ++i) events_[i] = {.key = keys_[i], .units = std::span(units_).subspan(i * sums, sums)};
  contribution_.events = events_;
  return contribution_;
}

bool GeneralDecoder::Explode(const Record& record) {
  elements_.clear();
  if (!Do(plan_->list, record, list_subject_, &list_value_)) return false;
  const auto take = [this](auto* list) {
    if (list->size() > kMaxElements) return Bad(BAD_TOO_MANY_ELEMENTS, list_subject_[0]);
    for (auto& element : *list) elements_.emplace_back(std::move(element));
    return true;
  };
  if (auto* const texts = std::get_if<std::vector<std::string>>(list_value_.data())) return take(texts);
  if (auto* const numbers = std::get_if<std::vector<Fraction>>(list_value_.data())) return take(numbers);
  return true;
}

bool GeneralDecoder::MakeEvent(const Record& record, std::string* key, bool* made) {
  if (!plan_->element_where.nodes.empty()) {
    if (!Do(plan_->element_where, record, where_subject_, &element_where_value_)) return false;
    const Value& kept = element_where_value_[0];
    *made = !IsNull(kept) && std::get<bool>(kept);
    if (!*made) return true;
  }
  return Do(plan_->key, record, key_subjects_, &key_values_) && MakeKey(key) &&
         Do(plan_->values, record, value_subjects_, &values_) && MakeUnits();
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
    if (is_converted_[field]) continue;
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
  const RawValue raw = field.place.IsOfRecord() ? RawValue() : raw_[reader_.index(index)];
  if (const BadReason reason = ConvertField(field, raw, record, &value); reason != BAD_NONE) return reason;
  evaluator_.SetField(index, std::move(value));
  is_converted_[index] = true;
  return BAD_NONE;
}

bool GeneralDecoder::MakeKey(std::string* key) {
  key->clear();
  const size_t parts = key_values_.size();
  for (size_t i = 0; i < parts; ++i) {
    if (IsNull(key_values_[i])) return Bad(BAD_NULL_KEY, key_subjects_[i]);
    const std::string text = ValueText(key_values_[i]);
    if (text.empty() && plan_->IsWholeKey(i)) return Bad(BAD_EMPTY_KEY, "");
    if (parts == 1) {
      *key = text;
    } else {
      AppendKeyPart(text, key);
    }
  }
  return key->size() <= plan_->key_bytes || Bad(BAD_KEY_TOO_LONG, "");
}

bool GeneralDecoder::MakeUnits() {
  for (const PlannedSum& sum : plan_->sums) {
    const bool null = sum.value && IsNull(values_[*sum.value]);
    const bool is_height = sum.is_height();
    if (null || (sum.kind != PlannedSum::Kind::kValue && !is_height)) {
      units_.push_back(!null ? kUnitsPerOne : is_height ? kNoContribution : 0);
      continue;
    }
    const std::optional<int64_t> units = std::get<Fraction>(values_[*sum.value]).ToUnits();
    const std::string& subject = value_subjects_[*sum.value];
    if (!units || (is_height && *units == kNoContribution)) return Bad(BAD_NUMBER_OUT_OF_RANGE, subject);
    if (sum.is_divisor && *units < 0) return Bad(BAD_NEGATIVE_DIVISOR, subject);
    units_.push_back(sum.kind == PlannedSum::Kind::kLowest ? -*units : *units);
  }
  return true;
}

}  // namespace tenfold
