#include "jobs/cli/sql/sql_query.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/limits.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "jobs/cli/sql/sql_from.h"
#include "jobs/cli/sql/sql_row_number.h"
#include "jobs/plan/expression.h"
#include "jobs/plan/measure_form.h"

namespace tenfold {
namespace {

class QueryReader {
 public:
  QueryReader(const std::map<std::string, SqlTable>& tables, size_t begin, std::vector<SqlProblem>* problems)
      : tables_(tables), begin_(begin), problems_(problems) {}

  // `number`, if set, is that of a query around this one, and says what ORDER BY and LIMIT would.
  SqlQuery Read(const SqlNode& select, const std::optional<SqlRowNumber>& number) {
    query_.offset = begin_;
    if (number) number_target_ = number->target;
    if (TextOf(select, "op") != "SETOP_NONE") {
      Problem(begin_,
              "UNION, EXCEPT and INTERSECT are not supported; events of several topics are "
              "SELECT .. FROM (SELECT .. FROM a UNION ALL SELECT .. FROM b) AS u");
      return std::move(query_);
    }
    RefuseOthers(select);
    ReadSqlFrom(
        FieldOf(select, "fromClause"), tables_, begin_,
        [this](const SqlNode& node, size_t at) { return Rows().Translate(node, at); }, &query_.from, problems_);
    if (query_.from.table == nullptr) return std::move(query_);
    if (select.contains("whereClause"))
      query_.where = Part(Rows().Translate(select["whereClause"], begin_), select["whereClause"]);
    const SqlNode& targets = FieldOf(select, "targetList");
    ReadTargets(targets, FieldOf(select, "groupClause"));
    // What SELECT has not is a measure all the same, behind its own.
    if (number) ReadGroup(*number, targets);
    ReadOrder(number ? FieldOf(*number->over, "orderClause") : FieldOf(select, "sortClause"), targets);
    if (select.contains("havingClause"))
      query_.having = Part(Totals().Translate(select["havingClause"], begin_), select["havingClause"]);
    if (number) {
      query_.top = Part(SqlText().Add(std::to_string(number->top)), *number->limit);
      return std::move(query_);
    }
    const SqlNode& limit = FieldOf(select, "limitCount");
    const SqlNode& count = FieldOf(FieldOf(InnerOf(limit), "ival"), "ival");
    if (count.is_number_integer() && (count.get<int64_t>() < 1 || count.get<int64_t>() > int64_t{kMaxTop})) {
      Problem(OffsetOf(limit, begin_), fmt::format("LIMIT is 1 to {}", kMaxTop));
    } else if (count.is_number_integer()) {
      query_.top = Part(SqlText().Add(std::to_string(count.get<int64_t>())), limit);
    } else {
      Problem(OffsetOf(limit, begin_), "LIMIT says how many keys a result has, as in LIMIT 10, and is needed");
    }
    return std::move(query_);
  }

 private:
  SqlQuery::Part Part(SqlText text, const SqlNode& node) const { return {std::move(text), OffsetOf(node, begin_)}; }
  void Problem(size_t offset, std::string message) { problems_->push_back({offset, std::move(message)}); }

  void RefuseOthers(const SqlNode& select) {
    const std::pair<const char*, const char*> others[] = {
        {"distinctClause", "DISTINCT is not supported: keys are distinct in any case"},
        {"intoClause", "INTO is not supported: results go to sinks"},
        {"windowClause", "WINDOW is not supported; windows of time are FROM TUMBLE(..) and HOP(..)"},
        {"withClause", "WITH is not supported: declare tables by CREATE TABLE"},
        {"lockingClause", "FOR UPDATE is not supported"},
        {"limitOffset", "OFFSET is not supported"},
        {"valuesLists", "VALUES is not supported: records come from a topic"}};
    for (const auto& [field, why] : others) {
      if (const SqlNode& node = FieldOf(select, field); !node.is_null())
        Problem(OffsetOf(node.is_array() && !node.empty() ? node[0] : node, begin_), why);
    }
    if (TextOf(select, "limitOption") == "LIMIT_OPTION_WITH_TIES")
      Problem(OffsetOf(FieldOf(select, "limitCount"), begin_),
              "WITH TIES is not supported: the key decides between equal ones");
  }

