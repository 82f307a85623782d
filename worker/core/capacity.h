// How many jobs a worker takes: as many as its open files and its memory suffice for. Pure.
//
// A client of librdkafka 2.0.2 has, for each broker that it knows, three pipes and sockets and up to five more: kReaderFiles
// for three brokers. A job has one that reads, another one while it prepares shards, and with records enough some more, for
// which a few are kept (worker/fold/reader_slots.h). It has buffers, threads' stacks and tables besides what --memory
// divides: kJobBytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "worker/core/memory_budget.h"

namespace tenfold {

struct Capacity {
  // 0 for any number.
  uint32_t max_jobs = 0;
  // What allows no more: "its --memory of 64MiB".
  std::string limit;
  // Readers beyond those that each job has.
  size_t extra_readers = 0;
};

// `open_files` is how many the process may have.
inline Capacity CapacityOf(size_t open_files, const MemoryBudget& memory) {
  constexpr size_t kOwnFiles = 400;
  constexpr size_t kReaderFiles = 14;
  constexpr size_t kMostJobs = 100'000;
  const size_t readers = open_files <= kOwnFiles ? 0 : (open_files - kOwnFiles) / kReaderFiles;
  Capacity capacity;
  capacity.extra_readers = readers / 8;
  const size_t by_files = std::clamp<size_t>((readers - capacity.extra_readers) / 2, 1, kMostJobs);
  capacity.max_jobs = static_cast<uint32_t>(by_files);
  capacity.limit = absl::StrCat("its limit of ", open_files, " open files");
  if (memory.bytes == 0 || memory.Jobs() >= by_files) return capacity;
  capacity.max_jobs = static_cast<uint32_t>(memory.Jobs());
  capacity.limit = absl::StrCat("its --memory of ", memory.bytes >> 20, "MiB");
  return capacity;
}

}  // namespace tenfold
