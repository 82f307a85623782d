// Computes the expressions of a plan for one record after the other, exactly. Pure; used by one thread at a time.
//
// Null follows SQL: an operation on null is null; `and`, `or`, `in` and `between` know three values; `if` and `case` take
// null for false. What is not needed is not computed: the branches of `if` and `case` that are not taken, what comes after
// the first false of an `and`, the first true of an `or` and the first value of a coalesce. A value of `let` is computed
// once, where it is first needed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jobs/plan/plan.h"
#include "state.pb.h"

namespace tenfold {

class Evaluator {
 public:
  explicit Evaluator(std::shared_ptr<const Plan> plan);

  // Begins another record.
  void Begin();
  // Begins another element of the record's list.
  void SetElement(Value element);
  // Sets the value of a field of the plan.
  void SetField(uint32_t field, Value value) { fields_[field] = std::move(value); }
  const Value& field(uint32_t field) const { return fields_[field]; }

  // Computes a node, whose fields are set. Otherwise returns why it has no value: BAD_DIVISION_BY_ZERO,
  // BAD_MALFORMED_NUMBER of number(text), BAD_NUMBER_OUT_OF_RANGE of that or for a timestamp that is none, or
  // BAD_WRONG_ARGUMENT for the root of a negative number, a position or length that is not whole or beyond 64 bits, a
  // negative length, or a text that would be over kMaxRecordBytes.
  BadReason Evaluate(uint32_t node, Value* value);

  // The same for an operation of which all arguments are needed, and are given.
  BadReason Apply(const PlanNode& node, const std::vector<Value>& arguments, Value* value);

 private:
  // Each sets `*value`, or sets error_ and returns false.
  bool Compute(uint32_t node, Value* value);
  bool ComputeStrict(const PlanNode& node, const std::vector<Value>& arguments, Value* value);
  bool ComputeNumber(const PlanNode& node, const std::vector<Value>& arguments, Value* value);
  // Takes a time, in microseconds, unless it is none that there is.
  bool TakeTime(int64_t us, Value* value);
  bool ComputeText(const PlanNode& node, const std::vector<Value>& arguments, Value* value);
  bool ComputePattern(const PlanNode& node, const std::string& text, Value* value);
  bool ComputeAndOr(const PlanNode& node, Value* value);
  bool ComputeCase(const PlanNode& node, Value* value);
  bool ComputeIn(const PlanNode& node, Value* value);
  bool ComputeBetween(const PlanNode& node, Value* value);
  bool ComputeLet(uint32_t let, Value* value);
  bool ComputeLookup(const PlanNode& node, Value* value);
  bool Position(const Value& value, int64_t* position);
  bool Fail(BadReason reason);

  const std::shared_ptr<const Plan> plan_;
  std::vector<Value> fields_;
  Value element_;
  // Of lets that were computed for the record and its element.
  std::vector<std::optional<Value>> lets_;
  BadReason error_ = BAD_NONE;
};

// Compares two values of one type that has an order, which are not null; below 0, 0 or above. Booleans are only equal or
// not.
int CompareValues(const Value& a, const Value& b);

}  // namespace tenfold