  // ---- expressions ----

  std::optional<SqlText> Column(const std::vector<std::string>& names, size_t offset) {
    const std::string& name_of_table = query_.from.alias.empty() ? query_.from.table->name : query_.from.alias;
    static const std::vector<std::string> kPlaces = {"key", "timestamp", "topic", "partition", "offset"};
    if (names.size() == 2 && names[0] == "record" && name_of_table != "record" &&
        std::ranges::find(kPlaces, names[1]) != kPlaces.end()) {
      return SqlText().Add("record." + names[1], offset);
    }
    const std::optional<SqlFrom::Explode>& explode = query_.from.explode;
    const bool of_element = explode && names.size() == 2 && names[0] == explode->alias && names[1] == explode->name;
    const bool qualified = of_element || (names.size() == 2 && names[0] == name_of_table);
    if (names.size() != 1 && !qualified) {
      Problem(offset, fmt::format("there is no column {}", Quoted(fmt::format("{}", fmt::join(names, ".")))));
      return std::nullopt;
    }
    const SqlTable::Column* const column = query_.from.table->Find(names.back());
    if (column == nullptr && query_.from.explode && names.back() == query_.from.explode->name)
      return SqlText().Add(names.back(), offset);
    if (column == nullptr && (names.back() == "window_start" || names.back() == "window_end")) {
      Problem(offset, query_.from.window
                          ? "the window stands for itself in GROUP BY and SELECT, and is no value to compute with"
                          : "FROM has no window; windows are FROM TUMBLE(..) and HOP(..)");
      return std::nullopt;
    }
    if (column == nullptr) {
      std::vector<std::string> known;
      for (const SqlTable::Column& each : query_.from.table->columns) known.push_back(each.name);
      if (query_.from.explode) known.push_back(query_.from.explode->name);
      Problem(offset, fmt::format("there is no column {}{} in {}", Quoted(names.back()), DidYouMean(names.back(), known),
                                  query_.from.table->name));
      return std::nullopt;
    }
    if (column->generated.is_null()) return SqlText().Add(column->name, offset);
    if (generating_) {
      Problem(column->offset, "a generated column is made of columns that are not");
      return std::nullopt;
    }
    generating_ = true;
    SqlText generated = Rows().Translate(column->generated, column->offset);
    generating_ = false;
    return generated;
  }

  // Why IN cannot ask for a column of a table; "" if it can.
  std::string WrongLookup(const std::string& table, const std::string& column) const {
    const auto found = tables_.find(table);
    if (found == tables_.end() || !found->second.IsLookup())
      return fmt::format("{} is no table to look up: those are of a file, WITH (file = 'NAME.csv')", Quoted(table));
    // Where none is asked for it is looked up.
    if (column.empty()) return "";
    const std::string& first = found->second.columns.empty() ? table : found->second.columns[0].name;
    return column == first ? "" : fmt::format("IN asks for the first column of a table, {}", Shown(first));
  }

  // Expressions of a record.
  SqlExpressions Rows() {
    return Rows(
        [this](const SqlNode&, size_t at) {
          Problem(at, "an aggregate stands in SELECT, HAVING and ORDER BY, and in no other one");
          return std::optional<SqlText>();
        },
        problems_);
  }
  SqlExpressions Rows(SqlExpressions::Aggregate aggregate, std::vector<SqlProblem>* problems) {
    SqlExpressions rows([this](const auto&... of) { return Column(of...); }, std::move(aggregate), problems);
    rows.SetLookups([this](const std::string& table, const std::string& column) { return WrongLookup(table, column); });
    rows.SetTypes([this](const SqlNode& node) {
      const std::vector<std::string> names = NamesOf(FieldOf(InnerOf(node), "fields"));
      const SqlTable::Column* const column = names.empty() ? nullptr : query_.from.table->Find(names.back());
      if (const auto& explode = query_.from.explode;
          column == nullptr && explode && !names.empty() && names.back() == explode->name)
        return SqlType{explode->of_numbers ? "decimal" : "text", false};
      return column == nullptr ? SqlType{} : SqlType{column->type, column->nullable && !column->default_value};
    });
    return rows;
  }

