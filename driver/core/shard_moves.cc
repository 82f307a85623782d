#include "driver/core/shard_moves.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "driver/core/assignment.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr uint32_t kPrepareBudgetMs = 500;
// A preparation that took no longer than this, or than the job's interval, leaves little to fold for the takeover.
constexpr int64_t kQuickUs = 200'000;
// After this many preparations a shard is ready even if none was quick.
constexpr int kPreparations = 5;

bool SameDigest(const Digest& a, const Digest& b) { return a.high() == b.high() && a.low() == b.low(); }

bool SameOwners(const std::vector<ShardAssignment>& a, const std::vector<ShardAssignment>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const ShardAssignment& x, const ShardAssignment& y) {
    return x.owner() == y.owner() && x.next_owner() == y.next_owner();
  });
}

template <typename Shards>
bool Lists(const Shards& shards, uint32_t shard) {
  return std::find(shards.begin(), shards.end(), shard) != shards.end();
}

}  // namespace

// ---- the assignment ----

std::optional<std::vector<ShardAssignment>> ShardMoves::Plan(int64_t now_us) const {
  if (refolding_ == Refolding::kNotKnown && !job_->assignment.empty()) return std::nullopt;
  AssignmentInput input;
  input.current = job_->assignment;
  input.shards = job_->Shards();
  input.can_refold = refolding_ == Refolding::kPossible;
  // What a refold has folded of a shard is worth more.
  input.balances = purpose_ == Purpose::kBatches;
  // A move that only the balance needs leaves its worker a place for a job that comes.
  const bool needs = job_->assignment.size() < job_->Shards() ||
                     std::ranges::any_of(
                         job_->assignment,
                         [&](const ShardAssignment& shard) {
                           return !cluster_->IsLive(shard.owner()) && !cluster_->IsLive(shard.next_owner());
                         });
  for (const auto& [id, worker] : cluster_->workers) {
    const bool has =
        places_.contains(id) || std::ranges::any_of(job_->assignment, [&, worker_id = &id](const ShardAssignment& shard) {
          return shard.owner() == *worker_id || shard.next_owner() == *worker_id;
        });
    if (worker.state == WORKER_LIVE && (has || worker.HasRoom(needs ? 1 : 2))) input.live[id] = worker.shards;
    if (worker.state == WORKER_JOINING) input.awaited.insert(id);
  }
  for (const ShardAssignment& shard : job_->assignment) {
    for (const std::string& worker : {shard.owner(), shard.next_owner()}) {
      if (now_us < cluster_->awaiting_until_us && !cluster_->workers.contains(worker)) input.awaited.insert(worker);
    }
  }
  input.awaited.erase("");
  // A refold prepares every shard, as batches may be made of it meanwhile.
  for (uint32_t s = 0; s < input.shards && purpose_ == Purpose::kBatches; ++s) {
    bool fresh = static_cast<int>(s) >= job_->Digests().size();
    for (const uint32_t p : job_->PartitionsOf(s)) fresh &= job_->next_offsets[p] == job_->partitions[p].start_offset();
    if (fresh) input.fresh.insert(s);
  }
  for (const auto& [shard, worker] : doubtful_) input.doubtful.insert(shard);

  std::vector<ShardAssignment> plan = PlanAssignment(input);
  for (const auto& [shard, worker] : ready_) {
    if (shard < plan.size() && plan[shard].next_owner() == worker) {
      plan[shard].set_owner(worker);
      plan[shard].clear_next_owner();
    }
  }
  for (const auto& [shard, worker] : called_off_) {
    if (shard < plan.size() && plan[shard].next_owner() == worker) plan[shard].clear_next_owner();
  }
  // Without any worker there is nothing to plan.
  const bool nobody = job_->assignment.empty() && input.live.empty();
  if (nobody || SameOwners(plan, job_->assignment)) return std::nullopt;
  return plan;
}

