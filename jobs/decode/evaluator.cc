#include "jobs/decode/evaluator.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/limits.h"
#include "glog/logging.h"
#include "jobs/decode/text_functions.h"
#include "jobs/decode/time_functions.h"
#include "jobs/plan/field_value.h"
#include "xxhash.h"

namespace tenfold {
namespace {

constexpr int64_t kMicrosecondsPerSecond = 1'000'000;

const Fraction& NumberOf(const Value& value) { return std::get<Fraction>(value); }
const std::string& TextOf(const Value& value) { return std::get<std::string>(value); }
bool IsTrue(const Value& value) { return !IsNull(value) && std::get<bool>(value); }
bool IsFalse(const Value& value) { return !IsNull(value) && !std::get<bool>(value); }

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

Fraction Power(const Fraction& base, int exponent) {
  Fraction power(1);
  for (; exponent > 0; --exponent) power = power * base;
  return power;
}

// Does what RE2::GlobalReplace does, which has no limit. Nullopt if the text would be over kMaxRecordBytes.
std::optional<std::string> ReplaceAll(std::string_view text, const RE2& pattern, const std::string& by) {
  std::vector<re2::StringPiece> groups(static_cast<size_t>(pattern.NumberOfCapturingGroups()) + 1);
  std::string replaced;
  size_t at = 0;
  // Where the last match ended, at which an empty one does not count.
  size_t last_end = std::string_view::npos;
  while (at <= text.size() && replaced.size() <= kMaxRecordBytes &&
         pattern.Match(Piece(text), at, text.size(), RE2::UNANCHORED, groups.data(), static_cast<int>(groups.size()))) {
    const auto begin = static_cast<size_t>(groups[0].data() - text.data());
    replaced.append(text.substr(at, begin - at));
    at = begin + groups[0].size();
    if (groups[0].empty() && begin == last_end) {
      const std::string_view next = Left(text.substr(at), 1);
      if (next.empty()) break;
      replaced.append(next);
      at += next.size();
      continue;
    }
    pattern.Rewrite(&replaced, Piece(by), groups.data(), static_cast<int>(groups.size()));
    last_end = at;
  }
  replaced.append(text.substr(std::min(at, text.size())));
  if (replaced.size() > kMaxRecordBytes) return std::nullopt;
  return replaced;
}

Fraction OfWhole(Fraction::Integer whole) { return {std::move(whole), 1, 0}; }

}  // namespace

int CompareValues(const Value& a, const Value& b) {
  if (const auto* text = std::get_if<std::string>(&a)) return text->compare(TextOf(b));
  if (const auto* number = std::get_if<Fraction>(&a)) return (*number - NumberOf(b)).sign();
  if (const auto* time = std::get_if<Timestamp>(&a)) {
    const Timestamp other = std::get<Timestamp>(b);
    return *time < other ? -1 : *time > other ? 1 : 0;
  }
  return static_cast<int>(std::get<bool>(a)) - static_cast<int>(std::get<bool>(b));
}

Evaluator::Evaluator(std::shared_ptr<const Plan> plan)
    : plan_(std::move(plan)), fields_(plan_->fields.size()), lets_(plan_->lets.size()) {}

void Evaluator::Begin() { std::ranges::fill(lets_, std::nullopt); }

void Evaluator::SetElement(Value element) {
  element_ = std::move(element);
  for (size_t i = 0; i < lets_.size(); ++i) {
    if (plan_->lets[i].of_element) lets_[i].reset();
  }
}

BadReason Evaluator::Evaluate(uint32_t node, Value* value) {
  error_ = BAD_NONE;
  return Compute(node, value) ? BAD_NONE : error_;
}

BadReason Evaluator::Apply(const PlanNode& node, const std::vector<Value>& arguments, Value* value) {
  error_ = BAD_NONE;
  return ComputeStrict(node, arguments, value) ? BAD_NONE : error_;
}

bool Evaluator::Fail(BadReason reason) {
  error_ = reason;
  return false;
}

bool Evaluator::Compute(uint32_t index, Value* value) {
  const PlanNode& node = plan_->nodes[index];
  switch (node.op) {
    case Op::kConstant:
      *value = node.constant;
      return true;
    case Op::kField:
      *value = fields_[static_cast<size_t>(node.index)];
      return true;
    case Op::kElement:
      *value = element_;
      return true;
    case Op::kLookup:
      return ComputeLookup(node, value);
    case Op::kLet:
      return ComputeLet(static_cast<uint32_t>(node.index), value);
    case Op::kAnd:
    case Op::kOr:
      return ComputeAndOr(node, value);
    case Op::kCase:
    case Op::kCaseOf:
      return ComputeCase(node, value);
    case Op::kIn:
      return ComputeIn(node, value);
    case Op::kBetween:
      return ComputeBetween(node, value);
    case Op::kIsNull:
      if (!Compute(node.arguments[0], value)) return false;
      *value = IsNull(*value);
      return true;
    case Op::kCoalesce:
      for (const uint32_t argument : node.arguments) {
        if (!Compute(argument, value)) return false;
        if (!IsNull(*value)) return true;
      }
      return true;
    case Op::kNullIf: {
      Value other;
      if (!Compute(node.arguments[0], value) || !Compute(node.arguments[1], &other)) return false;
      if (!IsNull(*value) && !IsNull(other) && CompareValues(*value, other) == 0) *value = Null();
      return true;
    }
    default: {
      std::vector<Value> arguments(node.arguments.size());
      for (size_t i = 0; i < arguments.size(); ++i) {
        if (!Compute(node.arguments[i], &arguments[i])) return false;
      }
      return ComputeStrict(node, arguments, value);
    }
  }
}

bool Evaluator::ComputeLet(uint32_t let, Value* value) {
  if (!lets_[let]) {
    if (!Compute(plan_->lets[let].node, value)) return false;
    lets_[let] = *value;
  }
  *value = *lets_[let];
  return true;
}

bool Evaluator::ComputeLookup(const PlanNode& node, Value* value) {
  if (!Compute(node.arguments[0], value)) return false;
  if (!IsNull(*value)) {
    const PlannedTable& table = plan_->tables[static_cast<size_t>(node.index)];
    const auto found = table.find(ValueText(*value));
    if (found != table.end()) {
      *value = found->second;
      return true;
    }
  }
  return Compute(node.arguments[1], value);
}

bool Evaluator::ComputeAndOr(const PlanNode& node, Value* value) {
  // What decides: a false of an `and`, a true of an `or`.
  const auto decides = [&node](const Value& part) { return node.op == Op::kAnd ? IsFalse(part) : IsTrue(part); };
  if (!Compute(node.arguments[0], value)) return false;
  if (decides(*value)) return true;
  const bool unknown = IsNull(*value);
  if (!Compute(node.arguments[1], value)) return false;
  if (unknown && !decides(*value)) *value = Null();
  return true;
}

bool Evaluator::ComputeCase(const PlanNode& node, Value* value) {
  const std::vector<uint32_t>& arguments = node.arguments;
  const bool of = node.op == Op::kCaseOf;
  Value subject;
  if (of && !Compute(arguments[0], &subject)) return false;
  for (size_t i = of ? 1 : 0; i + 1 < arguments.size(); i += 2) {
    Value condition;
    if (!Compute(arguments[i], &condition)) return false;
    const bool taken =
        of ? !IsNull(subject) && !IsNull(condition) && CompareValues(subject, condition) == 0 : IsTrue(condition);
    if (taken) return Compute(arguments[i + 1], value);
  }
  return Compute(arguments.back(), value);
}

bool Evaluator::ComputeIn(const PlanNode& node, Value* value) {
  Value subject;
  if (!Compute(node.arguments[0], &subject)) return false;
  *value = Null();
  if (IsNull(subject)) return true;
  bool unknown = false;
  for (size_t i = 1; i < node.arguments.size(); ++i) {
    Value item;
    if (!Compute(node.arguments[i], &item)) return false;
    unknown |= IsNull(item);
    if (IsNull(item) || CompareValues(subject, item) != 0) continue;
    *value = true;
    return true;
  }
  if (!unknown) *value = false;
  return true;
}

bool Evaluator::ComputeBetween(const PlanNode& node, Value* value) {
  std::array<Value, 3> parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!Compute(node.arguments[i], &parts[i])) return false;
  }
  const auto& [subject, low, high] = parts;
  *value = Null();
  if (IsNull(subject)) return true;
  const bool below = !IsNull(low) && CompareValues(subject, low) < 0;
  const bool above = !IsNull(high) && CompareValues(subject, high) > 0;
  if (below || above) {
    *value = false;
  } else if (!IsNull(low) && !IsNull(high)) {
    *value = true;
  }
  return true;
}

