#include "jobs/plan/plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "google/protobuf/descriptor.pb.h"
#include "jobs/plan/avro_schema.h"
#include "jobs/plan/expression_check.h"
#include "jobs/plan/expression_lexer.h"
#include "jobs/plan/field_value.h"
#include "jobs/plan/measure_form.h"
#include "jobs/plan/protobuf_schema.h"
#include "jobs/plan/record_columns.h"
#include "jobs/plan/sources.h"

namespace tenfold {
namespace {

using enum ValueType;

class PlanMaker {
 public:
  PlanMaker(const GeneralFold& fold, std::vector<PlanProblem>* problems) : fold_(fold), problems_(problems) {}

  std::shared_ptr<const Plan> Make() {
    plan_->format = fold_.format();
    AddColumns();
    for (const Measure& measure : fold_.measures())
      check_.AddElsewhere(measure.name(), "it is a measure, and a condition on measures stands in having");
    for (const Field& field : fold_.fields()) AddField(field);
    for (const LookupTable& table : fold_.tables()) AddTable(table);
    for (const ZoneClock& zone : fold_.zones()) check_.AddZone(zone);
    const std::vector<const Let*> of_element = AddRecordLets();
    // A record has one time, whatever its elements are, which nothing knows yet.
    if (fold_.has_window()) {
      plan_->calendar = std::make_shared<PaneCalendar>(fold_.window());
      if (const auto time = check_.Check(fold_.time(), "source.time", kTimestamp)) plan_->time.nodes.push_back(*time);
    }
    if (fold_.has_explode()) AddElements(of_element);
    if (!fold_.where().empty()) AddWhere();
    AddKey();
    AddMeasures();
    if (plan_->fields.size() > kMaxFields)
      Problem("source.fields", fmt::format("has {} fields with those that expressions name; at most {} are allowed",
                                           plan_->fields.size(), kMaxFields));
    if (!problems_->empty()) return nullptr;
    FindFields();
    // A time is held against the timestamp of its record.
    plan_->reads_parts = plan_->calendar != nullptr ||
                         std::ranges::any_of(plan_->fields, [](const PlannedField& f) { return f.place.IsOfParts(); });
    return std::move(plan_);
  }

 private:
  void Problem(std::string path, std::string message) { problems_->push_back({std::move(path), 0, 0, std::move(message)}); }

  void AddColumns() {
    columns_ = ColumnsOf(fold_.format());
    std::string error;
    if (fold_.format().has_regex() && ReadRecordPattern(fold_.format().regex(), &error).pattern == nullptr)
      Problem("source.format.regex.pattern", std::move(error));
    const bool has_avro = fold_.format().has_avro() && !fold_.format().avro().registry();
    if (has_avro && !(avro_ = ReadAvroSchema(fold_.format().avro().schema(), &error)))
      Problem("source.format.avro.schema", std::move(error));
    if (fold_.format().has_protobuf() && (protobuf_ = ReadProtobufSchema(fold_.format().protobuf(), &error)) == nullptr)
      Problem("source.format.protobuf", std::move(error));
    for (size_t i = 0; i < columns_.size(); ++i) check_.AddColumn(columns_[i], i);
  }

  void AddField(const Field& field) {
    const std::string path = "source.fields." + field.name();
    const size_t before = problems_->size();
    if (!names_.insert(field.name()).second) Problem(path, "is defined twice");
    PlannedField planned{.name = field.name(),
                         .type = field.type(),
                         .unit = field.unit(),
                         .place = {},
                         .nullable = field.nullable(),
                         .default_value = {}};
    if (std::string wrong = ReadPlace(field, &planned); !wrong.empty()) {
      Problem(path, std::move(wrong));
    } else if (field.has_default_value()) {
      const ValueType type = TypeOf(field.type());
      if (type == kTextList || type == kNumberList) Problem(path, "is a list, which has no default");
      if (field.nullable()) Problem(path, "is nullable and has a default, so that it is never null; choose one");
      if (ReadFieldText(field.default_value(), field.type(), field.unit(), &planned.default_value) != FieldError::kNone) {
        Problem(path, fmt::format("its default {} is no {}", Quoted(field.default_value()), FieldTypeName(field.type())));
      }
    }
    if (problems_->size() > before) return check_.AddBroken(field.name());
    plan_->fields.push_back(std::move(planned));
    check_.AddField(field.name(), static_cast<uint32_t>(plan_->fields.size() - 1));
  }

