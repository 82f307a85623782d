// Reads fields from records that a pattern matches as a whole. Pure; used by one thread at a time.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "jobs/decode/record.h"
#include "jobs/plan/record_columns.h"
#include "re2/stringpiece.h"
#include "state.pb.h"

namespace tenfold {

class RegexReader {
 public:
  // `columns[i]`: which column of the format the i-th value that Read returns is. The format has passed the rules.
  RegexReader(const RegexFormat& format, std::span<const size_t> columns);

  // Reads the record into values[i], one for each column; a group that took no part is null. BAD_NONE,
  // BAD_MALFORMED_RECORD if it is not UTF-8, or BAD_UNMATCHED_RECORD.
  BadReason Read(std::string_view value, std::span<RawValue> values);

 private:
  const RecordPattern pattern_;
  // The group of each value.
  std::vector<size_t> groups_;
  // The record's groups from the whole on, up to the last that is of use.
  std::vector<re2::StringPiece> found_;
};

}  // namespace tenfold
