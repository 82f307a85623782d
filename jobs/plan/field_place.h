// Where the value of a field stands in a record. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "jobs/plan/json_path.h"

namespace tenfold {

struct FieldPlace {
  enum class Kind { kColumn, kPath, kTopic, kPartition, kOffset, kTimestamp, kKey, kHeader };
  Kind kind = Kind::kColumn;
  // The index of the column, from 0, of formats with columns.
  size_t column = 0;
  JsonPath path;
  // The name of a header.
  std::string header;

  // Whether it is none of what a format reads from a record's value.
  bool IsOfRecord() const { return kind != Kind::kColumn && kind != Kind::kPath; }
  // Whether it is of what a record has beside its value (common/record_parts.h).
  bool IsOfParts() const { return kind == Kind::kTimestamp || kind == Kind::kKey || kind == Kind::kHeader; }
};

// What ReadRecordPlace takes, as messages say it.
inline constexpr std::string_view kRecordPlaces =
    "record.key, record.timestamp, record.headers[\"NAME\"], record.topic, record.partition and record.offset";

// Reads a place of a record that is not of its value. False if the text is none of kRecordPlaces. In the name of a header
// two double quotes stand for one.
bool ReadRecordPlace(std::string_view text, FieldPlace* place);

}  // namespace tenfold
