#include "driver/core/schema_search.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "driver/core/waiting_for.h"

namespace tenfold {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
// The longest pause before a registry in trouble is asked again; each is twice the one before.
constexpr int64_t kMostPauseUs = 8'000'000;
// For how long a registry may say that it has no schema by an id that a record names already: a serializer registers a
// schema before it writes the first record, at the registry's leader, and a follower hears of it a moment later.
constexpr int64_t kMissingUs = 5'000'000;

}  // namespace

void SchemaSearch::Restart() {
  ++generation_;
  for (auto& [id, wanted] : wanted_) {
    if (wanted.taken) continue;
    Wanted anew;
    anew.partition = wanted.partition;
    anew.offset = wanted.offset;
    wanted = std::move(anew);
  }
}

void SchemaSearch::OnPaused(int64_t paused_us) {
  for (auto& [id, wanted] : wanted_) wanted.missing_since_us += wanted.missing_since_us == 0 ? 0 : paused_us;
}

void SchemaSearch::Need(const google::protobuf::RepeatedPtrField<NeededSchema>& needed) {
  if (!job_->spec.has_registry()) return;
  for (const NeededSchema& need : needed) {
    // One more than a job may have stops it.
    if (wanted_.size() > kMaxSchemas) return;
    if (job_->Knows(need.id()) || need.partition() >= job_->partitions.size()) continue;
    const auto [wanted, is_new] = wanted_.try_emplace(need.id());
    if (!is_new) continue;
    wanted->second.partition = need.partition();
    wanted->second.offset = need.offset();
  }
}

std::vector<uint32_t> SchemaSearch::Begin(int64_t now_us) {
  std::vector<uint32_t> ids;
  for (auto& [id, wanted] : wanted_) {
    if (wanted.under_way || wanted.learned || wanted.ask_at_us > now_us) continue;
    wanted.under_way = true;
    ids.push_back(id);
  }
  return ids;
}

void SchemaSearch::OnAnswer(uint32_t id, uint64_t generation, const absl::StatusOr<LearnedSchema>& answer, int64_t now_us) {
  const auto it = wanted_.find(id);
  if (it == wanted_.end() || !it->second.under_way || generation != generation_) return;
  Wanted& wanted = it->second;
  wanted.under_way = false;
  wanted.ask_at_us = now_us + kAskAgainUs;
  if (answer.ok()) {
    wanted.learned = *answer;
    wanted.learned->set_registry(job_->spec.registry().url());
    return;
  }
  wanted.trouble = std::string(answer.status().message());
  if (!absl::IsNotFound(answer.status())) {
    wanted.missing_since_us = 0;
    wanted.ask_at_us = now_us + wanted.pause_us;
    wanted.pause_us = std::min(2 * wanted.pause_us, kMostPauseUs);
    return;
  }
  if (wanted.missing_since_us == 0) wanted.missing_since_us = now_us;
  if (now_us - wanted.missing_since_us < kMissingUs) return;
  LearnedSchema unknown;
  unknown.set_id(id);
  unknown.set_problem(wanted.trouble);
  unknown.set_registry(job_->spec.registry().url());
  wanted.learned = std::move(unknown);
}

std::optional<LearnedSchema> SchemaSearch::Take() {
  for (auto& [id, wanted] : wanted_) {
    if (!wanted.learned || wanted.taken) continue;
    wanted.taken = true;
    return wanted.learned;
  }
  return std::nullopt;
}

std::string SchemaSearch::Failure() const {
  for (const auto& [id, wanted] : wanted_) {
    if (!wanted.learned) continue;
    size_t bytes = 0;
    for (const LearnedSchema& schema : job_->schemas) bytes += schema.ByteSizeLong();
    const bool too_many = job_->schemas.size() >= kMaxSchemas;
    if (!too_many && bytes + wanted.learned->ByteSizeLong() <= kMaxSchemasBytes) continue;
    return absl::StrCat(
        job_->Name(wanted.partition), " has a record at offset ", wanted.offset, " by schema ", id,
        ", and the job's records name ", job_->schemas.size(), " others of ", bytes, " bytes; ", kMaxSchemas, " of ",
        kMaxSchemasBytes,
        " bytes are allowed. If the records were not written with a registry, submit the job with the schema "
        "that they have");
  }
  return "";
}

Waiting SchemaSearch::waiting() const {
  if (wanted_.empty()) return {};
  const auto is_troubled = [](const auto& wanted) { return !wanted.second.trouble.empty(); };
  auto of = std::ranges::find_if(wanted_, is_troubled);
  if (of == wanted_.end()) of = wanted_.begin();
  const Wanted& wanted = of->second;
  Waiting waiting =
      WaitingForPartition(WAITING_SCHEMA, job_->partitions[wanted.partition],
                          absl::StrCat("schema ", of->first, ", which ", job_->Name(wanted.partition), " names at offset ",
                                       wanted.offset, ": ", wanted.trouble.empty() ? "it is asked" : wanted.trouble));
  waiting.set_subject(job_->spec.registry().url());
  return waiting;
}

int64_t SchemaSearch::NextTimeUs() const {
  int64_t next = kNever;
  for (const auto& [id, wanted] : wanted_) {
    if (!wanted.under_way && !wanted.learned) next = std::min(next, wanted.ask_at_us);
  }
  return next;
}

}  // namespace tenfold
