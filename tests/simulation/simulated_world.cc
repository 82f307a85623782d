#include "tests/simulation/simulated_world.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"
#include "jobs/feed/avro_encoding.h"
#include "jobs/plan/avro_schema.h"
#include "jobs/plan/having.h"
#include "jobs/plan/plan.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {
namespace {

constexpr uint32_t kLeaseMs = 3000;
constexpr uint64_t kSinkBacklogBatches = 3;

// Of the same bytes, with other names.
std::string SchemaOf(std::array<const char*, 3> numbers) {
  std::string schema = R"({"type":"record","name":"R","fields":[{"name":"page","type":"string"})";
  for (const char* name : numbers) absl::StrAppend(&schema, R"(,{"name":")", name, R"(","type":"double"})");
  return *CompactAvroSchema(schema + "]}");
}

}  // namespace

SimulatedWorld::SimulatedWorld(uint64_t seed, std::map<std::string, int>* hits, const Scenario* scenario)
    : random_(seed), hits_(hits), scenario_(scenario) {
  limits.lease_ms = kLeaseMs;
  limits.sink_backlog = kSinkBacklogBatches;
  limits.merge_floor = 0;
  // Enough memory for every job, for none, or for about one.
  if (Chance(0.5)) limits.merge_memory = Chance(0.7) ? 1 : 150'000;
  // Every merge takes as many slices as its keys need in that, each with a message to and fro.
  limits.least_merge = 1'000 + Draw(1'500);
  if (Chance(0.5)) part_bytes = 1 + Draw(200);
  if (Chance(0.2)) max_kept_changes = 1 + Draw(20);
  for (int& schema : registry_) schema = static_cast<int>(Draw(4));
}

void SimulatedWorld::At(int64_t delay_ms, std::function<void()> run) {
  events_.push({now_ms_ + delay_ms, ++order_, std::move(run)});
}

void SimulatedWorld::RunNext() {
  CHECK(!events_.empty());
  const Event event = events_.top();
  events_.pop();
  now_ms_ = event.at_ms;
  event.run();
}

SimulatedLog::Slot SimulatedWorld::MakeRecord() {
  if (scenario_ == nullptr) return {false, MakeValue(), MakeParts()};
  // One of its own again.
  const std::vector<Scenario::Record>& records = scenario_->partitions[Draw(scenario_->partitions.size())];
  if (records.empty()) return {true, ""};
  const Scenario::Record& record = records[Draw(records.size())];
  return {false, std::string(record.value), record.parts};
}

std::string SimulatedWorld::MakeValue() {
  if (Chance(0.03)) return Chance(0.5) ? "page1|one|2|3" : "page1|1|2";
  const uint64_t keys = Chance(0.5) ? 8 : 40;
  return absl::StrCat("page", Draw(keys), "|", Draw(10), "|", Draw(10), ".", Draw(1000), "|", static_cast<int>(Draw(3)) - 1,
                      Chance(0.1) ? "0e-12" : "");
}

void SimulatedWorld::EncodeByRegistry(std::string* value) {
  const std::vector<std::string> parts = absl::StrSplit(*value, '|');
  const uint64_t id = Draw(kSchemaIds);
  *value = std::string(Chance(0.02) ? "\1\0\0\0" : "\0\0\0\0", 4) + static_cast<char>(id);
  AppendAvroText(parts[0], value);
  for (size_t i = 1; i < parts.size(); ++i) {
    double number = 0;
    if (!absl::SimpleAtod(parts[i], &number)) return;
    value->append(std::bit_cast<std::array<char, sizeof(number)>>(number).data(), sizeof(number));
  }
}

