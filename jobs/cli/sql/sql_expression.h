// SQL expressions in the words of Tenfold's own (jobs/README.md). Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/limits.h"
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

// What is known of a value: its type by the words of job specs, empty if it is not known; and whether it may be null.
struct SqlType {
  std::string name = {};
  bool nullable = true;
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
  // What is known of a node without its children.
  using TypeOf = std::function<SqlType(const SqlNode& node)>;
  void SetTypes(TypeOf type_of) { type_of_ = std::move(type_of); }
  // Why IN cannot ask for a column of a table; "" if it can. Without it no table can be asked.
  using Lookups = std::function<std::string(const std::string& table, const std::string& column)>;
  void SetLookups(Lookups lookups) { lookups_ = std::move(lookups); }

  // What is no expression of ours is a problem, and the text is of no use then.
  SqlText Translate(const SqlNode& node, size_t near);

 private:
  void Problem(size_t offset, std::string message) { problems_->push_back({offset, std::move(message)}); }
  SqlText Constant(const SqlNode& constant, size_t at);
  SqlText Operation(const SqlNode& expression, size_t at);
  SqlText Comparison(const SqlNode& expression, const std::string& op, size_t at);
  SqlText Call(const SqlNode& call, size_t at);
  // EXTRACT and date_part.
  SqlText DatePart(const SqlNode& arguments, size_t at);
  SqlText Pattern(const std::string& name, const SqlNode& arguments, size_t at);
  // The text, if there is room for it.
  SqlText Bounded(SqlText text, size_t at);
  bool IsNumber(const SqlNode& node) const;
  bool MayBeNull(const SqlNode& node) const;
  SqlText Extreme(const std::string& name, const SqlNode& arguments, size_t at);
  SqlText Function(const std::string& name, const SqlNode& arguments, size_t at);
  SqlText Cast(const SqlNode& cast, size_t at);
  SqlText Case(const SqlNode& expression, size_t at);
  SqlText InTable(const SqlNode& link, size_t at);
  SqlText List(const SqlNode& items, std::string_view between, size_t at);

  const Column column_;
  const Aggregate aggregate_;
  TypeOf type_of_ = [](const SqlNode&) { return SqlType(); };
  Lookups lookups_ = [](const std::string&, const std::string&) { return std::string("a table cannot be asked here"); };
  // Bytes that names and constants may still take.
  size_t left_ = 4 * kMaxSpecBytes;
  std::vector<SqlProblem>* const problems_;
};

// Whether a function is one of SQL's aggregates, which Tenfold may have or not.
bool IsSqlAggregate(const SqlNode& call);
// The name of a function or a type, with its schema if that is not pg_catalog.
std::string SqlName(const SqlNode& names);
// A length of time as our specs have it, 5m or 1mo, of what INTERVAL '5 minutes' says; nullopt if it is none.
std::optional<std::string> SqlInterval(const SqlNode& node);

}  // namespace tenfold