bool Evaluator::TakeTime(int64_t us, Value* value) {
  if (us < 0 || us >= kTimestampEnd) return Fail(BAD_NUMBER_OUT_OF_RANGE);
  *value = Timestamp{us};
  return true;
}

// Operations whose value is null where an argument is.
bool Evaluator::ComputeStrict(const PlanNode& node, const std::vector<Value>& arguments, Value* value) {
  *value = Null();
  if (std::ranges::any_of(arguments, IsNull)) return true;
  switch (node.op) {
    case Op::kNot:
      *value = !std::get<bool>(arguments[0]);
      return true;
    case Op::kEqual:
      *value = CompareValues(arguments[0], arguments[1]) == 0;
      return true;
    case Op::kLess:
      *value = CompareValues(arguments[0], arguments[1]) < 0;
      return true;
    case Op::kLessOrEqual:
      *value = CompareValues(arguments[0], arguments[1]) <= 0;
      return true;
    case Op::kGreater:
      *value = CompareValues(arguments[0], arguments[1]) > 0;
      return true;
    case Op::kGreaterOrEqual:
      *value = CompareValues(arguments[0], arguments[1]) >= 0;
      return true;
    case Op::kInTable:
      *value = plan_->tables[static_cast<size_t>(node.index)].contains(ValueText(arguments[0]));
      return true;
    case Op::kConcat: {
      std::string text;
      for (const Value& argument : arguments) text += ValueText(argument);
      if (text.size() > kMaxRecordBytes) return Fail(BAD_WRONG_ARGUMENT);
      *value = std::move(text);
      return true;
    }
    case Op::kAddSeconds: {
      const Fraction seconds = NumberOf(arguments[1]) * Fraction(kMicrosecondsPerSecond);
      const std::optional<Timestamp> time =
          TimestampOf(Fraction(std::get<Timestamp>(arguments[0]).us) + seconds.Rounded(0), TIMESTAMP_MICROSECONDS);
      if (!time) return Fail(BAD_NUMBER_OUT_OF_RANGE);
      *value = *time;
      return true;
    }
    case Op::kSecondsBetween:
      *value = Fraction(std::get<Timestamp>(arguments[0]).us - std::get<Timestamp>(arguments[1]).us) * Fraction(1, 1, 6);
      return true;
    case Op::kFromUnixMs: {
      const std::optional<Timestamp> time = TimestampOf(NumberOf(arguments[0]), TIMESTAMP_MILLISECONDS);
      if (!time) return Fail(BAD_NUMBER_OUT_OF_RANGE);
      *value = *time;
      return true;
    }
    case Op::kDatePart:
      *value = DatePart(static_cast<TimeUnit>(node.index), std::get<Timestamp>(arguments[0]).us, *node.calendar);
      return true;
    case Op::kDateTrunc:
      return TakeTime(DateTrunc(static_cast<TimeUnit>(node.index), std::get<Timestamp>(arguments[0]).us, *node.calendar),
                      value);
    case Op::kTime: {
      const std::optional<int64_t> us = ReadTime(TextOf(arguments[0]), TextOf(node.constant));
      return us ? TakeTime(*us, value) : Fail(BAD_WRONG_ARGUMENT);
    }
    default:
      return std::holds_alternative<Fraction>(arguments[0]) ? ComputeNumber(node, arguments, value)
                                                            : ComputeText(node, arguments, value);
  }
}

