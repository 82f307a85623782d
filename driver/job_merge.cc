// The part of JobMachine that merges a batch, by thresholds or by changes, and commits it.
#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/units.h"
#include "driver/job_machine.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

constexpr int64_t kRetryMs = 50;
constexpr size_t kLookUpBytes = 1 << 20;

std::vector<GlobalTopK::Partial> ToPartials(const google::protobuf::RepeatedPtrField<Entry>& entries) {
  std::vector<GlobalTopK::Partial> partials;
  partials.reserve(static_cast<size_t>(entries.size()));
  for (const Entry& entry : entries) partials.push_back({entry.key(), FromProto(entry.sum())});
  return partials;
}

}  // namespace

uint64_t JobMachine::ChangedKeys() const {
  uint64_t keys = 0;
  for (const auto& [worker, reply] : replies_) keys += reply.changed_keys();
  return keys;
}

uint64_t JobMachine::Keys() const {
  uint64_t keys = 0;
  for (const auto& [worker, reply] : replies_) keys += reply.keys();
  return keys;
}

// ---- by thresholds ----

void JobMachine::MergeThresholds(int64_t now_ms, Actions* actions) {
  merge_ = std::make_unique<GlobalTopK>(spec_.top(), owners_.size(), cluster_->merge_memory);
  for (size_t w = 0; w < owners_.size(); ++w) {
    const FoldReply& reply = replies_[owners_[w]];
    if (reply.only_changed()) {
      if (!known_.IsKnown(w)) {
        EndAttempt(absl::StrCat("worker ", owners_[w], ", which says only what changed since it was asked for all"),
                   now_ms + kRetryMs);
        return Advance(now_ms, actions);
      }
      const std::vector<GlobalTopK::Partial> entries = known_.Update(w, reply);
      merge_->AddReply(w, entries, known_.Floor(w), static_cast<uint64_t>(reply.entries_size()));
      continue;
    }
    std::optional<Units> floor;
    if (reply.has_floor()) floor = FromProto(reply.floor());
    known_.Learn(w, reply);
    merge_->AddReply(w, ToPartials(reply.entries()), floor);
  }
  AskNext(now_ms, actions);
}

void JobMachine::AskNext(int64_t now_ms, Actions* actions) {
  const std::vector<GlobalTopK::Question> questions = merge_->Next();
  if (questions.empty()) {
    const GlobalTopK::Result& result = merge_->result();
    choice_.NoteThresholds(result.entries + result.look_ups, cluster_->merge_floor * owners_.size(), ChangedKeys(), Keys());
    return Commit(result, now_ms, actions);
  }
  // Another round: the thresholds were too high, and so are the floors of what is known.
  if (questions.front().at_or_above) known_.Clear();
  for (const GlobalTopK::Question& question : questions) {
    const std::string& worker = owners_[question.worker];
    LookUpRequest request;
    *request.mutable_id() = MakeId(worker);
    *request.mutable_composition() = replies_[worker].composition();
    const LookUpRequest empty = request;
    if (question.at_or_above) {
      *request.mutable_at_or_above() = ToProto(*question.at_or_above);
      request.set_slice(question.slice.index);
      request.set_slices(question.slice.count);
    }
    LookUpUnderWay& look_up = look_ups_[worker];
    look_up.index = question.worker;
    size_t bytes = 0;
    for (const std::string_view key : question.keys) {
      request.add_keys(key.data(), key.size());
      bytes += key.size();
      if (bytes < kLookUpBytes) continue;
      look_up.left.push_back(std::exchange(request, empty));
      bytes = 0;
    }
    if (look_up.left.empty() || request.keys_size() > 0) look_up.left.push_back(std::move(request));
    std::reverse(look_up.left.begin(), look_up.left.end());
    actions->push_back(SendLookUp{worker, look_up.left.back()});
  }
}

void JobMachine::OnLookUpReply(const std::string& worker, const LookUpRequest& request,
                               const absl::StatusOr<LookUpReply>& reply, int64_t now_ms, Actions* actions) {
  if (IsOver() || phase_ != Phase::kMerging || request.id().epoch() != cluster_->epoch || request.id().attempt() != attempt_)
    return;
  const auto it = look_ups_.find(worker);
  if (it == look_ups_.end()) return;
  LookUpUnderWay& look_up = it->second;
  // A reply to a request of an earlier step, or a second reply to one.
  if (request.SerializeAsString() != look_up.left.back().SerializeAsString()) return;
  if (!reply.ok()) {
    acknowledged_.erase(worker);
    Rest(worker, now_ms);
    EndAttempt(absl::StrCat("worker ", worker, ": ", reply.status().message()), now_ms + kRetryMs);
    return Advance(now_ms, actions);
  }
  if (replica_ != nullptr) return AddPart(it, *reply, now_ms, actions);
  if (reply->next() != 0) {
    look_up.left.back().clear_keys();
    look_up.left.back().set_from(reply->next());
  } else {
    look_up.left.pop_back();
  }
  const bool more = !look_up.left.empty();
  merge_->AddAnswer(look_up.index, ToPartials(reply->found()), ToPartials(reply->at_or_above()), more);
  if (more) {
    actions->push_back(SendLookUp{worker, look_up.left.back()});
    return;
  }
  look_ups_.erase(it);
  if (look_ups_.empty()) AskNext(now_ms, actions);
}

// ---- by changes ----

void JobMachine::BeginReplica() {
  std::vector<std::string> sources;
  for (const std::string& owner : owners_) {
    sources.push_back(absl::StrCat(owner, " ", cluster_->workers.at(owner).incarnation, " ", assignment_number_));
  }
  replica_->Begin(sources);
}

