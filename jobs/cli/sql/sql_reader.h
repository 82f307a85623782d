// A query in SQL as a job: jobs/README.md says which SQL. It gives the JobSpec that the same job in YAML gives. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "job_spec.pb.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {

// What SELECT calls the parts of the key, and the group; empty where it does not.
struct SqlNames {
  std::vector<std::string> key;
  std::string group;
};

// Reads tables and one SELECT. Returns all errors in the order of the text. If there are none, `spec` is complete, and so
// are `names`, if they are given. Without `files` tables that are files are refused.
std::vector<SpecError> ReadSqlJob(std::string_view sql, const std::string& name, JobSpec* spec, SqlNames* names = nullptr,
                                  const SpecFiles* files = nullptr);

}  // namespace tenfold