  // Conditions on the measures of a key.
  SqlExpressions Totals() {
    SqlExpressions totals(
        [this](const std::vector<std::string>& names, size_t at) -> std::optional<SqlText> {
          // To PostgreSQL such a name is the column.
          const bool is_column = names.size() != 1 || query_.from.table->Find(names[0]) != nullptr;
          if (is_column) {
            Problem(at,
                    "HAVING is about SUM(..) and COUNT(..), which it names as they are; a condition on a column stands in "
                    "WHERE");
            return std::nullopt;
          }
          for (const SqlQuery::Measure& measure : query_.measures) {
            if (names.size() == 1 && names[0] == measure.name) return SqlText().Add(measure.name, at);
          }
          Problem(at, fmt::format(
                          "HAVING is about SUM(..) and COUNT(..), and {} is none; a condition on records stands in WHERE",
                          Quoted(fmt::format("{}", fmt::join(names, ".")))));
          return std::nullopt;
        },
        [this](const SqlNode& call, size_t at) -> std::optional<SqlText> {
          const std::optional<std::string> name = MeasureOf(call, at);
          return name ? std::optional(SqlText().Add(*name, at)) : std::nullopt;
        },
        problems_);
    totals.SetTypes([](const SqlNode& node) {
      return KindOf(node) == "FuncCall" || KindOf(node) == "ColumnRef" ? SqlType{"decimal", true} : SqlType{};
    });
    return totals;
  }

  // ---- SELECT and GROUP BY ----

  bool IsWindow(const SqlNode& node) const {
    const std::vector<std::string> names = NamesOf(FieldOf(InnerOf(node), "fields"));
    const bool is_name = KindOf(node) == "ColumnRef" && query_.from.window && !names.empty() && names.size() <= 2 &&
                         (names.size() == 1 || query_.from.alias.empty() || names[0] == query_.from.alias);
    return is_name && query_.from.table->Find(names.back()) == nullptr &&
           (names.back() == "window_start" || names.back() == "window_end");
  }

  void ReadTargets(const SqlNode& targets, const SqlNode& group) {
    bool has_window = false;
    for (const SqlNode& target : targets) {
      const std::string name = TextOf(InnerOf(target), "name");
      if (!name.empty() && !aliases_.insert(name).second)
        Problem(OffsetOf(target, begin_), fmt::format("two items of SELECT have the name {}", Shown(name)));
    }
    for (const SqlNode& item : group) {
      const SqlNode* node = &Named(item, targets);
      const size_t at = OffsetOf(item, begin_);
      if (KindOf(item) == "GroupingSet") {
        Problem(at, "grouping sets are not supported");
        continue;
      }
      const SqlNode& position = FieldOf(FieldOf(InnerOf(item), "ival"), "ival");
      if (KindOf(item) == "A_Const" && position.is_number_integer()) {
        const auto index = position.get<int64_t>();
        if (index < 1 || index > static_cast<int64_t>(targets.size())) {
          Problem(at, fmt::format("SELECT has no item {}", index));
          continue;
        }
        node = &FieldOf(InnerOf(targets[static_cast<size_t>(index) - 1]), "val");
      }
      if (IsWindow(*node)) {
        has_window = true;
        continue;
      }
      query_.keys.push_back({.text = Rows().Translate(*node, at), .offset = at, .column = ColumnOf(*node), .name = ""});
    }
    if (query_.from.window && !has_window)
      Problem(OffsetOf(group.is_array() && !group.empty() ? group[0] : group, begin_),
              "GROUP BY has no window_start, which stands for the window that a record is in");
    for (const SqlNode& target : targets) ReadTarget(target);
    // What is wrong with one that is there was told.
    if (query_.measures.empty() && problems_->empty())
      Problem(begin_, "SELECT has no measure, which is SUM(..), COUNT(..), AVG(..), MAX(..), MIN(..) or a quotient");
  }

