#include "jobs/oracle/aggregates.h"

#include <algorithm>
#include <utility>

namespace tenfold::oracle {
namespace {

bool IsAggregate(const Formula& formula) {
  return formula.kind == Formula::Kind::kDo && (formula.name == "sum" || formula.name == "count");
}

BigInt TwoToThe63() { return BigInt(1) << 63; }

Rational ConstantOf(const Formula& formula) {
  Names none;
  return std::get<Datum>(Compute(formula, &none)).number();
}

Aggregate ReadPart(const Formula& formula) {
  Aggregate part;
  if (!IsAggregate(formula)) {
    const bool first = IsAggregate(formula.parts[0]);
    part = ReadPart(formula.parts[first ? 0 : 1]);
    part.added = ConstantOf(formula.parts[first ? 1 : 0]);
    if (formula.name == "-") part.added = -part.added;
    return part;
  }
  part.counts = formula.name == "count";
  if (!formula.parts.empty()) part.of = formula.parts[0];
  return part;
}

}  // namespace

RowSums::RowSums(const std::vector<MeasureOfRow>& measures) {
  for (const MeasureOfRow& measure : measures) {
    for (const Aggregate& part : measure.parts) {
      is_highest_.resize(part.sum + part.sums());
      is_highest_[part.sum] = part.is_max || part.is_min;
    }
  }
}

void RowSums::Add(const std::vector<BigInt>& added, std::vector<BigInt>* sums) const {
  sums->resize(added.size());
  for (size_t m = 0; m < added.size(); ++m) {
    BigInt& sum = (*sums)[m];
    sum = is_highest_[m] ? std::max(sum, added[m]) : BigInt(sum + added[m]);
  }
}

std::optional<Rational> MeasureOfRow::ValueOf(const std::vector<BigInt>& sums) const {
  for (const Aggregate& part : parts) {
    if (part.has_present && sums[part.sum + part.sums() - 1] == 0) return std::nullopt;
  }
  if (parts[0].is_max) return Rational(sums[parts[0].sum] - TwoToThe63());
  if (parts[0].is_min) return Rational(TwoToThe63() - sums[parts[0].sum]);
  const auto total = [&](const Aggregate& part) { return Rational(sums[part.sum]) + part.added * 1'000'000'000; };
  if (parts.size() == 1) return total(parts[0]);
  if (total(parts[1]) == 0) return std::nullopt;
  return total(parts[0]) / total(parts[1]) * 1'000'000'000;
}

std::vector<MeasureOfRow> ReadMeasures(const Fold& fold) {
  if (!fold.has_general()) return {{.name = "score", .parts = {Aggregate()}}};
  std::vector<MeasureOfRow> measures;
  size_t sums = 0;
  for (const Measure& said : fold.general().measures()) {
    MeasureOfRow& measure = measures.emplace_back();
    measure.name = said.name();
    const Formula formula = ParseFormula(said.expression());
    if (formula.name == "avg") {
      measure.parts.push_back({.of = formula.parts[0]});
      measure.parts.push_back({.counts = true, .of = formula.parts[0]});
    } else if (formula.name == "/") {
      measure.parts = {ReadPart(formula.parts[0]), ReadPart(formula.parts[1])};
      measure.parts[1].divides = !measure.parts[1].counts;
    } else if (formula.name == "max" || formula.name == "min") {
      measure.parts.push_back({.is_max = formula.name == "max", .is_min = formula.name == "min", .of = formula.parts[0]});
    } else {
      measure.parts.push_back(ReadPart(formula));
    }
    if (formula.name != "avg") {
      measure.parts[0].has_present = said.nullable();
      measure.parts.back().has_present |= measure.parts.size() > 1 && said.divisor_nullable();
    }
    for (Aggregate& part : measure.parts) {
      part.sum = sums;
      sums += part.sums();
    }
  }
  return measures;
}

}  // namespace tenfold::oracle
