// A job's status as JSON: snake_case, integers as numbers, times RFC 3339 UTC, scores as text. Pure.
#pragma once

#include <map>
#include <string>

#include "driver.pb.h"
#include "nlohmann/json.hpp"

namespace tenfold {

// One line; broken UTF-8 is replaced.
std::string DumpJson(const nlohmann::ordered_json& json);

// waiting, running, failed, cancelled
std::string StateName(JobState state);
// e.g. wrong_field_count
std::string ReasonName(BadReason reason);
// Bad records of all partitions by reason, without zeros.
std::map<BadReason, uint64_t> BadRecords(const JobStatus& status);
// The job in one sentence: keeping up, behind by N records, waiting for X, or failed because Y.
std::string Headline(const JobStatus& status);
// What it waits for, or why it failed; empty while running.
std::string ReasonText(const JobStatus& status);

// An entry of `list`.
nlohmann::ordered_json JobSummaryJson(const JobStatus& status);
// All of `status`.
nlohmann::ordered_json JobStatusJson(const JobStatus& status);

}  // namespace tenfold
