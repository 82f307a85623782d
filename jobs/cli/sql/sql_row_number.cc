#include "jobs/cli/sql/sql_row_number.h"

#include <algorithm>
#include <utility>

#include "common/limits.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"
#include "jobs/cli/sql/sql_expression.h"

namespace tenfold {
namespace {

constexpr char kForm[] =
    "the top of each group is SELECT * FROM (SELECT c, page, SUM(clicks) AS s, ROW_NUMBER() OVER (PARTITION BY c ORDER BY s "
    "DESC) AS n FROM .. GROUP BY c, page) AS t WHERE n <= 10";

// The query that is all of FROM; nullptr if it is something else.
const SqlNode* QueryInFrom(const SqlNode& select) {
  const SqlNode& from = FieldOf(select, "fromClause");
  const bool one = from.is_array() && from.size() == 1 && KindOf(from[0]) == "RangeSubselect";
  const SqlNode& query = one ? InnerOf(FieldOf(InnerOf(from[0]), "subquery")) : FieldOf(select, "");
  return one && TextOf(query, "op") == "SETOP_NONE" ? &query : nullptr;
}

// The item that is ROW_NUMBER(); nullptr if none is.
const SqlNode* NumberOf(const SqlNode& select) {
  for (const SqlNode& target : FieldOf(select, "targetList")) {
    if (IsRowNumber(FieldOf(InnerOf(target), "val"))) return &target;
  }
  return nullptr;
}

class RowNumberReader {
 public:
  RowNumberReader(size_t begin, std::vector<SqlProblem>* problems) : begin_(begin), problems_(problems) {}

  std::optional<SqlRowNumber> Read(const SqlNode& outer) {
    if (const SqlNode* const alone = NumberOf(outer)) {
      Problem(OffsetOf(*alone, begin_),
              fmt::format("the rows that ROW_NUMBER() numbers are kept by a query around it; {}", kForm));
      return std::nullopt;
    }
    const SqlNode* const numbered = QueryInFrom(outer);
    if (numbered == nullptr || NumberOf(*numbered) == nullptr) return std::nullopt;
    read_.target = NumberOf(*numbered);
    read_.over = &FieldOf(InnerOf(FieldOf(InnerOf(*read_.target), "val")), "over");
    name_ = TextOf(InnerOf(*read_.target), "name");
    if (name_.empty())
      Problem(OffsetOf(*read_.target, begin_), "ROW_NUMBER() needs a name, by AS n, that WHERE n <= k asks for");
    if (read_.over->contains("name") || read_.over->contains("refname") || HasFrame(*read_.over))
      Problem(OffsetOf(*read_.target, begin_), "ROW_NUMBER() is OVER (PARTITION BY .. ORDER BY ..), and nothing else");
    read_.select = numbered;
    if (const SqlNode* const rows = QueryInFrom(*numbered)) {
      RefuseParts(*numbered, {"whereClause", "groupClause", "havingClause"},
                  "the SELECT of ROW_NUMBER() over another SELECT");
      CheckTargets(*numbered, *rows, read_.target);
      read_.select = rows;
    }
    RefuseParts(outer, {"groupClause", "havingClause", "limitCount", "limitOffset", "distinctClause", "withClause"},
                "the query around ROW_NUMBER()");
    RefuseParts(*numbered, {"limitCount", "limitOffset", "sortClause", "distinctClause", "withClause"},
                "the SELECT of ROW_NUMBER()");
    RefuseParts(*read_.select, {"limitCount", "limitOffset", "sortClause", "distinctClause", "withClause"},
                "the SELECT whose rows are numbered");
    CheckTargets(outer, *numbered, nullptr);
    ReadLimit(outer);
    if (!FieldOf(outer, "sortClause").is_null())
      Problem(OffsetOf(FieldOf(outer, "sortClause")[0], begin_),
              "groups come by name, and the keys of each by rank, without ORDER BY");
    return read_;
  }

 private:
  void Problem(size_t offset, std::string message) { problems_->push_back({offset, std::move(message)}); }