absl::StatusOr<LearnedSchema> SimulatedWorld::AskRegistry(uint32_t id) {
  LearnedSchema schema;
  schema.set_id(id);
  if (scenario_ != nullptr) {
    const auto found = scenario_->schemas.find(id);
    if (found == scenario_->schemas.end()) return absl::NotFoundError("there is none");
    schema.set_avro(found->second);
    return schema;
  }
  if (Fault(0.2)) {
    Hit("fault: the registry has another schema by an id");
    registry_[Draw(kSchemaIds)] = static_cast<int>(Draw(4));
  }
  if (Fault(0.1)) {
    Hit("fault: the registry does not answer");
    return absl::UnavailableError("the registry does not answer");
  }
  if (Fault(0.1)) {
    Hit("fault: the registry has yet to hear of a schema");
    return absl::NotFoundError("there is none yet");
  }
  switch (registry_.at(id)) {
    case kNoSchema:
      return absl::NotFoundError("there is none");
    case 1:
      schema.set_avro(SchemaOf({"clicks", "minutes", "like"}));
      break;
    case 2:
      schema.set_avro(SchemaOf({"like", "clicks", "minutes"}));
      break;
    default:
      // Without a field that some folds need.
      schema.set_avro(SchemaOf({"clicks", "minutes", "dislike"}));
  }
  return schema;
}