void ShardMoves::OnAssigned() {
  refolds_.clear();
  ready_.clear();
  current_.clear();
  preparations_.clear();
  const auto has_nobody = [](const ShardAssignment& shard) { return shard.owner().empty() && shard.next_owner().empty(); };
  if (std::ranges::none_of(job_->assignment, has_nobody)) places_.clear();
}

void ShardMoves::OnWorkersChanged() {
  std::erase_if(preparing_, [&](const auto& entry) {
    const WorkerInfo* info = cluster_->FindLive(entry.first);
    return info == nullptr || info->incarnation != entry.second.incarnation;
  });
  const auto is_lost = [&](const auto& entry) {
    const bool lost = !cluster_->IsLive(entry.second);
    // It may come back with the same state, which would not have been folded again then.
    if (lost) doubts_.erase(entry.first);
    return lost;
  };
  std::erase_if(doubtful_, is_lost);
  std::erase_if(called_off_, is_lost);
  // Another process may have less than the one before.
  if (purpose_ == Purpose::kRefold) RevokeCurrent([this](const std::string& worker) { return !acks_->Has(worker); });
}

void ShardMoves::OnFound(const FoundPartitions& found) {
  const size_t both = std::min(found.begins.size(), job_->partitions.size());
  bool is_gone = false;
  bool all_known = true;
  for (size_t p = 0; p < both; ++p) {
    is_gone |= found.begins[p] > job_->partitions[p].start_offset();
    all_known &= found.begins[p] >= 0;
  }
  const Refolding before = refolding_;
  is_gone |= fold_failed_ || (!all_known && before == Refolding::kStartGone);
  if (job_->spec.source().allow_compacted() || !found.compacted.empty() || log_differs_) {
    refolding_ = Refolding::kCompacted;
  } else {
    refolding_ = is_gone ? Refolding::kStartGone : Refolding::kPossible;
  }
  if (refolding_ == Refolding::kStartGone && before != Refolding::kStartGone) {
    LOG(WARNING) << "job " << job_->spec.name() << ": the log no longer has the job's start; its shards do not move, and "
                 << "verify cannot recompute its batches";
  }
}

void ShardMoves::OnUpdated() {
  refolding_ = job_->spec.source().allow_compacted() ? Refolding::kCompacted : Refolding::kNotKnown;
  log_differs_ = fold_failed_ = false;
  preparing_.clear();
}

void ShardMoves::OnPartitionsAdded() {
  current_.clear();
  preparations_.clear();
}

void ShardMoves::RevokeCurrent(const std::function<bool(const std::string&)>& of) {
  for (uint32_t s = 0; s < job_->assignment.size(); ++s) {
    if (!of(job_->assignment[s].next_owner())) continue;
    current_.erase(s);
    preparations_.erase(s);
  }
}

bool ShardMoves::IsAllReady() const {
  if (job_->assignment.size() < job_->Shards()) return false;
  bool is_current = true;
  bool keeps_up = true;
  for (uint32_t s = 0; s < job_->assignment.size(); ++s) {
    if (!acks_->Has(job_->assignment[s].next_owner())) return false;
    const auto preparations = preparations_.find(s);
    is_current &= current_.contains(s);
    keeps_up &= preparations != preparations_.end() && preparations->second >= kPreparations;
  }
  return is_current || keeps_up;
}

std::string ShardMoves::CannotRefold() const {
  switch (refolding_) {
    case Refolding::kNotKnown:
    case Refolding::kPossible:
      return "";
    case Refolding::kStartGone:
      return "the log no longer has the job's start, from which its states would be built";
    case Refolding::kCompacted:
      // For a state that disagreed it is taken for that until Kafka tells again.
      if (!called_off_.empty() && !log_differs_) return "";
      return log_differs_ ? "the log, folded again, gives other sums than the journal has"
                          : "the job's topics are compacted, or may be (allow_compacted), so that the log may miss records "
                            "that its batches count";
  }
  return "";
}

bool ShardMoves::LacksOwner() const {
  return refolding_ == Refolding::kPossible && std::ranges::any_of(job_->assignment, [this](const ShardAssignment& shard) {
           return !cluster_->IsLive(shard.owner()) && !cluster_->IsLive(shard.next_owner());
         });
}

