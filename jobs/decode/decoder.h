// Decodes one record into its key and its contribution, without copying. Pure; used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/number/decimal.h"
#include "job_spec.pb.h"
#include "state.pb.h"

namespace tenfold {

// A record's fields are its value cut at every separator byte: n separators make n + 1 fields, of which any may be empty.
// A record has the first of these that holds, in this order:
//   BAD_EMPTY_RECORD         the value is null or has no bytes
//   BAD_RECORD_TOO_LARGE     it is over kMaxRecordBytes
//   BAD_WRONG_FIELD_COUNT    separators do not make exactly as many fields as the format has
//   BAD_EMPTY_KEY            the key has no bytes
//   BAD_KEY_TOO_LONG         it is over kMaxKeyBytes
//   BAD_KEY_NOT_UTF8         it is not UTF-8 as RFC 3629 has it: overlong forms, surrogates and what is above U+10FFFF
//                            are not; U+0000 and noncharacters are
//   BAD_MALFORMED_NUMBER     any field of the score is NumberError::kMalformed, as an empty one is
//   BAD_NUMBER_OUT_OF_RANGE  any of them, or the contribution, is NumberError::kOutOfRange
// Fields that neither key nor score uses are not looked at. A field may be both, and in several terms.
class Decoder {
 public:
  // INVALID_ARGUMENT, naming what is wrong, for a spec that `jobs/spec/job_spec.h` would refuse.
  static absl::StatusOr<Decoder> Create(const JobSpec& spec);

  // If the result is BAD_NONE, `key` is a view into `value` and `units` the contribution; else neither is set.
  BadReason Decode(std::string_view value, std::string_view* key, int64_t* units);

 private:
  explicit Decoder(WeightedSum score) : score_(std::move(score)) {}

  // Constant after Create.
  WeightedSum score_;
  char separator_ = 0;
  // Indexes into fields_.
  size_t key_field_ = 0;
  std::vector<size_t> score_fields_;

  // The fields of the record being decoded, all of them and those of the score in its order. Members to save allocations.
  std::vector<std::string_view> fields_;
  std::vector<std::string_view> arguments_;
};

}  // namespace tenfold