bool Evaluator::ComputeNumber(const PlanNode& node, const std::vector<Value>& arguments, Value* value) {
  const Fraction& a = NumberOf(arguments[0]);
  const auto b = [&]() -> const Fraction& { return NumberOf(arguments[1]); };
  const auto extreme = [&](int sign) {
    const Value* best = &arguments[0];
    for (const Value& argument : arguments) {
      if (CompareValues(argument, *best) * sign > 0) best = &argument;
    }
    return *best;
  };
  switch (node.op) {
    case Op::kAdd:
      *value = a + b();
      return true;
    case Op::kSubtract:
      *value = a - b();
      return true;
    case Op::kMultiply:
      *value = a * b();
      return true;
    case Op::kDivide:
      if (b().sign() == 0) return Fail(BAD_DIVISION_BY_ZERO);
      *value = a / b();
      return true;
    case Op::kMod:
      if (b().sign() == 0) return Fail(BAD_DIVISION_BY_ZERO);
      *value = a - b() * OfWhole((a / b()).Truncated());
      return true;
    case Op::kNegate:
      *value = -a;
      return true;
    case Op::kAbs:
      *value = a.sign() < 0 ? -a : a;
      return true;
    case Op::kSign:
      *value = Fraction(a.sign());
      return true;
    case Op::kLeast:
      *value = extreme(-1);
      return true;
    case Op::kGreatest:
      *value = extreme(1);
      return true;
    case Op::kFloor:
      *value = OfWhole(a.Floor());
      return true;
    case Op::kCeil:
      *value = OfWhole(-(-a).Floor());
      return true;
    case Op::kTrunc:
      *value = OfWhole(a.Truncated());
      return true;
    case Op::kRound:
      *value = a.Rounded(node.index);
      return true;
    case Op::kPow:
      *value = Power(a, node.index);
      return true;
    case Op::kSqrt:
      if (a.sign() < 0) return Fail(BAD_WRONG_ARGUMENT);
      *value = a.SquareRoot();
      return true;
    default:
      LOG(FATAL) << "a plan has an operation on numbers that is none: " << static_cast<int>(node.op);
  }
}

