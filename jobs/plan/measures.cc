#include "jobs/plan/measures.h"

#include "common/number/height.h"
#include "jobs/plan/measure_form.h"

namespace tenfold {

bool RowMeasure::HasValue(std::span<const Units> sums) const {
  if (quotient) return quotient->HasValue(sums);
  // The sums another process sent may be fewer than the job has.
  return sum < sums.size() && (!present || (*present < sums.size() && sums[*present] != 0));
}

Units RowMeasure::NumberOf(Units of_row) const {
  if (!is_height()) return of_row;
  const Units contributed = ContributionOf(of_row);
  return kind == Kind::kMax ? contributed : static_cast<Units>(0 - static_cast<Uint128>(contributed));
}

Units RowMeasure::SumOf(int64_t units) const {
  if (!is_height()) return units;
  return HeightOf(kind == Kind::kMax ? units : -units);
}

std::optional<Fraction> RowMeasure::ValueOf(std::span<const Units> sums) const {
  if (!HasValue(sums)) return std::nullopt;
  return quotient ? quotient->ValueOf(sums) : Fraction::OfUnits(NumberOf(sums[sum]));
}

std::optional<std::string> RowMeasure::TextOf(std::span<const Units> sums) const {
  if (const std::optional<Fraction> value = ValueOf(sums)) return value->Text();
  return std::nullopt;
}

namespace {

// Gives a measure the sums that a row has for it, from `*sums` on.
void SetSums(const Measure& measure, size_t* sums, RowMeasure* made) {
  const ParsedExpression parsed = ParseExpression(measure.expression());
  MeasureProblem problem;
  const std::optional<MeasureForm> form = parsed.expression ? ReadMeasureForm(*parsed.expression, &problem) : std::nullopt;
  made->sum = (*sums)++;
  if (form && form->dividend.is_height()) {
    made->kind = form->dividend.kind == Aggregate::Kind::kMax ? RowMeasure::Kind::kMax : RowMeasure::Kind::kMin;
    ++*sums;
  }
  // Of an average the divisor says whether there was any number.
  const bool average = form && form->is_average;
  if (measure.nullable() && !average) made->present = (*sums)++;
  if (!form || !form->divisor) return;
  Quotient& quotient = made->quotient.emplace();
  quotient.dividend = made->sum;
  quotient.dividend_present = made->present;
  quotient.dividend_added = form->dividend.added;
  quotient.divisor = (*sums)++;
  if (measure.divisor_nullable() && !average) quotient.divisor_present = (*sums)++;
  quotient.divisor_added = form->divisor->added;
}

}  // namespace

JobMeasures MeasuresOf(const JobSpec& spec) {
  JobMeasures of;
  size_t sums = 0;
  HeightSet heights = {};
  for (const Measure& measure : spec.fold().general().measures()) {
    RowMeasure& made = of.measures.emplace_back();
    made.name = measure.name();
    SetSums(measure, &sums, &made);
    if (made.is_height()) heights.Add(made.sum);
    if (measure.name() == spec.rank()) of.ranked = of.measures.size() - 1;
  }
  if (of.measures.empty()) of.measures.push_back({.name = kScoreMeasure});
  if (sums == 0) sums = 1;
  const RowMeasure& ranked = of.measures[of.ranked];
  of.ascending = spec.order() == ORDER_ASCENDING;
  // The height of min(x) falls as x rises.
  of.ranking = {.sums = sums,
                .by = ranked.sum,
                .ascending = of.ascending != (ranked.kind == RowMeasure::Kind::kMin),
                .quotient = ranked.quotient,
                .heights = heights};
  return of;
}

std::vector<Units> SumsOf(const Entry& entry) {
  std::vector<Units> sums{FromProto(entry.sum())};
  for (const Int128& other : entry.others()) sums.push_back(FromProto(other));
  return sums;
}

}  // namespace tenfold
