#include "jobs/show/result_json.h"

#include <algorithm>
#include <array>

#include "absl/time/time.h"
#include "common/number/units.h"
#include "glog/logging.h"
#include "nlohmann/json.hpp"

namespace tenfold {

std::string FormatTime(int64_t time_us) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixMicros(time_us), absl::UTCTimeZone());
}

nlohmann::ordered_json ProofJson(const TopKProof& proof) {
  using Json = nlohmann::ordered_json;
  return {{"kth_total", proof.has_kth_total() ? Json(FormatUnits(FromProto(proof.kth_total()))) : Json()},
          {"unseen_bound", proof.has_unseen_bound() ? Json(FormatUnits(FromProto(proof.unseen_bound()))) : Json()},
          {"rounds", proof.rounds()},
          {"entries", proof.entries()}};
}

std::string TopLine(const std::string& job, const std::vector<Partition>& partitions, const BatchCommitted& batch) {
  using Json = nlohmann::ordered_json;
  CHECK_GE(partitions.size(), static_cast<size_t>(batch.next_offsets_size())) << "batch " << batch.batch() << " of " << job;
  Json offsets = Json::array();
  for (int i = 0; i < batch.next_offsets_size(); ++i) {
    const Partition& partition = partitions[static_cast<size_t>(i)];
    offsets.push_back(
        Json{{"topic", partition.topic()}, {"partition", partition.partition()}, {"next_offset", batch.next_offsets(i)}});
  }
  Json top = Json::array();
  for (int i = 0; i < batch.top_size(); ++i) {
    top.push_back(Json{{"rank", i + 1}, {"key", batch.top(i).key()}, {"score", FormatUnits(FromProto(batch.top(i).sum()))}});
  }
  const Json line = {{"job", job},
                     {"job_id", batch.job_id()},
                     {"batch", batch.batch()},
                     {"published_at", FormatTime(batch.published_at_us())},
                     {"offsets", std::move(offsets)},
                     {"records", batch.records()},
                     {"bad_records", batch.bad_records()},
                     {"batch_records", batch.batch_records()},
                     {"top", std::move(top)},
                     {"proof", ProofJson(batch.proof())}};
  // Keys are UTF-8, as other records are bad; `replace` only keeps the library from throwing.
  return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool SaysTheSame(const std::string& line, const std::string& other) {
  const nlohmann::json a = nlohmann::json::parse(line, nullptr, false);
  const nlohmann::json b = nlohmann::json::parse(other, nullptr, false);
  if (!a.is_object() || !b.is_object()) return false;
  return std::ranges::all_of(std::array{"job_id", "batch", "offsets", "records", "top"}, [&](const char* field) {
    return a.value(field, nlohmann::json()) == b.value(field, nlohmann::json());
  });
}

}  // namespace tenfold
