#include "jobs/decode/column_evaluator.h"

#include <algorithm>
#include <array>
#include <utility>

#include "jobs/decode/text_functions.h"
#include "jobs/plan/field_value.h"

namespace tenfold {
namespace {

// Sets the rows of a condition by what `of` says of their texts.
template <typename F>
void SetTrues(size_t count, Column* result, F of) {
  for (size_t i = 0; i < count; ++i) result->trues |= Rows{of(i)} << i;
}

bool IsConstant(const PlanNode& node) { return node.op == Op::kConstant; }

}  // namespace

ColumnEvaluator::ColumnEvaluator(std::shared_ptr<const Plan> plan)
    : plan_(std::move(plan)),
      evaluator_(plan_),
      fields_(plan_->fields.size()),
      columns_(plan_->nodes.size()),
      lets_(plan_->lets.size()) {
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (!IsConstant(plan_->nodes[i])) continue;
    std::array<int8_t, Column::kRows> scales = {};
    const Value& value = plan_->nodes[i].constant;
    for (size_t row = 0; row < Column::kRows; ++row) {
      if (const auto* const text = std::get_if<std::string>(&value)) {
        columns_[i].texts[row] = *text;
      } else {
        SetRow(value, row, &columns_[i], &scales[row]);
      }
    }
    if (plan_->nodes[i].type == ValueType::kNumber) SetScales(scales, ~Rows{0}, &columns_[i]);
  }
}

bool ColumnEvaluator::Suits(const Plan& plan) {
  const auto is_list = [](ValueType type) { return type == ValueType::kTextList || type == ValueType::kNumberList; };
  return std::ranges::none_of(plan.nodes, [&](const PlanNode& node) {
    // Quotients of two fields are fractions that have no denominator in common.
    return is_list(node.type) || (node.op == Op::kDivide && !IsConstant(plan.nodes[node.arguments[1]]));
  });
}

void ColumnEvaluator::Begin(size_t count) {
  count_ = count;
  std::ranges::fill(lets_, nullptr);
  made_.clear();
}

const Column& ColumnEvaluator::Evaluate(uint32_t index, Rows wanted) {
  const PlanNode& node = plan_->nodes[index];
  const auto of = static_cast<size_t>(node.index);
  if (IsConstant(node)) return columns_[index];
  if (node.op == Op::kField) return fields_[of];
  if (node.op == Op::kLet) {
    // What is needed of it elsewhere may be more.
    if (lets_[of] == nullptr) lets_[of] = &Evaluate(plan_->lets[of].node, FirstRows(count_));
    return *lets_[of];
  }
  Column* const result = &columns_[index];
  // Views of the block before may be of what is gone.
  if (node.type == ValueType::kText) std::fill_n(result->texts.begin(), count_, std::string_view());
  result->nulls = 0;
  result->unfit = 0;
  result->trues = 0;
  Compute(node, wanted, result);
  // Of a row that is unfit nothing else is known, though an argument of it is null.
  result->nulls &= ~result->unfit;
  return *result;
}

void ColumnEvaluator::Compute(const PlanNode& node, Rows wanted, Column* result) {
  switch (node.op) {
    case Op::kAnd:
    case Op::kOr:
      return ComputeAndOr(node, wanted, result);
    case Op::kCase:
    case Op::kCaseOf:
      return ComputeCase(node, wanted, result);
    case Op::kIn:
      return ComputeIn(node, wanted, result);
    case Op::kBetween:
      return ComputeBetween(node, wanted, result);
    case Op::kCoalesce:
      return ComputeCoalesce(node, wanted, result);
    case Op::kNullIf:
      return ComputeNullIf(node, wanted, result);
    case Op::kLookup:
    case Op::kInTable:
      return ComputeOfTable(node, wanted, result);
    case Op::kIsNull: {
      const Column& value = Evaluate(node.arguments[0], wanted);
      result->trues = value.nulls;
      result->unfit = value.unfit;
      return;
    }
    default:
      return ComputeStrict(node, wanted, result);
  }
}