  // What SELECT has under this name, if it is no column; else the node itself.
  const SqlNode& Named(const SqlNode& node, const SqlNode& targets) const {
    const std::vector<std::string> names = NamesOf(FieldOf(InnerOf(node), "fields"));
    if (KindOf(node) != "ColumnRef" || names.size() != 1 || query_.from.table->Find(names[0]) != nullptr || IsWindow(node))
      return node;
    for (const SqlNode& target : targets) {
      if (TextOf(InnerOf(target), "name") == names[0]) return FieldOf(InnerOf(target), "val");
    }
    return node;
  }

  // What SELECT has under this name for a query around it; else the node itself.
  static const SqlNode& NamedOutside(const SqlNode& node, const SqlNode& targets) {
    const std::vector<std::string> names = NamesOf(FieldOf(InnerOf(node), "fields"));
    if (KindOf(node) != "ColumnRef" || names.empty()) return node;
    for (const SqlNode& target : targets) {
      if (SqlOutputName(target) == names.back()) return FieldOf(InnerOf(target), "val");
    }
    return node;
  }

  // The column that a node is; nullptr if it is something else.
  const SqlTable::Column* ColumnOf(const SqlNode& node) const {
    const std::vector<std::string> names = NamesOf(FieldOf(InnerOf(node), "fields"));
    const bool is_name = KindOf(node) == "ColumnRef" && (names.size() == 1 || (names.size() == 2 && names[0] != "record"));
    return is_name ? query_.from.table->Find(names.back()) : nullptr;
  }

  // Takes from the keys the one that rows are numbered within.
  void ReadGroup(const SqlRowNumber& number, const SqlNode& targets) {
    const SqlNode& partition = FieldOf(*number.over, "partitionClause");
    bool has_window = false;
    for (const SqlNode& item : partition) {
      const size_t at = OffsetOf(item, begin_);
      if (IsWindow(item)) {
        has_window = true;
        continue;
      }
      const SqlNode& named = number.is_outside ? NamedOutside(item, targets) : Named(item, targets);
      if (number.is_outside && &named == &item) return Problem(at, "PARTITION BY names a column that the query in FROM has");
      const SqlText text = Rows().Translate(named, at);
      const auto key =
          std::ranges::find_if(query_.keys, [&text](const SqlQuery::Key& each) { return each.text.text == text.text; });
      if (query_.group) return Problem(at, "a group is one expression; several are one as concat(a, '/', b)");
      if (text.text.empty()) return;
      if (key == query_.keys.end()) return Problem(at, "what PARTITION BY says stands in GROUP BY, too");
      query_.group = std::move(*key);
      query_.keys.erase(key);
    }
    if (query_.from.window && !has_window)
      Problem(OffsetOf(*number.target, begin_), "PARTITION BY has no window_start: keys are ranked within a window");
    if (query_.group && number.ordered_group != nullptr && query_.group->column != nullptr &&
        query_.group->column->type != "text")
      Problem(OffsetOf(*number.ordered_group, begin_),
              "groups are ordered by their text, which is another order than that of this column");
    if (query_.group && query_.keys.empty())
      Problem(query_.group->offset, "GROUP BY has nothing beside the group, so that there is nothing to rank in it");
  }

  // Whether the node is an aggregate, or computed from some: a measure, if a job has such.
  static bool IsMeasure(const SqlNode& node) {
    if (KindOf(node) == "FuncCall") return IsSqlAggregate(node);
    const SqlNode& inner = InnerOf(node);
    return KindOf(node) == "A_Expr" && TextOf(inner, "kind") == "AEXPR_OP" &&
           (IsMeasure(FieldOf(inner, "lexpr")) || IsMeasure(FieldOf(inner, "rexpr")));
  }