  // Whether a window has a frame of its own; 0x422 and such are the default's bits.
  static bool HasFrame(const SqlNode& over) {
    constexpr int64_t kNonDefault = 1;
    const SqlNode& options = FieldOf(over, "frameOptions");
    return options.is_number_integer() && (options.get<int64_t>() & kNonDefault) != 0;
  }

  void RefuseParts(const SqlNode& select, std::initializer_list<const char*> parts, const char* where) {
    for (const char* const part : parts) {
      const SqlNode& node = FieldOf(select, part);
      if (node.is_null()) continue;
      Problem(OffsetOf(node.is_array() && !node.empty() ? node[0] : node, begin_),
              fmt::format("{} has it, which is not supported; {}", where, kForm));
    }
  }

  // All that a query around another one selects are columns of that.
  void CheckTargets(const SqlNode& select, const SqlNode& of, const SqlNode* but) {
    for (const SqlNode& target : FieldOf(select, "targetList")) {
      if (&target == but) continue;
      const SqlNode& value = FieldOf(InnerOf(target), "val");
      const SqlNode& fields = FieldOf(InnerOf(value), "fields");
      const bool star = fields.is_array() && !fields.empty() && KindOf(fields.back()) == "A_Star";
      const std::vector<std::string> names = NamesOf(fields);
      const std::string name = names.empty() ? "" : names.back();
      const auto is_it = [&name](const SqlNode& each) {
        const std::vector<std::string> column = NamesOf(FieldOf(InnerOf(FieldOf(InnerOf(each), "val")), "fields"));
        const std::string as = TextOf(InnerOf(each), "name");
        return as.empty() ? !column.empty() && column.back() == name : as == name;
      };
      const SqlNode& inner = FieldOf(of, "targetList");
      if (star || (KindOf(value) == "ColumnRef" && std::any_of(inner.begin(), inner.end(), is_it))) continue;
      Problem(OffsetOf(target, begin_), "the query around ROW_NUMBER() selects what the query in it has, or *");
    }
  }

  void ReadLimit(const SqlNode& outer) {
    const SqlNode& where = FieldOf(outer, "whereClause");
    const SqlNode& condition = InnerOf(where);
    const std::string op = SqlName(FieldOf(condition, "name"));
    const std::vector<std::string> names = NamesOf(FieldOf(InnerOf(FieldOf(condition, "lexpr")), "fields"));
    const SqlNode& number = FieldOf(FieldOf(InnerOf(FieldOf(condition, "rexpr")), "ival"), "ival");
    read_.limit = &FieldOf(condition, "rexpr");
    const bool known = KindOf(where) == "A_Expr" && (op == "<=" || op == "<" || op == "=") && !names.empty() &&
                       names.back() == name_ && number.is_number_integer();
    if (known) read_.top = number.get<int64_t>() - (op == "<" ? 1 : 0);
    if (!known || (op == "=" && read_.top != 1))
      return Problem(OffsetOf(where, begin_),
                     fmt::format("the query around ROW_NUMBER() keeps the first rows, by WHERE {} <= 10",
                                 name_.empty() ? "n" : Shown(name_)));
    if (read_.top < 1 || read_.top > int64_t{kMaxTop})
      Problem(OffsetOf(*read_.limit, begin_), fmt::format("a group has 1 to {} keys", kMaxTop));
  }

  const size_t begin_;
  std::vector<SqlProblem>* const problems_;
  std::string name_;
  SqlRowNumber read_;
};

}  // namespace

bool IsRowNumber(const SqlNode& node) {
  return KindOf(node) == "FuncCall" && SqlName(FieldOf(InnerOf(node), "funcname")) == "row_number" &&
         InnerOf(node).contains("over");
}

std::optional<SqlRowNumber> ReadSqlRowNumber(const SqlNode& select, size_t begin, std::vector<SqlProblem>* problems) {
  return RowNumberReader(begin, problems).Read(select);
}

}  // namespace tenfold
