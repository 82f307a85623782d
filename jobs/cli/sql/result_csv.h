// Results as comma-separated values (RFC 4180): a line for each key of each window. Pure.
#pragma once

#include <string>
#include <vector>

#include "jobs/show/result_json.h"
#include "journal.pb.h"

namespace tenfold {

// The names of the columns. `key_names` are those of the key's parts, or empty ones; `group_name` is that of the group.
std::string CsvHead(const ResultForm& form, const std::vector<std::string>& key_names, const std::string& group_name = "");
// The windows that became final with the batch, then its own result. A null is an empty field.
std::string CsvRows(const BatchCommitted& batch, const ResultForm& form);

}  // namespace tenfold