  // Returns what is wrong with the place of a field.
  std::string ReadPlace(const Field& field, PlannedField* planned) const {
    const std::string& place = field.place();
    if (place.starts_with("record.") || place.starts_with("record[")) {
      if (!ReadRecordPlace(place, &planned->place))
        return fmt::format("{} is no part of a record; there are {}", Quoted(place), kRecordPlaces);
      switch (planned->place.kind) {
        case FieldPlace::Kind::kTopic:
          return planned->type == FIELD_TEXT ? "" : fmt::format("{} is a text", place);
        case FieldPlace::Kind::kPartition:
        case FieldPlace::Kind::kOffset:
          return planned->type == FIELD_INTEGER ? "" : fmt::format("{} is an integer", place);
        case FieldPlace::Kind::kTimestamp:
          return planned->type == FIELD_TIMESTAMP && planned->unit == TIMESTAMP_TEXT
                     ? ""
                     : fmt::format("{} is a timestamp, and has no unit", place);
        default:
          return planned->type != FIELD_TEXT_LIST && planned->type != FIELD_DECIMAL_LIST
                     ? ""
                     : fmt::format("{} is no list", place);
      }
    }
    if (HasPaths(fold_.format())) {
      planned->place.kind = FieldPlace::Kind::kPath;
      std::string error;
      std::optional<JsonPath> path = ParseJsonPath(place, &error);
      if (!path) return error;
      planned->place.path = *std::move(path);
      const bool list = field.type() == FIELD_TEXT_LIST || field.type() == FIELD_DECIMAL_LIST;
      if (protobuf_ != nullptr) return ProtobufPlaceProblem(*protobuf_, planned->place.path, field.type(), field.unit());
      if (list == planned->place.path.each)
        return avro_ ? AvroPlaceProblem(*avro_, planned->place.path, field.type(), field.unit()) : "";
      return list ? fmt::format("is a list, so that its place ends with [*]: {}[*]", Shown(place))
                  : "is of one value, but its place ends with [*]; a text_list or decimal_list has all";
    }
    const auto found = std::ranges::find(columns_, place);
    if (found == columns_.end())
      return fmt::format("{} is no field of the format{}", Quoted(place), DidYouMean(place, columns_));
    if (field.type() == FIELD_TEXT_LIST || field.type() == FIELD_DECIMAL_LIST)
      return "only records with paths have lists; read a text and cut it with split(text, separator)";
    planned->place.column = static_cast<size_t>(found - columns_.begin());
    return "";
  }

  void AddTable(const LookupTable& table) {
    if (IsTaken(table.name())) Problem("tables." + table.name(), "is the name of a field or of a table before it");
    PlannedTable& planned = plan_->tables.emplace_back();
    planned.reserve(static_cast<size_t>(table.keys_size()));
    for (int i = 0; i < table.keys_size(); ++i) planned[table.keys(i)] = table.values().empty() ? "" : table.values(i);
    check_.AddTable(table.name(), static_cast<uint32_t>(plan_->tables.size() - 1),
                    !table.values().empty() || table.keys().empty());
  }

  // Whether the expression is computed from the element of the exploded list.
  bool IsOfElement(const Expression& tree) const { return Names(tree, of_element_); }

  static bool Names(const Expression& tree, const std::set<std::string>& names) {
    return (tree.kind == Expression::Kind::kName && names.contains(tree.text)) ||
           std::ranges::any_of(tree.arguments, [&](const Expression& part) { return Names(part, names); });
  }

