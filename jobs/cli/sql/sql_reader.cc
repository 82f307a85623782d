#include "jobs/cli/sql/sql_reader.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/text/shown_text.h"
#include "common/text/yaml_tree.h"
#include "fmt/format.h"
#include "jobs/cli/sql/sql_query.h"
#include "jobs/cli/sql/sql_table.h"
#include "jobs/cli/sql/sql_tree.h"
#include "jobs/plan/expression.h"

namespace tenfold {
namespace {

// ---- the tree that a spec in YAML would be ----

YamlNode Scalar(std::string text, size_t offset) {
  return {.kind = YamlNode::Kind::kScalar, .offset = offset, .text = std::move(text), .items = {}, .keys = {}, .places = {}};
}

YamlNode Scalar(SqlText text, size_t offset) {
  YamlNode node = Scalar(std::move(text.text), offset);
  node.places = std::move(text.places);
  return node;
}

YamlNode Map(size_t offset) {
  YamlNode node;
  node.kind = YamlNode::Kind::kMap;
  node.offset = offset;
  return node;
}

YamlNode List(size_t offset) {
  YamlNode node;
  node.kind = YamlNode::Kind::kList;
  node.offset = offset;
  return node;
}

void Put(std::string key, YamlNode value, YamlNode* map) {
  map->keys.push_back({std::move(key), value.offset});
  map->items.push_back(std::move(value));
}

// The items of "a, b".
YamlNode Words(const SqlTable::Option& option) {
  YamlNode list = List(option.offset);
  for (const absl::string_view word : absl::StrSplit(option.value, ',')) {
    const absl::string_view trimmed = absl::StripAsciiWhitespace(word);
    list.items.push_back(Scalar(std::string(trimmed), option.offset));
  }
  return list;
}

class JobWriter {
 public:
  JobWriter(const SqlQuery& query, const std::map<std::string, SqlTable>& tables, std::vector<SqlProblem>* problems)
      : query_(query), tables_(tables), problems_(problems), plain_(IsPlain()) {}

  YamlNode Write(const std::string& name) {
    YamlNode root = Map(query_.offset);
    const auto put = [&root](const char* key, const SqlQuery::Part& part) {
      Put(key, Scalar(part.text, part.offset), &root);
    };
    Put("name", Scalar(name, query_.offset), &root);
    PutSources(&root);
    PutTables(&root);
    if (query_.where) put("where", *query_.where);
    if (const auto& explode = query_.from.explode) {
      YamlNode node = Map(explode->list.offset);
      Put(explode->name, Scalar(explode->list.text, explode->list.offset), &node);
      Put("explode", std::move(node), &root);
    }
    if (query_.group) Put("group", Scalar(query_.group->text, query_.group->offset), &root);
    PutKey(&root);
    PutMeasures(&root);
    if (!query_.rank.empty() && query_.rank != query_.measures.front().name)
      Put("rank", Scalar(query_.rank, query_.offset), &root);
    if (query_.ascending) Put("order", Scalar("ascending", query_.offset), &root);
    if (query_.having) put("having", *query_.having);
    put("top", query_.top);
    if (query_.from.window) Put("window", Window(*query_.from.window), &root);
    PutJobOptions(&root);
    return root;
  }

 private:
  void Problem(size_t offset, std::string message) { problems_->push_back({offset, std::move(message)}); }

  static YamlNode Window(const SqlFrom::Window& window) {
    YamlNode node = Map(window.offset);
    const auto scalar = [](const SqlTable::Option& option) { return Scalar(option.value, option.offset); };
    if (window.every.value.empty()) {
      Put("tumbling", scalar(window.size), &node);
    } else {
      YamlNode sliding = Map(window.offset);
      Put("size", scalar(window.size), &sliding);
      Put("every", scalar(window.every), &sliding);
      Put("sliding", std::move(sliding), &node);
    }
    for (const auto& [key, option] : window.options) Put(key, scalar(option), &node);
    return node;
  }

