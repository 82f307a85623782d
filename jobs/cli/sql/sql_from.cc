#include "jobs/cli/sql/sql_from.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"

namespace tenfold {
namespace {

class FromReader {
 public:
  FromReader(const std::map<std::string, SqlTable>& tables, size_t begin,
             const std::function<SqlText(const SqlNode& node, size_t near)>& translate, SqlFrom* from,
             std::vector<SqlProblem>* problems)
      : tables_(tables), begin_(begin), translate_(translate), from_(from), problems_(problems) {}

  void ReadFrom(const SqlNode& clause) {
    if (!clause.is_array() || clause.empty()) return Problem(begin_, "FROM is missing: it names a table, that is a topic");
    std::vector<const SqlNode*> items;
    for (const SqlNode& item : clause) AddItems(item, &items);
    if (items.empty()) return;
    ReadTable(*items[0]);
    if (from_->table == nullptr) return;
    for (size_t i = 1; i < items.size(); ++i) {
      const size_t at = OffsetOf(*items[i], begin_);
      const SqlNode* const call = FunctionOf(*items[i]);
      const bool unnests = call != nullptr && SqlName(FieldOf(InnerOf(*call), "funcname")) == "unnest";
      if (!unnests) return Problem(at, "a query reads one table, or a UNION ALL of some; streams are not joined");
      if (from_->explode) return Problem(at, "a query has one unnest(..)");
      ReadUnnest(*items[i], *call);
    }
  }

  // Takes `a CROSS JOIN b` for `a, b`.
  void AddItems(const SqlNode& node, std::vector<const SqlNode*>* items) {
    if (KindOf(node) != "JoinExpr") return items->push_back(&node);
    const SqlNode& join = InnerOf(node);
    const bool cross = TextOf(join, "jointype") == "JOIN_INNER" && !join.contains("quals") &&
                       !join.contains("usingClause") && !join.contains("isNatural");
    if (!cross) return Problem(begin_, "streams are not joined: a join needs an order over partitions");
    AddItems(FieldOf(join, "larg"), items);
    AddItems(FieldOf(join, "rarg"), items);
  }

  // The function that stands there in place of a table; nullptr if none does.
  static const SqlNode* FunctionOf(const SqlNode& item) {
    const SqlNode& functions = FieldOf(InnerOf(item), "functions");
    if (KindOf(item) != "RangeFunction" || !functions.is_array() || functions.size() != 1) return nullptr;
    const SqlNode& list = FieldOf(InnerOf(functions[0]), "items");
    return list.is_array() && !list.empty() && KindOf(list[0]) == "FuncCall" ? &list[0] : nullptr;
  }

  // Whether a call has DISTINCT, FILTER, OVER or anything else beside its arguments.
  static bool SaysMoreThanArguments(const SqlNode& call) {
    constexpr auto kParts = std::to_array<const char*>(
        {"agg_distinct", "agg_order", "agg_filter", "agg_within_group", "agg_star", "func_variadic", "over"});
    return std::ranges::any_of(kParts, [&call](const char* part) { return InnerOf(call).contains(part); });
  }

  void ReadUnnest(const SqlNode& item, const SqlNode& call) {
    const size_t at = OffsetOf(call, begin_);
    const SqlNode& alias = FieldOf(InnerOf(item), "alias");
    const std::vector<std::string> names = NamesOf(FieldOf(alias, "colnames"));
    const SqlNode& arguments = FieldOf(InnerOf(call), "args");
    SqlFrom::Explode explode;
    explode.alias = TextOf(alias, "aliasname");
    explode.name = names.empty() ? explode.alias : names[0];
    const bool others =
        InnerOf(item).contains("ordinality") || InnerOf(item).contains("is_rowsfrom") || SaysMoreThanArguments(call);
    if (others || names.size() > 1 || explode.name.empty() || !arguments.is_array() || arguments.size() != 1)
      return Problem(at, "write unnest(LIST) AS t(NAME), which is an event for each element of the list, called NAME");
    if (explode.name == "window_start" || explode.name == "window_end")
      return Problem(at, fmt::format("{} is the window's; give the element another name", explode.name));
    if (from_->table->Find(explode.name) != nullptr)
      return Problem(at, fmt::format("{} is a column of the table; give the element another name", Shown(explode.name)));
    const std::vector<std::string> column = NamesOf(FieldOf(InnerOf(arguments[0]), "fields"));
    const SqlTable::Column* const list = column.empty() ? nullptr : from_->table->Find(column.back());
    explode.of_numbers = list != nullptr && list->type == "decimal_list";
    explode.list = Part(translate_(arguments[0], at), arguments[0]);
    from_->explode = std::move(explode);
  }