void ColumnEvaluator::ComputeAndOr(const PlanNode& node, Rows wanted, Column* result) {
  const bool is_and = node.op == Op::kAnd;
  const auto decided = [is_and](const Column& part) { return is_and ? part.KnownFalse() : part.KnownTrue(); };
  const auto open = [is_and](const Column& part) { return is_and ? part.KnownTrue() : part.KnownFalse(); };
  const Column& left = Evaluate(node.arguments[0], wanted);
  const Column& right = Evaluate(node.arguments[1], wanted & ~decided(left));
  result->unfit = left.unfit | (right.unfit & ~decided(left));
  const Rows decides = (decided(left) | decided(right)) & ~result->unfit;
  const Rows leaves_open = open(left) & open(right);
  result->trues = is_and ? leaves_open : decides;
  result->nulls = ~(decides | leaves_open | result->unfit);
}

void ColumnEvaluator::ComputeCase(const PlanNode& node, Rows wanted, Column* result) {
  const std::vector<uint32_t>& arguments = node.arguments;
  const bool of = node.op == Op::kCaseOf;
  const Column* const subject = of ? &Evaluate(arguments[0], wanted) : nullptr;
  Rows unfit = of ? subject->unfit : 0;
  Rows left = wanted & ~unfit;
  Rows taken = 0;
  const auto take = [&](uint32_t value, Rows rows) {
    if (rows == 0) return;
    TakeRows(Evaluate(value, rows), rows, taken, result);
    taken |= rows;
    left &= ~rows;
  };
  for (size_t i = of ? 1 : 0; i + 1 < arguments.size() && left != 0; i += 2) {
    const Column& condition = Evaluate(arguments[i], left);
    Rows holds = condition.KnownTrue();
    Rows unknown = condition.unfit;
    if (of) {
      const Comparison compared = Compare(*subject, condition, plan_->nodes[arguments[0]].type);
      unknown |= compared.unfit & ~(subject->nulls | condition.nulls);
      holds = compared.equal & ~(subject->nulls | condition.nulls | unknown);
    }
    unfit |= unknown & left;
    left &= ~unknown;
    take(arguments[i + 1], holds & left);
  }
  take(arguments.back(), left);
  result->unfit |= unfit;
}

void ColumnEvaluator::ComputeIn(const PlanNode& node, Rows wanted, Column* result) {
  const Column& subject = Evaluate(node.arguments[0], wanted);
  result->unfit = subject.unfit;
  Rows left = wanted & ~subject.unfit & ~subject.nulls;
  Rows unknown = 0;
  for (size_t i = 1; i < node.arguments.size() && left != 0; ++i) {
    const Column& item = Evaluate(node.arguments[i], left);
    const Comparison compared = Compare(subject, item, plan_->nodes[node.arguments[0]].type);
    const Rows unfit = item.unfit | (compared.unfit & ~item.nulls);
    result->unfit |= unfit & left;
    left &= ~unfit;
    unknown |= item.nulls & left;
    result->trues |= compared.equal & ~item.nulls & left;
    left &= ~result->trues;
  }
  result->nulls = subject.nulls | (unknown & left);
}

void ColumnEvaluator::ComputeBetween(const PlanNode& node, Rows wanted, Column* result) {
  const Column& subject = Evaluate(node.arguments[0], wanted);
  const Column& low = Evaluate(node.arguments[1], wanted);
  const Column& high = Evaluate(node.arguments[2], wanted);
  const ValueType type = plan_->nodes[node.arguments[0]].type;
  const Comparison with_low = Compare(subject, low, type);
  const Comparison with_high = Compare(subject, high, type);
  result->unfit = subject.unfit | low.unfit | high.unfit | (with_low.unfit & ~low.nulls & ~subject.nulls) |
                  (with_high.unfit & ~high.nulls & ~subject.nulls);
  const Rows outside = (with_low.less & ~low.nulls) | (~(with_high.less | with_high.equal) & ~high.nulls);
  result->trues = ~outside & ~low.nulls & ~high.nulls;
  result->nulls = subject.nulls | (~outside & (low.nulls | high.nulls));
}