  // A delimited record of texts and numbers, a column as the key and one sum: what a spec says without types, and so decodes
  // by the direct path if the sum is linear.
  bool IsPlain() const {
    if (query_.from.table == nullptr || !table().branches.empty() || query_.from.explode || UsesTables() || query_.where ||
        query_.having || query_.from.window || query_.measures.size() != 1 || query_.keys.size() != 1 || query_.group) {
      return false;
    }
    const SqlQuery::Measure& measure = query_.measures[0];
    const SqlTable::Column* const key = query_.keys[0].column;
    if (measure.name != "score" || !measure.text.text.starts_with("sum(") || key == nullptr || key->type != "text")
      return false;
    for (const char* option : {"quoting", "null_as", "trim", "bom", "key_bytes"}) {
      if (table().FindOption(option) != nullptr) return false;
    }
    const SqlTable::Option* const format = table().FindOption("format");
    if (format == nullptr || format->value != "delimited") return false;
    const ParsedExpression parsed = ParseExpression(measure.text.text);
    return parsed.expression && SumsPlainNumbers(*parsed.expression) &&
           std::ranges::all_of(table().columns, [this](const SqlTable::Column& column) {
             return !column.nullable && !column.default_value && column.generated.is_null() &&
                    IsExpressionName(column.name) && table().FindOption("path." + column.name) == nullptr;
           });
  }

  // Whether all that an expression names are decimal columns, and nothing is called but arithmetic.
  bool SumsPlainNumbers(const Expression& expression) const {
    if (expression.kind == Expression::Kind::kNumber) return true;
    if (expression.kind == Expression::Kind::kName) {
      const SqlTable::Column* const column = table().Find(expression.text);
      return column != nullptr && column->type == "decimal";
    }
    static const std::vector<std::string> kCalls = {"sum", "+", "-", "*", "/", "negate"};
    return expression.kind == Expression::Kind::kCall && std::ranges::find(kCalls, expression.text) != kCalls.end() &&
           std::ranges::all_of(expression.arguments, [this](const Expression& of) { return SumsPlainNumbers(of); });
  }

  const SqlTable& table() const { return *query_.from.table; }

  // Whether an expression of the query has the word.
  bool Has(const std::string& word) const {
    const auto has = [&word](const SqlText& in) {
      const auto is_part = [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; };
      for (size_t at = in.text.find(word); at != std::string::npos; at = in.text.find(word, at + 1)) {
        const size_t end = at + word.size();
        if ((at == 0 || !is_part(in.text[at - 1])) && (end == in.text.size() || !is_part(in.text[end]))) return true;
      }
      return false;
    };
    return (query_.where && has(query_.where->text)) || (query_.from.explode && has(query_.from.explode->list.text)) ||
           std::ranges::any_of(query_.keys, [&](const SqlQuery::Key& key) { return has(key.text); }) ||
           (query_.group && has(query_.group->text)) ||
           std::ranges::any_of(query_.measures, [&](const SqlQuery::Measure& measure) { return has(measure.text); });
  }

  // Whether there are tables that the query looks up.
  bool UsesTables() const {
    return std::ranges::any_of(tables_, [this](const auto& named) { return named.second.IsLookup() && Has(named.first); });
  }

  YamlNode Source(const SqlTable& of, const SqlTable::Branch& branch) {
    YamlNode source = Map(of.offset);
    YamlNode kafka = Map(of.offset);
    const SqlTable::Option* const topics = of.FindOption("topics");
    if (topics != nullptr || of.FindOption("topics_matching") == nullptr)
      Put("topics", Words(topics != nullptr ? *topics : SqlTable::Option{of.name, of.offset}), &kafka);
    for (const char* key : {"topics_matching", "start", "until"}) PutOption(of, key, &kafka);
    // What is of Kafka as a whole may be said by each table, if it is the same.
    const SqlTable& first = table().branches.empty() ? of : *table().branches[0].table;
    const auto is_said = [&](const std::string& key, const SqlTable::Option& option) {
      const SqlTable::Option* const before = &of == &first ? nullptr : first.FindOption(key);
      return before != nullptr && before->value == option.value;
    };
    for (const char* key : {"missing_topics", "brokers", "group", "allow_compacted", "allow_internal"}) {
      const SqlTable::Option* const option = of.FindOption(key);
      if (option != nullptr && !is_said(key, *option)) Put(key, Scalar(option->value, option->offset), &kafka);
    }
    YamlNode properties = Map(of.offset);
    for (const auto& [name, option] : of.options) {
      if (name.starts_with("kafka.") && !is_said(name, option))
        Put(name.substr(6), Scalar(option.value, option.offset), &properties);
    }
    if (!properties.items.empty()) Put("properties", std::move(properties), &kafka);
    Put("kafka", std::move(kafka), &source);
    Put("format", Format(of), &source);
    if (!plain_) Put("fields", Fields(branch), &source);
    if (query_.from.window) {
      Put("time", Scalar(query_.from.window->time.text, query_.from.window->time.offset), &source);
    } else if (const SqlTable::Option* const time = of.FindOption("time"); time != nullptr) {
      if (of.Find(time->value) == nullptr) Problem(time->offset, fmt::format("there is no column {}", Quoted(time->value)));
    }
    return source;
  }

