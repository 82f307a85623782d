// Decodes the records of any job: by the direct decoder where its fold has that form, else by a plan. Pure; used by one
// thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "job_spec.pb.h"
#include "jobs/decode/block_decoder.h"
#include "jobs/decode/decoder.h"
#include "jobs/decode/general_decoder.h"
#include "state.pb.h"

namespace tenfold {

class RecordDecoder {
 public:
  // INVALID_ARGUMENT, naming what is wrong, for a spec that `jobs/spec/job_spec.h` would refuse.
  // Of the records of one of the spec's sources.
  static absl::StatusOr<RecordDecoder> Create(const JobSpec& spec, size_t source = 0);

  // One for each of the spec's sources.
  static absl::StatusOr<std::vector<RecordDecoder>> CreateAll(const JobSpec& spec);

  // Decodes a record by whichever of both there is; the clock is that of GeneralDecoder::Decode.
  const Contribution& Decode(const Record& record, PaneClock* clock = nullptr);

  // Whether records name schemas of a registry.
  bool has_registry() const { return general_ != nullptr && general_->plan().format.avro().registry(); }
  // What the job's registry has said so far of schemas, and the schema that a record names and of which it has said nothing:
  // such a record must not be decoded.
  void SetSchemas(const std::shared_ptr<const LearnedSchemas>& schemas);
  std::optional<uint32_t> MissingSchema(std::string_view value) {
    return general_ == nullptr ? std::nullopt : general_->MissingSchema(value);
  }

  // Exactly one of them is set. The fold's loop asks the direct one itself.
  Decoder* direct() { return direct_ ? &*direct_ : nullptr; }
  GeneralDecoder* general() { return general_.get(); }
  // Beside a general one, what decodes many records at once; nullptr where the plan does not suit that.
  BlockDecoder* block() { return block_.get(); }

 private:
  // What the direct decoder said last.
  Contribution contribution_;
  struct Direct {
    int64_t units = 0;
    Contribution::Event event;
  };
  std::unique_ptr<Direct> said_;
  std::optional<Decoder> direct_;
  std::unique_ptr<GeneralDecoder> general_;
  std::unique_ptr<BlockDecoder> block_;
};

}  // namespace tenfold
