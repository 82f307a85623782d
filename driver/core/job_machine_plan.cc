// The part of JobMachine from the begin of an attempt to what its batch folds: whether the sinks, the topics and the workers
// allow one, and how far the partitions go.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "driver/core/batch_planner.h"
#include "driver/core/job_machine.h"
#include "driver/core/waiting_for.h"
#include "jobs/plan/sources.h"

namespace tenfold {
namespace {

constexpr int64_t kRetrySinksUs = 250'000;
// How often a paused job looks how far its partitions go.
constexpr int64_t kLookUs = 2'000'000;

}  // namespace

void JobMachine::BeginAttempt(int64_t now_us, Actions* actions) {
  attempt_ = {};
  attempt_.started_us = now_us;
  // The sinks are asked only when what is known of them no longer allows a batch.
  if (job_.spec.sinks().empty() || job_.last_batch.batch() < delivered_ + cluster_->options.sink_backlog)
    return BeginPlan(now_us, actions);
  attempt_.phase = PHASE_SINKS;
  actions->push_back(QuerySinks{job_.job_id});
}

void JobMachine::OnSinks(const SinkStatus& slowest, int64_t now_us, Actions* actions) {
  if (attempt_.phase != PHASE_SINKS || job_.IsOver()) return;
  delivered_ = std::max(delivered_, slowest.delivered_batch());
  if (job_.last_batch.batch() < delivered_ + cluster_->options.sink_backlog) {
    BeginPlan(now_us, actions);
  } else {
    Waiting waiting = WaitingFor(WAITING_SINK);
    waiting.set_subject(slowest.sink());
    waiting.set_batches(job_.last_batch.batch() - delivered_);
    waiting.set_detail(slowest.problem());
    EndAttempt(std::move(waiting), now_us, now_us + kRetrySinksUs);
  }
  Advance(now_us, actions);
}

void JobMachine::BeginPlan(int64_t now_us, Actions* actions) {
  attempt_.phase = PHASE_PLAN;
  if (Waiting waiting = HeldUp(); waiting.kind() != WAITING_NOT)
    return EndAttempt(std::move(waiting), now_us, now_us + (waiting.kind() == WAITING_WORKERS ? kRetryUs : kRetryKafkaUs));
  // OnPartitions goes on from here.
  if (!search_.answered() && !job_.spec.source().allow_compacted()) return;
  attempt_.started_us = now_us;
  actions->push_back(QueryEnds{job_.job_id, ++query_});
}

Waiting JobMachine::HeldUp() const {
  if (!search_.too_many().empty()) return WaitingForKafka(job_.brokers(), search_.too_many());
  if (job_.partitions.empty() && !search_.trouble().empty()) return WaitingForKafka(job_.brokers(), search_.trouble());
  if (job_.partitions.empty()) {
    Waiting waiting = WaitingFor(WAITING_TOPIC);
    const std::vector<std::string> named = NamedTopics(job_.spec.source());
    if (!named.empty()) waiting.set_topic(named[0]);
    if (named.empty()) waiting.set_subject(job_.spec.source().topics_matching());
    return waiting;
  }
  if (job_.assignment.size() < job_.Shards()) return WaitingForWorkers(*cluster_);
  if (search_.compacted().empty()) return {};
  Waiting waiting = WaitingFor(WAITING_COMPACTED);
  waiting.set_topic(search_.compacted());
  return waiting;
}

void JobMachine::LookAtEnds(int64_t now_us, Actions* actions) {
  next_start_us_ = now_us + kLookUs;
  if (!job_.partitions.empty()) actions->push_back(QueryEnds{job_.job_id, ++query_});
}

void JobMachine::OnEnds(uint64_t query, const Ends& ends, int64_t now_us, Actions* actions) {
  if (job_.IsPaused() && query == query_ && ends.size() == job_.partitions.size()) return ends_.Take(ends, now_us);
  if (attempt_.phase != PHASE_PLAN || query != query_ || job_.IsOver()) return;
  if (ends.size() != job_.partitions.size()) return EndAttempt({}, now_us, now_us);
  ends_.Take(ends, now_us);
  const Waiting stuck = ends_.Stuck();
  const bool waits = stuck.kind() != WAITING_NOT && job_.spec.on_stuck_partition() == STUCK_PARTITION_WAIT;
  if (waits || ends_.nothing_known()) {
    ends_.ForgetTruncated();
    EndAttempt(WaitingForKafka(job_.brokers(), stuck.detail()), now_us, now_us + kRetryKafkaUs);
    return Advance(now_us, actions);
  }
  attempt_.ends_at_us = now_us;
  attempt_.plan = PlanBatch(job_.next_offsets, ends_.Known());
  if (std::optional<PartitionEnds::Truncated> truncated = ends_.CheckTruncated(attempt_.plan.truncated, now_us)) {
    if (!truncated->failure.empty()) return Fail(truncated->failure, actions);
    EndAttempt(std::move(truncated->waiting), now_us, now_us + kRetryKafkaUs);
    return Advance(now_us, actions);
  }
  if (windows_.any()) {
    if (replies_.known()) windows_.HoldBack(replies_.counters(), job_.next_offsets, &attempt_.plan.targets);
    FindIdle(now_us);
  }
  // Checked after the ends: in a truncated log a shard that is folded again may never reach the offset it has to reach.
  if (std::optional<Waiting> ownerless = moves_.MissingOwner()) {
    EndAttempt(*std::move(ownerless), now_us, now_us + kRetryKafkaUs);
    return Advance(now_us, actions);
  }
  const std::set<std::string> owners = job_.Owners();
  const bool told = std::all_of(owners.begin(), owners.end(), [&](const std::string& owner) { return acks_.Has(owner); });
  if (attempt_.plan.lag == 0 && !job_.IsBatchDue() && !attempt_.decrees && told && !moves_.replays()) {
    EndAttempt(stuck, now_us,
               NextStart(attempt_.started_us, now_us, int64_t{job_.spec.batch_interval_ms()} * 1000, /*backlog=*/false));
    return Advance(now_us, actions);
  }
  BeginAssign(now_us, actions);
}

std::vector<int64_t> JobMachine::JobEnds() const {
  std::vector<int64_t> ends;
  for (uint32_t p = 0; p < job_.partitions.size(); ++p) ends.push_back(job_.EndOf(p));
  return ends;
}

void JobMachine::FindIdle(int64_t now_us) {
  if (job_.spec.idle_us() <= 0) return;
  attempt_.idle.clock_us = now_us - job_.spec.idle_us();
  attempt_.idle.at = ends_.IdleSince(attempt_.idle.clock_us);
  if (attempt_.idle.at.empty()) return;
  // A driver that has just started asks the workers, by a batch, which windows there are.
  attempt_.decrees = !replies_.known();
  if (attempt_.decrees) return;
  std::vector<const PartitionState*> partitions;
  for (const PartitionState& partition : replies_.counters()) partitions.push_back(&partition);
  attempt_.decrees =
      !windows_.PlanFinals(partitions, replies_.windows(), job_.closed_through(), attempt_.idle, JobEnds()).windows.empty();
}

}  // namespace tenfold
