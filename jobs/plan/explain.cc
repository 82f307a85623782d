#include "jobs/plan/explain.h"

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "common/text/duration.h"
#include "common/text/shown_text.h"
#include "fmt/format.h"
#include "jobs/plan/avro_schema.h"
#include "jobs/plan/field_value.h"
#include "jobs/plan/measures.h"
#include "jobs/plan/plan.h"
#include "jobs/plan/sources.h"

namespace tenfold {
namespace {

class Explainer {
 public:
  explicit Explainer(const JobSpec& spec) : spec_(spec) {}

  std::string Explain() {
    if (spec_.fold().general().others().empty()) ExplainTopics(0);
    if (spec_.fold().has_general()) {
      ExplainGeneral(spec_.fold().general());
    } else {
      ExplainDirect(spec_.fold());
    }
    const JobMeasures of = MeasuresOf(spec_);
    const RowMeasure& ranked = of.measures[of.ranked];
    if (!spec_.having().empty()) Line("having", fmt::format("{}; other keys are not ranked", spec_.having()));
    const std::string& group = spec_.fold().general().group();
    Line("result", fmt::format("{}the {} keys with the {} {}{}, equal ones by key; every {} ms while caught up",
                               group.empty() ? "" : "for each group ", spec_.top(), of.ascending ? "lowest" : "highest",
                               ranked.name, ranked.nullable() ? " that is not null" : "", spec_.batch_interval_ms()));
    if (!group.empty())
      Line("groups",
           fmt::format("the first {} by name that have any key; a result says whether there are more", spec_.groups()));
    if (group.empty() && !of.ranking.quotient) {
      Line("merge", "by thresholds, by what changed, or by all entries, as a batch makes cheapest; always exact");
    } else {
      Line("merge", fmt::format("by what changed, as long as the driver has memory for the totals of all keys, else by all "
                                "entries in slices; always exact: partials bound no {}",
                                group.empty() ? "quotient" : "group's top"));
    }
    Line("state",
         fmt::format("a row a {}key: count and {} of 128 bits in units of 1e-9{}",
                     spec_.fold().general().has_window() ? "window and " : "",
                     of.ranking.sums == 1 ? "one sum" : fmt::format("{} sums", of.ranking.sums),
                     spec_.fold().initial().empty() ? "" : fmt::format("; {} initial", spec_.fold().initial_size())));
    Line("limits", fmt::format("a record {} bytes, a key {}, a contribution 64 bits in units of 1e-9, a number {} digits",
                               kMaxRecordBytes, KeyBytesOf(spec_.fold().general()), kMaxNumberDigits));
    return std::move(text_);
  }

 private:
  void Line(std::string_view step, std::string what) { text_ += fmt::format("{:<9}{}\n", step, Printable(what)); }

  static std::string PositionText(const LogPosition& position) {
    if (position.end()) return "the end that there is at its submission";
    if (position.has_time_ms()) return ValueText(Timestamp{position.time_ms() * 1000});
    std::string text;
    for (const NamedOffset& named : position.offsets().offsets()) {
      text +=
          fmt::format("{}offset {} of {}[{}]", text.empty() ? "" : ", ", named.offset(), named.topic(), named.partition());
    }
    return text;
  }

  void ExplainTopics(size_t number) {
    const SourceTopics source = TopicsOfSource(spec_.source(), number);
    std::string topics =
        fmt::format("{} {}", source.topics_size() == 1 ? "topic" : "topics", fmt::join(source.topics(), ", "));
    if (!source.topics_matching().empty())
      topics = fmt::format("{}topics whose names match {}", source.topics().empty() ? "" : topics + " and ",
                           Quoted(source.topics_matching()));
    std::string start = source.start() == START_LATEST ? "the next record" : "the first record";
    if (source.has_start_at()) start = PositionText(source.start_at());
    const std::string until =
        source.has_until() ? fmt::format(" up to {}, then the job is finished", PositionText(source.until())) : "";
    Line("source",
         fmt::format("{}Kafka {}, from {} on{}{}",
                     spec_.fold().general().others().empty() ? "" : SourcePath(spec_.source(), number) + ": ", topics, start,
                     until, number == 0 && spec_.source().wait_for_topics() ? "; waited for until they are there" : ""));
  }

