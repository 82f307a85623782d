// A topic as CREATE TABLE declares it: columns with their types, and how its records are read. Pure.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "jobs/cli/sql/sql_tree.h"

namespace tenfold {

struct SqlTable {
  struct Column {
    std::string name;
    size_t offset = 0;
    // The type's name in a job spec: decimal, integer, ..
    std::string type;
    bool nullable = true;
    std::optional<std::string> default_value;
    // The expression that it is GENERATED ALWAYS AS; null if it is a field of records.
    SqlNode generated;
  };
  struct Option {
    std::string value;
    size_t offset = 0;
  };

  // The column of this name; nullptr if there is none.
  const Column* Find(const std::string& name) const;
  const Option* FindOption(const std::string& name) const;

  std::string name;
  size_t offset = 0;
  std::vector<Column> columns;
  // By name; path.COLUMN, unit.COLUMN and kafka.PROPERTY with their dot.
  std::map<std::string, Option> options;
};

// Reads what is in a CreateStmt; what is wrong with it is added to `problems`.
SqlTable ReadSqlTable(const SqlNode& create, std::vector<SqlProblem>* problems);

}  // namespace tenfold
