#include "driver/merge/batch_merge.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "glog/logging.h"

namespace tenfold {
namespace {

// About how many bytes of keys one look-up has.
constexpr size_t kLookUpBytes = 1 << 20;

absl::Status NoAnswerError() { return absl::FailedPreconditionError("its reply is no answer to what it was asked"); }

}  // namespace

BatchMerge::BatchMerge(Options options) : options_(std::move(options)), known_(options_.memory, ranking()) {
  if (options_.rules.NeedsAll() && !options_.once) replica_ = MakeReplica();
}

std::vector<Partial> BatchMerge::ToPartials(const google::protobuf::RepeatedPtrField<Entry>& entries) const {
  std::vector<Partial> partials;
  partials.reserve(static_cast<size_t>(entries.size()));
  for (const Entry& entry : entries) partials.push_back(ToPartial(entry, ranking()));
  return partials;
}

void BatchMerge::Begin(std::vector<MergeSource> workers) {
  workers_ = std::move(workers);
  replies_.clear();
  thresholds_merge_.reset();
  look_ups_.clear();
  unasked_.clear();
  result_.reset();
  if (replica_ != nullptr) {
    replica_->Begin(workers_);
  } else {
    known_.Begin(workers_.size());
  }
}

void BatchMerge::Quote(size_t worker, FoldRequest* request) const {
  if (replica_ != nullptr) {
    WantChanges* wanted = request->mutable_changes();
    if (const TotalReplica::Composition* part = replica_->PartOf(worker)) *wanted->mutable_since() = *part;
    return;
  }
  const bool known = known_.Quote(worker, request->mutable_updates());
  WantHighest* wanted = known ? request->mutable_updates()->mutable_otherwise() : request->mutable_highest();
  wanted->set_depth(static_cast<uint32_t>(2 * options_.top));
  const auto threshold = thresholds_.find(workers_[worker].worker);
  if (threshold != thresholds_.end()) *wanted->mutable_threshold() = ToProto(threshold->second);
}

absl::Status BatchMerge::Take(std::vector<const FoldReply*> replies) {
  CHECK_EQ(replies.size(), workers_.size());
  replies_ = std::move(replies);
  if (replica_ != nullptr) return TakeChanges();
  TakeThresholds();
  return absl::OkStatus();
}

// ---- by thresholds ----

absl::Status BatchMerge::CheckReply(size_t worker, const FoldReply& reply) const {
  const bool answers = replica_ != nullptr || reply.has_highest() || (reply.has_updates() && known_.IsKnown(worker));
  return answers ? absl::OkStatus() : NoAnswerError();
}

void BatchMerge::TakeThresholds() {
  thresholds_merge_ = std::make_unique<GlobalTopK>(options_.top, workers_.size(), options_.memory, GlobalTopK::kMaxQuestions,
                                                   options_.rules);
  for (size_t w = 0; w < workers_.size(); ++w) {
    const FoldReply& reply = *replies_[w];
    if (reply.has_updates()) {
      const std::vector<GlobalTopK::Partial> entries = known_.Update(w, reply);
      thresholds_merge_->AddReply(w, entries, known_.Floor(w), static_cast<uint64_t>(reply.updates().entries_size()));
    } else {
      std::optional<Units> floor;
      if (reply.highest().has_floor()) floor = FromProto(reply.highest().floor());
      known_.Learn(w, reply);
      thresholds_merge_->AddReply(w, ToPartials(reply.highest().entries()), floor);
    }
  }
}

std::vector<BatchMerge::Question> BatchMerge::Next() {
  if (look_ups_.empty() && !done()) {
    if (replica_ != nullptr) {
      Finish(replica_->Highest(options_.top));
    } else {
      const std::vector<GlobalTopK::Question> questions = thresholds_merge_->Next();
      // A second round means that the thresholds were too high, and so are the floors of the known entries.
      if (!questions.empty() && questions.front().at_or_above) known_.Clear();
      for (const GlobalTopK::Question& question : questions) Ask(question);
      if (questions.empty()) Finish(thresholds_merge_->result());
    }
  }
  std::vector<Question> questions;
  for (const size_t worker : std::exchange(unasked_, {})) questions.push_back({worker, look_ups_.at(worker).back()});
  return questions;
}

void BatchMerge::Ask(const GlobalTopK::Question& question) {
  LookUps& look_ups = look_ups_[question.worker];
  unasked_.push_back(question.worker);
  if (question.at_or_above) {
    EntryRange* range = look_ups.emplace_back(MakeLookUp(question.worker)).mutable_range();
    *range->mutable_at_or_above() = ToProto(*question.at_or_above);
    range->set_slice(question.slice.index);
    range->set_slices(question.slice.count);
    return;
  }
  size_t bytes = kLookUpBytes;
  for (const std::string_view key : question.keys) {
    if (bytes >= kLookUpBytes) {
      look_ups.push_back(MakeLookUp(question.worker));
      bytes = 0;
    }
    look_ups.back().mutable_keys()->add_keys(key.data(), key.size());
    bytes += key.size();
  }
  std::reverse(look_ups.begin(), look_ups.end());
}

LookUpRequest BatchMerge::MakeLookUp(size_t worker) const {
  LookUpRequest request;
  *request.mutable_composition() = replies_[worker]->composition();
  return request;
}

absl::Status BatchMerge::Answer(size_t worker, const LookUpReply& reply) {
  const auto it = look_ups_.find(worker);
  CHECK(it != look_ups_.end()) << "worker " << worker << " was not asked";
  if (replica_ != nullptr) return AnswerChanges(worker, reply);
  LookUps& look_ups = it->second;
  const bool is_range = look_ups.back().has_range();
  if (reply.next() != 0) {
    if (!is_range) return NoAnswerError();
    look_ups.back().mutable_range()->set_from(reply.next());
  } else {
    look_ups.pop_back();
  }
  const bool more = !look_ups.empty();
  std::vector<GlobalTopK::Partial> entries = ToPartials(reply.entries());
  if (is_range) {
    thresholds_merge_->AddAnswer(worker, {}, std::move(entries), more);
  } else {
    thresholds_merge_->AddAnswer(worker, entries, {}, more);
  }
  if (more) {
    unasked_.push_back(worker);
  } else {
    look_ups_.erase(it);
  }
  return absl::OkStatus();
}

// ---- by changes ----

absl::Status BatchMerge::TakeChanges() {
  for (size_t w = 0; w < workers_.size(); ++w) {
    // Without the changes the part of the worker can be neither updated nor removed.
    if (replica_->PartOf(w) != nullptr && !replies_[w]->has_changes()) replica_->Clear();
  }
  for (size_t w = 0; w < workers_.size(); ++w) {
    const FoldReply& reply = *replies_[w];
    LookUpRequest request = MakeLookUp(w);
    if (replica_->PartOf(w) == nullptr) {
      *request.mutable_range()->mutable_at_or_above() = ToProto(std::numeric_limits<Units>::min());
    } else {
      if (!replica_->Add(w, reply.changes().added())) return GiveUpReplica();
      if (reply.changes().next() == 0) {
        replica_->Complete(w, reply.composition());
        continue;
      }
      request.mutable_changes()->set_from(reply.changes().next());
    }
    look_ups_[w].push_back(std::move(request));
    unasked_.push_back(w);
  }
  return absl::OkStatus();
}

absl::Status BatchMerge::AnswerChanges(size_t worker, const LookUpReply& reply) {
  LookUpRequest& request = look_ups_.at(worker).back();
  if (!replica_->Add(worker, reply.entries())) return GiveUpReplica();
  if (reply.next() == 0) {
    replica_->Complete(worker, replies_[worker]->composition());
    look_ups_.erase(worker);
    return absl::OkStatus();
  }
  if (request.has_changes()) {
    request.mutable_changes()->set_from(reply.next());
  } else {
    request.mutable_range()->set_from(reply.next());
  }
  unasked_.push_back(worker);
  return absl::OkStatus();
}

absl::Status BatchMerge::GiveUpReplica() {
  replica_.reset();
  choice_.Refuse();
  return absl::ResourceExhaustedError("the job's totals take more than the driver's --merge-memory leaves");
}

// ---- the result ----

void BatchMerge::Finish(GlobalTopK::Result result) {
  const bool stays = replica_ != nullptr && options_.rules.NeedsAll();
  if (replica_ != nullptr) {
    if (!stays) choice_.NoteChanges(result.entries, Keys());
  } else {
    choice_.NoteThresholds(result.entries + result.look_ups, options_.floor * workers_.size(), ChangedKeys(), Keys());
  }
  if (!stays && choice_.by_changes() != (replica_ != nullptr)) {
    known_.Clear();
    replica_ = choice_.by_changes() ? MakeReplica() : nullptr;
  }
  thresholds_.clear();
  for (size_t w = 0; w < std::min(workers_.size(), result.next_thresholds.size()); ++w) {
    if (result.next_thresholds[w]) thresholds_[workers_[w].worker] = *result.next_thresholds[w];
  }
  result_ = std::move(result);
}

uint64_t BatchMerge::ChangedKeys() const {
  uint64_t keys = 0;
  for (const FoldReply* reply : replies_) keys += reply->changed_keys();
  return keys;
}

uint64_t BatchMerge::Keys() const {
  uint64_t keys = 0;
  for (const FoldReply* reply : replies_) keys += reply->keys();
  return keys;
}

void BatchMerge::Forget() {
  known_.Clear();
  if (replica_ != nullptr) replica_->Clear();
}

void BatchMerge::Close() {
  known_.Clear();
  replica_.reset();
  thresholds_merge_.reset();
}

}  // namespace tenfold
