#include "tests/simulation/simulated_log.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/number/digest.h"
#include "jobs/plan/pane_clock.h"
#include "worker/fold/pane_digests.h"

namespace tenfold {

SimulatedFoldTask::SimulatedFoldTask(const SimulatedLog* log, const JobSpec& spec, std::mt19937_64* random)
    : fails_on_bad_record_(spec.on_bad_record() == BAD_RECORD_FAIL),
      log_(log),
      random_(random),
      decoders_(*RecordDecoder::CreateAll(spec)) {
  if (spec.fold().general().has_window()) calendar_ = std::make_unique<PaneCalendar>(spec.fold().general().window());
}

BadReason SimulatedFoldTask::Add(const Record& record, size_t source, PaneClock* clock, PartitionState* partition,
                                 DeltaTable* table, std::string* subject) {
  const Contribution& contribution = decoders_.at(source).Decode(record, clock);
  if (clock != nullptr && clock->max_time_us()) partition->set_max_time_us(*clock->max_time_us());
  *subject = contribution.subject;
  if (contribution.reason != BAD_NONE) return contribution.reason;
  if (contribution.filtered) {
    partition->set_filtered(partition->filtered() + 1);
  } else if (contribution.late) {
    partition->set_late(partition->late() + 1);
  }
  const GeneralDecoder* const general = decoders_.at(source).general();
  const HeightSet heights = general == nullptr ? HeightSet() : general->plan().heights;
  for (const Contribution::Event& event : contribution.events) {
    std::string row_key;
    if (contribution.pane) contribution.pane->Append(&row_key);
    table->AddCopy(row_key.append(event.key), event.units, heights);
  }
  return BAD_NONE;
}

std::optional<std::string> SimulatedFoldTask::FoldPartition(const Partition& of, int64_t end, PartitionState* partition,
                                                            DeltaTable* table, FoldOutcome* outcome) {
  const std::vector<SimulatedLog::Slot>& slots = log_->partitions[partition->partition()];
  const std::string name = absl::StrCat("events[", partition->partition(), "]");
  end = std::min(end, log_->End(partition->partition()));
  if (of.has_end_offset()) end = std::min(end, of.end_offset());
  if (partition->next_offset() < std::min(end, log_->Begin(partition->partition())))
    return absl::StrCat(name, " no longer has offset ", partition->next_offset());
  std::optional<PaneClock> clock;
  if (calendar_ != nullptr)
    clock.emplace(calendar_.get(), partition->has_max_time_us() ? std::optional(partition->max_time_us()) : std::nullopt);
  while (partition->next_offset() < end) {
    const SimulatedLog::Slot& slot = slots[static_cast<size_t>(partition->next_offset())];
    const std::optional<uint32_t> missing = slot.marker ? std::nullopt : decoders_.at(of.source()).MissingSchema(slot.value);
    if (missing) {
      NeededSchema& need = outcome->needs_schemas.emplace_back();
      need.set_id(*missing);
      need.set_partition(partition->partition());
      need.set_offset(partition->next_offset());
      return std::nullopt;
    }
    partition->set_next_offset(partition->next_offset() + 1);
    if (slot.marker) continue;
    partition->set_records(partition->records() + 1);
    std::string subject;
    const BadReason reason = Add({.value = slot.value,
                                  .topic = "events",
                                  .partition = static_cast<int32_t>(partition->partition()),
                                  .offset = partition->next_offset() - 1,
                                  .parts = &slot.parts},
                                 of.source(), clock ? &*clock : nullptr, partition, table, &subject);
    if (reason == BAD_NONE) continue;
    if (fails_on_bad_record_) return absl::StrCat(name, " at offset ", partition->next_offset() - 1, ": the record is bad");
    const auto bad = partition->mutable_bad();
    auto count = std::find_if(bad->begin(), bad->end(),
                              [&](const BadCount& c) { return c.reason() == reason && c.subject() == subject; });
    if (count == bad->end()) {
      bad->Add()->set_reason(reason);
      count = bad->end() - 1;
      count->set_subject(subject);
    }
    count->set_count(count->count() + 1);
  }
  return std::nullopt;
}

FoldOutcome SimulatedFoldTask::Fold(const std::vector<JobCore::ShardRange>& ranges, const FoldOptions& options) {
  FoldOutcome outcome;
  const uint64_t kind = Draw(4);
  for (RecordDecoder& decoder : decoders_) decoder.SetSchemas(options.schemas);
  for (const JobCore::ShardRange& range : ranges) {
    FoldOutcome::Shard& shard = outcome.shards.emplace_back();
    shard.state = range.state;
    DeltaTable& table = tables_[range.state.id().shard()];
    table.Clear();
    for (int j = 0; j < shard.state.partitions_size(); ++j) {
      PartitionState* partition = shard.state.mutable_partitions(j);
      int64_t end = range.ends[static_cast<size_t>(j)];
      const int64_t left = end - partition->next_offset();
      if (left > 0 && kind == 0) end -= static_cast<int64_t>(Draw(static_cast<uint64_t>(left) + 1));
      const int64_t beyond = log_->End(partition->partition()) - end;
      if (left > 0 && kind == 1 && !options.exact && beyond > 0)
        end += static_cast<int64_t>(Draw(static_cast<uint64_t>(beyond) + 1));
      outcome.failure = FoldPartition(range.state.id().partitions(j), end, partition, &table, &outcome);
      if (outcome.failure) return outcome;
    }
    shard.deltas = table.Deltas();
    if (calendar_ != nullptr) {
      AddToPanes(options.closed_through, &shard.deltas, &shard.state);
      continue;
    }
    Uint128 digest = FromProto(shard.state.digest());
    for (const Delta& delta : shard.deltas) digest += DigestTerm(delta);
    *shard.state.mutable_digest() = ToProto(digest);
  }
  return outcome;
}

}  // namespace tenfold