  // Adds the values that are of records, and returns those that are of elements.
  std::vector<const Let*> AddRecordLets() {
    std::vector<const Let*> of_element;
    if (fold_.has_explode()) of_element_.insert(fold_.explode().name());
    std::set<std::string> later;
    for (const Let& let : fold_.let()) later.insert(let.name());
    for (const Let& let : fold_.let()) {
      const ParsedExpression parsed = fold_.has_explode() ? ParseExpression(let.expression()) : ParsedExpression();
      if (!parsed.expression || !IsOfElement(*parsed.expression)) {
        AddLet(let, false);
      } else if (of_element_.insert(let.name()); Names(*parsed.expression, later)) {
        Problem("let." + let.name(), "uses a value that stands behind it; each may use those before it");
        check_.AddBroken(let.name());
      } else {
        of_element.push_back(&let);
      }
      later.erase(let.name());
    }
    for (const std::string& name : of_element_)
      check_.AddElsewhere(name, "it is of each element of the list, and this is of the record");
    return of_element;
  }

  void AddElements(const std::vector<const Let*>& lets) {
    const bool known = AddExplode(fold_.explode());
    for (const Let* let : lets) {
      if (known) AddLet(*let, true);
      if (!known) check_.AddBroken(let->name());
    }
  }

  // Whether there is an element then.
  bool AddExplode(const Explode& explode) {
    const std::string path = "explode." + explode.name();
    if (IsTaken(explode.name())) Problem(path, "is the name of a field, a value or a table");
    const std::optional<uint32_t> list = check_.Check(explode.list(), path);
    const ValueType type = list ? plan_->nodes[*list].type : kTextList;
    if (type != kTextList && type != kNumberList) {
      Problem(path, fmt::format("is {}; it must be a list, as a field of several values is, or split(text, separator)",
                                TypeName(type)));
    }
    if (!list || (type != kTextList && type != kNumberList)) {
      check_.AddBroken(explode.name());
      return false;
    }
    plan_->list.nodes.push_back(*list);
    plan_->element = explode.name();
    check_.SetElement(explode.name(), type == kTextList ? kText : kNumber);
    return true;
  }

  // The parts that keep elements are apart from those that keep records.
  void AddWhere() {
    ParsedExpression parsed = ParseExpression(fold_.where());
    if (!parsed.expression) return problems_->push_back({"where", parsed.begin, parsed.end, std::move(parsed.error)});
    for (const bool of_element : {false, true}) {
      std::optional<Expression> joined;
      JoinParts(*parsed.expression, of_element, &joined);
      if (!joined) continue;
      if (const auto where = check_.Check(*joined, "where", kBoolean))
        (of_element ? plan_->element_where : plan_->where).nodes.push_back(*where);
    }
  }

  // Joins those of the parts between `and`s that are of an element, or those that are not, in their order.
  void JoinParts(const Expression& tree, bool of_element, std::optional<Expression>* joined) const {
    if (tree.kind == Expression::Kind::kCall && tree.text == "and" && IsOfElement(tree)) {
      for (const Expression& part : tree.arguments) JoinParts(part, of_element, joined);
    } else if (IsOfElement(tree) == of_element) {
      if (!*joined) {
        *joined = tree;
        return;
      }
      Expression both{.kind = Expression::Kind::kCall, .text = "and", .arguments = {}, .begin = (*joined)->begin};
      both.end = tree.end;
      both.arguments.push_back(*std::move(*joined));
      both.arguments.push_back(tree);
      *joined = std::move(both);
    }
  }

  bool IsTaken(const std::string& name) {
    return !names_.insert(name).second || std::ranges::find(columns_, name) != columns_.end();
  }

  void AddLet(const Let& let, bool of_element) {
    const std::string path = "let." + let.name();
    if (IsTaken(let.name())) return Problem(path, "is the name of a field, a table or a value before it");
    const std::optional<uint32_t> node = check_.Check(let.expression(), path);
    if (!node) return check_.AddBroken(let.name());
    if (plan_->nodes[*node].type == kNull) return Problem(path, "is always null");
    plan_->lets.push_back({let.name(), *node, of_element});
    check_.AddLet(let.name(), static_cast<uint32_t>(plan_->lets.size() - 1));
  }

  void AddKey() {
    plan_->key_bytes = KeyBytesOf(fold_);
    plan_->has_group = !fold_.group().empty();
    if (plan_->has_group) AddKeyPart(fold_.group(), "group");
    for (int i = 0; i < fold_.key_size(); ++i)
      AddKeyPart(fold_.key(i), fold_.key_size() == 1 ? "key" : fmt::format("key[{}]", i));
  }