std::optional<Waiting> ShardMoves::MissingOwner() const {
  for (uint32_t s = 0; s < job_->assignment.size(); ++s) {
    const std::string& owner = job_->assignment[s].owner();
    const std::string& next = job_->assignment[s].next_owner();
    if (!owner.empty() && cluster_->IsLive(owner)) continue;
    Waiting waiting;
    const bool moves = refolding_ == Refolding::kPossible || refolding_ == Refolding::kNotKnown;
    const bool alone = !owner.empty() && next.empty() && !moves;
    waiting.set_kind(owner.empty() ? WAITING_SHARD : alone ? WAITING_ONLY_OWNER : WAITING_OWNER);
    waiting.set_compacted(alone && refolding_ == Refolding::kCompacted);
    waiting.set_worker(owner);
    waiting.set_shard(s);
    if (const WorkerInfo* info = cluster_->Find(owner)) waiting.set_detail(info->problem);
    if (next.empty() && moves) cluster_->TellFull(&waiting);
    if (!next.empty()) *waiting.mutable_refold() = Progress(s);
    return waiting;
  }
  return std::nullopt;
}

// ---- preparation ----

std::set<std::string> ShardMoves::Preparers() const {
  std::set<std::string> workers;
  for (uint32_t s = 0; s < job_->assignment.size(); ++s) {
    const std::string& worker = job_->assignment[s].next_owner();
    if (worker.empty() || !acks_->Has(worker) || preparing_.contains(worker) || acks_->Rests(worker)) continue;
    if (Prepares(worker, s)) workers.insert(worker);
  }
  return workers;
}

bool ShardMoves::Prepares(const std::string& worker, uint32_t shard) const {
  const bool done = purpose_ == Purpose::kBatches ? ready_.contains(shard) : current_.contains(shard);
  return job_->assignment[shard].next_owner() == worker && !done && !doubtful_.contains(shard) &&
         !called_off_.contains({shard, worker});
}

PrepareRequest ShardMoves::MakePrepare(const std::string& worker, RequestId id, int64_t now_us) {
  const auto& digests = job_->Digests();
  preparing_[worker] = {id.step(), id.incarnation(), now_us, job_->next_offsets, {digests.begin(), digests.end()}};
  PrepareRequest request;
  *request.mutable_id() = std::move(id);
  request.set_budget_ms(kPrepareBudgetMs);
  for (uint32_t s = 0; s < job_->assignment.size(); ++s) {
    if (!Prepares(worker, s)) continue;
    for (const uint32_t p : job_->PartitionsOf(s)) {
      PartitionOffset* target = request.add_targets();
      target->set_partition(p);
      target->set_next_offset(job_->next_offsets[p]);
    }
  }
  return request;
}

ShardMoves::Prepared ShardMoves::OnReply(const std::string& worker, const PrepareRequest& request,
                                         const absl::StatusOr<PrepareReply>& reply, int64_t now_us) {
  Prepared prepared;
  const auto it = preparing_.find(worker);
  if (it == preparing_.end() || request.id().step() != it->second.step || request.id().epoch() != cluster_->epoch)
    return prepared;
  const PrepareUnderWay prepare = std::move(it->second);
  preparing_.erase(it);
  prepared.counts = true;
  if (job_->IsOver() || request.id().assignment() != job_->assignment_number) return prepared;
  if (!reply.ok()) {
    acks_->Remove(worker);
    acks_->Rest(worker, now_us);
    if (purpose_ == Purpose::kRefold) RevokeCurrent([&](const std::string& of) { return of == worker; });
    return prepared;
  }
  if (reply->has_failure()) {
    LOG(ERROR) << "job " << job_->spec.name() << ": worker " << worker
               << " cannot fold its shards from the start: " << reply->failure().reason();
    fold_failed_ = true;
    refolding_ = Refolding::kStartGone;
    prepared.failure = reply->failure().reason();
    prepared.orphaned = std::any_of(job_->assignment.begin(), job_->assignment.end(), [&](const ShardAssignment& shard) {
      return shard.next_owner() == worker && shard.owner().empty();
    });
    acks_->Rest(worker, now_us);
    return prepared;
  }
  for (const ShardPosition& position : reply->shards()) OnPosition(position, worker, prepare, now_us, &prepared);
  return prepared;
}

