// Evaluates the expressions of a plan for many records at once, to the values that jobs/decode/evaluator.h has for each. A
// row for which that has none, or one that no column can hold, is unfit. Pure; used by one thread at a time.
//
// Operations on numbers, comparisons and the usual ones on texts run over columns. The others are the evaluator's own, asked
// for each row that is wanted. What is not needed of a row may be computed, and is not looked at.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "jobs/decode/column.h"
#include "jobs/decode/evaluator.h"
#include "jobs/plan/plan.h"

namespace tenfold {

class ColumnEvaluator {
 public:
  explicit ColumnEvaluator(std::shared_ptr<const Plan> plan);
  // Whether columns can hold all values of the plan's expressions, usually.
  static bool Suits(const Plan& plan);

  // Begins another block of at most Column::kRows records.
  void Begin(size_t count);
  // The column of a field, to be set before it is used.
  Column* field(uint32_t field) { return &fields_[field]; }
  // The values of a node, whose fields are set, for the rows of `wanted`; valid until the next Begin.
  const Column& Evaluate(uint32_t node, Rows wanted);

  // The value in a row that is not unfit.
  static Value RowValue(const Column& column, ValueType type, size_t row);
  // Sets a row of a column. `scale` is set for numbers, which have each its own until SetScales.
  void SetRow(Value value, size_t row, Column* column, int8_t* scale);

 private:
  // Each sets `result`, of which nulls, unfit and trues are none.
  void Compute(const PlanNode& node, Rows wanted, Column* result);
  void ComputeAndOr(const PlanNode& node, Rows wanted, Column* result);
  void ComputeCase(const PlanNode& node, Rows wanted, Column* result);
  void ComputeIn(const PlanNode& node, Rows wanted, Column* result);
  void ComputeBetween(const PlanNode& node, Rows wanted, Column* result);
  void ComputeCoalesce(const PlanNode& node, Rows wanted, Column* result);
  void ComputeNullIf(const PlanNode& node, Rows wanted, Column* result);
  // kLookup and kInTable.
  void ComputeOfTable(const PlanNode& node, Rows wanted, Column* result);
  // Operations that are null where an argument is.
  void ComputeStrict(const PlanNode& node, Rows wanted, Column* result);
  void ComputeRows(const PlanNode& node, Rows wanted, Column* result);
  Comparison Compare(const Column& a, const Column& b, ValueType type) const;

  const std::shared_ptr<const Plan> plan_;
  Evaluator evaluator_;
  size_t count_ = 0;
  std::vector<Column> fields_;
  // By node; those of constants are set once.
  std::vector<Column> columns_;
  // Of lets, the column that was computed for the block.
  std::vector<const Column*> lets_;
  // Texts that were made for the block.
  std::deque<std::string> made_;
};

}  // namespace tenfold
