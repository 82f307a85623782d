#include "jobs/decode/decoder.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/text/utf8.h"

namespace tenfold {
namespace {

constexpr uint64_t kLowBits = 0x7F7F'7F7F'7F7F'7F7F;
static_assert(std::endian::native == std::endian::little);

uint64_t EightBytes(const char* p) {
  uint64_t word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

// Returns a word that has the highest bit of each byte that is zero in `word`, and no other bit.
uint64_t ZeroBytes(uint64_t word) { return ~(((word & kLowBits) + kLowBits) | word | kLowBits); }

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

// Reads eight bytes at a time, which for short records is faster than a call of memchr for each field.
bool Decoder::Split(std::string_view value) {
  const char* const data = value.data();
  const size_t size = value.size();
  const size_t last = fields_.size() - 1;
  size_t field = 0;
  size_t begin = 0;
  const auto cut = [&](size_t at) {
    if (field == last) return false;
    fields_[field++] = {data + begin, at - begin};
    begin = at + 1;
    return true;
  };
  constexpr size_t kWord = sizeof(uint64_t);
  if (size < kWord) {
    for (size_t at = 0; at < size; ++at) {
      if (data[at] == separator_ && !cut(at)) return false;
    }
  } else {
    const uint64_t separators = uint64_t{static_cast<uint8_t>(separator_)} * 0x0101'0101'0101'0101;
    for (size_t at = 0; at < size; at += kWord) {
      // The last word overlaps the previous one; the bytes that were seen are shifted out.
      const size_t seen = at + kWord <= size ? 0 : at + kWord - size;
      uint64_t found = ZeroBytes(EightBytes(data + at - seen) ^ separators) >> (8 * seen);
      for (; found != 0; found &= found - 1) {
        if (!cut(at + static_cast<size_t>(std::countr_zero(found)) / 8)) return false;
      }
    }
  }
  if (field != last) return false;
  fields_[last] = {data + begin, size - begin};
  return true;
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