void ShardMoves::OnPosition(const ShardPosition& position, const std::string& worker, const PrepareUnderWay& prepare,
                            int64_t now_us, Prepared* prepared) {
  const uint32_t s = position.shard();
  if (prepared->doubtful || s >= job_->assignment.size() || job_->assignment[s].next_owner() != worker) return;
  NoteRefold(position, now_us);
  bool reached = true;
  bool exact = true;
  bool current = true;
  for (const PartitionOffset& offset : position.offsets()) {
    if (offset.partition() >= prepare.next_offsets.size()) continue;
    reached &= offset.next_offset() >= prepare.next_offsets[offset.partition()];
    exact &= offset.next_offset() == prepare.next_offsets[offset.partition()];
    current &= offset.next_offset() >= job_->next_offsets[offset.partition()];
  }
  const bool quick = now_us - prepare.sent_us <= std::max(int64_t{job_->spec.batch_interval_ms()} * 1000, kQuickUs);
  if (purpose_ == Purpose::kRefold) {
    if (current) current_.insert(s);
    preparations_[s] = reached && quick ? preparations_[s] + 1 : 0;
    return;
  }
  if (!reached) return;
  if (exact && s < prepare.digests.size() && !SameDigest(position.digest(), prepare.digests[s])) {
    prepared->doubtful = s;
    return;
  }
  doubts_.erase(s);
  // A shard whose preparation took long is too far behind for a short batch; another preparation gets it closer. At short
  // intervals none is ever quick; the takeover then folds what is left.
  if (quick || current || ++preparations_[s] >= kPreparations) ready_[s] = worker;
}

void ShardMoves::NoteRefold(const ShardPosition& position, int64_t now_us) {
  int64_t done = 0;
  int64_t total = 0;
  for (const PartitionOffset& offset : position.offsets()) {
    if (offset.partition() >= job_->partitions.size()) continue;
    const int64_t start = job_->partitions[offset.partition()].start_offset();
    done += offset.next_offset() - start;
    total += job_->next_offsets[offset.partition()] - start;
  }
  Folded& refold = refolds_.try_emplace(position.shard(), Folded{now_us, done, now_us, done, total}).first->second;
  refold.last_us = now_us;
  refold.last = done;
  refold.total = total;
}

RefoldProgress ShardMoves::Progress(uint32_t shard) const {
  RefoldProgress progress;
  progress.set_worker(job_->assignment[shard].next_owner());
  const auto it = refolds_.find(shard);
  if (it != refolds_.end()) AddTo(it->second, &progress);
  return progress;
}

RefoldProgress ShardMoves::WholeProgress() const {
  RefoldProgress progress;
  for (const auto& [shard, folded] : refolds_) AddTo(folded, &progress);
  int64_t total = 0;
  for (uint32_t p = 0; p < job_->partitions.size(); ++p) total += job_->next_offsets[p] - job_->partitions[p].start_offset();
  progress.set_total(static_cast<uint64_t>(total));
  // Those that are ahead of the last batch make up for none that is behind.
  progress.set_folded(std::min(progress.folded(), progress.total()));
  return progress;
}

void ShardMoves::AddTo(const Folded& refold, RefoldProgress* progress) {
  progress->set_folded(progress->folded() + static_cast<uint64_t>(refold.last));
  progress->set_total(progress->total() + static_cast<uint64_t>(refold.total));
  const int64_t offsets = std::max<int64_t>(0, refold.last - refold.first);
  progress->set_offsets_per_second(
      progress->offsets_per_second() +
      static_cast<uint64_t>(offsets * 1'000'000 / std::max<int64_t>(1, refold.last_us - refold.first_us)));
}

