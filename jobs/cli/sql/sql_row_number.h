// The top of each group, as SQL has it: a query whose rows are numbered within groups, in one that keeps the first numbers.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "jobs/cli/sql/sql_tree.h"

namespace tenfold {

// Parts of the query's tree, which outlives it.
struct SqlRowNumber {
  // The SELECT .. GROUP BY whose rows are numbered.
  const SqlNode* select = nullptr;
  // The item of a SELECT that is ROW_NUMBER(), and the window that it is OVER.
  const SqlNode* target = nullptr;
  const SqlNode* over = nullptr;
  // It stands in a query around `select`, so that its names are those that `select` gives.
  bool is_outside = false;
  // Where the query around it orders by what rows are numbered within; nullptr if it does not.
  const SqlNode* ordered_group = nullptr;
  // What is compared with the number, and how many are kept.
  const SqlNode* limit = nullptr;
  int64_t top = 0;
};

// What an item of a SELECT is called in a query around it; empty if nothing.
std::string SqlOutputName(const SqlNode& target);

// Whether a call is ROW_NUMBER().
bool IsRowNumber(const SqlNode& node);

// Reads SELECT .. FROM (SELECT .., ROW_NUMBER() OVER (..) AS n FROM .. GROUP BY ..) AS t WHERE n <= k, where the rows may
// also come from one more SELECT in FROM. Nullopt for a query without ROW_NUMBER(); what is wrong with one is added to
// `problems`.
std::optional<SqlRowNumber> ReadSqlRowNumber(const SqlNode& select, size_t begin, std::vector<SqlProblem>* problems);

}  // namespace tenfold
