// What the oracle has for a result, by the totals of all keys: the top, or that of each group. Shares nothing with the
// merge.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"
#include "jobs/oracle/aggregates.h"
#include "jobs/oracle/formula.h"
#include "journal.pb.h"

namespace tenfold::oracle {

struct ExpectedResult {
  // As a batch's record has them.
  std::vector<Entry> top;
  std::vector<GroupTop> groups;
  bool groups_cut = false;
};

class ResultRule {
 public:
  explicit ResultRule(const JobSpec& spec);

  // The sums are in units of 1e-9, by key in the order of keys.
  ExpectedResult Of(const std::map<std::string_view, std::vector<BigInt>>& totals) const;

 private:
  using Totals = std::map<std::string_view, std::vector<BigInt>>;

  // Whether a key with these totals is ranked.
  bool IsRanked(const std::vector<BigInt>& sums) const;
  std::vector<Entry> TopOf(const Totals& totals) const;

  size_t top_ = 0;
  bool grouped_ = false;
  size_t groups_ = 0;
  std::vector<MeasureOfRow> measures_;
  size_t ranked_ = 0;
  bool ascending_ = false;
  std::optional<Formula> having_;
};

// "" if the batch, or the final window, has what is expected, else a sentence with the first difference.
std::string DifferenceOf(const BatchCommitted& batch, const ExpectedResult& expected);
std::string DifferenceOf(const FinalWindow& final, const ExpectedResult& expected);

// Numbers of units as messages have them.
Int128 UnitsMessage(const BigInt& units);
BigInt UnitsOf(const Int128& message);

}  // namespace tenfold::oracle
