// Decode: one record's bytes to its key and its contribution, without copying. Pure; used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/decimal.h"
#include "job_spec.pb.h"
#include "state.pb.h"

namespace tenfold {

// A record has the first of these that holds, in this order:
//   BAD_EMPTY_RECORD         the value is null or has no bytes
//   BAD_RECORD_TOO_LARGE     it is over kMaxRecordBytes
//   BAD_WRONG_FIELD_COUNT    separators do not make exactly as many fields as the format has
//   BAD_EMPTY_KEY, BAD_KEY_TOO_LONG (over kMaxKeyBytes), BAD_KEY_NOT_UTF8 (overlong forms and surrogates included)
//   BAD_MALFORMED_NUMBER     any field of the score is no number
//   BAD_NUMBER_OUT_OF_RANGE  any number, or the contribution, is outside R1
// Fields that neither key nor score uses are not looked at.
class Decoder {
 public:
  static absl::StatusOr<Decoder> Create(const JobSpec& spec);

  // BAD_NONE: `key` is a view into `value` and `units` the contribution.
  BadReason Decode(std::string_view value, std::string_view* key, int64_t* units);

 private:
  Decoder() = default;
};

}  // namespace tenfold
