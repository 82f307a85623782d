// UNION ALL: several topics as one table.
#include <algorithm>
#include <utility>

#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "jobs/cli/sql/sql_table.h"

namespace tenfold {
namespace {

class UnionReader {
 public:
  UnionReader(const std::map<std::string, SqlTable>& tables, size_t at, std::vector<SqlProblem>* problems)
      : tables_(tables), at_(at), problems_(problems) {}

  SqlTable Read(const SqlNode& select, const std::string& name) {
    union_.name = name;
    union_.offset = at_;
    const size_t before = problems_->size();
    ReadSelect(select);
    if (problems_->size() > before) union_.branches.clear();
    return std::move(union_);
  }

 private:
  void Problem(size_t offset, std::string message) { problems_->push_back({offset, std::move(message)}); }

  void ReadSelect(const SqlNode& select) {
    const std::string op = TextOf(select, "op");
    if (op == "SETOP_NONE") return ReadBranch(select);
    bool plain = op == "SETOP_UNION" && select.contains("all");
    for (const char* part : {"sortClause", "limitCount", "limitOffset", "withClause", "lockingClause", "intoClause"})
      plain = plain && !select.contains(part);
    if (!plain) return Problem(at_, "a query in FROM is a UNION ALL of SELECT .. FROM table, whose events are all counted");
    ReadSelect(FieldOf(select, "larg"));
    ReadSelect(FieldOf(select, "rarg"));
  }

  void ReadBranch(const SqlNode& select) {
    for (const char* part : {"whereClause", "groupClause", "havingClause", "sortClause", "limitCount", "limitOffset",
                             "distinctClause", "withClause", "windowClause", "valuesLists", "lockingClause", "intoClause"}) {
      if (select.contains(part))
        return Problem(at_,
                       "a SELECT of a UNION ALL names columns of a table and nothing else; what is of all events stands "
                       "in the query around it");
    }
    const SqlNode& from = FieldOf(select, "fromClause");
    const bool one = from.is_array() && from.size() == 1 && KindOf(from[0]) == "RangeVar" &&
                     !InnerOf(from[0]).contains("schemaname") && !InnerOf(from[0]).contains("catalogname");
    const std::string table_name = one ? TextOf(InnerOf(from[0]), "relname") : "";
    const auto table = tables_.find(table_name);
    if (table != tables_.end() && !table->second.branches.empty())
      return Problem(OffsetOf(from[0], at_), fmt::format("{} is a view, and a union is of topics", Shown(table_name)));
    if (!one || table == tables_.end() || table->second.IsLookup()) {
      std::vector<std::string> names;
      for (const auto& [known, each] : tables_) names.push_back(known);
      return Problem(one ? OffsetOf(from[0], at_) : at_,
                     fmt::format("there is no topic {}{}", Quoted(table_name), DidYouMean(table_name, names)));
    }
    const bool first = union_.branches.empty();
    SqlTable::Branch branch{.table = &table->second, .column_of = {}};
    const std::string alias = TextOf(FieldOf(InnerOf(from[0]), "alias"), "aliasname");
    called_ = alias.empty() ? table_name : alias;
    const SqlNode& targets = FieldOf(select, "targetList");
    if (!first && targets.size() != union_.columns.size())
      return Problem(at_, fmt::format("the SELECT of {} has {} columns, and the first one {}", Shown(table_name),
                                      targets.size(), union_.columns.size()));
    for (size_t i = 0; i < targets.size(); ++i) ReadTarget(targets[i], i, first, &branch);
    union_.branches.push_back(std::move(branch));
    // What is said of the job as a whole is said by the first table that says it.
    for (const char* option :
         {"ahead", "groups", "idle", "interval", "key_bytes", "lateness", "on_bad_record", "sinks", "wal"}) {
      if (const SqlTable::Option* const said = table->second.FindOption(option)) union_.options.try_emplace(option, *said);
    }
  }

  void ReadTarget(const SqlNode& target, size_t place, bool first, SqlTable::Branch* branch) {
    const size_t at = OffsetOf(target, at_);
    const SqlNode& value = FieldOf(InnerOf(target), "val");
    const std::vector<std::string> names = NamesOf(FieldOf(InnerOf(value), "fields"));
    const bool is_name =
        KindOf(value) == "ColumnRef" && !names.empty() && names.size() <= 2 && (names.size() == 1 || names[0] == called_);
    const SqlTable::Column* const column = is_name ? branch->table->Find(names.back()) : nullptr;
    if (column == nullptr || !column->generated.is_null()) {
      // The columns after it keep their places.
      if (first) union_.columns.emplace_back();
      return Problem(at, column != nullptr ? "a generated column is computed in the query around it, and no part of a union"
                         : KindOf(value) == "ColumnRef"
                             ? fmt::format("there is no column {} in {}", Quoted(fmt::format("{}", fmt::join(names, "."))),
                                           Shown(branch->table->name))
                             : "a SELECT of a UNION ALL names columns; compute with them in the query around it");
    }
    if (first) {
      const std::string as = TextOf(InnerOf(target), "name");
      const std::string& name = as.empty() ? column->name : as;
      if (union_.Find(name) != nullptr) Problem(at, fmt::format("two columns of the union are called {}", Shown(name)));
      SqlTable::Column& added = union_.columns.emplace_back(*column);
      added.name = name;
      added.nullable = false;
      added.default_value.reset();
    }
    // It may be null if it is so in one of the topics.
    union_.columns[place].nullable |= column->nullable && !column->default_value;
    branch->column_of[union_.columns[place].name] = column->name;
  }

  const std::map<std::string, SqlTable>& tables_;
  const size_t at_;
  std::vector<SqlProblem>* const problems_;
  SqlTable union_;
  // What the table of the SELECT under way is called in it.
  std::string called_;
};

}  // namespace

SqlTable ReadSqlUnion(const SqlNode& select, const std::string& name, size_t at,
                      const std::map<std::string, SqlTable>& tables, std::vector<SqlProblem>* problems) {
  return UnionReader(tables, at, problems).Read(select, name);
}

}  // namespace tenfold
