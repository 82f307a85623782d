#include "jobs/decode/decoder.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/text/utf8.h"
#include "jobs/decode/field_split.h"

namespace tenfold {
namespace {

std::optional<size_t> FindField(const DelimitedFormat& format, const std::string& name) {
  const auto found = std::find(format.fields().begin(), format.fields().end(), name);
  if (found == format.fields().end()) return std::nullopt;
  return static_cast<size_t>(found - format.fields().begin());
}

absl::Status UnknownField(std::string_view user, const std::string& name) {
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(user), " names the field \"", name, "\", which the format does not have"));
}

}  // namespace

absl::StatusOr<Decoder> Decoder::Create(const JobSpec& spec) {
  const DelimitedFormat& format = spec.fold().format();
  if (format.separator().size() != 1) return absl::InvalidArgumentError("the format's separator is not one byte");
  const auto field_count = static_cast<size_t>(format.fields_size());
  if (field_count == 0 || field_count > kMaxFields) {
    return absl::InvalidArgumentError(absl::StrCat("a format has 1 to ", kMaxFields, " fields, not ", field_count));
  }
  if (spec.fold().score().empty()) return absl::InvalidArgumentError("the score has no terms");

  std::vector<std::string> constants;
  for (const ScoreTerm& term : spec.fold().score()) constants.push_back(term.constant());
  absl::StatusOr<WeightedSum> score = WeightedSum::Create(std::move(constants));
  if (!score.ok()) return score.status();

  Decoder decoder(*std::move(score));
  decoder.separator_ = format.separator()[0];
  const std::optional<size_t> key_field = FindField(format, spec.fold().key());
  if (!key_field.has_value()) return UnknownField("the key", spec.fold().key());
  decoder.key_field_ = *key_field;
  for (const ScoreTerm& term : spec.fold().score()) {
    const std::optional<size_t> field = FindField(format, term.field());
    if (!field.has_value()) return UnknownField("the score", term.field());
    decoder.score_fields_.push_back(*field);
  }
  decoder.fields_.resize(field_count);
  decoder.arguments_.resize(decoder.score_fields_.size());
  return decoder;
}

BadReason Decoder::Decode(std::string_view value, std::string_view* key, int64_t* units) {
  // Each of these compares twice at once: what is empty has no size minus one.
  if (value.size() - 1 >= kMaxRecordBytes) return value.empty() ? BAD_EMPTY_RECORD : BAD_RECORD_TOO_LARGE;
  if (!SplitFields(value, separator_, &fields_)) return BAD_WRONG_FIELD_COUNT;

  const std::string_view record_key = fields_[key_field_];
  if (record_key.size() - 1 >= kMaxKeyBytes) return record_key.empty() ? BAD_EMPTY_KEY : BAD_KEY_TOO_LONG;
  if (!IsUtf8(record_key)) return BAD_KEY_NOT_UTF8;

  for (size_t i = 0; i < arguments_.size(); ++i) arguments_[i] = fields_[score_fields_[i]];
  switch (score_.Evaluate(arguments_, units)) {
    case NumberError::kNone:
      break;
    case NumberError::kMalformed:
      return BAD_MALFORMED_NUMBER;
    case NumberError::kOutOfRange:
      return BAD_NUMBER_OUT_OF_RANGE;
  }
  *key = record_key;
  return BAD_NONE;
}

}  // namespace tenfold
