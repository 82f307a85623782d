#include "jobs/decode/having.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "glog/logging.h"
#include "jobs/decode/evaluator.h"
#include "jobs/plan/having.h"
#include "jobs/plan/measures.h"

namespace tenfold {
namespace {

class Having {
 public:
  Having(JobMeasures measures, std::shared_ptr<const Plan> plan)
      : measures_(std::move(measures)), plan_(std::move(plan)), evaluator_(plan_) {}

  bool Holds(std::span<const Units> sums) {
    if (!measures_.measures[measures_.ranked].HasValue(sums)) return false;
    if (plan_->where.nodes.empty()) return true;
    evaluator_.Begin();
    for (uint32_t i = 0; i < measures_.measures.size(); ++i) {
      std::optional<Fraction> value = measures_.measures[i].ValueOf(sums);
      evaluator_.SetField(i, value ? Value(*std::move(value)) : Value());
    }
    Value holds;
    return evaluator_.Evaluate(plan_->where.nodes[0], &holds) == BAD_NONE && !IsNull(holds) && std::get<bool>(holds);
  }

 private:
  const JobMeasures measures_;
  const std::shared_ptr<const Plan> plan_;
  Evaluator evaluator_;
};

}  // namespace

RowCondition MakeRowCondition(const JobSpec& spec) {
  JobMeasures measures = MeasuresOf(spec);
  if (spec.having().empty() && !measures.measures[measures.ranked].nullable()) return nullptr;
  std::vector<PlanProblem> problems;
  std::shared_ptr<const Plan> plan = MakeHavingPlan(spec, &problems);
  CHECK(plan != nullptr) << "having of job " << spec.name() << ": " << problems[0].message;
  auto having = std::make_shared<Having>(std::move(measures), std::move(plan));
  return [having](std::span<const Units> sums) { return having->Holds(sums); };
}

}  // namespace tenfold
