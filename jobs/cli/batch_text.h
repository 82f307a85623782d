// Batches as verbs print them, and how far they are from the ends of their topics. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "driver.pb.h"
#include "jobs/cli/output.h"
#include "jobs/show/result_json.h"

namespace tenfold {

// What the columns of a table are called that a job has no names for.
struct TableHeads {
  std::string group = "GROUP";
  std::string key = "KEY";
};
// A table of a batch's own result, or of a final window, with a column for each measure, and one for the group.
std::string TableOf(const BatchCommitted& batch, const ResultForm& form, const TableHeads& heads = {});
std::string TableOf(const FinalWindow& final, const ResultForm& form, const TableHeads& heads = {});

// The groups that a batch has, in its own result and in its final windows.
std::vector<std::string> GroupNames(const GetBatchReply& reply);
// Leaves one of them in tables.
void KeepGroup(const std::string& group, GetBatchReply* reply);
// The lines among those of a batch that are of this group.
std::vector<std::string> LinesOfGroup(const std::string& group, const std::vector<std::string>& lines);

// A whole batch, with the windows that became final with it, or one group of both: a table for people, or lines of JSON as
// sinks get them.
std::string RenderBatch(OutputFormat output, const GetBatchReply& reply, const std::optional<std::string>& group = {});

struct EndGap {
  uint64_t records = 0;
  // The partition that is farthest from its end, and by how much; empty if the batch has reached all ends.
  std::string held_by;
};
// How far a batch is from the ends of its job's partitions.
EndGap GapOf(const GetEndsReply& ends, const GetBatchReply& reply);

}  // namespace tenfold
