// A job's status as JSON: snake_case, integers as numbers, times RFC 3339 UTC, scores as text. Pure.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "driver.pb.h"
#include "nlohmann/json.hpp"

namespace tenfold {

// Returns the JSON on one line; bytes that are not UTF-8 are replaced.
std::string DumpJson(const nlohmann::ordered_json& json);

// Returns the time, or null for 0.
nlohmann::ordered_json OptionalTime(int64_t time_us);
// Returns "waiting", "running", "paused", "failed", "cancelled" or "finished".
std::string StateName(JobState state);
// Returns the name of a reason, for example "wrong_field_count".
std::string ReasonName(BadReason reason);
// Returns a reason with its subject, where it has one: "malformed_number of clicks".
std::string BadReasonText(BadReason reason, const std::string& subject);
// Returns the bad records of all partitions by reason and subject, without zeros.
std::map<std::pair<BadReason, std::string>, uint64_t> BadRecords(const JobStatus& status);
// Returns the job in one sentence: keeping up, behind by N records, waiting for X, or failed because Y.
std::string Headline(const JobStatus& status);
// Returns how far the states of another spec are, "is at 3 of 10 offsets, 2 a second, 3 s left", or "came to nothing:
// REASON"; or that they are built; empty if there are none.
std::string RefoldStatusText(const JobStatus& status);
// Returns what the job waits for, why it failed, or how far a refold is; empty while it runs and has none.
std::string ReasonText(const JobStatus& status);

// Returns an entry of `list`; a failed job has no lag.
nlohmann::ordered_json JobSummaryJson(const JobStatus& status);
// Returns all that `status` prints.
nlohmann::ordered_json JobStatusJson(const JobStatus& status);

}  // namespace tenfold
