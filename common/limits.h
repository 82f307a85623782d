// Limits and defaults that users, or several classes, rely on. Input beyond a limit is refused, and the error names it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenfold {

// R1. Digits as written in a number's mantissa, and the size of its written exponent.
inline constexpr int kMaxNumberDigits = 40;
inline constexpr int kMaxNumberExponent = 60;
// An initial score is below 2^kInitialScoreBits units in size.
inline constexpr int kInitialScoreBits = 120;

inline constexpr size_t kMaxRecordBytes = 1 << 20;
inline constexpr size_t kMaxKeyBytes = 1 << 10;

inline constexpr size_t kMaxSpecBytes = 64 << 10;
inline constexpr size_t kMaxScoreTerms = 64;
inline constexpr size_t kMaxFields = 256;
inline constexpr uint32_t kMaxTop = 1000;
inline constexpr uint32_t kMinBatchIntervalMs = 10;
inline constexpr uint32_t kMaxBatchIntervalMs = 3'600'000;

// Shards of a job: partition index i lies in shard i mod kShards.
inline constexpr uint32_t kShards = 64;

// Bad records kept as samples, a partition, and the bytes kept of each.
inline constexpr size_t kMaxBadSamples = 3;
inline constexpr size_t kMaxSampleBytes = 80;

// Calls that may wait at the driver at a time: each keeps one of its server's threads, which heartbeats need too.
inline constexpr int kMaxWaitingCalls = 128;

// Cancelled jobs that are still shown.
inline constexpr size_t kMaxCancelledShown = 100;

// Batches that a job goes on making while a sink does not take them, unless the driver's --sink-backlog says otherwise.
inline constexpr uint64_t kSinkBacklog = 100'000;

// Keys of a job whose changes a worker keeps until the driver has them; with more it is asked as if it knew none.
inline constexpr size_t kMaxKeptChanges = 1 << 20;

// For what the merges of all jobs keep at the driver (totals, candidates, known entries), unless its --merge-memory says
// otherwise.
inline constexpr uint64_t kMergeMemoryBytes = 1 << 30;
// What the merge of one job may take of it in any case.
inline constexpr uint64_t kLeastMergeBytes = 1 << 20;

// Of entries and look-ups: where the merge by thresholds reads no more of a worker, it is not left for changes.
inline constexpr uint64_t kMergeFloorEntries = 32;

// gRPC refuses larger messages; replies that could be larger are cut into parts of about half of it.
inline constexpr size_t kMaxMessageBytes = 16 << 20;

}  // namespace tenfold