  void ReadTarget(const SqlNode& target) {
    const SqlNode& value = FieldOf(InnerOf(target), "val");
    const size_t at = OffsetOf(target, begin_);
    if (IsWindow(value)) return;
    if (IsRowNumber(value)) {
      if (&target != number_target_) Problem(at, "rows are numbered once");
      return;
    }
    if (IsMeasure(value) && !InnerOf(value).contains("over")) {
      MeasureOf(value, at, TextOf(InnerOf(target), "name"));
      return;
    }
    bool has_aggregate = false;
    std::vector<SqlProblem> problems;
    const SqlText text = Rows(
                             [&has_aggregate](const SqlNode&, size_t) {
                               has_aggregate = true;
                               return std::optional<SqlText>();
                             },
                             &problems)
                             .Translate(value, at);
    if (has_aggregate) {
      return Problem(at, kNoMeasure);
    }
    if (!problems.empty()) {
      problems_->insert(problems_->end(), problems.begin(), problems.end());
      return;
    }
    const bool is_key =
        std::ranges::any_of(query_.keys, [&text](const SqlQuery::Key& key) { return key.text.text == text.text; });
    const std::string name = TextOf(InnerOf(target), "name");
    const SqlTable::Column* const column = ColumnOf(value);
    const std::string shown = !name.empty() ? name : column != nullptr ? column->name : "";
    shown_keys_.insert(shown);
    for (SqlQuery::Key& key : query_.keys) {
      if (key.text.text == text.text && key.name.empty()) key.name = shown;
    }
    // A key that is wrong was told.
    const bool all_keys = std::ranges::none_of(query_.keys, [](const SqlQuery::Key& key) { return key.text.text.empty(); });
    if (!is_key && all_keys)
      Problem(at, "this is neither in GROUP BY nor a measure, SUM(..), COUNT(..), AVG(..), MAX(..), MIN(..) or a quotient");
  }

  static constexpr char kNoMeasure[] =
      "a measure is SUM(..), COUNT(..), AVG(..), MAX(..), MIN(..) or a quotient of sums and counts, as SUM(a) / COUNT(*), "
      "which is null "
      "where it divides "
      "by 0 "
      "and keeps its decimals: what is computed otherwise belongs inside, as SUM(0.8 * clicks) for 0.8 * SUM(clicks), which "
      "would round twice";

  // The text of a measure; nullopt if the node is none, which was told.
  std::optional<SqlText> MeasureText(const SqlNode& node, size_t at) {
    if (KindOf(node) == "FuncCall") return AggregateText(node, at);
    const size_t before = problems_->size();
    SqlExpressions aggregates(
        [this](const std::vector<std::string>& names, size_t where) {
          Problem(where, fmt::format("{} stands beside an aggregate, which is of all records of a key",
                                     Quoted(fmt::format("{}", fmt::join(names, ".")))));
          return std::optional<SqlText>();
        },
        [this](const SqlNode& call, size_t where) { return AggregateText(call, where); }, problems_);
    aggregates.SetTypes(
        [](const SqlNode& part) { return KindOf(part) == "FuncCall" ? SqlType{"decimal", true} : SqlType{}; });
    SqlText text = aggregates.Translate(node, at);
    if (problems_->size() > before) return std::nullopt;
    MeasureProblem problem;
    const ParsedExpression parsed = ParseExpression(text.text);
    if (parsed.expression && !ReadMeasureForm(*parsed.expression, &problem)) {
      Problem(at, kNoMeasure);
      return std::nullopt;
    }
    return text;
  }

