// A batch as people and programs see it: the `top` line of sinks and of the CLI. Pure.
#pragma once

#include <string>
#include <vector>

#include "journal.pb.h"

namespace tenfold {

// One line of JSON without its newline:
// {"job","job_id","batch","published_at","offsets":[{"topic","partition","next_offset"}],"records","bad_records",
//  "batch_records","top":[{"rank","key","score"}]}. Integers are numbers, the time RFC 3339 UTC with milliseconds, the
// score R1's text. `partitions` has at least as many entries as the batch has offsets.
std::string TopLine(const std::string& job, const std::vector<Partition>& partitions, const BatchCommitted& batch);

// RFC 3339 UTC with milliseconds.
std::string FormatTime(int64_t time_ms);

}  // namespace tenfold
