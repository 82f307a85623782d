#include "driver/core/assignment_acks.h"

#include <algorithm>
#include <limits>

namespace tenfold {
namespace {

constexpr int64_t kRestUs = 50'000;

}  // namespace

bool AssignmentAcks::Has(const std::string& worker) const {
  const auto it = acknowledged_.find(worker);
  const WorkerInfo* info = cluster_->FindLive(worker);
  return it != acknowledged_.end() && info != nullptr && it->second.incarnation == info->incarnation &&
         it->second.assignment == job_->assignment_number;
}

void AssignmentAcks::Rest(const std::string& worker, int64_t now_us) { rests_until_us_[worker] = now_us + kRestUs; }

void AssignmentAcks::EndRests(int64_t now_us) {
  std::erase_if(rests_until_us_, [&](const auto& rest) { return rest.second <= now_us; });
}

void AssignmentAcks::OnWorkersChanged() {
  std::erase_if(acknowledged_, [&](const auto& entry) {
    const WorkerInfo* info = cluster_->FindLive(entry.first);
    return info == nullptr || info->incarnation != entry.second.incarnation;
  });
  std::erase_if(asked_, [&](const std::string& worker) { return !cluster_->IsLive(worker); });
}

int64_t AssignmentAcks::NextTimeUs() const {
  int64_t next = std::numeric_limits<int64_t>::max();
  for (const auto& [worker, until_us] : rests_until_us_) next = std::min(next, until_us);
  return next;
}

}  // namespace tenfold