  void PutSources(YamlNode* root) {
    if (table().branches.empty()) {
      SqlTable::Branch alone{.table = &table(), .column_of = {}};
      for (const SqlTable::Column& column : table().columns) alone.column_of[column.name] = column.name;
      return Put("source", Source(table(), alone), root);
    }
    YamlNode sources = List(table().offset);
    for (const SqlTable::Branch& branch : table().branches) sources.items.push_back(Source(*branch.table, branch));
    Put("sources", std::move(sources), root);
  }

  void PutTables(YamlNode* root) {
    YamlNode tables = Map(query_.offset);
    for (const auto& [name, each] : tables_) {
      const SqlTable::Option* const file = each.FindOption("file");
      if (file != nullptr && Has(name)) Put(name, Scalar(file->value, file->offset), &tables);
    }
    if (!tables.items.empty()) Put("tables", std::move(tables), root);
  }

  YamlNode Format(const SqlTable& of) {
    YamlNode format = Map(of.offset);
    const SqlTable::Option* const option = of.FindOption("format");
    const std::string kind = option == nullptr ? "" : option->value;
    const auto refuse = [&](const std::vector<const char*>& options, std::string_view of_what) {
      for (const char* name : options) {
        const SqlTable::Option* const wrong = of.FindOption(name);
        if (wrong != nullptr) Problem(wrong->offset, fmt::format("{} is of {}; these are {}", name, of_what, kind));
      }
    };
    if (kind != "delimited" && !kind.empty())
      refuse({"separator", "fields", "quoting", "null_as", "trim", "bom"}, "delimited records");
    if (kind != "regex" && !kind.empty()) refuse({"pattern", "unmatched"}, "regex records");
    const bool has_schema = kind == "avro" || kind == "protobuf";
    if (!has_schema && !kind.empty()) refuse({"confluent"}, "Avro and Protobuf records");
    if (kind != "avro" && !kind.empty())
      refuse({"schema", "registry", "registry_user", "registry_password", "registry_ca"}, "Avro records");
    if (kind != "protobuf" && !kind.empty()) refuse({"descriptors", "message"}, "Protobuf records");
    if (has_schema) {
      YamlNode said = Map(option->offset);
      for (const char* key : {"schema", "descriptors", "message", "confluent"}) PutOption(of, key, &said);
      if (const SqlTable::Option* const registry = of.FindOption("registry")) {
        YamlNode made = Map(registry->offset);
        Put("url", Scalar(registry->value, registry->offset), &made);
        for (const char* key : {"user", "password", "ca"}) {
          if (const SqlTable::Option* const beside = of.FindOption(fmt::format("registry_{}", key)))
            Put(key, Scalar(beside->value, beside->offset), &made);
        }
        Put("registry", std::move(made), &said);
      } else {
        for (const char* key : {"registry_user", "registry_password", "registry_ca"}) {
          if (const SqlTable::Option* const alone = of.FindOption(key))
            Problem(alone->offset, fmt::format("{} goes with registry = 'URL'", key));
        }
      }
      Put(kind, std::move(said), &format);
      return format;
    }
    if (kind == "json" || kind == "text") {
      Put(kind, Map(option->offset), &format);
      return format;
    }
    if (kind == "regex") {
      YamlNode regex = Map(option->offset);
      for (const char* key : {"pattern", "unmatched"}) PutOption(of, key, &regex);
      Put("regex", std::move(regex), &format);
      return format;
    }
    if (kind != "delimited") {
      if (option != nullptr)
        Problem(
            option->offset,
            fmt::format("there is no format {}; there are json, avro, protobuf, delimited, regex and text", Quoted(kind)));
      if (option == nullptr)
        Problem(of.offset,
                "a table says how its records are read: WITH (format = 'json') or (format = 'delimited', separator = '|')");
    }
    YamlNode delimited = Map(option == nullptr ? of.offset : option->offset);
    for (const char* key : {"separator", "quoting", "null_as", "trim", "bom"}) PutOption(of, key, &delimited);
    if (const SqlTable::Option* const fields = of.FindOption("fields")) {
      Put("fields", Words(*fields), &delimited);
    } else {
      YamlNode names = List(of.offset);
      for (const SqlTable::Column& column : of.columns) {
        const std::string place = PlaceOf(of, column);
        if (column.generated.is_null() && !place.starts_with("record.")) names.items.push_back(Scalar(place, column.offset));
      }
      Put("fields", std::move(names), &delimited);
    }
    Put("delimited", std::move(delimited), &format);
    return format;
  }

