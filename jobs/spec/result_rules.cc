#include "jobs/spec/result_rules.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/limits.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "jobs/plan/having.h"
#include "jobs/plan/measures.h"

namespace tenfold {

std::vector<SpecViolation> CheckResultRules(const JobSpec& spec) {
  std::vector<SpecViolation> violations;
  const auto violation = [&](std::string path, std::string message, std::string relies_on = "") {
    violations.push_back({.path = std::move(path), .message = std::move(message), .relies_on = std::move(relies_on)});
  };
  if (!RankOrder_IsValid(spec.order())) violation("order", "must be descending or ascending");
  if (spec.top() < 1 || spec.top() > kMaxTop) violation("top", fmt::format("must be a whole number from 1 to {}", kMaxTop));

  if (spec.idle_us() < 0 || spec.idle_us() > kMaxLatenessUs) violation("window.idle", "is at most 366d");
  if (spec.idle_us() > 0 && !spec.fold().general().has_window()) violation("window.idle", "is of use with windows only");

  const JobMeasures of = MeasuresOf(spec);
  // A fold without measures is refused for that.
  const bool has_measures = !spec.fold().has_general() || !spec.fold().general().measures().empty();
  if (!has_measures || of.measures.size() > kMaxMeasures) return violations;
  const size_t entry_bytes = kMaxKeyBytes + kBytesPerMeasure * of.measures.size();
  if (spec.top() <= kMaxTop && spec.top() > kMaxResultBytes / entry_bytes) {
    violation("top",
              fmt::format("{} keys of up to {} bytes with {} measures are more than a result may have; at most {} are "
                          "allowed",
                          spec.top(), kMaxKeyBytes, of.measures.size(), kMaxResultBytes / entry_bytes),
              "measures");
  }
  std::vector<std::string> names;
  for (const RowMeasure& measure : of.measures) names.push_back(measure.name);
  if (!spec.rank().empty() && std::ranges::find(names, spec.rank()) == names.end())
    violation("rank",
              fmt::format("{} is no measure{}; rank is the name of one of {}, and order says which end comes first",
                          Quoted(spec.rank()), DidYouMean(spec.rank(), names), fmt::join(names, ", ")),
              "measures");
  std::vector<PlanProblem> problems;
  MakeHavingPlan(spec, &problems);
  for (PlanProblem& problem : problems) {
    violations.push_back({.path = std::move(problem.path),
                          .message = std::move(problem.message),
                          .relies_on = "measures",
                          .begin = problem.begin,
                          .end = problem.end});
  }
  return violations;
}

}  // namespace tenfold
