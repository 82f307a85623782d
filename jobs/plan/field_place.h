// Where the value of a field stands in a record. Pure.
#pragma once

#include <cstddef>
#include <string_view>

#include "jobs/plan/json_path.h"

namespace tenfold {

struct FieldPlace {
  enum class Kind { kColumn, kJsonPath, kTopic, kPartition, kOffset };
  Kind kind = Kind::kColumn;
  // A delimited record's field, from 0.
  size_t column = 0;
  JsonPath path;
};

// Reads record.topic, record.partition or record.offset. False if the text is none of them.
bool ReadRecordPlace(std::string_view text, FieldPlace* place);

}  // namespace tenfold
