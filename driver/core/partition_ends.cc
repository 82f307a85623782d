#include "driver/core/partition_ends.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "driver/core/waiting_for.h"

namespace tenfold {
namespace {

// How long ends may be below folded offsets.
constexpr int64_t kTruncatedForUs = 10'000'000;

}  // namespace

void PartitionEnds::Take(const Ends& ends, int64_t now_us) {
  ends_.resize(ends.size(), -1);
  for (uint32_t p = 0; p < ends.size(); ++p) {
    if (ends[p].ok()) {
      ends_[p] = std::min(*ends[p], job_->EndOf(p));
      stuck_.erase(p);
      if (ends_[p] != job_->next_offsets[p]) {
        reached_.erase(p);
      } else if (const auto [it, is_new] = reached_.try_emplace(p); is_new || it->second.end != ends_[p]) {
        it->second = {.end = ends_[p], .since_us = now_us};
      }
      if (const auto held = held_.find(p); held != held_.end()) {
        Held& at = held->second;
        at.records = at.end == ends_[p] ? at.watermark - at.end : 0;
      }
    } else {
      const auto [it, is_new] = stuck_.try_emplace(p);
      if (is_new) it->second.since_us = now_us;
      it->second.why = std::string(ends[p].status().message());
      reached_.erase(p);
    }
  }
}

void PartitionEnds::TakeHighWatermarks(const std::vector<int64_t>& watermarks,
                                       const std::map<uint32_t, std::string>& holders, int64_t now_us) {
  for (uint32_t p = 0; p < watermarks.size(); ++p) {
    if (end(p) < 0 || watermarks[p] <= end(p) || end(p) >= job_->EndOf(p)) {
      held_.erase(p);
      continue;
    }
    Held& held = held_[p];
    if (held.end != end(p) || held.since_us == 0) held = {.end = end(p), .since_us = now_us};
    held.watermark = watermarks[p];
    if (const auto holder = holders.find(p); holder != holders.end()) held.by = holder->second;
  }
}

void PartitionEnds::OnPaused(int64_t paused_us) {
  if (truncated_since_us_) *truncated_since_us_ += paused_us;
  for (auto& [p, reached] : reached_) reached.since_us += paused_us;
}

std::vector<int64_t> PartitionEnds::IdleSince(int64_t since_us) const {
  std::vector<int64_t> idle;
  for (const auto& [p, reached] : reached_) {
    if (reached.since_us > since_us || held_.contains(p)) continue;
    idle.resize(ends_.size(), -1);
    idle[p] = reached.end;
  }
  return idle;
}

std::vector<int64_t> PartitionEnds::Known() const {
  std::vector<int64_t> known = ends_;
  for (const auto& [p, problem] : stuck_) known[p] = job_->next_offsets[p];
  return known;
}

std::optional<PartitionEnds::Truncated> PartitionEnds::CheckTruncated(const std::vector<uint32_t>& truncated,
                                                                      int64_t now_us) {
  if (truncated.empty()) {
    truncated_since_us_.reset();
    return std::nullopt;
  }
  const uint32_t p = truncated.front();
  const std::string detail =
      absl::StrCat("ends at ", end(p), ", below offset ", job_->next_offsets[p],
                   " up to which it is folded: it was created again or truncated. Cancel the job and submit it anew");
  if (!truncated_since_us_) truncated_since_us_ = now_us;
  Truncated found;
  found.waiting = WaitingForPartition(WAITING_PARTITION, job_->partitions[p], "it " + detail);
  if (now_us - *truncated_since_us_ >= kTruncatedForUs) found.failure = absl::StrCat(job_->Name(p), " ", detail);
  return found;
}

uint64_t PartitionEnds::lag() const {
  uint64_t lag = 0;
  for (size_t i = 0; i < std::min(ends_.size(), job_->next_offsets.size()); ++i) {
    if (ends_[i] > job_->next_offsets[i]) lag += static_cast<uint64_t>(ends_[i] - job_->next_offsets[i]);
  }
  return lag;
}

Waiting PartitionEnds::Stuck() const {
  if (stuck_.empty()) return {};
  const auto& [p, problem] = *stuck_.begin();
  Waiting waiting = WaitingForPartition(WAITING_STUCK, job_->partitions[p], problem.why);
  waiting.set_partitions(static_cast<uint32_t>(stuck_.size()));
  return waiting;
}

PartitionStatus PartitionEnds::Status(uint32_t partition) const {
  PartitionStatus status;
  status.set_topic(job_->partitions[partition].topic());
  status.set_partition(job_->partitions[partition].partition());
  status.set_next_offset(job_->next_offsets[partition]);
  // A batch may go beyond the end that was asked for before it.
  status.set_end_offset(end(partition) < 0 ? end(partition) : std::max(end(partition), job_->next_offsets[partition]));
  if (const auto it = stuck_.find(partition); it != stuck_.end()) {
    status.set_problem(it->second.why);
    status.set_since_us(it->second.since_us);
  }
  const auto held = held_.find(partition);
  if (held != held_.end() && held->second.end == end(partition)) {
    status.set_held_back(static_cast<uint64_t>(held->second.records));
    if (status.held_back() > 0) {
      status.set_held_back_since_us(held->second.since_us);
      status.set_held_back_by(held->second.by);
    }
  }
  return status;
}

void PartitionEnds::AddStuck(google::protobuf::RepeatedPtrField<PartitionStatus>* stuck) const {
  for (const auto& [p, problem] : stuck_) *stuck->Add() = Status(p);
}

}  // namespace tenfold
