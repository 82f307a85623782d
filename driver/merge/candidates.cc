#include "driver/merge/candidates.h"

#include <limits>
#include <utility>

namespace tenfold {

uint32_t Candidates::Find(std::string_view key) const {
  const auto known = ids_.find(key);
  return known == ids_.end() ? kNone : known->second;
}

uint32_t Candidates::FindOrAdd(std::string key, bool* is_new) {
  const uint32_t known = Find(key);
  *is_new = known == kNone;
  if (!*is_new) return known;
  const auto id = static_cast<uint32_t>(candidates_.size());
  other_bytes_ += key.size();
  candidates_.emplace_back().key = std::move(key);
  ids_.emplace(candidates_.back().key, id);
  return id;
}

void Candidates::AddSent(uint32_t id, uint32_t worker, const Partial& partial) {
  AddTo(id, partial);
  senders_.push_back({worker, candidates_[id].sender});
  candidates_[id].sender = static_cast<uint32_t>(senders_.size()) - 1;
}

void Candidates::AddTo(uint32_t id, const Partial& partial) {
  Candidate& candidate = candidates_[id];
  // Sums of records are far below that; a worker that sends others must not end the driver.
  if (__builtin_add_overflow(candidate.total, partial.sum, &candidate.total))
    candidate.total = std::numeric_limits<Units>::max();
  if (candidate.sums.empty()) other_bytes_ += partial.sums.size() * sizeof(Units);
  JoinSums(partial.sums, ranking_, &candidate.sums);
  if (ranking_.IsByHeight()) candidate.total = ranking_.OfTotal(candidate.sums);
}

void Candidates::MarkOnly(const std::vector<uint32_t>& ids) {
  ++pass_;
  for (const uint32_t id : ids) Mark(id);
}

bool Candidates::HasRoom() {
  memory_.Set(candidates_.size() * kCandidateBytes + other_bytes_ + senders_.size() * sizeof(Sender));
  return memory_.Fits() || memory_.IsLeast();
}

void Candidates::Clear() {
  ids_.clear();
  candidates_.clear();
  other_bytes_ = 0;
  std::vector<Sender>().swap(senders_);
  memory_.Set(0);
}

}  // namespace tenfold
