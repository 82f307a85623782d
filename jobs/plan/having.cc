#include "jobs/plan/having.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/text/shown_text.h"
#include "jobs/plan/expression.h"
#include "jobs/plan/expression_check.h"
#include "jobs/plan/measures.h"
#include "jobs/plan/record_columns.h"

namespace tenfold {
namespace {

class LeastFinder {
 public:
  LeastFinder(const JobSpec& spec, const Plan& plan) : plan_(plan), measures_(MeasuresOf(spec)) {}

  void Take(uint32_t index) {
    const PlanNode& node = plan_.nodes[index];
    if (node.op == Op::kAnd) {
      for (const uint32_t part : node.arguments) Take(part);
    }
    const bool ascending = measures_.ascending;
    // Whether the measure, or the constant, is the larger of both.
    const bool greater = node.op == Op::kGreater || node.op == Op::kGreaterOrEqual;
    const bool less = node.op == Op::kLess || node.op == Op::kLessOrEqual;
    if (node.op == Op::kBetween && IsRanked(node.arguments[0])) {
      Note(node.arguments[ascending ? 2 : 1]);
    } else if (node.op == Op::kEqual || (greater || less)) {
      const bool any = node.op == Op::kEqual;
      if (IsRanked(node.arguments[0]) && (any || greater != ascending)) Note(node.arguments[1]);
      if (IsRanked(node.arguments[1]) && (any || less != ascending)) Note(node.arguments[0]);
    }
  }

  std::optional<Units> least() const { return least_; }

 private:
  bool IsRanked(uint32_t index) const {
    const PlanNode& node = plan_.nodes[index];
    // Of a quotient nothing is a bound of partials.
    return node.op == Op::kField && static_cast<size_t>(node.index) == measures_.ranked && !measures_.ranking.quotient;
  }

  // The measure is at this node's value or beyond it, if that is a constant.
  void Note(uint32_t index) {
    const PlanNode* node = &plan_.nodes[index];
    const bool negated = node->op == Op::kNegate;
    if (negated) node = &plan_.nodes[node->arguments[0]];
    if (node->op != Op::kConstant || !std::holds_alternative<Fraction>(node->constant)) return;
    const std::optional<int64_t> units = std::get<Fraction>(node->constant).ToUnits();
    // The least of all is none that can be negated.
    if (!units || *units == std::numeric_limits<int64_t>::min()) return;
    // The constant may lie between two units.
    const RowMeasure& ranked = measures_.measures[measures_.ranked];
    const Units bound = measures_.ranking.Turned(ranked.SumOf(negated ? -*units : *units)) - 1;
    least_ = least_ ? std::max(*least_, bound) : bound;
  }

  const Plan& plan_;
  const JobMeasures measures_;
  std::optional<Units> least_;
};

}  // namespace

std::shared_ptr<const Plan> MakeHavingPlan(const JobSpec& spec, std::vector<PlanProblem>* problems) {
  auto plan = std::make_shared<Plan>();
  const JobMeasures measures = MeasuresOf(spec);
  ExpressionCheck check(plan.get(), problems);
  check.NamesAre("measure");
  for (const RowMeasure& measure : measures.measures) {
    check.AddField(measure.name, static_cast<uint32_t>(plan->fields.size()));
    plan->fields.push_back({.name = measure.name,
                            .type = FIELD_DECIMAL,
                            .unit = TIMESTAMP_TEXT,
                            .place = {},
                            .nullable = measure.nullable(),
                            .default_value = {},
                            .is_quotient = measure.quotient.has_value()});
  }
  constexpr std::string_view kOfRecords = "having sees the measures alone; a condition on records stands in where";
  for (const Field& field : spec.fold().general().fields()) check.AddElsewhere(field.name(), kOfRecords);
  for (const Let& let : spec.fold().general().let()) check.AddElsewhere(let.name(), kOfRecords);
  for (const std::string& column : spec.fold().format().fields()) check.AddElsewhere(column, kOfRecords);
  for (const std::string& column : ColumnsOf(spec.fold().general().format())) check.AddElsewhere(column, kOfRecords);
  if (spec.having().empty()) return plan;
  const std::optional<uint32_t> condition = check.Check(spec.having(), "having", ValueType::kBoolean);
  if (!condition) return nullptr;
  plan->where.nodes.push_back(*condition);
  return plan;
}

void MakeHavingCanonical(JobSpec* spec) {
  if (!spec->having().empty()) spec->set_having(ExpressionText(*ParseExpression(spec->having()).expression));
}

std::optional<Units> LeastRanked(const JobSpec& spec, const Plan& having) {
  LeastFinder finder(spec, having);
  for (const uint32_t condition : having.where.nodes) finder.Take(condition);
  return finder.least();
}

}  // namespace tenfold
