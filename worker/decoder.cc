#include "worker/decoder.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace tenfold {
namespace {

bool IsUtf8(std::string_view text) {
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  const auto* const end = p + text.size();
  while (p != end) {
    if (uint64_t word; end - p >= static_cast<ptrdiff_t>(sizeof(word))) {
      std::memcpy(&word, p, sizeof(word));
      if ((word & 0x8080808080808080) == 0) {
        p += sizeof(word);
        continue;
      }
    }
    const uint8_t first = *p;
    if (first < 0x80) {
      ++p;
      continue;
    }
    // The lead byte narrows the range of the second one: there lie overlong forms, surrogates and what is too high.
    if (first < 0xC2 || first > 0xF4) return false;
    const ptrdiff_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    const uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (end - p < length || p[1] < low || p[1] > high) return false;
    for (ptrdiff_t i = 2; i < length; ++i) {
      if ((p[i] & 0xC0) != 0x80) return false;
    }
    p += length;
  }
  return true;
}

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
  const DelimitedFormat& format = spec.format();
  if (format.separator().size() != 1) return absl::InvalidArgumentError("the format's separator is not one byte");
  const auto field_count = static_cast<size_t>(format.fields_size());
  if (field_count == 0 || field_count > kMaxFields) {
    return absl::InvalidArgumentError(absl::StrCat("a format has 1 to ", kMaxFields, " fields, not ", field_count));
  }
  if (spec.score().empty()) return absl::InvalidArgumentError("the score has no terms");

  std::vector<std::string> constants;
  for (const ScoreTerm& term : spec.score()) constants.push_back(term.constant());
  absl::StatusOr<WeightedSum> score = WeightedSum::Create(std::move(constants));
  if (!score.ok()) return score.status();

  Decoder decoder(*std::move(score));
  decoder.separator_ = format.separator()[0];
  const std::optional<size_t> key_field = FindField(format, spec.key());
  if (!key_field.has_value()) return UnknownField("the key", spec.key());
  decoder.key_field_ = *key_field;
  for (const ScoreTerm& term : spec.score()) {
    const std::optional<size_t> field = FindField(format, term.field());
    if (!field.has_value()) return UnknownField("the score", term.field());
    decoder.score_fields_.push_back(*field);
  }
  decoder.fields_.resize(field_count);
  decoder.arguments_.resize(decoder.score_fields_.size());
  return decoder;
}

bool Decoder::Split(std::string_view value) {
  const char* begin = value.data();
  const char* const end = begin + value.size();
  const size_t last = fields_.size() - 1;
  for (size_t i = 0;; ++i) {
    const void* const found = std::memchr(begin, separator_, static_cast<size_t>(end - begin));
    if ((found == nullptr) != (i == last)) return false;
    const char* const field_end = i == last ? end : static_cast<const char*>(found);
    fields_[i] = std::string_view(begin, static_cast<size_t>(field_end - begin));
    if (i == last) return true;
    begin = field_end + 1;
  }
}

BadReason Decoder::Decode(std::string_view value, std::string_view* key, int64_t* units) {
  if (value.empty()) return BAD_EMPTY_RECORD;
  if (value.size() > kMaxRecordBytes) return BAD_RECORD_TOO_LARGE;
  if (!Split(value)) return BAD_WRONG_FIELD_COUNT;

  const std::string_view record_key = fields_[key_field_];
  if (record_key.empty()) return BAD_EMPTY_KEY;
  if (record_key.size() > kMaxKeyBytes) return BAD_KEY_TOO_LONG;
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
