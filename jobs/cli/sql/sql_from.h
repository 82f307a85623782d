// What stands behind FROM: a topic, a union of topics, windows of time, a list whose elements are events. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jobs/cli/sql/sql_expression.h"
#include "jobs/cli/sql/sql_table.h"
#include "jobs/cli/sql/sql_tree.h"

namespace tenfold {

// A text, and where what it was made of begins.
struct SqlPart {
  SqlText text;
  size_t offset = 0;
};

struct SqlFrom {
  struct Window {
    size_t offset = 0;
    SqlTable::Option size;
    // Of HOP how often windows begin; empty of TUMBLE.
    SqlTable::Option every;
    SqlPart time;
    // zone, lateness, ahead and idle.
    std::map<std::string, SqlTable::Option> options;
  };
  // unnest(list) AS alias(name).
  struct Explode {
    std::string alias;
    std::string name;
    SqlPart list;
    bool of_numbers = false;
  };

  // nullptr if there is none, which was told.
  const SqlTable* table = nullptr;
  // Owns the table if it is a query.
  std::shared_ptr<const SqlTable> made;
  std::string alias;
  std::optional<Window> window;
  std::optional<Explode> explode;
};

// Fills in `from`, which outlives the call, as does what `translate` needs of it: that makes an expression of a node over
// the table, once that is known. What is no job is added to `problems`.
void ReadSqlFrom(const SqlNode& from_clause, const std::map<std::string, SqlTable>& tables, size_t begin,
                 const std::function<SqlText(const SqlNode& node, size_t near)>& translate, SqlFrom* from,
                 std::vector<SqlProblem>* problems);

}  // namespace tenfold
