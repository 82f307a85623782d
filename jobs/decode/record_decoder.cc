#include "jobs/decode/record_decoder.h"

#include <utility>

namespace tenfold {

absl::StatusOr<RecordDecoder> RecordDecoder::Create(const JobSpec& spec) {
  RecordDecoder decoder;
  if (spec.fold().has_general()) {
    absl::StatusOr<GeneralDecoder> general = GeneralDecoder::Create(spec.fold().general());
    if (!general.ok()) return general.status();
    decoder.general_ = std::make_unique<GeneralDecoder>(*std::move(general));
    const std::shared_ptr<const Plan> plan = decoder.general_->shared_plan();
    if (BlockDecoder::Suits(*plan)) decoder.block_ = std::make_unique<BlockDecoder>(plan);
  } else {
    absl::StatusOr<Decoder> direct = Decoder::Create(spec);
    if (!direct.ok()) return direct.status();
    decoder.direct_ = *std::move(direct);
    decoder.units_ = std::make_unique<int64_t>();
  }
  return decoder;
}

const Contribution& RecordDecoder::Decode(const Record& record, PaneClock* clock) {
  if (general_ != nullptr) return general_->Decode(record, clock);
  contribution_ = {};
  contribution_.reason = direct_->Decode(record.value, &contribution_.key, units_.get());
  contribution_.units = {units_.get(), 1};
  return contribution_;
}

}  // namespace tenfold
