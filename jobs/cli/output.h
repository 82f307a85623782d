// Output of the verbs: data on stdout, sentences on stderr, tables for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "CLI/CLI.hpp"
#include "common/text/shown_text.h"

namespace tenfold {

enum class OutputFormat { kText, kJson };

// Adds `-o, --output json|text` to a verb.
void AddOutputOption(CLI::App* verb, OutputFormat* format);

// Writes to stdout and flushes. Returns false once stdout is closed or cannot be written. EndOutput checks that for
// every verb, so only a verb that keeps printing needs the result.
bool PrintData(std::string_view data);

// Returns the exit code of a verb that ended with `code`: the same, unless its data could not be written, which it reports.
// A closed pipe is no failure.
int EndOutput(int code);

// Prints "tenfold: SENTENCE" on stderr, with unprintable bytes escaped.
void PrintError(std::string_view sentence);

// Returns " (for 1m10s)" of what began then, by this machine's clock; "" for 0.
std::string ForText(int64_t since_us);

// Takes the last column out of a table if nothing is in it but its header.
void DropEmptyLastColumn(std::vector<std::vector<std::string>>* rows);

// Returns a table with columns padded to their widest cell; the first row is the header. Unprintable bytes are escaped.
// `right_aligned` lists the indexes of the columns of numbers.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows, const std::vector<size_t>& right_aligned);

}  // namespace tenfold
