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
  const Look now{batch.records(), batch.bad_records()};
  if (!looked_) looked_ = job.IsBatchOfFold() ? Look{job.last_batch.records(), job.last_batch.bad_records()} : now;
  const uint32_t allowed_ppm = job.spec.fail_above_ppm();
  if (allowed_ppm == 0) looked_ = now;
  const uint64_t records = now.records - looked_->records;
  const uint64_t bad = now.bad_records - looked_->bad_records;
  if (records < (is_last ? 1 : kLeast)) return "";
  looked_ = now;
  constexpr uint64_t kMillion = 1'000'000;
  // Neither product comes near 2^64: a job has fewer than 2^43 records in a batch.
  if (bad * kMillion <= records * allowed_ppm) return "";
  return absl::StrCat(bad, " of the last ", records, " records are bad, ", MostFrequent(counters),
                      ", more than on_bad_record.fail_above allows (", allowed_ppm / 10'000.0,
                      "%). No batch has counted them; mend the records or the spec, then cancel the job and submit it anew");
}

}  // namespace tenfold