  void AddKeyPart(const std::string& expression, const std::string& path) {
    const std::optional<uint32_t> node = check_.Check(expression, path);
    if (!node) return;
    const ValueType type = plan_->nodes[*node].type;
    if (type == kTextList || type == kNumberList || type == kNull) {
      Problem(path, fmt::format("is {}; a {} is a text, a number, a boolean or a timestamp",
                                type == kNull ? "always null" : TypeName(type), path == "group" ? "group" : "key"));
    }
    plan_->key.nodes.push_back(*node);
  }

  void AddMeasures() {
    std::set<std::string> names;
    for (const Measure& measure : fold_.measures()) {
      const std::string path = "measures." + measure.name();
      if (!names.insert(measure.name()).second) Problem(path, "is defined twice");
      ParsedExpression parsed = ParseExpression(measure.expression());
      if (!parsed.expression) {
        problems_->push_back({path, parsed.begin, parsed.end, std::move(parsed.error)});
      } else {
        AddMeasure(measure, path, *parsed.expression);
      }
    }
  }

  void AddMeasure(const Measure& said, const std::string& path, const Expression& tree) {
    MeasureProblem problem;
    const std::optional<MeasureForm> form = ReadMeasureForm(tree, &problem);
    if (!form) return problems_->push_back({path, problem.begin, problem.end, std::move(problem.message)});
    PlannedMeasure& measure = plan_->measures.emplace_back();
    measure.name = said.name();
    if (!AddAggregate(form->dividend, path, &measure.summed)) return;
    if (said.nullable() && measure.summed && !form->is_average)
      plan_->sums.push_back({.kind = PlannedSum::Kind::kPresent, .value = measure.summed});
    if (!form->divisor) return;
    if (form->is_average) {
      const bool nullable = said.nullable();
      plan_->sums.push_back({.kind = nullable ? PlannedSum::Kind::kPresent : PlannedSum::Kind::kOne,
                             .value = nullable ? measure.summed : std::nullopt});
      return;
    }
    if (!AddAggregate(*form->divisor, path, &measure.divisor_summed)) return;
    plan_->sums.back().is_divisor = measure.divisor_summed.has_value();
    if (said.divisor_nullable() && measure.divisor_summed)
      plan_->sums.push_back({.kind = PlannedSum::Kind::kPresent, .value = measure.divisor_summed});
  }

  // Adds the sum of an aggregate, with its height if it has one, and its value if it has an argument; `*summed` is that of
  // what is summed. False if it is refused.
  bool AddAggregate(const Aggregate& aggregate, const std::string& path, std::optional<size_t>* summed) {
    PlannedSum sum;
    using Kind = PlannedSum::Kind;
    if (aggregate.argument) {
      const std::optional<uint32_t> node =
          check_.Check(*aggregate.argument, path, aggregate.counts() ? std::nullopt : std::optional(kNumber));
      if (!node) return false;
      sum.value = plan_->values.nodes.size();
      sum.kind = aggregate.counts() ? Kind::kPresent : Kind::kValue;
      if (!aggregate.counts()) *summed = sum.value;
      plan_->values.nodes.push_back(*node);
      plan_->measure_of_value.push_back(plan_->measures.size() - 1);
    }
    if (aggregate.is_height()) {
      plan_->heights.Add(plan_->sums.size());
      const Kind height = aggregate.kind == Aggregate::Kind::kMax ? Kind::kHighest : Kind::kLowest;
      plan_->sums.push_back({.kind = height, .value = sum.value});
    }
    plan_->sums.push_back(sum);
    return true;
  }

