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
  // Whether it is a file of keys and values, and no topic.
  bool IsLookup() const { return FindOption("file") != nullptr; }

  // A topic of a union, and which of its columns each column of the union is.
  struct Branch {
    const SqlTable* table = nullptr;
    std::map<std::string, std::string> column_of;
  };

  std::string name;
  size_t offset = 0;
  std::vector<Column> columns;
  // By name; path.COLUMN, unit.COLUMN and kafka.PROPERTY with their dot.
  std::map<std::string, Option> options;
  // Of a UNION ALL; none of a topic.
  std::vector<Branch> branches;
};

// Reads what is in a CreateStmt; what is wrong with it is added to `problems`.
SqlTable ReadSqlTable(const SqlNode& create, std::vector<SqlProblem>* problems);

// Reads a SelectStmt that is a UNION ALL of topics' columns, or one of them. The tables outlive the result, which has no
// branches if something is wrong.
SqlTable ReadSqlUnion(const SqlNode& select, const std::string& name, size_t at,
                      const std::map<std::string, SqlTable>& tables, std::vector<SqlProblem>* problems);

}  // namespace tenfold