  void ExplainDirect(const Fold& fold) {
    ExplainDelimited(fold.format());
    Line("key", fmt::format("{}, its bytes", fold.key()));
    std::string score;
    for (const ScoreTerm& term : fold.score()) {
      score += fmt::format("{}{}*{}", score.empty() ? "" : " + ", term.constant(), term.field());
    }
    Line("score", fmt::format("sum of {}, computed exactly and rounded once to 1e-9", score));
    Line("decoding", "the direct path: a delimited record, a field as the key, a linear sum");
  }

  void ExplainDelimited(const DelimitedFormat& format) {
    Line("format", fmt::format("{} fields, separated by {}{}{}{}{}", format.fields_size(), Quoted(format.separator()),
                               format.quoted() ? ", quoted as RFC 4180 has it" : "", format.trim() ? ", trimmed" : "",
                               format.strip_bom() ? ", without a byte order mark" : "",
                               format.has_null_as() ? fmt::format(", null as {}", Quoted(format.null_as())) : ""));
  }

  void ExplainGeneral(const GeneralFold& fold) {
    std::vector<PlanProblem> problems;
    const std::shared_ptr<const Plan> plan = MakePlan(fold, &problems);
    if (plan == nullptr) return Line("plan", problems[0].message);
    for (size_t i = 0; i < SourceCount(fold); ++i) {
      if (SourceCount(fold) > 1) ExplainTopics(i);
      ExplainRecords(FoldOfSource(fold, i));
    }
    if (SourceCount(fold) > 1) Line("union", "of the events of all sources, which have the same fields");
    for (const LookupTable& table : fold.tables()) {
      Line("table", fmt::format("{}: {} keys{}, a part of the job", table.name(), table.keys_size(),
                                table.values().empty() ? "" : " with values"));
    }
    ExplainStep(*plan, plan->where);
    if (!fold.where().empty()) {
      const bool elements = !plan->element_where.nodes.empty();
      Line("where", fmt::format("{}; other records are filtered{}", fold.where(),
                                elements ? fmt::format(", and other elements where it is of {}", plan->element) : ""));
    }
    for (const Let& let : fold.let()) {
      const auto& planned = *std::ranges::find(plan->lets, let.name(), &Plan::PlannedLet::name);
      const PlanNode& node = plan->nodes[planned.node];
      Line("let",
           fmt::format("{} = {}: {}{}, computed once{}, where it is first needed", let.name(), let.expression(),
                       TypeName(node.type), node.nullable ? " or null" : "", planned.of_element ? " an element" : ""));
    }
    if (plan->calendar != nullptr) ExplainWindow(fold.window());
    ExplainStep(*plan, plan->list);
    if (fold.has_explode()) {
      Line("explode", fmt::format("{} is each element of {}, at most {}; one that is bad makes its record bad",
                                  fold.explode().name(), fold.explode().list(), kMaxElements));
    }
    ExplainStep(*plan, plan->element_where);
    ExplainStep(*plan, plan->key);
    if (!fold.group().empty()) Line("group", fmt::format("{}, the first part of the key of a row", fold.group()));
    Line("key", fmt::format("{}{}", fmt::join(fold.key(), ", "),
                            plan->key.nodes.size() > 1 ? ", framed, so that keys sort by their parts" : ""));
    ExplainStep(*plan, plan->values);
    for (const Measure& measure : fold.measures()) {
      const auto is_it = [&measure](const RowMeasure& of) { return of.name == measure.name(); };
      const JobMeasures all = MeasuresOf(spec_);
      const bool quotient = std::ranges::find_if(all.measures, is_it)->quotient.has_value();
      Line(
          "measure",
          fmt::format("{} = {}, {}", measure.name(), measure.expression(),
                      quotient ? "a quotient of sums, each computed exactly in fractions and rounded once to 1e-9; compared "
                                 "exactly, and null while its divisor is 0"
                               : "computed exactly in fractions and rounded once to 1e-9"));
    }
    size_t unused = plan->fields.size();
    for (const PlanStep* step : {&plan->time, &plan->where, &plan->list, &plan->element_where, &plan->key, &plan->values}) {
      unused -= step->fields.size();
    }
    if (unused > 0) Line("unused", fmt::format("{} of the fields; nothing reads them", unused));
    Line("decoding", "the general path: fields as they are needed, then expressions");
  }

