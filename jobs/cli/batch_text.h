// Batches as verbs print them, and how far they are from the ends of their topics. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "driver.pb.h"
#include "jobs/cli/output.h"
#include "jobs/show/result_json.h"

namespace tenfold {

// A table of a result, with a column for each measure.
std::string TableOf(const google::protobuf::RepeatedPtrField<Entry>& top, const ResultForm& form,
                    const std::string& key_head = "KEY");

// A whole batch, with the windows that became final with it: a table for people, or lines of JSON as sinks get them.
std::string RenderBatch(OutputFormat output, const GetBatchReply& reply);

struct EndGap {
  uint64_t records = 0;
  // The partition that is farthest from its end, and by how much; empty if the batch has reached all ends.
  std::string held_by;
};
// How far a batch is from the ends of its job's partitions.
EndGap GapOf(const GetEndsReply& ends, const GetBatchReply& reply);

}  // namespace tenfold
