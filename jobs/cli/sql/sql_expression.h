// SQL expressions in the words of Tenfold's own (jobs/README.md). Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jobs/cli/sql/sql_tree.h"

namespace tenfold {

// A text that was made of SQL, and which byte of the SQL its parts are of.
struct SqlText {
  std::string text;
  // Where a part begins in the text, and the byte of the SQL; ascending.
  std::vector<std::pair<size_t, size_t>> places;

  SqlText& Add(std::string_view part, size_t offset);
  SqlText& Add(const SqlText& part);
  // Of what was made at the place itself.
  SqlText& Add(std::string_view part);
};

class SqlExpressions {
 public:
  // What a column is; nullopt if there is none, which was told.
  using Column = std::function<std::optional<SqlText>(const std::vector<std::string>& names, size_t offset)>;
  // What SUM, COUNT and their like are; nullopt if they may not stand there, which was told.
  using Aggregate = std::function<std::optional<SqlText>(const SqlNode& call, size_t offset)>;

  // Problems are added to `problems`, which outlives the object.
  SqlExpressions(Column column, Aggregate aggregate, std::vector<SqlProblem>* problems)
      : column_(std::move(column)), aggregate_(std::move(aggregate)), problems_(problems) {}
  // What is a number already, so that a cast makes none of it.
  using IsNumber = std::function<bool(const SqlNode& node)>;
  void SetNumbers(IsNumber is_number) { is_number_ = std::move(is_number); }

  // What is no expression of ours is a problem, and the text is of no use then.
  SqlText Translate(const SqlNode& node, size_t near);

 private:
  void Problem(size_t offset, std::string message) { problems_->push_back({offset, std::move(message)}); }
  SqlText Constant(const SqlNode& constant, size_t at);
  SqlText Operation(const SqlNode& expression, size_t at);
  SqlText Comparison(const SqlNode& expression, const std::string& op, size_t at);
  SqlText Call(const SqlNode& call, size_t at);
  SqlText Function(const std::string& name, const SqlNode& arguments, size_t at);
  SqlText Cast(const SqlNode& cast, size_t at);
  SqlText Case(const SqlNode& expression, size_t at);
  SqlText List(const SqlNode& items, std::string_view between, size_t at);

  const Column column_;
  const Aggregate aggregate_;
  IsNumber is_number_ = [](const SqlNode&) { return false; };
  std::vector<SqlProblem>* const problems_;
};

// Whether a function is one of SQL's aggregates, which Tenfold may have or not.
bool IsSqlAggregate(const SqlNode& call);
// The name of a function or a type, without its schema pg_catalog.
std::string SqlName(const SqlNode& names);
// A length of time as our specs have it, 5m or 1mo, of what INTERVAL '5 minutes' says; nullopt if it is none.
std::optional<std::string> SqlInterval(const SqlNode& node);

}  // namespace tenfold