  std::optional<SqlText> AggregateText(const SqlNode& node, size_t at) {
    const SqlNode& call = InnerOf(node);
    const std::string function = SqlName(FieldOf(call, "funcname"));
    const std::string shown = absl::AsciiStrToUpper(function);
    if (call.contains("agg_distinct")) {
      const bool same = function == "max" || function == "min";
      Problem(at, same
                      ? fmt::format("{0}(DISTINCT ..) is {0}(..); leave DISTINCT out", shown)
                      : fmt::format("{}(DISTINCT ..) is not supported: distinct counts of partitions do not add up", shown));
      return std::nullopt;
    }
    if (function != "sum" && function != "count" && function != "avg" && function != "max" && function != "min") {
      Problem(at, fmt::format("{} is not supported; there are SUM, COUNT, AVG, MAX and MIN", shown));
      return std::nullopt;
    }
    if (call.contains("over") || call.contains("func_variadic") || call.contains("agg_within_group") ||
        NamesOf(FieldOf(call, "funcname")).size() > 1) {
      Problem(at, fmt::format("{} takes one argument, and may have FILTER (WHERE ..), but nothing else", shown));
      return std::nullopt;
    }
    if (call.contains("agg_order")) {
      Problem(at, fmt::format("{} has no order", shown));
      return std::nullopt;
    }
    const SqlNode& arguments = FieldOf(call, "args");
    const bool star = call.contains("agg_star");
    if (star && function != "count") {
      Problem(at, fmt::format("{}(*) is nothing; name what is added", shown));
      return std::nullopt;
    }
    if (!star && (!arguments.is_array() || arguments.size() != 1)) {
      Problem(at, fmt::format("{} takes one argument", shown));
      return std::nullopt;
    }
    SqlText text;
    const SqlText of = star ? SqlText().Add("1", at) : Rows().Translate(arguments[0], at);
    if (call.contains("agg_filter")) {
      text.Add(function + "(if(", at).Add(Rows().Translate(call["agg_filter"], at)).Add(", ").Add(of).Add(", null))");
    } else {
      text.Add(function + "(", at).Add(star ? SqlText() : of).Add(")");
    }
    return text;
  }

  // The measure that a node is, which is added if SELECT has it not. nullopt if there is none, which was told.
  std::optional<std::string> MeasureOf(const SqlNode& node, size_t at, std::string name = "") {
    if (query_.measures.size() > kMaxMeasures) return std::nullopt;
    std::optional<SqlText> said = MeasureText(node, at);
    if (!said) return std::nullopt;
    SqlText text = *std::move(said);
    for (const SqlQuery::Measure& measure : query_.measures) {
      if (measure.text.text == text.text && (name.empty() || name == measure.name)) return measure.name;
    }
    const std::string base = !name.empty()                ? name
                             : KindOf(node) == "FuncCall" ? SqlName(FieldOf(InnerOf(node), "funcname"))
                                                          : "quotient";
    // A name that SELECT gives is its own alone.
    const bool given = !name.empty();
    name = base;
    for (int i = 2; (!given && aliases_.contains(name)) ||
                    std::ranges::find(query_.measures, name, &SqlQuery::Measure::name) != query_.measures.end();
         ++i) {
      name = fmt::format("{}_{}", base, i);
    }
    if (query_.measures.size() == kMaxMeasures) Problem(at, fmt::format("a job has at most {} measures", kMaxMeasures));
    query_.measures.push_back({name, std::move(text), at});
    return name;
  }

  // ---- ORDER BY ----

