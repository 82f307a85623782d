#include "jobs/decode/block_decoder.h"

#include <optional>
#include <utility>

#include "common/limits.h"
#include "common/number/decimal.h"
#include "common/number/height.h"
#include "common/number/units.h"
#include "common/text/framed_key.h"
#include "common/text/utf8.h"
#include "jobs/decode/field_conversion.h"
#include "jobs/decode/general_decoder.h"
#include "jobs/plan/field_value.h"

namespace tenfold {
namespace {

using Kind = RawValue::Kind;

// More than any number has that is read at once.
constexpr int kMaxDecimals = 18;

// Each reads what is at raw[row * next] for the rows, and returns those that ConvertField has to say more of.
Rows ReadTexts(const RawValue* raw, size_t next, Rows rows, Column* column) {
  Rows others = 0;
  ForRows(rows, [&](size_t row) {
    const RawValue& read = raw[row * next];
    if ((read.kind == Kind::kBytes || read.kind == Kind::kString) && IsUtf8(read.text)) {
      column->texts[row] = read.text;
    } else {
      others |= Rows{1} << row;
    }
  });
  return others;
}

// Reads a number as nearly all are, as mantissa / 10^decimals.
bool ReadPlain(const RawValue& raw, int64_t* mantissa, int* decimals) {
  if (raw.kind == Kind::kDecimal) {
    *mantissa = raw.mantissa;
    *decimals = raw.decimals;
    // As many digits as one has that is read from text, so that neither overflows where the other does not.
    constexpr int64_t kMost = 100'000'000'000'000'000;
    return raw.mantissa < kMost && raw.mantissa > -kMost;
  }
  return (raw.kind == Kind::kBytes || raw.kind == Kind::kNumber) && ReadPlainNumber(raw.text, mantissa, decimals);
}

Rows ReadNumbers(const RawValue* raw, size_t next, Rows rows, int most_decimals, Column* column,
                 std::array<int8_t, Column::kRows>* scales) {
  Rows others = 0;
  ForRows(rows, [&](size_t row) {
    int decimals = 0;
    if (ReadPlain(raw[row * next], &column->numbers[row], &decimals) && decimals <= most_decimals) {
      (*scales)[row] = static_cast<int8_t>(decimals);
    } else {
      others |= Rows{1} << row;
    }
  });
  return others;
}

Rows ReadTimestamps(std::span<const Record> records, Rows rows, Column* column) {
  Rows others = 0;
  ForRows(rows, [&](size_t row) {
    const int64_t ms = records[row].parts->timestamp_ms;
    if (ms >= 0 && ms < kTimestampEnd / 1000) {
      column->numbers[row] = ms * 1000;
    } else {
      others |= Rows{1} << row;
    }
  });
  return others;
}

// Makes microseconds of whole numbers of the unit that their schema says, or else of this one.
Rows ReadCountedTimes(const RawValue* raw, size_t next, Rows rows, TimestampUnit unit, Column* column) {
  Rows others = 0;
  ForRows(rows, [&](size_t row) {
    const RawValue& read = raw[row * next];
    const TimestampUnit of = read.unit == TIMESTAMP_TEXT ? unit : read.unit;
    const int64_t us = of == TIMESTAMP_SECONDS ? 1'000'000 : of == TIMESTAMP_MILLISECONDS ? 1000 : 1;
    int64_t* const number = &column->numbers[row];
    int decimals = 0;
    if (of != TIMESTAMP_TEXT && ReadPlain(read, number, &decimals) && decimals == 0 && *number >= 0 &&
        *number < kTimestampEnd / us) {
      *number *= us;
    } else {
      others |= Rows{1} << row;
    }
  });
  return others;
}

// Makes numbers what they contribute to a height, and returns those of the rows that can.
Rows ToContributions(bool negative, Rows nulls, Rows rows, std::array<int64_t, Column::kRows>* units) {
  Rows sound = 0;
  ForRows(rows, [&](size_t row) {
    int64_t* const of = &(*units)[row];
    const bool null = (nulls >> row & 1) != 0;
    sound |= Rows{null || *of != kNoContribution} << row;
    if (null) {
      *of = kNoContribution;
    } else if (negative && *of != kNoContribution) {
      *of = -*of;
    }
  });
  return sound;
}

}  // namespace

BlockDecoder::BlockDecoder(std::shared_ptr<const Plan> plan)
    : plan_(std::move(plan)), reader_(*plan_), evaluator_(plan_), raw_(reader_.size() * Column::kRows) {
  block_.units.resize(plan_->sums.size());
}

bool BlockDecoder::Suits(const Plan& plan) {
  if (!plan.list.nodes.empty()) return false;
  for (const PlanStep* step : {&plan.time, &plan.where, &plan.key, &plan.values}) {
    for (const uint32_t field : step->fields) {
      const FieldType type = plan.fields[field].type;
      if (type == FIELD_TEXT_LIST || type == FIELD_DECIMAL_LIST) return false;
    }
  }
  return ColumnEvaluator::Suits(plan);
}

const DecodedBlock& BlockDecoder::Decode(std::span<const Record> records) {
  reader_.Clear();
  count_ = records.size();
  evaluator_.Begin(count_);
  Rows rows = 0;
  // In a job with windows these are decoded alone, as they have no time.
  const bool filters_unmatched = plan_->format.regex().filter_unmatched() && plan_->calendar == nullptr;
  Rows unmatched = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    const std::span values = std::span(raw_).subspan(i * reader_.size(), reader_.size());
    const BadReason reason = reader_.Read(records[i].value, values);
    rows |= Rows{reason == BAD_NONE} << i;
    unmatched |= Rows{filters_unmatched && reason == BAD_UNMATCHED_RECORD} << i;
  }
  block_.filtered = 0;
  if (plan_->calendar != nullptr) rows = ReadTimes(records, rows);
  rows = ReadFields(plan_->where, records, rows);
  if (!plan_->where.nodes.empty()) {
    const Column& condition = evaluator_.Evaluate(plan_->where.nodes[0], rows);
    rows &= ~condition.unfit;
    block_.filtered = rows & ~condition.KnownTrue();
    rows &= ~block_.filtered;
  }
  rows = ReadFields(plan_->key, records, rows);
  rows = MakeKeys(rows);
  rows = ReadFields(plan_->values, records, rows);
  block_.folded = MakeUnits(rows);
  block_.filtered |= unmatched;
  return block_;
}

