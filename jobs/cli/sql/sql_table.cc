#include "jobs/cli/sql/sql_table.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_split.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "jobs/cli/sql/sql_expression.h"

namespace tenfold {
namespace {

// NAMEDATALEN - 1 of PostgreSQL.
constexpr size_t kMaxNameBytes = 63;

const std::vector<std::string>& OptionNames() {
  static const auto* const names = new std::vector<std::string>(absl::StrSplit(
      "ahead allow_compacted allow_internal bom brokers confluent descriptors fields file format group groups idle interval "
      "key_bytes lateness message missing_topics null_as on_bad_record pattern quoting registry registry_ca "
      "registry_password registry_user schema separator sinks start time topics topics_matching trim unmatched until wal",
      ' '));
  return *names;
}

class TableReader {
 public:
  TableReader(SqlTable* table, std::vector<SqlProblem>* problems) : table_(table), problems_(problems) {}

  void Read(const SqlNode& create) {
    const SqlNode& relation = FieldOf(create, "relation");
    table_->name = TextOf(relation, "relname");
    const SqlNode& at = FieldOf(relation, "location");
    table_->offset = at.is_number_unsigned() ? at.get<size_t>() : 0;
    for (const SqlNode& element : FieldOf(create, "tableElts")) {
      if (KindOf(element) == "ColumnDef") {
        ReadColumn(InnerOf(element));
      } else {
        Problem(OffsetOf(element, table_->offset),
                "a table here is a topic, which has no keys and no constraints of its own");
      }
    }
    for (const SqlNode& option : FieldOf(create, "options")) ReadOption(InnerOf(option), OffsetOf(option, table_->offset));
    for (const char* part : {"inhRelations", "partspec", "partbound", "ofTypename", "accessMethod", "tablespacename"}) {
      if (create.contains(part))
        Problem(table_->offset, "a table here is a topic, which has columns and WITH (..), and nothing else");
    }
    if (relation.contains("schemaname")) Problem(table_->offset, "a table has a name without a schema");
    if (table_->columns.empty()) Problem(table_->offset, "the table has no columns");
    if (table_->IsLookup()) CheckLookup();
    for (const auto& [name, option] : table_->options) {
      const bool of_column = name.starts_with("path.") || name.starts_with("unit.");
      const SqlTable::Column* const column = of_column ? table_->Find(name.substr(5)) : nullptr;
      if (column != nullptr && !column->generated.is_null())
        Problem(option.offset, fmt::format("{} is generated, and has no place in a record", column->name));
      if (of_column && table_->Find(name.substr(5)) == nullptr)
        Problem(option.offset,
                fmt::format("the table has no column {}{}", Quoted(name.substr(5)), Suggestion(name.substr(5))));
    }
  }

 private:
  void Problem(size_t offset, std::string message) { problems_->push_back({offset, std::move(message)}); }

  // A table of a file has a column of keys, and maybe one of values.
  void CheckLookup() {
    const bool texts = std::ranges::all_of(table_->columns, [](const SqlTable::Column& column) {
      return column.type == "text" && column.generated.is_null() && !column.default_value;
    });
    if (!texts || table_->columns.size() > 2)
      Problem(table_->offset, "a table of a file has one column of texts, its keys, or two, keys and values");
    for (const auto& [name, option] : table_->options) {
      if (name != "file") Problem(option.offset, fmt::format("{} is of topics, and this table is a file", name));
    }
  }

  std::string Suggestion(const std::string& name) const {
    std::vector<std::string> names;
    for (const SqlTable::Column& column : table_->columns) names.push_back(column.name);
    return DidYouMean(name, names);
  }

  void ReadColumn(const SqlNode& definition) {
    SqlTable::Column column;
    column.name = TextOf(definition, "colname");
    const SqlNode& at = FieldOf(definition, "location");
    column.offset = at.is_number_unsigned() ? at.get<size_t>() : table_->offset;
    const SqlNode& type = FieldOf(definition, "typeName");
    column.type = TypeOf(SqlName(FieldOf(type, "names")), type.contains("arrayBounds"), column.offset);
    if (type.contains("typmods"))
      Problem(column.offset, "a type says no size here, as values are taken as they are; use ROUND(x, 2) and LEFT(x, 5)");
    if (definition.contains("collClause"))
      Problem(column.offset, "texts are ordered by their bytes, whatever a collation says");
    // PostgreSQL cuts names off, and a field would be sought by what is left.
    if (column.name.size() >= kMaxNameBytes) {
      Problem(column.offset,
              fmt::format("a name has less than {} bytes; say by path.NAME what the record calls it", kMaxNameBytes));
    }
    for (const SqlNode& constraint : FieldOf(definition, "constraints")) ReadConstraint(constraint, &column);
    const bool has_default = column.default_value.has_value();
    if (!column.generated.is_null() && (has_default || column.type == "integer" || column.type.ends_with("_list"))) {
      Problem(column.offset, has_default ? "what is generated has no default"
                                         : "what is generated is numeric, text, boolean or timestamptz, as it is computed");
    }
    if (table_->Find(column.name) != nullptr)
      Problem(column.offset, fmt::format("the column {} is there twice", column.name));
    table_->columns.push_back(std::move(column));
  }

