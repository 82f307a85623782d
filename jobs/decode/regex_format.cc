#include "jobs/decode/regex_format.h"

#include <algorithm>
#include <string>

#include "common/text/utf8.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

RecordPattern PatternOf(const RegexFormat& format) {
  std::string error;
  RecordPattern pattern = ReadRecordPattern(format, &error);
  CHECK(pattern.pattern != nullptr) << "the pattern of a format " << error;
  return pattern;
}

}  // namespace

RegexReader::RegexReader(const RegexFormat& format, std::span<const size_t> columns) : pattern_(PatternOf(format)) {
  size_t last = 0;
  for (const size_t column : columns) {
    groups_.push_back(static_cast<size_t>(pattern_.groups.at(column)));
    last = std::max(last, groups_.back());
  }
  found_.resize(last + 1);
}

BadReason RegexReader::Read(std::string_view value, std::span<RawValue> values) {
  if (!IsUtf8(value)) return BAD_MALFORMED_RECORD;
  const re2::StringPiece record(value.data(), value.size());
  const auto groups = static_cast<int>(found_.size());
  if (!pattern_.pattern->Match(record, 0, record.size(), RE2::ANCHOR_BOTH, found_.data(), groups))
    return BAD_UNMATCHED_RECORD;
  for (size_t i = 0; i < groups_.size(); ++i) {
    const re2::StringPiece& group = found_[groups_[i]];
    values[i] = {.kind = group.data() == nullptr ? RawValue::Kind::kNull : RawValue::Kind::kBytes,
                 .text = {group.data(), group.size()}};
  }
  return BAD_NONE;
}

}  // namespace tenfold