  // Finds which fields each step is the first to need, in the order of the spec.
  void FindFields() {
    std::vector<bool> seen(plan_->nodes.size());
    std::set<uint32_t> read;
    for (PlanStep* step : {&plan_->time, &plan_->where, &plan_->list, &plan_->element_where, &plan_->key, &plan_->values}) {
      for (const uint32_t node : step->nodes) AddFieldsOf(node, &seen, &read, &step->fields);
      // What expressions name by its place comes after the fields that have names, by the bytes of the place.
      const auto order = [this](uint32_t field) {
        const bool named = field < static_cast<size_t>(fold_.fields_size());
        return std::tuple(!named, named ? field : 0, named ? "" : plan_->fields[field].name);
      };
      std::ranges::sort(step->fields, {}, order);
    }
  }

  void AddFieldsOf(uint32_t index, std::vector<bool>* seen, std::set<uint32_t>* read, std::vector<uint32_t>* fields) const {
    if ((*seen)[index]) return;
    (*seen)[index] = true;
    const PlanNode& node = plan_->nodes[index];
    const auto of = static_cast<uint32_t>(node.index);
    if (node.op == Op::kField && read->insert(of).second) fields->push_back(of);
    if (node.op == Op::kLet) AddFieldsOf(plan_->lets[of].node, seen, read, fields);
    for (const uint32_t argument : node.arguments) AddFieldsOf(argument, seen, read, fields);
  }