  std::string TypeOf(const std::string& type, bool array, size_t offset) {
    static const auto* const types = new std::map<std::string, std::string>{
        {"numeric", "decimal"}, {"int2", "integer"},          {"int4", "integer"},       {"int8", "integer"},
        {"text", "text"},       {"varchar", "text"},          {"bpchar", "text"},        {"bool", "boolean"},
        {"boolean", "boolean"}, {"timestamptz", "timestamp"}, {"timestamp", "timestamp"}};
    const auto found = types->find(type);
    const std::string ours = found == types->end() ? "" : found->second;
    if (array && (ours == "text" || ours == "decimal")) return ours + "_list";
    if (!array && !ours.empty()) return ours;
    const bool is_float = type == "float4" || type == "float8";
    if (type == "string") return Problem(offset, "there is no type string; write text"), "text";
    Problem(offset, is_float ? "a floating point number is not exact; write numeric"
                             : fmt::format("there is no type {}{}; there are numeric, integer, bigint, text, boolean, "
                                           "timestamptz, text[] and numeric[]",
                                           Shown(type), array ? "[]" : ""));
    return "text";
  }

  void ReadConstraint(const SqlNode& node, SqlTable::Column* column) {
    const SqlNode& constraint = InnerOf(node);
    const std::string type = TextOf(constraint, "contype");
    const size_t at = OffsetOf(node, column->offset);
    if (type == "CONSTR_NOTNULL") {
      column->nullable = false;
    } else if (type == "CONSTR_NULL") {
      column->nullable = true;
    } else if (type == "CONSTR_DEFAULT") {
      ReadDefault(FieldOf(constraint, "raw_expr"), at, column);
    } else if (type == "CONSTR_GENERATED") {
      column->generated = FieldOf(constraint, "raw_expr");
    } else {
      Problem(at, "a topic has no keys and checks nothing; write NOT NULL, DEFAULT or GENERATED ALWAYS AS (..) STORED");
    }
  }

  void ReadDefault(const SqlNode& value, size_t at, SqlTable::Column* column) {
    // 'x'::text, as pg_dump writes it.
    const SqlNode* constant = &value;
    while (KindOf(*constant) == "TypeCast") constant = &FieldOf(InnerOf(*constant), "arg");
    const auto refused = [](const std::vector<std::string>&, size_t) { return std::optional<SqlText>(); };
    const auto no_aggregate = [](const SqlNode&, size_t) { return std::optional<SqlText>(); };
    std::vector<SqlProblem> ignored;
    std::string text = SqlExpressions(refused, no_aggregate, &ignored).Translate(*constant, at).text;
    const SqlNode& string = FieldOf(InnerOf(*constant), "sval");
    if (string.is_object()) text = TextOf(string, "sval");
    if (!ignored.empty() || KindOf(*constant) != "A_Const" || (text == "null" && !string.is_object()))
      return Problem(at, "a default is a constant, for where the field is null or missing; leave it out for null");
    column->default_value = text;
  }

  void ReadOption(const SqlNode& option, size_t at) {
    const std::string space = TextOf(option, "defnamespace");
    std::string name = TextOf(option, "defname");
    const SqlNode& value = InnerOf(FieldOf(option, "arg"));
    const SqlNode& said = FieldOf(option, "arg");
    std::string text = TextOf(value, "sval");
    // A word without quotes is the name of a type to the parser, and nothing is true.
    if (KindOf(said) == "TypeName") text = SqlName(FieldOf(value, "names"));
    if (KindOf(said) == "Float") text = TextOf(value, "fval");
    if (said.is_null()) text = "true";
    // A number that is not above 0 is lost on the way here.
    if (KindOf(said) == "Integer" && !value.contains("ival")) return Problem(at, "write the value in quotes");
    if (KindOf(said) == "Integer") text = value["ival"].dump();
    if (!space.empty() && space != "path" && space != "unit" && space != "kafka")
      return Problem(at, fmt::format("there are path.COLUMN, unit.COLUMN and kafka.PROPERTY, but no {}.", Shown(space)));
    if (space.empty() && std::ranges::find(OptionNames(), name) == OptionNames().end()) {
      return Problem(at, fmt::format("there is no option {}{}; there are {}, path.COLUMN, unit.COLUMN and kafka.PROPERTY",
                                     Quoted(name), DidYouMean(name, OptionNames()), fmt::join(OptionNames(), ", ")));
    }
    if (!space.empty()) name = fmt::format("{}.{}", space, name);
    if (!table_->options.try_emplace(name, SqlTable::Option{text, at}).second)
      Problem(at, fmt::format("the option {} is there twice", Quoted(name)));
  }

  SqlTable* const table_;
  std::vector<SqlProblem>* const problems_;
};

}  // namespace

const SqlTable::Column* SqlTable::Find(const std::string& column) const {
  const auto found = std::ranges::find(columns, column, &Column::name);
  return found == columns.end() ? nullptr : &*found;
}

const SqlTable::Option* SqlTable::FindOption(const std::string& option) const {
  const auto found = options.find(option);
  return found == options.end() ? nullptr : &found->second;
}

SqlTable ReadSqlTable(const SqlNode& create, std::vector<SqlProblem>* problems) {
  SqlTable table;
  TableReader(&table, problems).Read(create);
  return table;
}

}  // namespace tenfold
