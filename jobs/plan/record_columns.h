// What a record of a format without paths is cut into. Pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"
#include "re2/re2.h"

namespace tenfold {

// The one column of a text format.
inline constexpr std::string_view kTextColumn = "value";

// The names of the columns: a delimited record's fields, the named groups of a pattern in their order, or kTextColumn; none
// of formats whose fields have paths, or of a pattern that is none.
std::vector<std::string> ColumnsOf(const RecordFormat& format);

// Whether its fields have paths.
inline bool HasPaths(const RecordFormat& format) { return format.has_json() || format.has_avro() || format.has_protobuf(); }

// A pattern that whole records match, and which of its groups the i-th column is.
struct RecordPattern {
  std::shared_ptr<const RE2> pattern;
  std::vector<int> groups;
};
// Without a pattern, and with the reason, if the format's is none, or has no group with a name.
RecordPattern ReadRecordPattern(const RegexFormat& format, std::string* error);

}  // namespace tenfold
