#include "driver/core/bad_share.h"

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace tenfold {
namespace {

// Returns "mostly malformed_number of clicks": the most frequent reason of all bad records.
std::string MostFrequent(const std::vector<PartitionState>& counters) {
  std::map<std::pair<BadReason, std::string>, uint64_t> counts;
  for (const PartitionState& partition : counters) {
    for (const BadCount& bad : partition.bad()) counts[{bad.reason(), bad.subject()}] += bad.count();
  }
  std::string most;
  uint64_t highest = 0;
  for (const auto& [bad, count] : counts) {
    if (count <= highest) continue;
    highest = count;
    const std::string name = absl::AsciiStrToLower(BadReason_Name(bad.first));
    most = absl::StrCat("mostly ", absl::StripPrefix(name, "bad_"), bad.second.empty() ? "" : " of ", bad.second);
  }
  return most;
}

}  // namespace

std::string BadShare::Check(const JournalledJob& job, const BatchCommitted& batch,
                            const std::vector<PartitionState>& counters, bool is_last) {
  const Count all{batch.records(), batch.bad_records()};
  if (!before_) before_ = job.IsBatchOfFold() ? Count{job.last_batch.records(), job.last_batch.bad_records()} : all;
  const Count added{all.records - before_->records, all.bad_records - before_->bad_records};
  before_ = all;
  if (job.spec.fail_above_ppm() == 0) {
    batches_.clear();
    sum_ = {};
    return "";
  }
  batches_.push_back(added);
  sum_.records += added.records;
  sum_.bad_records += added.bad_records;
  while (sum_.records - batches_.front().records >= kLeast) {
    sum_.records -= batches_.front().records;
    sum_.bad_records -= batches_.front().bad_records;
    batches_.pop_front();
  }
  if (sum_.records < (is_last ? 1 : kLeast)) return "";
  constexpr uint64_t kMillion = 1'000'000;
  // Neither product comes near 2^64: a few batches have fewer than 2^43 records.
  if (sum_.bad_records * kMillion <= sum_.records * job.spec.fail_above_ppm()) return "";
  return absl::StrCat(sum_.bad_records, " of the last ", sum_.records, " records are bad, ", MostFrequent(counters),
                      ", more than on_bad_record.fail_above allows (", job.spec.fail_above_ppm() / 10'000.0,
                      "%). Mend the records or the spec, then cancel the job and submit it anew");
}

}  // namespace tenfold