// ---- comparison with the journal ----

void ShardMoves::OnAssignReply(const std::string& worker, const AssignRequest& request, const AssignReply& reply) {
  const auto has_dropped = [&](const auto& doubt) {
    return doubt.second == worker && !Lists(request.owned(), doubt.first) && !Lists(request.prepared(), doubt.first);
  };
  std::erase_if(doubtful_, has_dropped);
  std::erase_if(called_off_, has_dropped);
  for (const ShardPosition& position : reply.shards()) {
    const uint32_t s = position.shard();
    if (s >= job_->assignment.size() || job_->assignment[s].owner() != worker) continue;
    bool comparable = static_cast<int>(s) < job_->Digests().size();
    for (const PartitionOffset& offset : position.offsets()) {
      comparable &=
          offset.partition() < job_->next_offsets.size() && offset.next_offset() <= job_->next_offsets[offset.partition()];
    }
    if (comparable) {
      uncompared_.insert(s);
    } else {
      uncompared_.erase(s);
    }
  }
}

void ShardMoves::OnReplayed(const std::map<std::string, FoldReply>& replies) {
  uncompared_.clear();
  for (const auto& [worker, reply] : replies) {
    for (const PartitionOffset& offset : reply.composition()) {
      if (offset.partition() < job_->next_offsets.size() && offset.next_offset() < job_->next_offsets[offset.partition()]) {
        uncompared_.insert(offset.partition() % kShards);
      }
    }
  }
}

std::optional<uint32_t> ShardMoves::FindDoubtful(const FoldReply& reply) const {
  for (const ShardPosition& position : reply.shards()) {
    if (static_cast<int>(position.shard()) >= job_->Digests().size()) continue;
    const bool exact = std::all_of(position.offsets().begin(), position.offsets().end(), [&](const PartitionOffset& offset) {
      return offset.partition() < job_->next_offsets.size() &&
             offset.next_offset() == job_->next_offsets[offset.partition()];
    });
    const Digest& journalled = job_->Digests()[static_cast<int>(position.shard())];
    if (exact && !SameDigest(position.digest(), journalled)) return position.shard();
  }
  return std::nullopt;
}

std::string ShardMoves::Doubt(uint32_t shard, const std::string& worker) {
  // The same state tells again what is known, until the worker has dropped it.
  if (const auto it = doubtful_.find(shard); it != doubtful_.end() && it->second == worker) return "";
  if (const std::string& owner = job_->assignment[shard].owner(); !owner.empty() && owner != worker) {
    LOG(ERROR) << "job " << job_->spec.name() << ": shard " << shard << " folded again by worker " << worker
               << " has another digest than batch " << job_->last_batch.batch() << "; it stays with worker " << owner;
    called_off_.insert({shard, worker});
    log_differs_ |= ++doubts_[shard] > 1;
    refolding_ = Refolding::kCompacted;
    return "";
  }
  if (refolding_ == Refolding::kStartGone) {
    return absl::StrCat("the state of shard ", shard, " at worker ", worker, " has another digest than batch ",
                        job_->last_batch.batch(), ", and the log's start is gone, so that it cannot be folded again");
  }
  if (++doubts_[shard] > 1) {
    if (refolding_ == Refolding::kCompacted) {
      return absl::StrCat("shard ", shard, " cannot be counted again from the log, since its topics may be compacted ",
                          "(allow_compacted): the log no longer has all records that batch ", job_->last_batch.batch(),
                          " counts. Cancel the job and submit it anew");
    }
    return absl::StrCat("shard ", shard, " folded again from the log has another digest than the journal: batch ",
                        job_->last_batch.batch(), " or one before it is doubtful");
  }
  LOG(ERROR) << "job " << job_->spec.name() << ": the state of shard " << shard << " at worker " << worker
             << " has another digest than batch " << job_->last_batch.batch()
             << " in the journal; the shard is folded again from the log";
  doubtful_[shard] = worker;
  places_.insert(worker);
  return "";
}

}  // namespace tenfold