  static std::string PlaceOf(const SqlTable& of, const SqlTable::Column& column) {
    const SqlTable::Option* const path = of.FindOption("path." + column.name);
    if (path != nullptr) return path->value;
    const SqlTable::Option* const format = of.FindOption("format");
    const bool has_paths =
        format != nullptr && (format->value == "json" || format->value == "avro" || format->value == "protobuf");
    // A list has all items of an array.
    return has_paths && column.type.ends_with("_list") ? column.name + "[*]" : column.name;
  }

  // In the order of the query's table.
  YamlNode Fields(const SqlTable::Branch& branch) {
    const SqlTable& of = *branch.table;
    YamlNode fields = Map(of.offset);
    for (const SqlTable::Column& named : table().columns) {
      const SqlTable::Column& column = *of.Find(branch.column_of.at(named.name));
      if (!column.generated.is_null()) continue;
      YamlNode field = Map(column.offset);
      Put(column.type, Scalar(PlaceOf(of, column), column.offset), &field);
      if (column.default_value) Put("default", Scalar(*column.default_value, column.offset), &field);
      if (column.nullable && !column.default_value) Put("nullable", Scalar("true", column.offset), &field);
      if (const SqlTable::Option* const unit = of.FindOption("unit." + column.name))
        Put("unit", Scalar(unit->value, unit->offset), &field);
      Put(named.name, std::move(field), &fields);
    }
    return fields;
  }

  void PutKey(YamlNode* root) {
    if (query_.keys.empty()) return Put("key", Scalar("'all'", query_.offset), root);
    if (query_.keys.size() == 1) return Put("key", Scalar(query_.keys[0].text, query_.keys[0].offset), root);
    YamlNode list = List(query_.keys[0].offset);
    for (const SqlQuery::Key& key : query_.keys) list.items.push_back(Scalar(key.text, key.offset));
    Put("key", std::move(list), root);
  }

  void PutMeasures(YamlNode* root) {
    if (plain_) {
      // Without the brackets that every operation was given, which no linear score has.
      const SqlQuery::Measure& measure = query_.measures[0];
      const std::string inside = measure.text.text.substr(4, measure.text.text.size() - 5);
      const ParsedExpression parsed = ParseExpression(inside);
      SqlText score = SqlText().Add(parsed.expression ? ExpressionText(*parsed.expression) : inside, measure.offset);
      return Put("score", Scalar(std::move(score), measure.offset), root);
    }
    YamlNode measures = Map(query_.offset);
    for (const SqlQuery::Measure& measure : query_.measures)
      Put(measure.name, Scalar(measure.text, measure.offset), &measures);
    Put("measures", std::move(measures), root);
  }

  void PutOption(const std::string& key, YamlNode* map) { PutOption(table(), key, map); }
  static void PutOption(const SqlTable& of, const std::string& key, YamlNode* map) {
    if (const SqlTable::Option* const option = of.FindOption(key)) Put(key, Scalar(option->value, option->offset), map);
  }

