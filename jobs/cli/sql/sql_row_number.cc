#include "jobs/cli/sql/sql_row_number.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
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
  if (!from.is_array() || from.size() != 1 || KindOf(from[0]) != "RangeSubselect") return nullptr;
  const SqlNode& query = InnerOf(FieldOf(InnerOf(from[0]), "subquery"));
  return TextOf(query, "op") == "SETOP_NONE" ? &query : nullptr;
}

// The item that is ROW_NUMBER(); nullptr if none is.
const SqlNode* NumberOf(const SqlNode& select) {
  for (const SqlNode& target : FieldOf(select, "targetList")) {
    if (IsRowNumber(FieldOf(InnerOf(target), "val"))) return &target;
  }
  return nullptr;
}

// Whether a query has a column of this name for the one around it.
bool Gives(const SqlNode& select, const std::string& name) {
  for (const SqlNode& target : FieldOf(select, "targetList")) {
    const SqlNode& fields = FieldOf(InnerOf(FieldOf(InnerOf(target), "val")), "fields");
    const bool is_star = fields.is_array() && !fields.empty() && KindOf(fields.back()) == "A_Star";
    const SqlNode* const inner = is_star ? QueryInFrom(select) : nullptr;
    if (SqlOutputName(target) == name || (inner != nullptr && Gives(*inner, name))) return true;
  }
  return false;
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
    if (numbered == nullptr) return std::nullopt;
    if (NumberOf(*numbered) == nullptr) {
      RefuseOthers(*numbered);
      return std::nullopt;
    }
    ReadNumber(*NumberOf(*numbered));
    read_.select = numbered;
    RefuseParts(outer, {"groupClause", "havingClause"});
    RefuseParts(outer, kOfNone);
    RefuseParts(*numbered, {"sortClause", "limitCount"});
    CheckNames(outer, *numbered);
    // One that counts for itself reads a topic, or a union.
    const SqlNode* const rows = numbered->contains("groupClause") ? nullptr : QueryInFrom(*numbered);
    if (rows != nullptr) {
      read_.select = rows;
      read_.is_outside = true;
      RefuseParts(*numbered, {"whereClause", "groupClause", "havingClause"});
      RefuseParts(*numbered, kOfNone);
      RefuseParts(*rows, {"sortClause", "limitCount"});
      CheckNames(*numbered, *rows);
    }
    ReadLimit(outer);
    CheckOrder(FieldOf(outer, "sortClause"));
    return read_;
  }

 private:
  void Problem(size_t offset, std::string message) { problems_->push_back({offset, std::move(message)}); }

  // A query of the result of another one, but for that of numbered rows, and other functions of windows.
  void RefuseOthers(const SqlNode& select) {
    for (const SqlNode& target : FieldOf(select, "targetList")) {
      const SqlNode& call = InnerOf(FieldOf(InnerOf(target), "val"));
      if (!call.contains("over")) continue;
      return Problem(
          OffsetOf(target, begin_),
          fmt::format("{} OVER is not supported; {}", absl::AsciiStrToUpper(SqlName(FieldOf(call, "funcname"))), kForm));
    }
    if (select.contains("groupClause"))
      Problem(
          begin_,
          fmt::format("a query of what another one has counted is not supported, but for the top of each group; {}", kForm));
  }

  void ReadNumber(const SqlNode& target) {
    const size_t at = OffsetOf(target, begin_);
    const SqlNode& call = InnerOf(FieldOf(InnerOf(target), "val"));
    read_.target = &target;
    read_.over = &FieldOf(call, "over");
    name_ = TextOf(InnerOf(target), "name");
    if (name_.empty()) Problem(at, "ROW_NUMBER() needs a name, by AS n, that WHERE n <= k asks for");
    bool plain = !read_.over->contains("name") && !read_.over->contains("refname") && !HasFrame(*read_.over);
    for (const char* part :
         {"args", "agg_filter", "agg_order", "agg_distinct", "agg_star", "agg_within_group", "func_variadic"})
      plain = plain && !call.contains(part);
    if (!plain) Problem(at, "ROW_NUMBER() is OVER (PARTITION BY .. ORDER BY ..), and nothing else");
  }

  // Whether a window says which of its rows count, as PostgreSQL's parser marks it in the lowest bit.
  static bool HasFrame(const SqlNode& over) {
    const SqlNode& options = FieldOf(over, "frameOptions");
    return options.is_number_integer() && (options.get<int64_t>() & 1) != 0;
  }

  // What no query has that others are around, or that is around others; of the one that is read as a job it is told there.
  static constexpr std::initializer_list<const char*> kOfNone = {"limitCount",   "limitOffset", "distinctClause",
                                                                 "withClause",   "intoClause",  "lockingClause",
                                                                 "windowClause", "valuesLists"};

  void RefuseParts(const SqlNode& select, std::initializer_list<const char*> parts) {
    static const std::map<std::string_view, std::string_view> kWords = {
        {"whereClause", "WHERE"},        {"groupClause", "GROUP BY"}, {"havingClause", "HAVING"},
        {"sortClause", "ORDER BY"},      {"limitCount", "LIMIT"},     {"limitOffset", "OFFSET"},
        {"distinctClause", "DISTINCT"},  {"withClause", "WITH"},      {"intoClause", "INTO"},
        {"lockingClause", "FOR UPDATE"}, {"windowClause", "WINDOW"},  {"valuesLists", "VALUES"}};
    for (const char* const part : parts) {
      const SqlNode& node = FieldOf(select, part);
      if (node.is_null()) continue;
      Problem(OffsetOf(node.is_array() && !node.empty() ? node[0] : node, begin_),
              fmt::format("{} does not stand here; {}", kWords.at(part), kForm));
    }
  }

  // All that a query around another one selects are columns of that, under their names.
  void CheckNames(const SqlNode& select, const SqlNode& of) {
    const SqlNode& alias = FieldOf(InnerOf(FieldOf(select, "fromClause")[0]), "alias");
    if (alias.contains("colnames"))
      Problem(begin_, fmt::format("the columns of {} keep their names; write AS in the query in it",
                                  Shown(TextOf(alias, "aliasname"))));
    for (const SqlNode& target : FieldOf(select, "targetList")) {
      if (&target == read_.target) continue;
      const size_t at = OffsetOf(target, begin_);
      const SqlNode& value = FieldOf(InnerOf(target), "val");
      const SqlNode& fields = FieldOf(InnerOf(value), "fields");
      if (fields.is_array() && !fields.empty() && KindOf(fields.back()) == "A_Star") continue;
      const std::vector<std::string> names = NamesOf(fields);
      const std::string name = KindOf(value) != "ColumnRef" || names.empty() ? "" : names.back();
      if (name.empty() || !Gives(of, name)) {
        Problem(at, IsRowNumber(value) ? "rows are numbered once"
                                       : "the query around ROW_NUMBER() selects what the query in it has, or *");
      } else if (SqlOutputName(target) != name) {
        Problem(at, "the query around ROW_NUMBER() leaves names as they are; write AS in the query in it");
      }
    }
  }

  // The order that a result has: what rows are numbered within, and then their number.
  void CheckOrder(const SqlNode& order) {
    std::vector<std::string> names;
    for (const SqlNode& item : FieldOf(*read_.over, "partitionClause")) {
      const std::vector<std::string> name = NamesOf(FieldOf(InnerOf(item), "fields"));
      names.push_back(name.empty() ? "" : name.back());
    }
    const auto is_window = [](const std::string& name) { return name == "window_start" || name == "window_end"; };
    std::stable_partition(names.begin(), names.end(), is_window);
    names.push_back(name_);
    size_t next = 0;
    for (const SqlNode& item : order) {
      const SqlNode& by = InnerOf(item);
      const std::vector<std::string> name = NamesOf(FieldOf(InnerOf(FieldOf(by, "node")), "fields"));
      const bool ascending = TextOf(by, "sortby_dir") == "SORTBY_DEFAULT" || TextOf(by, "sortby_dir") == "SORTBY_ASC";
      if (ascending && next < names.size() && !name.empty() && name.back() == names[next]) {
        if (!is_window(names[next]) && next + 1 < names.size()) read_.ordered_group = &FieldOf(by, "node");
        ++next;
        continue;
      }
      return Problem(OffsetOf(FieldOf(by, "node"), begin_),
                     "groups come by name, and the keys of each by rank; ORDER BY may say that, and nothing else");
    }
  }

  void ReadLimit(const SqlNode& outer) {
    const SqlNode& where = FieldOf(outer, "whereClause");
    const SqlNode& condition = InnerOf(where);
    const std::string op = SqlName(FieldOf(condition, "name"));
    const std::vector<std::string> names = NamesOf(FieldOf(InnerOf(FieldOf(condition, "lexpr")), "fields"));
    const SqlNode& number = FieldOf(FieldOf(InnerOf(FieldOf(condition, "rexpr")), "ival"), "ival");
    read_.limit = &FieldOf(condition, "rexpr");
    const bool known = KindOf(where) == "A_Expr" && TextOf(condition, "kind") == "AEXPR_OP" &&
                       (op == "<=" || op == "<" || op == "=") && !names.empty() && names.back() == name_ &&
                       number.is_number_integer();
    if (known) read_.top = number.get<int64_t>() - (op == "<" ? 1 : 0);
    if (!known || (op == "=" && read_.top != 1))
      return Problem(
          OffsetOf(where, begin_),
          fmt::format("the query around ROW_NUMBER() keeps the first rows, by WHERE {} <= 10 alone; other conditions "
                      "stand in WHERE and HAVING of the query in it",
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

std::string SqlOutputName(const SqlNode& target) {
  const std::string as = TextOf(InnerOf(target), "name");
  const std::vector<std::string> column = NamesOf(FieldOf(InnerOf(FieldOf(InnerOf(target), "val")), "fields"));
  return !as.empty() || column.empty() ? as : column.back();
}

bool IsRowNumber(const SqlNode& node) {
  return KindOf(node) == "FuncCall" && SqlName(FieldOf(InnerOf(node), "funcname")) == "row_number" &&
         InnerOf(node).contains("over");
}

std::optional<SqlRowNumber> ReadSqlRowNumber(const SqlNode& select, size_t begin, std::vector<SqlProblem>* problems) {
  return RowNumberReader(begin, problems).Read(select);
}

}  // namespace tenfold