  void ReadOrder(const SqlNode& order, const SqlNode& targets) {
    size_t keys = 0;
    const size_t shown = query_.measures.size();
    for (const SqlNode& item : order) {
      const SqlNode& by = InnerOf(item);
      const SqlNode& node = FieldOf(by, "node");
      const size_t at = OffsetOf(node, begin_);
      const bool descending = TextOf(by, "sortby_dir") == "SORTBY_DESC";
      if (TextOf(by, "sortby_dir") == "SORTBY_USING")
        return Problem(at, "ORDER BY .. USING is not supported; write DESC or ASC");
      if (IsWindow(node)) {
        if (descending) Problem(at, "windows come in the order of time");
        continue;
      }
      if (TextOf(by, "sortby_nulls") == "SORTBY_NULLS_FIRST")
        Problem(at, "NULLS FIRST is not supported: a null is not ranked");
      if (query_.rank.empty()) {
        query_.rank = RankOf(node, at, shown, targets);
        query_.ascending = !descending;
        if (query_.rank.empty()) return;
        continue;
      }
      const SqlNode& named = Named(node, targets);
      const bool is_measure = IsMeasure(named);
      const SqlText text = is_measure ? SqlText() : Rows().Translate(named, at);
      if (keys < query_.keys.size() && query_.keys[keys].column != nullptr && query_.keys[keys].column->type != "text")
        return Problem(at, "equal ones are ordered by the key's text, which is another order than that of this column");
      if (descending || keys >= query_.keys.size() || query_.keys[keys].text.text != text.text)
        return Problem(at,
                       "behind the measure only the key can stand, ascending: it decides between equal ones in any case");
      ++keys;
    }
    if (query_.rank.empty() && !query_.measures.empty())
      Problem(begin_, fmt::format("ORDER BY is missing: it says which measure ranks, as in ORDER BY {} DESC",
                                  query_.measures[0].name));
  }

  std::string RankOf(const SqlNode& node, size_t at, size_t shown, const SqlNode& targets) {
    const std::vector<std::string> names = NamesOf(FieldOf(InnerOf(node), "fields"));
    const SqlNode& position = FieldOf(FieldOf(InnerOf(node), "ival"), "ival");
    if (IsMeasure(node)) return MeasureOf(node, at).value_or("");
    if (KindOf(node) == "A_Const" && position.is_number_integer()) {
      const auto index = position.get<int64_t>();
      const bool is_there = index >= 1 && index <= static_cast<int64_t>(targets.size());
      const SqlNode& target = is_there ? InnerOf(targets[static_cast<size_t>(index) - 1]) : position;
      const SqlNode& value = FieldOf(target, "val");
      if (IsMeasure(value)) return MeasureOf(value, at, TextOf(target, "name")).value_or("");
    }
    for (size_t i = 0; i < std::min(shown, query_.measures.size()); ++i) {
      const std::string& name = query_.measures[i].name;
      if (names.size() != 1 || names[0] != name) continue;
      if (!shown_keys_.contains(name)) return name;
      Problem(at, fmt::format("{} is a measure and a key of SELECT; give one another name", Shown(name)));
      return "";
    }
    if (query_.measures.empty()) return "";
    Problem(at,
            "ORDER BY begins with the measure that ranks, SUM(..), COUNT(..), AVG(..), MAX(..), MIN(..), a quotient, or its "
            "name");
    return "";
  }

  const std::map<std::string, SqlTable>& tables_;
  const size_t begin_;
  std::vector<SqlProblem>* const problems_;
  bool generating_ = false;
  // The item of a SELECT that numbers its rows, if one does.
  const SqlNode* number_target_ = nullptr;
  // The names that SELECT gives, and those of the keys in it.
  std::set<std::string> aliases_;
  std::set<std::string> shown_keys_;
  SqlQuery query_;
};

}  // namespace

SqlQuery ReadSqlQuery(const SqlNode& select, const std::map<std::string, SqlTable>& tables,
                      std::vector<SqlProblem>* problems) {
  // Of a union the first part says where it begins.
  const SqlNode* first = &select;
  while (first->contains("larg")) first = &FieldOf(*first, "larg");
  const SqlNode& targets = FieldOf(*first, "targetList");
  const size_t begin = targets.is_array() && !targets.empty() ? OffsetOf(targets[0], 0) : 0;
  const size_t before = problems->size();
  const std::optional<SqlRowNumber> number = ReadSqlRowNumber(select, begin, problems);
  // What is no top of groups is not read as something else, too.
  if (!number && problems->size() > before) return {};
  return QueryReader(tables, begin, problems).Read(number ? *number->select : select, number);
}

}  // namespace tenfold