void ColumnEvaluator::ComputeCoalesce(const PlanNode& node, Rows wanted, Column* result) {
  Rows left = wanted;
  Rows taken = 0;
  for (const uint32_t argument : node.arguments) {
    if (left == 0) break;
    const Column& value = Evaluate(argument, left);
    const Rows rows = left & ~value.nulls;
    TakeRows(value, rows, taken, result);
    taken |= rows;
    left &= ~rows;
    result->nulls = left;
  }
}

void ColumnEvaluator::ComputeNullIf(const PlanNode& node, Rows wanted, Column* result) {
  const Column& value = Evaluate(node.arguments[0], wanted);
  const Column& other = Evaluate(node.arguments[1], wanted);
  const Comparison compared = Compare(value, other, plan_->nodes[node.arguments[0]].type);
  TakeRows(value, FirstRows(count_), 0, result);
  const Rows both = ~value.nulls & ~other.nulls;
  result->unfit |= other.unfit | (compared.unfit & both);
  result->nulls |= compared.equal & both;
}

void ColumnEvaluator::ComputeOfTable(const PlanNode& node, Rows wanted, Column* result) {
  const PlannedTable& table = plan_->tables[static_cast<size_t>(node.index)];
  const ValueType type = plan_->nodes[node.arguments[0]].type;
  const Column& value = Evaluate(node.arguments[0], wanted);
  result->unfit = value.unfit;
  const Rows sound = wanted & FirstRows(count_) & ~value.unfit;
  Rows found = 0;
  ForRows(sound & ~value.nulls, [&](size_t row) {
    const std::string_view text = value.texts[row];
    const auto entry = type == ValueType::kText ? table.find(absl::string_view(text.data(), text.size()))
                                                : table.find(ValueText(RowValue(value, type, row)));
    if (entry == table.end()) return;
    found |= Rows{1} << row;
    result->texts[row] = entry->second;
  });
  if (node.op == Op::kInTable) {
    result->trues = found;
    result->nulls = value.nulls;
    return;
  }
  const Rows left = sound & ~found;
  if (left != 0) TakeRows(Evaluate(node.arguments[1], left), left, found, result);
}

Comparison ColumnEvaluator::Compare(const Column& a, const Column& b, ValueType type) const {
  if (type == ValueType::kText) return CompareTexts(a, b, count_);
  if (type != ValueType::kBoolean) return CompareNumbers(a, b, count_);
  return {.less = ~a.trues & b.trues, .equal = ~(a.trues ^ b.trues), .unfit = a.unfit | b.unfit};
}

void ColumnEvaluator::ComputeStrict(const PlanNode& node, Rows wanted, Column* result) {
  std::array<const Column*, 2> given = {};
  const size_t arguments = node.arguments.size();
  if (arguments == 0 || arguments > given.size()) return ComputeRows(node, wanted, result);
  for (size_t i = 0; i < arguments; ++i) given[i] = &Evaluate(node.arguments[i], wanted);
  const Column& a = *given[0];
  const Column& b = *given[arguments - 1];
  const ValueType type = plan_->nodes[node.arguments[0]].type;
  const auto set_common = [&] {
    result->nulls = a.nulls | b.nulls;
    result->unfit |= a.unfit | b.unfit;
  };
  const auto compare = [&](auto of) {
    const Comparison compared = Compare(a, b, type);
    result->trues = of(compared);
    result->unfit = compared.unfit & ~(a.nulls | b.nulls);
    set_common();
  };
  const auto condition = [&](auto of) {
    SetTrues(count_, result, [&](size_t i) { return of(a.texts[i], b.texts[i]); });
    set_common();
  };
  // A view of a part of the first text.
  const auto part = [&](auto of) {
    for (size_t i = 0; i < count_; ++i) result->texts[i] = of(a.texts[i]);
    set_common();
  };
  switch (node.op) {
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
      ComputeArithmetic(node.op, a, b, count_, result);
      break;
    case Op::kDivide:
      DivideByConstant(a, b, count_, result);
      break;
    case Op::kNegate:
    case Op::kAbs:
    case Op::kSign:
      ComputeSigned(node.op, a, count_, result);
      break;
    case Op::kFloor:
    case Op::kCeil:
    case Op::kTrunc:
    case Op::kRound:
      ComputeRounded(node.op, a, node.index, count_, result);
      break;
    case Op::kNot:
      result->trues = ~a.trues;
      return set_common();
    case Op::kEqual:
      return compare([](const Comparison& c) { return c.equal; });
    case Op::kLess:
      return compare([](const Comparison& c) { return c.less; });
    case Op::kLessOrEqual:
      return compare([](const Comparison& c) { return c.less | c.equal; });
    case Op::kGreater:
      return compare([](const Comparison& c) { return ~(c.less | c.equal); });
    case Op::kGreaterOrEqual:
      return compare([](const Comparison& c) { return ~c.less; });
    case Op::kStartsWith:
      return condition([](std::string_view text, std::string_view other) { return text.starts_with(other); });
    case Op::kEndsWith:
      return condition([](std::string_view text, std::string_view other) { return text.ends_with(other); });
    case Op::kContains:
      return condition([](std::string_view text, std::string_view other) { return Contains(text, other); });
    case Op::kRegexMatches:
      ForRows(wanted & FirstRows(count_), [&](size_t i) {
        const re2::StringPiece text(a.texts[i].data(), a.texts[i].size());
        result->trues |= Rows{RE2::PartialMatch(text, *node.pattern)} << i;
      });
      return set_common();
    case Op::kUrlPath:
      return part([](std::string_view text) { return UrlPath(text); });
    default:
      return ComputeRows(node, wanted, result);
  }
  // Numbers that are null may have any number beneath, also one that does not fit.
  result->unfit &= ~(a.nulls | b.nulls);
  set_common();
}

