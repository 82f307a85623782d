#include "tests/simulation/simulated_world.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "jobs/plan/plan.h"

namespace tenfold {
namespace {

constexpr uint32_t kLeaseMs = 3000;
constexpr uint64_t kSinkBacklogBatches = 3;

}  // namespace

SimulatedWorld::SimulatedWorld(uint64_t seed, std::map<std::string, int>* hits) : random_(seed), hits_(hits) {
  limits.lease_ms = kLeaseMs;
  limits.sink_backlog = kSinkBacklogBatches;
  limits.merge_floor = 0;
  // Enough memory for every job, for none, or for about one.
  if (Chance(0.5)) limits.merge_memory = Chance(0.7) ? 1 : 150'000;
  limits.least_merge = 300 + Draw(1'500);
  if (Chance(0.5)) part_bytes = 1 + Draw(200);
  if (Chance(0.2)) max_kept_changes = 1 + Draw(20);
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

std::string SimulatedWorld::MakeRecord() {
  if (Chance(0.03)) return Chance(0.5) ? "page1|one|2|3" : "page1|1|2";
  const uint64_t keys = Chance(0.5) ? 8 : 40;
  return absl::StrCat("page", Draw(keys), "|", Draw(10), "|", Draw(10), ".", Draw(1000), "|", static_cast<int>(Draw(3)) - 1,
                      Chance(0.1) ? "0e-12" : "");
}

void SimulatedWorld::AddRecords(SimulatedJob* job, size_t records) {
  for (size_t i = 0; i < records; ++i) {
    std::vector<SimulatedLog::Slot>& partition = job->log.partitions[Draw(job->log.partitions.size())];
    if (Chance(0.05)) {
      partition.push_back({true, ""});
    } else {
      partition.push_back({false, MakeRecord()});
    }
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
void SimulatedWorld::MakeGeneral(GeneralFold* fold) {
  DelimitedFormat* const format = fold->mutable_format()->mutable_delimited();
  format->set_separator("|");
  for (const char* field : {"page", "clicks", "minutes", "like"}) format->add_fields(field);
  if (Chance(0.5)) fold->set_where(Chance(0.5) ? "like >= 0 and clicks + minutes > 3" : "not page like \"page1%\"");
  Let* const share = fold->add_let();
  share->set_name("share");
  share->set_expression("clicks / (clicks + like)");
  fold->add_key(Chance(0.5) ? "page" : "left(page, 5)");
  if (Chance(0.3)) fold->add_key("like");
  Measure* const measure = fold->add_measures();
  measure->set_name("score");
  measure->set_expression(Chance(0.4)   ? "sum(share)"
                          : Chance(0.5) ? "count()"
                                        : "sum(0.8*clicks - minutes + record.partition)");
  CHECK(MakeCanonical(fold));
}

SimulatedJob* SimulatedWorld::MakeJob(const std::string& id) {
  SimulatedJob& job = jobs[id];
  job.submitted.set_job_id(id);
  JobSpec* spec = job.submitted.mutable_spec();
  spec->set_name("job-" + id);
  spec->mutable_source()->add_topics("events");
  spec->mutable_source()->set_brokers("simulated:9092");
  if (Chance(0.3)) {
    Hit("job: a fold of expressions");
    MakeGeneral(spec->mutable_fold()->mutable_general());
  } else {
    MakeLinear(spec->mutable_fold());
  }
  spec->set_top(static_cast<uint32_t>(1 + Draw(10)));
  spec->set_batch_interval_ms(static_cast<uint32_t>(50 + Draw(2000)));
  if (spec->fold().general().key_size() < 2 && Chance(0.5)) {
    InitialScore* initial = spec->mutable_fold()->add_initial();
    initial->set_key("page1");
    initial->set_score("12.5");
  }
  spec->set_wal(static_cast<WalMode>(Draw(3)));
  spec->add_sinks()->mutable_stdout();
  if (Chance(0.1)) {
    Hit("fault: a bad record fails the job");
    spec->set_on_bad_record(BAD_RECORD_FAIL);
    job.may_fail.push_back(": the record is bad");
  }
  job.log.partitions.resize(Chance(0.1) ? 63 + Draw(5) : 1 + Draw(6));
  for (size_t p = 0; p < job.log.partitions.size(); ++p) {
    if (Chance(0.5)) job.log.partitions[p].resize(Draw(5), {true, ""});
    Partition* partition = job.submitted.add_partitions();
    partition->set_topic("events");
    partition->set_partition(static_cast<int32_t>(p));
    partition->set_start_offset(job.log.End(p));
  }
  AddRecords(&job, Draw(400));
  return &job;
}

}  // namespace tenfold