  const GeneralFold& fold_;
  std::vector<PlanProblem>* const problems_;
  std::shared_ptr<Plan> plan_ = std::make_shared<Plan>();
  ExpressionCheck check_{plan_.get(), problems_};
  // Of the format.
  std::vector<std::string> columns_;
  // Of Avro records.
  std::optional<AvroSchema> avro_;
  // Of those of Protocol Buffers.
  std::shared_ptr<const ProtobufSchema> protobuf_;
  // Of fields and lets.
  std::set<std::string> names_;
  // The element of an exploded list, and the lets that are computed from it.
  std::set<std::string> of_element_;
};

// Removes what does not affect how records are read: a schema's blanks, comments and defaults, and source positions and
// comments in descriptors.
void MakeFormatCanonical(RecordFormat* format) {
  if (format->has_protobuf()) {
    google::protobuf::FileDescriptorSet set;
    if (!set.ParsePartialFromString(format->protobuf().descriptors())) return;
    for (google::protobuf::FileDescriptorProto& file : *set.mutable_file()) file.clear_source_code_info();
    format->mutable_protobuf()->set_descriptors(set.SerializePartialAsString());
  }
  if (!format->has_avro() || format->avro().registry()) return;
  if (std::optional<std::string> compact = CompactAvroSchema(format->avro().schema()))
    format->mutable_avro()->set_schema(*std::move(compact));
}

}  // namespace

std::shared_ptr<const Plan> MakePlan(const GeneralFold& fold, std::vector<PlanProblem>* problems) {
  return PlanMaker(fold, problems).Make();
}

namespace {

using Fields = google::protobuf::RepeatedPtrField<Field>;

// Adds the columns of a delimited format that only expressions name, in the order of the record.
void AddNamedColumns(const Plan& plan, Fields* fields) {
  std::map<size_t, Field> columns;
  for (size_t i = static_cast<size_t>(fields->size()); i < plan.fields.size(); ++i) {
    const PlannedField& planned = plan.fields[i];
    if (planned.place.kind != FieldPlace::Kind::kColumn) continue;
    Field& field = columns[planned.place.column];
    field.set_name(planned.name);
    field.set_type(planned.type);
    field.set_place(planned.name);
    field.set_nullable(planned.nullable);
  }
  for (auto& [column, field] : columns) *fields->Add() = std::move(field);
}

// Brings fields into the order of those of the first source, which have the same names.
void OrderAs(const Fields& first, Fields* fields) {
  std::map<std::string_view, int> places;
  for (int i = 0; i < first.size(); ++i) places.emplace(first[i].name(), i);
  std::ranges::stable_sort(*fields, {}, [&](const Field& field) {
    const auto place = places.find(field.name());
    return place == places.end() ? first.size() : place->second;
  });
}

}  // namespace

std::vector<std::string> NamedZones(const GeneralFold& fold) {
  std::set<std::string> names;
  const auto add = [&names](auto& self, const Expression& tree) -> void {
    const bool of_time = tree.kind == Expression::Kind::kCall && (tree.text == "date_part" || tree.text == "date_trunc");
    if (of_time && tree.arguments.size() == 3 && tree.arguments[2].kind == Expression::Kind::kText)
      names.insert(tree.arguments[2].text);
    for (const Expression& part : tree.arguments) self(self, part);
  };
  const auto add_text = [&](const std::string& text) {
    if (const ParsedExpression parsed = ParseExpression(text); parsed.expression) add(add, *parsed.expression);
  };
  for (const std::string* text : {&fold.time(), &fold.where(), &fold.explode().list(), &fold.group()}) add_text(*text);
  for (const SourceRecords& other : fold.others()) add_text(other.time());
  for (const Let& let : fold.let()) add_text(let.expression());
  for (const std::string& key : fold.key()) add_text(key);
  for (const Measure& measure : fold.measures()) add_text(measure.expression());
  return {names.begin(), names.end()};
}

bool MakeCanonical(GeneralFold* fold) {
  std::vector<PlanProblem> problems;
  std::vector<std::shared_ptr<const Plan>> plans;
  for (size_t source = 0; source < SourceCount(*fold); ++source) {
    plans.push_back(MakePlan(FoldOfSource(*fold, source), &problems));
    if (plans.back() == nullptr) return false;
  }
  const auto rewrite = [](std::string* text) { *text = ExpressionText(*ParseExpression(*text).expression); };
  if (!fold->time().empty()) rewrite(fold->mutable_time());
  if (!fold->where().empty()) rewrite(fold->mutable_where());
  if (fold->has_explode()) rewrite(fold->mutable_explode()->mutable_list());
  for (Let& let : *fold->mutable_let()) rewrite(let.mutable_expression());
  std::ranges::sort(*fold->mutable_tables(), {}, &LookupTable::name);
  std::ranges::sort(*fold->mutable_zones(), {}, &ZoneClock::name);
  if (!fold->group().empty()) rewrite(fold->mutable_group());
  for (std::string& key : *fold->mutable_key()) rewrite(&key);
  MakeFormatCanonical(fold->mutable_format());
  for (int i = 0; i < fold->measures_size(); ++i) {
    rewrite(fold->mutable_measures(i)->mutable_expression());
    // A row has one form, whichever source its records are of.
    const auto may_be_null = [&](std::optional<size_t> PlannedMeasure::* summed) {
      return std::ranges::any_of(plans, [&](const auto& plan) {
        const std::optional<size_t>& value = plan->measures[static_cast<size_t>(i)].*summed;
        return value && plan->nodes[plan->values.nodes[*value]].nullable;
      });
    };
    fold->mutable_measures(i)->set_nullable(may_be_null(&PlannedMeasure::summed));
    fold->mutable_measures(i)->set_divisor_nullable(may_be_null(&PlannedMeasure::divisor_summed));
  }
  AddNamedColumns(*plans[0], fold->mutable_fields());
  for (int i = 0; i < fold->others_size(); ++i) {
    SourceRecords* const other = fold->mutable_others(i);
    if (!other->time().empty()) rewrite(other->mutable_time());
    MakeFormatCanonical(other->mutable_format());
    AddNamedColumns(*plans[static_cast<size_t>(i) + 1], other->mutable_fields());
    OrderAs(fold->fields(), other->mutable_fields());
  }
  return true;
}

std::string_view TypeName(ValueType type) {
  switch (type) {
    case kNull:
      return "null";
    case kText:
      return "a text";
    case kNumber:
      return "a number";
    case kBoolean:
      return "a condition";
    case kTimestamp:
      return "a timestamp";
    case kTextList:
      return "a list of texts";
    case kNumberList:
      return "a list of numbers";
  }
  return "";
}

ValueType TypeOf(FieldType type) {
  switch (type) {
    case FIELD_DECIMAL:
    case FIELD_INTEGER:
      return kNumber;
    case FIELD_BOOLEAN:
      return kBoolean;
    case FIELD_TIMESTAMP:
      return kTimestamp;
    case FIELD_TEXT_LIST:
      return kTextList;
    case FIELD_DECIMAL_LIST:
      return kNumberList;
    default:
      return kText;
  }
}

}  // namespace tenfold