  // 'skip', 'fail' or 'fail above 5%'.
  void PutBadRecords(YamlNode* root) {
    constexpr std::string_view kFailAbove = "fail above ";
    const SqlTable::Option* const option = table().FindOption("on_bad_record");
    if (option == nullptr || !option->value.starts_with(kFailAbove)) return PutOption("on_bad_record", root);
    YamlNode limit = Map(option->offset);
    Put("fail_above", Scalar(option->value.substr(kFailAbove.size()), option->offset), &limit);
    Put("on_bad_record", std::move(limit), root);
  }

  void PutJobOptions(YamlNode* root) {
    if (const SqlTable::Option* const interval = table().FindOption("interval")) {
      YamlNode batch = Map(interval->offset);
      PutOption("interval", &batch);
      Put("batch", std::move(batch), root);
    }
    if (const SqlTable::Option* const wal = table().FindOption("wal")) {
      YamlNode state = Map(wal->offset);
      PutOption("wal", &state);
      Put("state", std::move(state), root);
    }
    PutBadRecords(root);
    // Where a query has no groups, how many there may be is of no use, and no mistake.
    if (query_.group) PutOption("groups", root);
    if (const SqlTable::Option* const key_bytes = table().FindOption("key_bytes")) {
      YamlNode limits = Map(key_bytes->offset);
      PutOption("key_bytes", &limits);
      Put("limits", std::move(limits), root);
    }
    const SqlTable::Option* const sinks = table().FindOption("sinks");
    if (sinks == nullptr) return;
    YamlNode list = List(sinks->offset);
    for (const YamlNode& word : Words(*sinks).items) {
      YamlNode sink = Map(sinks->offset);
      if (word.text.starts_with("file:")) {
        YamlNode file = Map(sinks->offset);
        Put("path", Scalar(word.text.substr(5), sinks->offset), &file);
        Put("file", std::move(file), &sink);
      } else {
        Put(word.text, Map(sinks->offset), &sink);
      }
      list.items.push_back(std::move(sink));
    }
    Put("sinks", std::move(list), root);
  }