void ColumnEvaluator::ComputeRows(const PlanNode& node, Rows wanted, Column* result) {
  std::vector<const Column*> given;
  Rows rows = wanted & FirstRows(count_);
  for (const uint32_t argument : node.arguments) {
    given.push_back(&Evaluate(argument, wanted));
    result->unfit |= given.back()->unfit;
    rows &= ~given.back()->unfit;
  }
  if (node.type == ValueType::kNumber) std::fill_n(result->numbers.begin(), count_, 0);
  std::array<int8_t, Column::kRows> scales = {};
  std::vector<Value> arguments(given.size());
  ForRows(rows, [&](size_t row) {
    for (size_t i = 0; i < given.size(); ++i) {
      arguments[i] = RowValue(*given[i], plan_->nodes[node.arguments[i]].type, row);
    }
    Value value;
    if (evaluator_.Apply(node, arguments, &value) != BAD_NONE) {
      result->unfit |= Rows{1} << row;
      return;
    }
    SetRow(std::move(value), row, result, &scales[row]);
  });
  if (node.type == ValueType::kNumber) SetScales(scales, rows, result);
}

Value ColumnEvaluator::RowValue(const Column& column, ValueType type, size_t row) {
  const Rows bit = Rows{1} << row;
  if ((column.nulls & bit) != 0) return Null();
  switch (type) {
    case ValueType::kText:
      return std::string(column.texts[row]);
    case ValueType::kNumber:
      return Fraction::OfDecimal(column.numbers[row], column.denominator.divisor, column.denominator.scale);
    case ValueType::kBoolean:
      return (column.trues & bit) != 0;
    case ValueType::kTimestamp:
      return Timestamp{column.numbers[row]};
    default:
      return Null();
  }
}

void ColumnEvaluator::SetRow(Value value, size_t row, Column* column, int8_t* scale) {
  const Rows bit = Rows{1} << row;
  if (IsNull(value)) {
    column->nulls |= bit;
  } else if (const auto* const number = std::get_if<Fraction>(&value)) {
    int decimals = 0;
    if (!number->ToDecimal(&column->numbers[row], &decimals)) column->unfit |= bit;
    *scale = static_cast<int8_t>(decimals);
  } else if (auto* const text = std::get_if<std::string>(&value)) {
    column->texts[row] = made_.emplace_back(std::move(*text));
  } else if (const auto* const time = std::get_if<Timestamp>(&value)) {
    column->numbers[row] = time->us;
  } else if (std::get<bool>(value)) {
    column->trues |= bit;
  }
}

}  // namespace tenfold