RecordParts SimulatedWorld::MakeParts() {
  static constexpr std::array<std::string_view, 4> kTexts = {"", "a", "b", "\xff"};
  RecordParts parts;
  parts.timestamp_ms = Chance(0.05) ? -1 : static_cast<int64_t>(150 * ++made_ + Draw(30'000));
  if (Chance(0.8)) parts.key = kTexts[Draw(kTexts.size())];
  if (Chance(0.5)) parts.headers.push_back({"h", kTexts[Draw(kTexts.size())]});
  if (Chance(0.1)) parts.headers.push_back({"h", std::nullopt});
  return parts;
}

void SimulatedWorld::AddRecords(SimulatedJob* job, size_t records) {
  for (size_t i = 0; i < records; ++i) {
    std::vector<SimulatedLog::Slot>& partition = job->log.partitions[Draw(job->log.partitions.size())];
    if (Chance(0.05)) {
      partition.push_back({true, ""});
    } else {
      partition.push_back(MakeRecord());
      if (scenario_ == nullptr && job->submitted.spec().has_registry()) EncodeByRegistry(&partition.back().value);
    }
    partition.back().appended_us = now_us();
  }
}

void SimulatedWorld::MakeLinear(Fold* fold) {
  fold->mutable_format()->set_separator("|");
  for (const char* field : {"page", "clicks", "minutes", "like"}) fold->mutable_format()->add_fields(field);
  fold->set_key("page");
  for (const auto& [constant, field] :
       {std::pair{"0.8", "clicks"}, {"0.8", "minutes"}, {Chance(0.3) ? "-7" : "1", "like"}}) {
    ScoreTerm* term = fold->add_score();
    term->set_constant(constant);
    term->set_field(field);
  }
}

// Of the same records: filtered, bad for what an expression does not take, with keys of one part or two.
void SimulatedWorld::MakeGeneral(GeneralFold* fold, bool registry) {
  for (const char* name : {"page", "clicks", "minutes", "like"}) {
    if (!registry) {
      fold->mutable_format()->mutable_delimited()->set_separator("|");
      fold->mutable_format()->mutable_delimited()->add_fields(name);
      continue;
    }
    fold->mutable_format()->mutable_avro()->set_registry(true);
    Field* const field = fold->add_fields();
    field->set_name(name);
    field->set_place(name);
    if (field->name() == "page") field->set_type(FIELD_TEXT);
  }
  if (Chance(0.5)) fold->set_where(Chance(0.5) ? "like >= 0 and clicks + minutes > 3" : "not page like \"page1%\"");
  Let* const share = fold->add_let();
  share->set_name("share");
  share->set_expression("clicks / (clicks + like)");
  fold->add_key(Chance(0.2) ? "record.key" : Chance(0.5) ? "page" : "left(page, 5)");
  if (Chance(0.3)) fold->add_key("like");
  const auto measure = [&](const char* name, const char* expression) {
    Measure* const made = fold->add_measures();
    made->set_name(name);
    made->set_expression(expression);
  };
  if (Chance(0.3)) {
    Hit("job: a list is exploded");
    // There are far more keys then, which the driver may ask for one by one.
    part_bytes = std::max<size_t>(part_bytes, 4'000);
    fold->mutable_explode()->set_name("piece");
    fold->mutable_explode()->set_list("split(page, \"1\")");
    if (Chance(0.7)) fold->set_where(fold->where().empty() ? "piece <> \"\"" : "(" + fold->where() + ") and piece <> \"\"");
    fold->add_key("piece");
  }
  if (Chance(0.3)) {
    Hit("job: a table is looked up");
    LookupTable* const table = fold->add_tables();
    table->set_name("names");
    for (const char* key : {"page1", "page2", "page21"}) {
      table->add_keys(key);
      table->add_values("a");
    }
    fold->add_key("lookup(names, page, record.key)");
  }
  measure("score", Chance(0.4) ? "sum(share)" : Chance(0.5) ? "count()" : "sum(0.8*clicks - minutes + record.partition)");
  if (Chance(0.6)) {
    Hit("job: several measures");
    // Null while every like of a page is 0.
    measure("liked", "sum(nullif(like, 0))");
    if (Chance(0.5)) measure("events", "count()");
    if (Chance(0.3)) measure("minutes", "sum(minutes)");
    if (Chance(0.2)) measure("late", "sum(record.timestamp - from_unix_ms(0))");
    if (Chance(0.2)) measure("marked", "count(record.headers[\"h\"])");
    if (Chance(0.3)) {
      Hit("job: a highest or lowest number");
      measure("most", Chance(0.5) ? "max(minutes)" : "max(nullif(like, 0))");
      if (Chance(0.5)) measure("least", Chance(0.5) ? "min(clicks - minutes)" : "min(nullif(clicks, 3))");
    }
    if (Chance(0.3)) {
      Hit("job: a quotient");
      // Some records add a negative number to the divisor, and are bad.
      measure("rate", Chance(0.4)   ? "(sum(clicks) + 2) / (count() + 1)"
                      : Chance(0.5) ? "avg(nullif(like, 0))"
                                    : "sum(clicks - minutes) / sum(nullif(like, 0))");
    }
  }
  if (Chance(0.2)) {
    Hit("job: groups");
    fold->set_group(Chance(0.5) ? "like" : "right(page, 1)");
  }
  CHECK(MakeCanonical(fold));
}

void SimulatedWorld::MakeSecondSource(GeneralFold* fold) {
  Hit("job: two sources");
  SourceRecords* const other = fold->add_others();
  *other->mutable_format() = fold->format();
  *other->mutable_fields() = fold->fields();
  // Of the same fields, two change their places.
  for (Field& field : *other->mutable_fields()) {
    if (field.place() == "clicks" || field.place() == "like") field.set_place(field.place() == "like" ? "clicks" : "like");
  }
  if (fold->has_window()) other->set_time(Chance(0.5) ? "record.timestamp" : "record.timestamp - clicks");
  CHECK(MakeCanonical(fold));
}

void SimulatedWorld::MakeEnds(SimulatedJob* job) {
  Hit("job: it ends");
  job->submitted.mutable_spec()->mutable_source()->mutable_until()->set_end(true);
  for (SourceTopics& other : *job->submitted.mutable_spec()->mutable_source()->mutable_others())
    other.mutable_until()->set_end(true);
  for (size_t p = 0; p < job->log.partitions.size(); ++p) {
    Partition* const partition = job->submitted.mutable_partitions(static_cast<int>(p));
    const int64_t left = job->log.End(p) - partition->start_offset();
    partition->set_end_offset(partition->start_offset() + static_cast<int64_t>(Draw(static_cast<uint64_t>(left) + 1)));
  }
}

// Windows that pass while records come, of which some are late.
void SimulatedWorld::MakeWindow(GeneralFold* fold, int64_t* idle_us) {
  Hit("job: windows");
  FoldWindow* const window = fold->mutable_window();
  constexpr int64_t kSecond = 1'000'000;
  window->set_unit(PANE_FIXED);
  const bool has_heights = std::ranges::any_of(fold->measures(), [](const Measure& measure) {
    return measure.expression().starts_with("max(") || measure.expression().starts_with("min(");
  });
  window->set_panes(has_heights || Chance(0.5) ? 1 : static_cast<uint32_t>(2 + Draw(4)));
  window->set_pane_us(Chance(0.5) ? 5 * kSecond : 12 * kSecond);
  window->set_lateness_us(static_cast<int64_t>(Draw(3)) * 8 * kSecond);
  window->set_ahead_us(Chance(0.2) ? kSecond : 60 * kSecond);
  if (Chance(0.4)) *idle_us = static_cast<int64_t>(1 + Draw(20)) * kSecond / 2;
  fold->set_time(Chance(0.6) ? "record.timestamp" : "record.timestamp + (clicks - minutes)");
  // Each of many final windows is merged by itself.
  part_bytes = std::max<size_t>(part_bytes, 4'000);
  CHECK(MakeCanonical(fold));
}

// What of the keys is ranked, and how.
void SimulatedWorld::MakeResult(JobSpec* spec) {
  const auto& measures = spec->fold().general().measures();
  if (measures.size() > 1 && Chance(0.6)) spec->set_rank(measures[1 + static_cast<int>(Draw(measures.size() - 1))].name());
  if (Chance(0.2)) {
    Hit("job: the lowest come first");
    spec->set_order(ORDER_ASCENDING);
  }
  // Where few keys may be in a result, or nearly all are equally low, all are asked for, in slices if need be, and each part
  // of an answer costs a message.
  if (spec->order() == ORDER_ASCENDING || measures.size() > 1) part_bytes = std::max<size_t>(part_bytes, 4'000);
  // Of a group, or where a quotient may rank, all keys are asked for in each batch if there is no memory for their totals.
  if (spec->groups() > 0 || measures.size() > 2) part_bytes = std::max<size_t>(part_bytes, 20'000);
  if (!Chance(0.3)) return;
  Hit("job: having");
  part_bytes = std::max<size_t>(part_bytes, 400);
  const bool has_likes = measures.size() > 1;
  const bool has_events = has_likes && measures[measures.size() > 2 ? 2 : 1].name() == "events";
  spec->set_having(Chance(0.3)                ? "score > 4"
                   : Chance(0.3)              ? "score between -3 and 60"
                   : has_likes && Chance(0.3) ? "liked is null or liked < 2"
                   : has_likes && Chance(0.3) ? "score / liked >= 1.5"
                   : has_events               ? "events >= 3 and score > 0.5"
                                              : "score < 1 or score > 10");
  MakeHavingCanonical(spec);
}

void SimulatedWorld::ChangeResult(JobSpec* spec) {
  if (spec->groups() > 0) spec->set_groups(static_cast<uint32_t>(1 + Draw(6)));
  // What a scenario says of a result is of measures of its own.
  if (scenario_ != nullptr || Chance(0.4)) return;
  Hit("job: another rank, order or condition while it runs");
  spec->clear_rank();
  spec->clear_order();
  spec->clear_having();
  MakeResult(spec);
}

SimulatedJob* SimulatedWorld::MakeJob(const std::string& id) {
  SimulatedJob& job = jobs[id];
  job.submitted.set_job_id(id);
  JobSpec* spec = job.submitted.mutable_spec();
  if (scenario_ != nullptr) {
    MakeOfScenario(&job);
  } else {
    MakeRandom(&job);
  }
  spec->set_name("job-" + id);
  spec->mutable_source()->set_brokers("simulated:9092");
  spec->set_batch_interval_ms(static_cast<uint32_t>(50 + Draw(2000)));
  spec->set_wal(static_cast<WalMode>(Draw(3)));
  spec->add_sinks()->mutable_stdout();
  CHECK_EQ(CheckJobSpec(*spec), "") << spec->ShortDebugString();
  return &job;
}

void SimulatedWorld::MakeOfScenario(SimulatedJob* job) {
  *job->submitted.mutable_spec() = scenario_->spec;
  for (const auto& records : scenario_->partitions) {
    std::vector<SimulatedLog::Slot>& partition = job->log.partitions.emplace_back();
    for (const Scenario::Record& record : records) partition.push_back({false, std::string(record.value), record.parts});
    Partition* const added = job->submitted.add_partitions();
    added->set_topic("events");
    added->set_partition(static_cast<int32_t>(job->log.partitions.size()) - 1);
    added->set_source(static_cast<uint32_t>(scenario_->SourceOf(job->log.partitions.size() - 1)));
    if (scenario_->ends) added->set_end_offset(static_cast<int64_t>(records.size()));
  }
}

void SimulatedWorld::MakeFold(JobSpec* spec, bool two_sources, bool windows) {
  if (two_sources || spec->has_registry() || Chance(windows ? 0.9 : 0.25)) {
    Hit("job: a fold of expressions");
    GeneralFold* const general = spec->mutable_fold()->mutable_general();
    MakeGeneral(general, spec->has_registry());
    int64_t idle_us = 0;
    if (Chance(windows ? 0.8 : 0.5)) MakeWindow(general, &idle_us);
    spec->set_idle_us(idle_us);
    if (two_sources) MakeSecondSource(general);
  } else {
    MakeLinear(spec->mutable_fold());
  }
  spec->set_top(static_cast<uint32_t>(1 + Draw(10)));
  if (!spec->fold().general().group().empty()) spec->set_groups(static_cast<uint32_t>(1 + Draw(6)));
  MakeResult(spec);
  const GeneralFold& general = spec->fold().general();
  if (general.key_size() < 2 && general.measures_size() < 2 && general.group().empty() && !general.has_window() &&
      Chance(0.5)) {
    InitialScore* initial = spec->mutable_fold()->add_initial();
    initial->set_key("page1");
    initial->set_score("12.5");
  }
}

void SimulatedWorld::ChangeFold(JobSpec* spec) {
  if (scenario_ != nullptr) return;
  const bool windows = spec->fold().general().has_window();
  spec->clear_fold();
  spec->clear_idle_us();
  spec->clear_groups();
  spec->clear_rank();
  spec->clear_order();
  spec->clear_having();
  MakeFold(spec, spec->source().others_size() > 0, windows);
  CHECK_EQ(CheckJobSpec(*spec), "") << spec->ShortDebugString();
}

void SimulatedWorld::MakeRandom(SimulatedJob* job) {
  JobSpec* const spec = job->submitted.mutable_spec();
  spec->mutable_source()->add_topics("events");
  const bool two_sources = Chance(0.1);
  if (two_sources) spec->mutable_source()->add_others()->add_topics("others");
  if (Chance(0.15)) {
    Hit("job: records by schemas of a registry");
    spec->mutable_registry()->set_url("http://simulated:8081");
  }
  MakeFold(spec, two_sources, /*windows=*/false);
  const GeneralFold& general = spec->fold().general();
  if (Chance(0.1)) {
    Hit("fault: a bad record fails the job");
    spec->set_on_bad_record(BAD_RECORD_FAIL);
    job->may_fail.push_back(": the record is bad");
  }
  job->log.partitions.resize(Chance(0.1) ? 63 + Draw(5) : 1 + Draw(6));
  for (size_t p = 0; p < job->log.partitions.size(); ++p) {
    if (Chance(0.5)) job->log.partitions[p].resize(Draw(5), {true, ""});
    Partition* partition = job->submitted.add_partitions();
    partition->set_topic("events");
    partition->set_partition(static_cast<int32_t>(p));
    partition->set_start_offset(job->log.End(p));
    if (p % 2 == 1 && !general.others().empty()) partition->set_source(1);
  }
  AddRecords(job, Draw(400));
  // What is left of windows at the end is most of what an end brings with it.
  if (Chance(general.has_window() ? 0.5 : 0.15)) MakeEnds(job);
}

}  // namespace tenfold
