// The part of SimulatedDriver that follows its journal: every record is held against the log and the oracle as it is
// written.
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "jobs/plan/pane_calendar.h"
#include "jobs/spec/batch_spec.h"
#include "tests/simulation/simulated_driver.h"

namespace tenfold {

void SimulatedDriver::Journal(const JournalRecord& record) {
  journal_.push_back(record);
  if (record.has_job_submitted()) {
    const JobSubmitted& submitted = record.job_submitted();
    jobs_[submitted.job_id()].partitions.assign(submitted.partitions().begin(), submitted.partitions().end());
    jobs_[submitted.job_id()].spec = submitted.spec();
    jobs_[submitted.job_id()].states_id = submitted.job_id();
  } else if (record.has_job_updated()) {
    world_->Hit("step: job updated");
    Job& job = jobs_.at(record.job_updated().job_id());
    job.spec = record.job_updated().spec();
    if (job.refold) world_->Hit("step: refold called off by an update");
    job.refold.reset();
  } else if (OnRefold(record)) {
  } else if (record.has_schema_learned()) {
    OnLearned(record.schema_learned());
  } else if (record.has_job_paused()) {
    world_->Hit("step: job paused");
    jobs_.at(record.job_paused().job_id()).paused = true;
  } else if (record.has_job_resumed()) {
    jobs_.at(record.job_resumed().job_id()).paused = false;
  } else if (record.has_partitions_added()) {
    world_->Hit("step: partitions added");
    Job& job = jobs_.at(record.partitions_added().job_id());
    for (const Partition& partition : record.partitions_added().partitions()) job.partitions.push_back(partition);
  } else if (record.has_batch_committed()) {
    OnBatch(record.batch_committed());
  } else if (record.has_job_failed()) {
    OnFailed(record.job_failed());
  } else if (record.has_job_finished()) {
    OnFinished(record.job_finished().job_id());
  } else if (record.has_job_cancelled()) {
    OnCancelled(record.job_cancelled().job_id());
  } else if (record.has_shards_assigned()) {
    for (const ShardAssignment& shard : record.shards_assigned().shards()) {
      if (shard.next_owner().empty()) continue;
      world_->Hit(shard.owner().empty() ? "step: doubted shard folded again" : "step: shard moves");
    }
  } else if (record.has_epoch_started()) {
    epoch_ = record.epoch_started().epoch();
    if (epoch_ > 1) world_->Hit("step: driver started again from its journal");
  }
}

void SimulatedDriver::OnLearned(const SchemaLearned& learned) {
  Job& job = jobs_.at(learned.job_id());
  const bool is_of_refold = !learned.states_id().empty();
  world_->Hit(is_of_refold                      ? "step: schema learned for a refold"
              : learned.schema().avro().empty() ? "step: schema learned to be unknown"
                                                : "step: schema learned");
  if (is_of_refold && (!job.refold || job.refold->states_id() != learned.states_id()))
    return world_->Fail("a schema is learned for states that nobody builds");
  std::vector<LearnedSchema>& known = is_of_refold ? job.refold_schemas : job.schemas;
  if (std::ranges::any_of(known, [&](const LearnedSchema& schema) { return schema.id() == learned.schema().id(); }))
    return world_->Fail(absl::StrCat("schema ", learned.schema().id(), " is learned twice"));
  known.push_back(learned.schema());
  if (!is_of_refold && job.oracle != nullptr) job.oracle->Learn(learned.schema());
}

bool SimulatedDriver::OnRefold(const JournalRecord& record) {
  if (record.has_refold_begun()) {
    Job& job = jobs_.at(record.refold_begun().job_id());
    world_->Hit(job.refold ? "step: refold replaced by another" : "step: refold begun");
    job.refold = record.refold_begun();
    job.refold_schemas.clear();
    for (const LearnedSchema& schema : job.schemas) {
      if (!schema.avro().empty()) job.refold_schemas.push_back(schema);
    }
  } else if (record.has_refold_switched()) {
    Job& job = jobs_.at(record.refold_switched().job_id());
    world_->Hit("step: refold switched");
    if (!job.refold || job.paused) {
      world_->Fail("a job switches that is not refolded, or is paused");
      return true;
    }
    job.spec = job.refold->spec();
    job.states_id = job.refold->states_id();
    job.schemas = job.refold_schemas;
    ++job.fold;
    job.refold.reset();
    job.oracle.reset();
  } else if (record.has_refold_ended()) {
    const std::string& id = record.refold_ended().job_id();
    world_->Hit("step: refold came to nothing and said why");
    const std::string& reason = record.refold_ended().reason();
    const auto is_part = [&](const std::string& may) { return absl::StrContains(reason, may); };
    if (!std::ranges::any_of(world_->jobs.at(id).may_fail, is_part) &&
        !std::ranges::any_of(std::array{"no longer has the job's start", "compacted", "gives other sums"}, is_part))
      world_->Fail(absl::StrCat("the refold of ", id, " ends: ", reason));
    if (!jobs_.at(id).refold) world_->Fail(absl::StrCat("the refold of ", id, " ends, and there is none"));
    jobs_.at(id).refold.reset();
  } else {
    return false;
  }
  return true;
}

namespace {

// The last of a spec's windows that ends at the time or before.
int64_t LastEnded(const JobSpec& spec, int64_t us) {
  const PaneCalendar calendar(spec.fold().general().window());
  int64_t window = calendar.PaneOf(us) + 2;
  while (calendar.TimesOf(window).end_us > us) --window;
  return window;
}

// Every window that all partitions have passed is final, once, in the batch of the offsets at which they had; one that some
// have not passed only if these may be idle.
std::string WrongFinals(std::optional<int64_t> closed, const BatchCommitted& batch, const Oracle& oracle, bool may_decree) {
  if (!oracle.has_windows()) return batch.has_window() || !batch.finals().empty() ? "has windows" : "";
  // Before all windows where none is final.
  constexpr int64_t kNone = std::numeric_limits<int64_t>::min();
  const int64_t last = closed.value_or(kNone);
  const int64_t now = batch.has_closed_through() ? batch.closed_through() : kNone;
  const int64_t passed = oracle.Passed().value_or(kNone);
  const bool decreed = now > std::max(last, passed);
  if (decreed && !may_decree) return "closes what has not passed";
  if (!batch.more_finals() && now < std::max(last, passed)) return "does not close what has passed";
  if (now < last) return "opens windows again";
  if (batch.has_window() && last != kNone && batch.window() <= last) return "is of a final window";
  std::vector<int64_t> expected;
  for (const int64_t window : oracle.Windows()) {
    if (window > last && window <= now) expected.push_back(window);
  }
  std::vector<int64_t> has;
  for (const FinalWindow& final : batch.finals()) has.push_back(final.window());
  return has == expected ? "" : absl::StrCat("has ", has.size(), " final windows, by the log ", expected.size());
}

}  // namespace

bool SimulatedDriver::MayDecree(const SimulatedJob& job, int64_t idle_us, const BatchCommitted& batch) const {
  if (idle_us == 0) return false;
  // A partition is idle whose end was its next offset all the time; so its last record came before.
  for (int p = 0; p < batch.next_offsets_size(); ++p) {
    const std::vector<SimulatedLog::Slot>& slots = job.log.partitions[static_cast<size_t>(p)];
    const auto next = static_cast<size_t>(batch.next_offsets(p));
    if (next == 0 || slots[next - 1].appended_us <= world_->now_us() - idle_us) return true;
  }
  return false;
}

void SimulatedDriver::OnBatch(const BatchCommitted& batch) {
  Job& job = jobs_.at(batch.job_id());
  const SimulatedJob& source = world_->jobs.at(batch.job_id());
  const auto fail = [&](const auto&... what) {
    world_->Fail(absl::StrCat("batch ", batch.batch(), " of ", batch.job_id(), ": ", what...));
  };
  if (job.failed || job.cancelled || job.finished) return fail("follows the end of its job");
  if (job.paused) return fail("is made while the job is paused");
  if (batch.batch() > job.delivered + world_->limits.sink_backlog) return fail("is made although a sink is too far behind");
  if (batch.batch() != job.last.batch() + 1) return fail("follows batch ", job.last.batch());
  const auto partitions = static_cast<size_t>(batch.next_offsets_size());
  if (partitions > job.partitions.size()) return fail("has more partitions than are journalled");
  if (batch.fold() != job.fold) return fail("is of fold ", batch.fold(), " of ", job.fold);
  if (!IsResultOf(batch, job.spec)) return fail("is of another result than its job");
  if (job.oracle == nullptr || partitions != job.checked.size() || !IsResultOf(batch, job.oracle_spec)) {
    // More partitions, maybe more shards, or another result: from the start.
    const JobSpec spec = SpecOfBatch(job.spec, batch);
    job.oracle_spec = spec;
    job.oracle = std::make_unique<Oracle>(spec, partitions);
    for (const LearnedSchema& schema : job.schemas) job.oracle->Learn(schema);
    job.checked.clear();
    for (size_t p = 0; p < partitions; ++p) job.checked.push_back(job.partitions[p].start_offset());
  }
  for (size_t p = 0; p < partitions; ++p) {
    const std::vector<SimulatedLog::Slot>& slots = source.log.partitions[p];
    const int64_t end = batch.next_offsets(static_cast<int>(p));
    if (end < job.checked[p] || end > static_cast<int64_t>(slots.size()))
      return fail("partition ", p, " goes to offset ", end, " from ", job.checked[p]);
    for (; job.checked[p] < end; ++job.checked[p]) {
      const SimulatedLog::Slot& slot = slots[static_cast<size_t>(job.checked[p])];
      const Oracle::Place place{.topic = "events",
                                .partition = static_cast<int32_t>(p),
                                .offset = job.checked[p],
                                .parts = &slot.parts,
                                .source = job.partitions[p].source()};
      if (!slot.marker) job.oracle->Add(p, slot.value, place);
    }
    if (!job.partitions[p].has_end_offset()) continue;
    if (end > job.partitions[p].end_offset()) return fail("partition ", p, " goes beyond the job's end");
    if (end == job.partitions[p].end_offset()) job.oracle->End(p);
  }
  const std::string difference = job.oracle->Difference(batch);
  if (!difference.empty()) return fail(difference);
  std::optional<int64_t> closed;
  if (batch.fold() == job.last.fold() && job.last.has_closed_through()) closed = job.last.closed_through();
  if (batch.fold() != job.last.fold() && job.closed_until_us && job.oracle->has_windows())
    closed = LastEnded(job.spec, *job.closed_until_us);
  if (const std::string wrong = WrongFinals(closed, batch, *job.oracle, MayDecree(source, job.spec.idle_us(), batch));
      !wrong.empty())
    return fail(wrong);
  if (batch.fold() != job.last.fold() && closed) world_->Hit("step: windows stay final over a refold");
  if (batch.has_closed_through()) {
    const PaneCalendar calendar(job.spec.fold().general().window());
    job.closed_until_us = std::max(job.closed_until_us, std::optional(calendar.TimesOf(batch.closed_through()).end_us));
  }
  if (std::ranges::any_of(batch.finals(), [](const FinalWindow& final) { return final.decreed(); }))
    world_->Hit("step: a window is final by decree");
  if (batch.late_records() > job.last.late_records()) world_->Hit("step: late records");
  if (!batch.finals().empty()) world_->Hit("step: windows become final");
  if (batch.more_finals()) world_->Hit("step: final windows left to the next batch");
  if (batch.has_window() && job.last.has_window() && batch.window() != job.last.window())
    world_->Hit("step: window moves on");
  if (batch.batch_records() + job.last.records() != batch.records())
    return fail("batch_records is not the difference of records");
  job.last = batch;
  world_->Hit("step: batch committed");
  if (batch.proof().rounds() > 1) world_->Hit("step: second round of the merge");
  if (job.by_changes) world_->Hit("step: batch merged by changes");
  if (twin == nullptr) return;
  world_->Hit("step: batch committed while there is another driver");
}

void SimulatedDriver::OnFailed(const JobFailed& failed) {
  Job& job = jobs_.at(failed.job_id());
  const std::vector<std::string>& may_fail = world_->jobs.at(failed.job_id()).may_fail;
  const bool expected = std::any_of(may_fail.begin(), may_fail.end(),
                                    [&](const std::string& may) { return absl::StrContains(failed.reason(), may); });
  const bool forked = world_->forked && absl::StrContains(failed.reason(), "older copy of its journal");
  if (forked) world_->Hit("step: job stopped as its journal lacks batches");
  if (!expected && !forked) world_->Fail(absl::StrCat("job ", failed.job_id(), " failed: ", failed.reason()));
  if (job.failed || job.cancelled) world_->Fail(absl::StrCat("job ", failed.job_id(), " ends twice"));
  world_->Hit("step: job failed and named the place");
  job.failed = true;
  if (world_->Chance(0.5)) Cancel(failed.job_id(), static_cast<int64_t>(world_->Draw(5000)));
}

void SimulatedDriver::OnFinished(const std::string& job_id) {
  Job& job = jobs_.at(job_id);
  if (job.failed || job.cancelled || job.finished) world_->Fail(absl::StrCat("job ", job_id, " ends twice"));
  bool at_end = job.last.next_offsets_size() == static_cast<int>(job.partitions.size());
  for (size_t p = 0; at_end && p < job.partitions.size(); ++p)
    at_end =
        job.partitions[p].has_end_offset() && job.last.next_offsets(static_cast<int>(p)) == job.partitions[p].end_offset();
  if (!at_end) world_->Fail(absl::StrCat("job ", job_id, " is finished before its end"));
  if (job.last.fold() != job.fold) world_->Fail(absl::StrCat("job ", job_id, " is finished without a batch by its fold"));
  // Of a driver over a copy that has made no batch since, the other one's oracle has checked the last.
  const bool has_windows = job.oracle != nullptr && job.oracle->has_windows();
  const std::vector<int64_t> windows = has_windows ? job.oracle->Windows() : std::vector<int64_t>();
  if (!windows.empty() && (!job.last.has_closed_through() || job.last.closed_through() < windows.back()))
    world_->Fail(absl::StrCat("job ", job_id, " is finished before its windows are final"));
  world_->Hit("step: job finished");
  job.finished = true;
}

void SimulatedDriver::OnCancelled(const std::string& job_id) {
  Job& job = jobs_.at(job_id);
  if (job.cancelled) world_->Fail(absl::StrCat("job ", job_id, " is cancelled twice"));
  job.cancelled = true;
  const std::string next_id = job_id + "x";
  if (!world_->Fault(0.5) || world_->jobs.contains(next_id)) return;
  world_->Hit("step: name of a cancelled job taken again");
  const SimulatedJob& before = world_->jobs.at(job_id);
  SimulatedJob& next = world_->jobs[next_id];
  next.submitted = before.submitted;
  next.submitted.set_job_id(next_id);
  next.log.partitions = before.log.partitions;
  if (next.submitted.spec().on_bad_record() == BAD_RECORD_FAIL) next.may_fail.push_back(": the record is bad");
  Submit(next_id, static_cast<int64_t>(world_->Draw(100)));
}

}  // namespace tenfold