  void ReadTable(const SqlNode& item) {
    const std::string_view kind = KindOf(item);
    const SqlNode& inner = InnerOf(item);
    const size_t at = OffsetOf(item, begin_);
    from_->alias = TextOf(FieldOf(inner, "alias"), "aliasname");
    if (FieldOf(inner, "alias").contains("colnames"))
      return Problem(at, "other names of columns are not supported; name them in CREATE TABLE");
    for (const char* part : {"coldeflist", "ordinality", "is_rowsfrom", "lateral", "catalogname", "schemaname"}) {
      if (inner.contains(part))
        return Problem(at, "FROM takes the name of a table, TUMBLE(..) or HOP(..), and nothing else");
    }
    if (kind == "RangeVar") return FindTable({TextOf(inner, "relname")}, at);
    if (kind == "RangeSubselect") {
      from_->made = std::make_shared<SqlTable>(
          ReadSqlUnion(InnerOf(FieldOf(inner, "subquery")), from_->alias, at, tables_, problems_));
      from_->table = from_->made->branches.empty() ? nullptr : from_->made.get();
      return;
    }
    if (const SqlNode* const call = FunctionOf(item)) return ReadWindow(*call);
    Problem(at, "FROM takes a table, TUMBLE(..) or HOP(..)");
  }

  void FindTable(const std::vector<std::string>& names_of, size_t at) {
    if (names_of.size() != 1) return Problem(at, "a table has a name without a schema");
    const std::string& name = names_of[0];
    const auto found = tables_.find(name);
    if (found == tables_.end()) {
      std::vector<std::string> names;
      for (const auto& [known, table] : tables_) names.push_back(known);
      return Problem(at, fmt::format("there is no table {}{}; declare it by CREATE TABLE {} (..) WITH (..)", Quoted(name),
                                     DidYouMean(name, names), Shown(name)));
    }
    if (found->second.IsLookup())
      return Problem(at, fmt::format("{} is of a file, which is looked up and not read from", Quoted(name)));
    from_->table = &found->second;
  }