bool Evaluator::Position(const Value& value, int64_t* position) {
  const std::optional<int64_t> whole = NumberOf(value).ToInteger();
  if (!whole) return Fail(BAD_WRONG_ARGUMENT);
  *position = *whole;
  return true;
}

bool Evaluator::ComputeText(const PlanNode& node, const std::vector<Value>& arguments, Value* value) {
  const std::string& text = TextOf(arguments[0]);
  const auto other = [&]() -> const std::string& { return TextOf(arguments[1]); };
  int64_t position = 0;
  switch (node.op) {
    case Op::kNumber:
    case Op::kTryNumber: {
      Fraction number;
      const NumberError error = Fraction::Parse(text, &number);
      if (error == NumberError::kNone) {
        *value = std::move(number);
        return true;
      }
      if (node.op == Op::kTryNumber) return true;
      return Fail(error == NumberError::kMalformed ? BAD_MALFORMED_NUMBER : BAD_NUMBER_OUT_OF_RANGE);
    }
    case Op::kLower:
    case Op::kUpper: {
      // Some letters have more bytes in the other case.
      std::string mapped = node.op == Op::kLower ? ToLower(text) : ToUpper(text);
      if (mapped.size() > kMaxRecordBytes) return Fail(BAD_WRONG_ARGUMENT);
      *value = std::move(mapped);
      return true;
    }
    case Op::kTrim:
    case Op::kLeftTrim:
    case Op::kRightTrim:
      *value =
          std::string(Trim(text, arguments.size() > 1 ? other() : " ", node.op != Op::kRightTrim, node.op != Op::kLeftTrim));
      return true;
    case Op::kLength:
      *value = Fraction(CountCharacters(text));
      return true;
    case Op::kSubstring: {
      std::optional<int64_t> length;
      if (!Position(arguments[1], &position)) return false;
      if (arguments.size() > 2 && !Position(arguments[2], &length.emplace())) return false;
      if (length && *length < 0) return Fail(BAD_WRONG_ARGUMENT);
      *value = std::string(Substring(text, position, length));
      return true;
    }
    case Op::kLeft:
    case Op::kRight:
      if (!Position(arguments[1], &position)) return false;
      *value = std::string(node.op == Op::kLeft ? Left(text, position) : Right(text, position));
      return true;
    case Op::kSplitPart:
      if (!Position(arguments[2], &position)) return false;
      if (position < 1) return Fail(BAD_WRONG_ARGUMENT);
      *value = std::string(SplitPart(text, other(), position));
      return true;
    case Op::kSplit:
      *value = Split(text, other());
      return true;
    case Op::kReplace: {
      std::optional<std::string> replaced = Replace(text, other(), TextOf(arguments[2]), kMaxRecordBytes);
      if (!replaced) return Fail(BAD_WRONG_ARGUMENT);
      *value = *std::move(replaced);
      return true;
    }
    case Op::kStartsWith:
      *value = text.starts_with(other());
      return true;
    case Op::kEndsWith:
      *value = text.ends_with(other());
      return true;
    case Op::kContains:
      *value = Contains(text, other());
      return true;
    case Op::kHash64: {
      const uint64_t hash = XXH3_64bits(text.data(), text.size());
      *value = OfWhole(hash);
      return true;
    }
    case Op::kUrlHost:
      if (const auto host = UrlHost(text)) *value = std::string(*host);
      return true;
    case Op::kUrlPath:
      *value = std::string(UrlPath(text));
      return true;
    case Op::kUrlParam:
      if (auto parameter = UrlParameter(text, other())) *value = *std::move(parameter);
      return true;
    case Op::kUrlDecode:
      if (auto decoded = UrlDecoded(text)) *value = *std::move(decoded);
      return true;
    default:
      return ComputePattern(node, text, value);
  }
}

bool Evaluator::ComputePattern(const PlanNode& node, const std::string& text, Value* value) {
  switch (node.op) {
    case Op::kRegexMatches:
      *value = RE2::PartialMatch(Piece(text), *node.pattern);
      return true;
    case Op::kRegexExtract: {
      std::vector<re2::StringPiece> groups(static_cast<size_t>(node.index) + 1);
      const bool found = node.pattern->Match(Piece(text), 0, text.size(), RE2::UNANCHORED, groups.data(), node.index + 1);
      const re2::StringPiece& group = groups.back();
      if (found && group.data() != nullptr) *value = std::string(group.data(), group.size());
      return true;
    }
    case Op::kRegexReplace: {
      std::optional<std::string> replaced = ReplaceAll(text, *node.pattern, TextOf(node.constant));
      if (!replaced) return Fail(BAD_WRONG_ARGUMENT);
      *value = *std::move(replaced);
      return true;
    }
    default:
      LOG(FATAL) << "a plan has an operation on texts that is none: " << static_cast<int>(node.op);
  }
}

}  // namespace tenfold
