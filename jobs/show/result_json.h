// A batch as people and programs see it, the `top` line of sinks and CLI, and the form of times in results. Pure.
#pragma once

#include <string>
#include <vector>

#include "journal.pb.h"
#include "nlohmann/json_fwd.hpp"

namespace tenfold {

// Returns one line of JSON without its newline:
// {"job","job_id","batch","published_at","offsets":[{"topic","partition","next_offset"}],"records","bad_records",
//  "batch_records","top":[{"rank","key","score"}],"proof":{"kth_total","unseen_bound","rounds","entries"}}. Integers are
// numbers, the time RFC 3339 UTC with milliseconds, scores and totals R1's text. `partitions` has at least as many entries
// as the batch has offsets.
std::string TopLine(const std::string& job, const std::vector<Partition>& partitions, const BatchCommitted& batch);

// Whether two lines are of the same batch with the same offsets and top. Either may lack fields of another version.
bool SaysTheSame(const std::string& line, const std::string& other);

// Returns the proof with totals in R1's text form; null where it has none.
nlohmann::ordered_json ProofJson(const TopKProof& proof);

// Returns a time, given in microseconds since 1970, as RFC 3339 UTC with milliseconds.
std::string FormatTime(int64_t time_us);

}  // namespace tenfold