  // TUMBLE(table, column, size, zone => ..) and HOP(table, column, every, size, ..).
  void ReadWindow(const SqlNode& call) {
    const size_t at = OffsetOf(call, begin_);
    const std::string function = SqlName(FieldOf(InnerOf(call), "funcname"));
    const bool tumble = function == "tumble";
    if (SaysMoreThanArguments(call)) return Problem(at, "FROM takes TUMBLE(..) and HOP(..) with their arguments alone");
    if (!tumble && function != "hop") {
      return Problem(at, function == "session" ? "SESSION is not supported: sessions need an order over partitions"
                                               : fmt::format("FROM takes a table, TUMBLE(..) or HOP(..), but no {}(..)",
                                                             absl::AsciiStrToUpper(Shown(function))));
    }
    std::vector<const SqlNode*> arguments;
    SqlFrom::Window window;
    window.offset = at;
    std::map<std::string, SqlTable::Option> said;
    for (const char* key : {"lateness", "ahead", "idle"}) {
      const auto in_table = [&](const SqlTable& table) {
        if (const SqlTable::Option* const option = table.FindOption(key)) said[key] = *option;
      };
      const SqlNode& args = FieldOf(InnerOf(call), "args");
      const SqlNode& first = args.is_array() && !args.empty() ? args[0] : args;
      const std::vector<std::string> names = NamesOf(FieldOf(InnerOf(first), "fields"));
      if (const auto table = tables_.find(names.empty() ? "" : names.back()); table != tables_.end())
        in_table(table->second);
    }
    std::set<std::string> named;
    for (const SqlNode& argument : FieldOf(InnerOf(call), "args")) {
      if (KindOf(argument) != "NamedArgExpr") {
        arguments.push_back(&argument);
        continue;
      }
      const std::string name = TextOf(InnerOf(argument), "name");
      const SqlNode& value = FieldOf(InnerOf(argument), "arg");
      const size_t value_at = OffsetOf(value, at);
      static const std::vector<std::string> kNames = {"zone", "lateness", "ahead", "idle"};
      if (!named.insert(name).second) {
        Problem(OffsetOf(argument, at), fmt::format("{} is there twice", name));
      } else if (std::ranges::find(kNames, name) == kNames.end()) {
        Problem(OffsetOf(argument, at), fmt::format("there is no {}{}; there are zone, lateness, ahead and idle",
                                                    Quoted(name), DidYouMean(name, kNames)));
      } else if (name == "zone") {
        if (!FieldOf(InnerOf(value), "sval").is_object()) Problem(value_at, "a zone is a text, like 'Europe/Berlin'");
        said[name] = {TextOf(FieldOf(InnerOf(value), "sval"), "sval"), value_at};
      } else if (const std::optional<std::string> length = SqlInterval(value)) {
        said[name] = {*length, value_at};
      } else {
        Problem(value_at, "is no interval; write it like INTERVAL '30 seconds'");
      }
    }
    const size_t needed = tumble ? 3 : 4;
    if (arguments.size() != needed) {
      return Problem(at, tumble
                             ? "TUMBLE takes a table, its column of time and the size: TUMBLE(clicks, at, INTERVAL '1 day')"
                             : "HOP takes a table, its column of time, how often windows begin and their size: HOP(clicks, "
                               "at, INTERVAL '5 minutes', INTERVAL '1 day')");
    }
    const std::vector<std::string> table = NamesOf(FieldOf(InnerOf(*arguments[0]), "fields"));
    if (table.empty()) return Problem(OffsetOf(*arguments[0], at), "the first argument is the name of a table");
    FindTable(table, OffsetOf(*arguments[0], at));
    if (from_->table == nullptr) return;
    window.time = Part(translate_(*arguments[1], at), *arguments[1]);
    const std::vector<std::string> time = NamesOf(FieldOf(InnerOf(*arguments[1]), "fields"));
    if (const SqlTable::Option* const said_time = from_->table->FindOption("time");
        said_time != nullptr && (time.empty() || time.back() != said_time->value)) {
      return Problem(OffsetOf(*arguments[1], at), fmt::format("the table's time is {}", Shown(said_time->value)));
    }
    for (size_t i = 2; i < needed; ++i) {
      const size_t length_at = OffsetOf(*arguments[i], at);
      const std::optional<std::string> length = SqlInterval(*arguments[i]);
      if (!length) return Problem(length_at, "this is no length of a window; write it like INTERVAL '5 minutes'");
      // HOP has how often windows begin before their size.
      (i + 1 == needed ? window.size : window.every) = {*length, length_at};
    }
    if (!said.contains("lateness")) {
      Problem(at,
              "it is not said how long a window waits for late records; add lateness => INTERVAL '30 seconds', or "
              "lateness = '30s' to the table's WITH");
      said["lateness"] = {"0s", at};
    }
    window.options = std::move(said);
    from_->window = std::move(window);
  }

 private:
  SqlPart Part(SqlText text, const SqlNode& node) const { return {std::move(text), OffsetOf(node, begin_)}; }
  void Problem(size_t offset, std::string message) { problems_->push_back({offset, std::move(message)}); }

  const std::map<std::string, SqlTable>& tables_;
  const size_t begin_;
  const std::function<SqlText(const SqlNode& node, size_t near)>& translate_;
  SqlFrom* const from_;
  std::vector<SqlProblem>* const problems_;
};

}  // namespace

void ReadSqlFrom(const SqlNode& from_clause, const std::map<std::string, SqlTable>& tables, size_t begin,
                 const std::function<SqlText(const SqlNode& node, size_t near)>& translate, SqlFrom* from,
                 std::vector<SqlProblem>* problems) {
  FromReader(tables, begin, translate, from, problems).ReadFrom(from_clause);
}

}  // namespace tenfold
