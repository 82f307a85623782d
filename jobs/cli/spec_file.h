// Job specs in files and on the command line, as verbs take them. Used by one thread at a time.
#pragma once

#include <string>

#include "job_spec.pb.h"
#include "jobs/cli/sql/sql_reader.h"

namespace tenfold {

// Reads and checks the spec. Returns kExitOk, or kExitData after it has printed everything that is wrong with it on stderr,
// each with its place and, underlined, the text that is meant.
// A file whose name ends with .sql is SQL, and the job is named after it.
int ReadSpecFile(const std::string& path, JobSpec* spec);

// The same of SQL that stands on the command line: a file with tables, if one is named, and a query, which errors call
// `shown_as`.
int ReadSql(const std::string& schema_path, const std::string& sql, const std::string& shown_as, const std::string& name,
            JobSpec* spec, SqlNames* names = nullptr);

// Reads a file of at most kMaxSpecBytes and one. kExitData if it cannot be read, which is told.
int ReadSpecText(const std::string& path, const std::string& what, std::string* text);

}  // namespace tenfold
