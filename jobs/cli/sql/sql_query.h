// What a SELECT says, in the words of job specs. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "jobs/cli/sql/sql_expression.h"
#include "jobs/cli/sql/sql_from.h"
#include "jobs/cli/sql/sql_table.h"
#include "jobs/cli/sql/sql_tree.h"

namespace tenfold {

struct SqlQuery {
  using Part = SqlPart;
  struct Key {
    SqlText text;
    size_t offset = 0;
    // The column that it is; nullptr if it is computed.
    const SqlTable::Column* column = nullptr;
    // What SELECT calls it; empty if nothing.
    std::string name = {};
  };
  struct Measure {
    std::string name;
    SqlText text;
    size_t offset = 0;
  };
  // Where the query begins, about.
  size_t offset = 0;
  SqlFrom from;
  std::optional<Part> where;
  std::vector<Key> keys;
  // The key that each group has a top of, by ROW_NUMBER() OVER (PARTITION BY ..).
  std::optional<Key> group;
  std::vector<Measure> measures;
  std::string rank;
  bool ascending = false;
  std::optional<Part> having;
  Part top;
};

// Reads what is in a SelectStmt over these tables, which outlive the result. What it says that no job is, is added to
// `problems`.
SqlQuery ReadSqlQuery(const SqlNode& select, const std::map<std::string, SqlTable>& tables,
                      std::vector<SqlProblem>* problems);

}  // namespace tenfold