void JobMachine::MergeChanges(int64_t now_ms, Actions* actions) {
  for (size_t w = 0; w < owners_.size(); ++w) {
    // Its part can neither be brought up to date nor taken out.
    if (replica_->PartOf(w) != nullptr && !replies_[owners_[w]].has_changes()) replica_->Clear();
  }
  for (size_t w = 0; w < owners_.size(); ++w) {
    const std::string& worker = owners_[w];
    const FoldReply& reply = replies_[worker];
    LookUpRequest request;
    *request.mutable_id() = MakeId(worker);
    *request.mutable_composition() = reply.composition();
    if (replica_->PartOf(w) == nullptr) {
      *request.mutable_at_or_above() = ToProto(std::numeric_limits<Units>::min());
    } else {
      if (!replica_->Add(w, reply.changes().added())) return GiveUpReplica(now_ms, actions);
      if (reply.changes().next() == 0) {
        replica_->Complete(w, reply.composition());
        continue;
      }
      request.set_changes_from(reply.changes().next());
    }
    look_ups_[worker] = {w, {request}};
    actions->push_back(SendLookUp{worker, std::move(request)});
  }
  if (look_ups_.empty()) CommitReplica(now_ms, actions);
}

void JobMachine::AddPart(std::map<std::string, LookUpUnderWay>::iterator part, const LookUpReply& reply, int64_t now_ms,
                         Actions* actions) {
  auto& [worker, look_up] = *part;
  LookUpRequest& request = look_up.left.back();
  const bool changes = request.changes_from() != 0;
  if (!replica_->Add(look_up.index, changes ? reply.changes().added() : reply.at_or_above()))
    return GiveUpReplica(now_ms, actions);
  const uint64_t next = changes ? reply.changes().next() : reply.next();
  if (next != 0) {
    if (changes) {
      request.set_changes_from(next);
    } else {
      request.set_from(next);
    }
    actions->push_back(SendLookUp{worker, request});
    return;
  }
  replica_->Complete(look_up.index, replies_[worker].composition());
  look_ups_.erase(part);
  if (look_ups_.empty()) CommitReplica(now_ms, actions);
}

void JobMachine::CommitReplica(int64_t now_ms, Actions* actions) {
  const GlobalTopK::Result result = replica_->Highest(spec_.top());
  choice_.NoteChanges(result.entries, Keys());
  Commit(result, now_ms, actions);
}

void JobMachine::GiveUpReplica(int64_t now_ms, Actions* actions) {
  LOG(WARNING) << "job " << name() << ": its totals take more than the driver's --merge-memory leaves, "
               << "so its batches are merged without them";
  replica_.reset();
  choice_.Refuse();
  EndAttempt("", now_ms);
  Advance(now_ms, actions);
}

// ---- commit ----

void JobMachine::Commit(const GlobalTopK::Result& result, int64_t now_ms, Actions* actions) {
  phase_ = Phase::kCommitting;
  JournalRecord record;
  BatchCommitted* batch = record.mutable_batch_committed();
  batch->set_job_id(job_id_);
  batch->set_batch(last_batch_.batch() + 1);
  batch->set_attempt(attempt_);
  batch->set_published_at_ms(now_ms);
  std::vector<int64_t> next_offsets(partitions_.size());
  std::vector<Digest> digests(Shards());
  for (const auto& [worker, reply] : replies_) {
    for (const PartitionOffset& offset : reply.composition()) next_offsets[offset.partition()] = offset.next_offset();
    for (const ShardPosition& position : reply.shards()) digests[position.shard()] = position.digest();
    for (const PartitionState& partition : reply.partitions()) counters_[partition.partition()] = partition;
    if (reply.fold_us() + reply.persist_us() > batch->timings().fold_us() + batch->timings().persist_us()) {
      batch->mutable_timings()->set_fold_us(reply.fold_us());
      batch->mutable_timings()->set_persist_us(reply.persist_us());
    }
  }
  batch->mutable_next_offsets()->Add(next_offsets.begin(), next_offsets.end());
  for (const Digest& digest : digests) *batch->add_digests() = digest;
  uint64_t records = 0;
  uint64_t bad_records = 0;
  for (const PartitionState& partition : counters_) {
    records += partition.records();
    for (const BadCount& bad : partition.bad()) bad_records += bad.count();
  }
  batch->set_records(records);
  batch->set_bad_records(bad_records);
  batch->set_batch_records(records - last_batch_.records());
  for (const GlobalTopK::Partial& partial : result.top) {
    Entry* entry = batch->add_top();
    entry->set_key(partial.key);
    *entry->mutable_sum() = ToProto(partial.sum);
  }
  TopKProof* proof = batch->mutable_proof();
  if (result.kth_total) *proof->mutable_kth_total() = ToProto(*result.kth_total);
  if (result.unseen_bound) *proof->mutable_unseen_bound() = ToProto(*result.unseen_bound);
  proof->set_rounds(result.rounds);
  proof->set_entries(result.entries);
  batch->mutable_timings()->set_ends_us(static_cast<uint64_t>(ends_at_ms_ - started_ms_) * 1000);
  batch->mutable_timings()->set_merge_us(static_cast<uint64_t>(now_ms - replied_ms_) * 1000);
  batch->mutable_timings()->set_processing_us(static_cast<uint64_t>(now_ms - started_ms_) * 1000);
  if (choice_.by_changes() != (replica_ != nullptr)) {
    known_.Clear();
    replica_ = choice_.by_changes() ? std::make_unique<TotalReplica>(cluster_->merge_memory) : nullptr;
  }
  thresholds_.clear();
  for (size_t w = 0; w < owners_.size(); ++w) {
    if (w < result.next_thresholds.size() && result.next_thresholds[w])
      thresholds_[owners_[w]] = ToProto(*result.next_thresholds[w]);
  }
  Append(std::move(record), actions);
}

}  // namespace tenfold