  const SqlQuery& query_;
  const std::map<std::string, SqlTable>& tables_;
  std::vector<SqlProblem>* const problems_;
  const bool plain_;
};

std::vector<SpecError> ErrorsOf(std::string_view sql, std::vector<SqlProblem> problems) {
  std::ranges::stable_sort(problems, {}, &SqlProblem::offset);
  std::vector<SpecError> errors;
  for (SqlProblem& problem : problems) {
    const TextPlace place = PlaceOf(sql, problem.offset);
    errors.push_back(
        {.line = place.line, .column = place.column, .length = 0, .path = "", .message = std::move(problem.message)});
  }
  return errors;
}

// What a CREATE VIEW has beside its name and its query; "" if nothing.
std::string ViewProblem(const SqlNode& view) {
  const bool plain = !view.contains("aliases") && !view.contains("options") && !view.contains("replace") &&
                     !FieldOf(view, "view").contains("schemaname") &&
                     TextOf(FieldOf(view, "view"), "relpersistence") == "p" &&
                     (!view.contains("withCheckOption") || TextOf(view, "withCheckOption") == "NO_CHECK_OPTION");
  return plain ? "" : "a view is CREATE VIEW name AS SELECT .. UNION ALL SELECT .., and nothing else";
}

// What people write who come from Flink, whose SQL PostgreSQL's grammar does not take.
void AddHint(std::string_view sql, SqlProblem* problem) {
  const std::string upper = absl::AsciiStrToUpper(std::string(sql));
  if (absl::StrContains(upper, "'CONNECTOR'") || absl::StrContains(upper, "'FORMAT'"))
    problem->message += "; names of options stand without quotes, as in WITH (format = 'json'), and there is no connector";
  if (absl::StrContains(problem->message, "must have an alias")) problem->message += "; write ) AS t";
  if (absl::StrContains(upper, "QUALIFY"))
    problem->message += "; a query around ROW_NUMBER() keeps the first rows, by WHERE n <= 10";
  if (absl::StrContains(upper, "EMIT CHANGES")) problem->message += "; results come with every batch, without EMIT";
  if (absl::StrContains(upper, "CREATE STREAM")) problem->message += "; a topic is a CREATE TABLE";
  if (absl::StrContains(upper, "WINDOW TUMBLING") || absl::StrContains(upper, "WINDOW HOPPING"))
    problem->message += "; windows are FROM TUMBLE(clicks, at, INTERVAL '1 day') and HOP(..)";
  if (absl::StrContains(upper, "WATERMARK FOR")) problem->message += "; a watermark is lateness = '30s' in the table's WITH";
  if (absl::StrContains(upper, "TABLE(TUMBLE") || absl::StrContains(upper, "TABLE(HOP") ||
      absl::StrContains(upper, "DESCRIPTOR("))
    problem->message += "; write FROM TUMBLE(clicks, at, INTERVAL '1 day')";
}

}  // namespace

std::vector<SpecError> ReadSqlJob(std::string_view sql, const std::string& name, JobSpec* spec, SqlNames* names,
                                  const SpecFiles* files) {
  spec->Clear();
  std::vector<SqlStatement> statements;
  std::vector<SqlProblem> problems = ParseSql(sql, &statements);
  if (!problems.empty()) {
    AddHint(sql, &problems[0]);
    return ErrorsOf(sql, std::move(problems));
  }
  std::map<std::string, SqlTable> tables;
  const SqlNode* select = nullptr;
  bool broken_view = false;
  for (const auto& [statement, begin] : statements) {
    const std::string_view kind = KindOf(statement);
    if (kind == "CreateStmt") {
      SqlTable table = ReadSqlTable(InnerOf(statement), &problems);
      const size_t offset = table.offset;
      const std::string table_name = table.name;
      if (!tables.try_emplace(table_name, std::move(table)).second)
        problems.push_back({offset, fmt::format("the table {} is there twice", table_name)});
    } else if (kind == "ViewStmt") {
      const SqlNode& view = FieldOf(InnerOf(statement), "view");
      const std::string view_name = TextOf(view, "relname");
      const size_t at = FieldOf(view, "location").is_number_unsigned() ? FieldOf(view, "location").get<size_t>() : begin;
      SqlTable made = ReadSqlUnion(InnerOf(FieldOf(InnerOf(statement), "query")), view_name, at, tables, &problems);
      if (const std::string wrong = ViewProblem(InnerOf(statement)); !wrong.empty()) problems.push_back({at, wrong});
      broken_view |= made.branches.empty();
      if (!made.branches.empty() && !tables.try_emplace(view_name, std::move(made)).second)
        problems.push_back({at, fmt::format("the table {} is there twice", view_name)});
    } else if (kind == "SelectStmt" && select == nullptr) {
      select = &InnerOf(statement);
    } else {
      problems.push_back({begin, kind == "SelectStmt" ? "there are two SELECT; a job is one"
                                                      : "only CREATE TABLE, CREATE VIEW and SELECT are SQL here"});
    }
  }
  if (select == nullptr) {
    if (problems.empty()) problems.push_back({sql.size(), "there is no SELECT, which a job is"});
    return ErrorsOf(sql, std::move(problems));
  }
  // A query over what is wrong would only tell of that again.
  if (broken_view) return ErrorsOf(sql, std::move(problems));
  const SqlQuery query = ReadSqlQuery(*select, tables, &problems);
  if (names != nullptr) {
    for (const SqlQuery::Key& key : query.keys) names->key.push_back(key.name);
    if (query.group) names->group = query.group->name;
  }
  YamlNode root;
  if (query.from.table != nullptr) root = JobWriter(query, tables, &problems).Write(name);
  if (!problems.empty()) return ErrorsOf(sql, std::move(problems));
  std::vector<SpecError> errors = ReadJobSpecTree(root, sql, spec, files);
  for (const LookupTable& read : spec->fold().general().tables()) {
    const SqlTable& table = tables.at(read.name());
    const size_t columns = read.values().empty() ? 1 : 2;
    if (!errors.empty() || read.keys().empty() || columns == table.columns.size()) continue;
    errors = ErrorsOf(sql, {{table.offset, fmt::format("the file of {} has {}, and the table {}", table.name,
                                                       columns == 1 ? "one column" : "two columns", table.columns.size())}});
  }
  return errors;
}

}  // namespace tenfold
