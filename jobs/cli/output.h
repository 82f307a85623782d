// How the verbs print: data on stdout, sentences on stderr, tables for people.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "CLI/CLI.hpp"
#include "common/text/shown_text.h"

namespace tenfold {

enum class OutputFormat { kText, kJson };

// Adds `-o, --output json|text` to a verb.
void AddOutputOption(CLI::App* verb, OutputFormat* format);

// Writes to stdout and flushes; false once nobody reads it any more or it cannot be written. EndOutput judges that for
// every verb, so only a verb that goes on printing needs to look.
bool PrintData(std::string_view data);

// The exit code of a verb that ended with `code`: that, unless its data could not be written, which is told. That nobody
// wanted to read on is no failure.
int EndOutput(int code);

// "tenfold: SENTENCE" on stderr, made printable.
void PrintError(std::string_view sentence);

// Columns padded to their widest cell, two spaces between; the first row is the header. Cells are made printable.
// `right_aligned` names the columns of numbers.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows, const std::vector<size_t>& right_aligned);

}  // namespace tenfold
