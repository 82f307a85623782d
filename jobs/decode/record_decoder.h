// Decodes the records of any job: by the direct decoder where its fold has that form, else by a plan. Pure; used by one
// thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "job_spec.pb.h"
#include "jobs/decode/decoder.h"
#include "jobs/decode/general_decoder.h"
#include "state.pb.h"

namespace tenfold {

class RecordDecoder {
 public:
  // INVALID_ARGUMENT, naming what is wrong, for a spec that `jobs/spec/job_spec.h` would refuse.
  static absl::StatusOr<RecordDecoder> Create(const JobSpec& spec);

  // Exactly one of them is set.
  Decoder* direct() { return direct_ ? &*direct_ : nullptr; }
  GeneralDecoder* general() { return general_.get(); }

 private:
  std::optional<Decoder> direct_;
  std::unique_ptr<GeneralDecoder> general_;
};

}  // namespace tenfold
