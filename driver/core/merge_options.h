// What a job's spec says of the merge of its batches. Pure.
#pragma once

#include <cstdint>
#include <memory>

#include "driver/merge/batch_merge.h"
#include "driver/merge/merge_memory.h"
#include "job_spec.pb.h"

namespace tenfold {

// The spec has passed the rules; the others are as in BatchMerge::Options.
BatchMerge::Options MergeOptionsOf(const JobSpec& spec, uint64_t floor, std::shared_ptr<MergeMemory> memory);

}  // namespace tenfold