Rows BlockDecoder::ReadTimes(std::span<const Record> records, Rows rows) {
  rows = ReadFields(plan_->time, records, rows);
  const Column& time = evaluator_.Evaluate(plan_->time.nodes[0], rows);
  rows &= ~(time.unfit | time.nulls);
  Rows ahead = 0;
  ForRows(rows, [&](size_t row) {
    block_.times[row] = time.numbers[row];
    ahead |= Rows{IsAhead(time.numbers[row], *records[row].parts, plan_->calendar->window())} << row;
  });
  return rows & ~ahead;
}

Rows BlockDecoder::ReadFields(const PlanStep& step, std::span<const Record> records, Rows rows) {
  for (const uint32_t field : step.fields) {
    Column* const column = evaluator_.field(field);
    ReadField(field, records, rows, column);
    rows &= ~column->unfit;
  }
  return rows;
}

void BlockDecoder::ReadField(uint32_t index, std::span<const Record> records, Rows rows, Column* column) {
  const PlannedField& field = plan_->fields[index];
  const bool of_value = !field.place.IsOfRecord();
  const RawValue* const raw = of_value ? raw_.data() + reader_.index(index) : nullptr;
  const size_t next = reader_.size();
  column->nulls = 0;
  column->trues = 0;
  // Of rows that are not read nothing is known.
  column->unfit = ~rows;
  // Numbers and texts as nearly all are written are read at once.
  std::array<int8_t, Column::kRows> scales;
  Rows others = rows;
  if (field.type == FIELD_TEXT) {
    std::fill_n(column->texts.begin(), records.size(), std::string_view());
    if (of_value) others = ReadTexts(raw, next, rows, column);
  } else if (field.place.kind == FieldPlace::Kind::kTimestamp) {
    others = ReadTimestamps(records, rows, column);
  } else if (of_value && field.type == FIELD_TIMESTAMP) {
    others = ReadCountedTimes(raw, next, rows, field.unit, column);
  } else if (of_value && (field.type == FIELD_DECIMAL || field.type == FIELD_INTEGER)) {
    others = ReadNumbers(raw, next, rows, field.type == FIELD_INTEGER ? 0 : kMaxDecimals, column, &scales);
  }
  ForRows(others, [&](size_t row) {
    Value value;
    scales[row] = 0;
    if (ConvertField(field, of_value ? raw[row * next] : RawValue(), records[row], &value) != BAD_NONE) {
      column->unfit |= Rows{1} << row;
    } else {
      evaluator_.SetRow(std::move(value), row, column, &scales[row]);
    }
  });
  if (TypeOf(field.type) == ValueType::kNumber) SetScales(scales, rows, column);
}

