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
  key_bytes_ += key.size();
  candidates_.emplace_back().key = std::move(key);
  ids_.emplace(candidates_.back().key, id);
  return id;
}

void Candidates::AddSent(uint32_t id, uint32_t worker, Units sum) {
  AddTo(id, sum);
  senders_.push_back({worker, candidates_[id].sender});
  candidates_[id].sender = static_cast<uint32_t>(senders_.size()) - 1;
}

void Candidates::AddTo(uint32_t id, Units sum) {
  Units& total = candidates_[id].total;
  // Sums of records are far below that; a worker that sends others must not end the driver.
  if (__builtin_add_overflow(total, sum, &total)) total = std::numeric_limits<Units>::max();
}

void Candidates::MarkOnly(const std::vector<uint32_t>& ids) {
  ++pass_;
  for (const uint32_t id : ids) Mark(id);
}

bool Candidates::HasRoom() {
  memory_.Set(candidates_.size() * kCandidateBytes + key_bytes_ + senders_.size() * sizeof(Sender));
  return memory_.Fits() || memory_.IsLeast();
}

void Candidates::Clear() {
  ids_.clear();
  candidates_.clear();
  key_bytes_ = 0;
  std::vector<Sender>().swap(senders_);
  memory_.Set(0);
}

}  // namespace tenfold
