// A key with what the driver knows of its sums, at one worker or over all. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/number/ranking.h"
#include "common/number/units.h"
#include "common/table/totals.h"
#include "state.pb.h"

namespace tenfold {

struct Partial {
  std::string key;
  // What ranks (Ranking::Of); where a quotient ranks, that of a total is Ranking::OfTotal.
  Units sum = 0;
  // Every sum of the row, where it has several.
  std::vector<Units> sums = {};
};

// What an entry is ranked by.
Units RankedSum(const Entry& entry, const Ranking& ranking);
// The entry has as many sums as the ranking says.
Partial ToPartial(const Entry& entry, const Ranking& ranking);
Entry ToEntry(const Partial& partial, const Ranking& ranking);
// The same as a view, and the other way round.
TotalEntry ViewOf(const Partial& partial);
Partial ToPartial(const TotalEntry& total);

// Joins the sums of a partial to those of others, of which there may be none yet.
void JoinSums(const std::vector<Units>& added, const Ranking& ranking, std::vector<Units>* sums);

}  // namespace tenfold