  // What the records of a source are, of whose fold this is.
  void ExplainRecords(const GeneralFold& fold) {
    if (fold.format().has_json()) {
      Line("format", fmt::format("JSON, a value a record, all of it checked, nested at most {} deep", kMaxJsonDepth));
    } else if (fold.format().has_regex()) {
      const RegexFormat& regex = fold.format().regex();
      Line("format", fmt::format("records that {} matches as a whole; others are {}", regex.pattern(),
                                 regex.filter_unmatched() ? "filtered" : "bad"));
    } else if (fold.format().avro().registry()) {
      Line("format",
           fmt::format("Avro, by the schema that the registry {} has under the id in front of each record, asked once and "
                       "journalled; all of it checked, nested at most {} deep",
                       spec_.registry().url(), kMaxJsonDepth));
    } else if (fold.format().has_avro()) {
      std::string error;
      const std::optional<AvroSchema> schema = ReadAvroSchema(fold.format().avro().schema(), &error);
      Line("format", fmt::format("Avro, {}a value of type {} a record, all of it checked, nested at most {} deep",
                                 fold.format().avro().confluent() ? "behind Confluent's five bytes " : "",
                                 schema ? schema->types[0].name : "its schema", kMaxJsonDepth));
    } else if (fold.format().has_protobuf()) {
      const ProtobufFormat& protobuf = fold.format().protobuf();
      Line("format",
           fmt::format("Protocol Buffers, {}one {} a record, nested at most {} deep",
                       protobuf.confluent() ? "behind Confluent's bytes " : "", protobuf.message(), kMaxJsonDepth));
    } else if (fold.format().has_text()) {
      Line("format", "a text a record, called value");
    } else {
      ExplainDelimited(fold.format().delimited());
    }
    if (!spec_.fold().general().others().empty()) {
      for (const Field& field : fold.fields()) ExplainField(field);
    }
    if (!fold.has_window()) return;
    std::vector<PlanProblem> problems;
    if (const std::shared_ptr<const Plan> plan = MakePlan(fold, &problems)) ExplainStep(*plan, plan->time);
    Line("time", fmt::format("{}; a record without one is bad, and one that is more than {} ahead of its own timestamp",
                             fold.time(), DurationText(absl::Microseconds(fold.window().ahead_us()))));
  }

  void ExplainWindow(const FoldWindow& window) {
    constexpr std::array<std::string_view, 5> kUnits = {"ms", "day", "week", "month", "year"};
    const std::string pane = window.unit() == PANE_FIXED
                                 ? DurationText(absl::Microseconds(window.pane_us()))
                                 : fmt::format("one {} of {}", kUnits[static_cast<size_t>(window.unit())],
                                               window.zone().empty() ? "UTC" : window.zone());
    const std::string kind =
        window.panes() == 1 ? "tumbling, of " + pane : fmt::format("sliding, of {} panes of {}", window.panes(), pane);
    const std::string late = DurationText(absl::Microseconds(window.lateness_us()));
    Line("window", kind);
    Line("final", fmt::format("once every partition has a record whose time is {} beyond the window's end", late));
    if (spec_.idle_us() > 0) {
      Line("",
           fmt::format("a partition does not count from which nothing has come for {}; if none counts, once its end is {} "
                       "ago by the driver's clock",
                       DurationText(absl::Microseconds(spec_.idle_us())),
                       DurationText(absl::Microseconds(spec_.idle_us() + window.lateness_us()))));
    }
    Line("late",
         fmt::format("what comes after a record of its own partition that is {} beyond the end of its last window", late));
  }

  void ExplainField(const Field& field) {
    std::string null = field.nullable() ? ", or null" : ", never null";
    if (field.has_default_value()) null = fmt::format(", {} where it is null", Quoted(field.default_value()));
    Line("read", fmt::format("{}: {} at {}{}", field.name(), FieldTypeName(field.type()), field.place(), null));
  }

  // The fields that a step reads; those of several sources stand with each.
  void ExplainStep(const Plan& plan, const PlanStep& step) {
    if (!spec_.fold().general().others().empty()) return;
    for (const uint32_t index : step.fields) {
      const PlannedField& field = plan.fields[index];
      const Field* said = nullptr;
      for (const Field& each : spec_.fold().general().fields()) {
        if (each.name() == field.name) said = &each;
      }
      std::string null = field.nullable ? ", or null" : ", never null";
      if (said != nullptr && said->has_default_value())
        null = fmt::format(", {} where it is null", Quoted(said->default_value()));
      Line("read", fmt::format("{}: {} at {}{}", field.name, FieldTypeName(field.type),
                               said == nullptr ? field.name : said->place(), null));
    }
  }

  const JobSpec& spec_;
  std::string text_;
};

}  // namespace

std::string Explain(const JobSpec& spec) { return Explainer(spec).Explain(); }

}  // namespace tenfold