Rows BlockDecoder::MakeKeys(Rows rows) {
  const std::vector<uint32_t>& parts = plan_->key.nodes;
  const bool framed = parts.size() > 1;
  if (framed) ForRows(rows, [this](size_t row) { made_keys_[row].clear(); });
  for (size_t part = 0; part < parts.size(); ++part) {
    const uint32_t node = parts[part];
    const ValueType type = plan_->nodes[node].type;
    const bool is_whole = plan_->IsWholeKey(part);
    const Column& column = evaluator_.Evaluate(node, rows);
    // A null key is bad.
    rows &= ~(column.unfit | column.nulls);
    Rows empty = 0;
    ForRows(rows, [&](size_t row) {
      std::string_view text = column.texts[row];
      std::string other;
      if (type != ValueType::kText) text = other = ValueText(ColumnEvaluator::RowValue(column, type, row));
      empty |= Rows{is_whole && text.empty()} << row;
      if (framed) {
        AppendKeyPart(text, &made_keys_[row]);
        text = made_keys_[row];
      } else if (type != ValueType::kText) {
        text = made_keys_[row] = std::move(other);
      }
      block_.keys[row] = text;
    });
    rows &= ~empty;
  }
  Rows sound = 0;
  ForRows(rows, [&](size_t row) {
    const size_t size = block_.keys[row].size();
    sound |= Rows{size <= plan_->key_bytes} << row;
  });
  return sound;
}

Rows BlockDecoder::MakeUnits(Rows rows) {
  // A value that two sums are of is computed once.
  std::optional<size_t> computed;
  const Column* value = nullptr;
  for (size_t i = 0; i < plan_->sums.size(); ++i) {
    const PlannedSum& sum = plan_->sums[i];
    std::array<int64_t, Column::kRows>* const units = &block_.units[i];
    if (!sum.value) {
      units->fill(kUnitsPerOne);
      continue;
    }
    if (computed != sum.value) value = &evaluator_.Evaluate(plan_->values.nodes[*sum.value], rows);
    computed = sum.value;
    rows &= ~value->unfit;
    if (sum.kind == PlannedSum::Kind::kPresent) {
      units->fill(kUnitsPerOne);
    } else {
      rows &= ~(ToUnits(*value, count_, units) & ~value->nulls);
    }
    if (sum.is_height()) {
      rows = ToContributions(sum.kind == PlannedSum::Kind::kLowest, value->nulls, rows, units);
      continue;
    }
    ForRows(rows & value->nulls, [units](size_t row) { (*units)[row] = 0; });
    if (!sum.is_divisor) continue;
    Rows negative = 0;
    ForRows(rows, [&](size_t row) { negative |= Rows{(*units)[row] < 0} << row; });
    rows &= ~negative;
  }
  return rows;
}

}  // namespace tenfold
