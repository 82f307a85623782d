#include "jobs/decode/record_decoder.h"

#include <utility>

#include "common/limits.h"
#include "fmt/format.h"
#include "jobs/plan/measures.h"
#include "jobs/plan/sources.h"

namespace tenfold {

absl::StatusOr<RecordDecoder> RecordDecoder::Create(const JobSpec& spec, size_t source) {
  RecordDecoder decoder;
  if (spec.fold().has_general()) {
    absl::StatusOr<GeneralDecoder> general = GeneralDecoder::Create(FoldOfSource(spec.fold().general(), source));
    if (!general.ok()) return general.status();
    decoder.general_ = std::make_unique<GeneralDecoder>(*std::move(general));
    const std::shared_ptr<const Plan> plan = decoder.general_->shared_plan();
    if (BlockDecoder::Suits(*plan)) decoder.block_ = std::make_unique<BlockDecoder>(plan);
  } else {
    absl::StatusOr<Decoder> direct = Decoder::Create(spec);
    if (!direct.ok()) return direct.status();
    decoder.direct_ = *std::move(direct);
    decoder.said_ = std::make_unique<Direct>();
  }
  return decoder;
}

absl::StatusOr<std::vector<RecordDecoder>> RecordDecoder::CreateAll(const JobSpec& spec) {
  // A driver has checked this; what another one sends is no reason to write beyond a row.
  if (const size_t sums = MeasuresOf(spec).ranking.sums; sums > kMaxSums)
    return absl::InvalidArgumentError(fmt::format("the job has {} sums in a row; {} are allowed", sums, kMaxSums));
  std::vector<RecordDecoder> decoders;
  for (size_t source = 0; source < SourceCount(spec.fold().general()); ++source) {
    absl::StatusOr<RecordDecoder> decoder = Create(spec, source);
    if (!decoder.ok()) return decoder.status();
    decoders.push_back(*std::move(decoder));
  }
  return decoders;
}

void RecordDecoder::SetSchemas(const std::shared_ptr<const LearnedSchemas>& schemas) {
  if (general_ != nullptr) general_->SetSchemas(schemas);
  if (block_ != nullptr) block_->SetSchemas(schemas);
}

const Contribution& RecordDecoder::Decode(const Record& record, PaneClock* clock) {
  if (general_ != nullptr) return general_->Decode(record, clock);
  contribution_ = {};
  contribution_.reason = direct_->Decode(record.value, &said_->event.key, &said_->units);
  said_->event.units = {&said_->units, 1};
  if (contribution_.reason == BAD_NONE) contribution_.events = {&said_->event, 1};
  return contribution_;
}

}  // namespace tenfold
