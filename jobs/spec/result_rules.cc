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
#include "jobs/plan/plan.h"

namespace tenfold {
namespace {

// The most that an entry of a result takes.
size_t EntryBytesOf(const JobSpec& spec) {
  const auto measures = static_cast<size_t>(std::max(spec.fold().general().measures_size(), 1));
  // A spec that breaks the rules may say more.
  return std::min(KeyBytesOf(spec.fold().general()), kMaxKeyBytes) + kBytesPerMeasure * measures;
}

}  // namespace

uint32_t MostGroups(const JobSpec& spec) {
  const size_t most = kMaxResultBytes / (EntryBytesOf(spec) * std::max(spec.top(), 1u));
  return static_cast<uint32_t>(std::min<size_t>(most, kMaxGroups));
}

namespace {

template <typename Violation>
void CheckGroups(const JobSpec& spec, const Violation& violation) {
  if (spec.fold().general().group().empty()) {
    if (spec.groups() > 0) violation("groups", "is how many groups a result has at most, and the job has no group");
    return;
  }
  if (spec.groups() < 1 || spec.groups() > kMaxGroups)
    return violation("groups", fmt::format("must be a whole number from 1 to {}", kMaxGroups));
  if (const uint32_t most = MostGroups(spec); most > 0 && spec.groups() > most) {
    violation("groups",
              fmt::format(
                  "{} tops of {} keys of up to {} bytes with {} measures are more than a result may have; at most {} "
                  "are allowed, or more where keys are shorter, by a lower key_bytes",
                  spec.groups(), spec.top(), KeyBytesOf(spec.fold().general()), spec.fold().general().measures_size(), most),
              "measures");
  }
}

}  // namespace

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
  const size_t entry_bytes = EntryBytesOf(spec);
  if (spec.top() <= kMaxTop && spec.top() > kMaxResultBytes / entry_bytes) {
    violation("top",
              fmt::format("{} keys of up to {} bytes with {} measures are more than a result may have; at most {} are "
                          "allowed",
                          spec.top(), KeyBytesOf(spec.fold().general()), of.measures.size(), kMaxResultBytes / entry_bytes),
              "measures");
  }
  CheckGroups(spec, violation);
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
