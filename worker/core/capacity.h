// How many jobs a worker takes: as many as its open files, its threads and its memory suffice for. Pure.
//
// A client of librdkafka 2.0.2 has, for each broker that it knows, three pipes and sockets and up to five more: kReaderFiles
// for three brokers; and a thread for each, three others, and ours that reads from it: kReaderThreads. A job has one that
// reads, another one while it prepares shards, and with records enough some more, for which a few are kept
// (worker/fold/reader_slots.h). It has buffers, threads' stacks and tables besides what --memory divides: kJobBytes.
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

// `open_files` and `threads` are how many the process may have.
inline Capacity CapacityOf(size_t open_files, size_t threads, const MemoryBudget& memory) {
  constexpr size_t kOwnFiles = 400;
  constexpr size_t kReaderFiles = 14;
  constexpr size_t kOwnThreads = 50;
  constexpr size_t kReaderThreads = 8;
  constexpr size_t kMostJobs = 100'000;
  const auto readers_of = [](size_t most, size_t own, size_t of_reader) {
    return most <= own ? 0 : (most - own) / of_reader;
  };
  const size_t of_files = readers_of(open_files, kOwnFiles, kReaderFiles);
  const size_t of_threads = readers_of(threads, kOwnThreads, kReaderThreads);
  const size_t readers = std::min(of_files, of_threads);
  Capacity capacity;
  capacity.extra_readers = readers / 8;
  const size_t by_readers = std::clamp<size_t>((readers - capacity.extra_readers) / 2, 1, kMostJobs);
  capacity.max_jobs = static_cast<uint32_t>(by_readers);
  capacity.limit = of_threads < of_files ? absl::StrCat("its limit of ", threads, " threads")
                                         : absl::StrCat("its limit of ", open_files, " open files");
  if (memory.bytes == 0 || memory.Jobs() >= by_readers) return capacity;
  capacity.max_jobs = static_cast<uint32_t>(memory.Jobs());
  capacity.limit = absl::StrCat("its --memory of ", memory.bytes >> 20, "MiB");
  return capacity;
}

}  // namespace tenfold
