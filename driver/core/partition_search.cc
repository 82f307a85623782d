#include "driver/core/partition_search.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tenfold {
namespace {

constexpr int64_t kIntervalUs = 2'000'000;
constexpr int64_t kGoneForUs = 10'000'000;

}  // namespace

bool PartitionSearch::Begin(int64_t now_us) {
  if (under_way_ || now_us < next_us_) return false;
  return under_way_ = true;
}

void PartitionSearch::Restart() {
  under_way_ = false;
  next_us_ = 0;
  answered_ = false;
  found_.clear();
  too_many_.clear();
  if (job_->spec.source().allow_compacted()) compacted_.clear();
  gone_.reset();
}

void PartitionSearch::OnAnswer(const absl::StatusOr<FoundPartitions>& found, int64_t now_us) {
  under_way_ = false;
  next_us_ = now_us + kIntervalUs;
  trouble_ = std::string(found.status().message());
  too_many_ = absl::IsResourceExhausted(found.status()) ? std::string(found.status().message()) : "";
  if (!found.ok()) {
    gone_.reset();
    return;
  }
  answered_ = true;
  found_ = found->added;
  compacted_ = found->compacted;
  if (found->gone.empty()) {
    gone_.reset();
  } else {
    if (!gone_) gone_since_us_ = now_us;
    gone_ = found->gone.front();
  }
}

std::string PartitionSearch::Failure(int64_t now_us) const {
  if (!gone_ || now_us - gone_since_us_ < kGoneForUs) return "";
  return absl::StrCat(job_->Name(*gone_),
                      " no longer exists, although its topic does: the topic was created again with fewer ",
                      "partitions. Cancel the job and submit it anew");
}

void PartitionSearch::OnPaused(int64_t paused_us) { gone_since_us_ += paused_us; }

std::vector<Partition> PartitionSearch::Take() {
  // Two searches may have found the same partition before it was journalled.
  std::erase_if(found_, [this](const Partition& partition) { return job_->IsKnown(partition); });
  return std::exchange(found_, {});
}

int64_t PartitionSearch::NextTimeUs() const { return under_way_ ? std::numeric_limits<int64_t>::max() : next_us_; }

}  // namespace tenfold
