// Reads the tables that a job looks up. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "job_spec.pb.h"

namespace tenfold {

// Reads CSV text (RFC 4180) of one column, which are keys, or of two, keys and values; every line has as many as the first,
// which is no heading. A byte order mark at its begin is passed over, and a key with one value may be there several times.
// Returns what is wrong, with its line ("line 3: .."), or "".
std::string ReadTableCsv(std::string_view csv, LookupTable* table);

// Fills in the keys and, if `has_values`, values of a table.
void SetTable(const std::map<std::string, std::string>& entries, bool has_values, LookupTable* table);

}  // namespace tenfold
