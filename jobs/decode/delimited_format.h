// Reads the fields of delimited records by all of the format's options. Pure; used by one thread at a time.
//
// A byte order mark is taken off first (strip_bom). Fields are what is between separators. With `trim` blanks, tabs and
// carriage returns at both ends of a field are no part of it. With `quoted` a field that begins with a double quote is what
// stands before the next single double quote, where two stand for one, and a separator or the end must follow; other quotes
// are as any other byte. A field without quotes that equals null_as is null.
#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"
#include "jobs/decode/record.h"
#include "state.pb.h"

namespace tenfold {

class DelimitedReader {
 public:
  // `columns[i]`: which field the i-th value that Read returns is.
  DelimitedReader(DelimitedFormat format, std::vector<size_t> columns);

  // Ends what was read before.
  void Clear() { unquoted_.clear(); }
  // Reads the value, which is not empty, into values[i], one for each column. Returns BAD_NONE, BAD_WRONG_FIELD_COUNT, or
  // BAD_MALFORMED_RECORD for a quote without its end or with something behind it.
  BadReason Read(std::string_view value, std::span<RawValue> values);

 private:
  // Reads the field that begins at the front of `rest`, and takes it off with its separator. `*more` is whether there was
  // one.
  bool ReadField(std::string_view* rest, RawValue* field, bool* more);
  void SkipBlanks(std::string_view* rest) const;
  bool ReadQuoted(std::string_view* rest, RawValue* field, bool* more);

  const DelimitedFormat format_;
  const std::vector<size_t> columns_;
  // Whether no option needs more than a look for its separator, of one byte.
  const bool plain_;
  // The fields of the record under way.
  std::vector<RawValue> fields_;
  std::vector<std::string_view> texts_;
  // Fields with quotes in them, unescaped.
  std::deque<std::string> unquoted_;
};

}  // namespace tenfold
