// Limits and defaults that users or several classes rely on. Input that exceeds a limit is refused with an error naming it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenfold {

// R1's limits: the digits of a number before its exponent, as written, and the absolute value of the exponent as written.
inline constexpr int kMaxNumberDigits = 40;
inline constexpr int kMaxNumberExponent = 60;
// An initial score's absolute value is below 2^kInitialScoreBits units.
inline constexpr int kInitialScoreBits = 120;

inline constexpr size_t kMaxRecordBytes = 1 << 20;
inline constexpr size_t kMaxKeyBytes = 1 << 10;

inline constexpr size_t kMaxSpecBytes = 64 << 10;
inline constexpr size_t kMaxScoreTerms = 64;
inline constexpr size_t kMaxFields = 256;
// The operands, operators and calls of all expressions of a spec together, and how deep they may nest.
inline constexpr size_t kMaxExpressionNodes = 1000;
inline constexpr size_t kMaxExpressionDepth = 64;
// The digits that a number of an expression may have while it is computed, before and after its point and of its divisor.
inline constexpr int kMaxExpressionDigits = 2000;
inline constexpr size_t kMaxLets = 64;
// Panes that a window covers, changes of a time zone's distance from UTC, and how long a window may wait for late records.
inline constexpr size_t kMaxPanes = 1000;
inline constexpr size_t kMaxZoneChanges = 1000;
inline constexpr int64_t kMaxLatenessUs = int64_t{366} * 86'400 * 1'000'000;
// The elements of a list that is exploded.
inline constexpr size_t kMaxElements = 1000;
// The tables that expressions look up, and the bytes of all their keys and values.
inline constexpr size_t kMaxTables = 8;
inline constexpr size_t kMaxTableBytes = 1 << 20;
inline constexpr size_t kMaxSources = 16;
inline constexpr size_t kMaxTopics = 256;
inline constexpr size_t kMaxKeyParts = 8;
inline constexpr size_t kMaxMeasures = 16;
inline constexpr uint32_t kMaxGroups = 1000;
// The sums of a row: one for each measure, two of a quotient, and one more for each that may be null.
inline constexpr size_t kMaxSums = 2 * kMaxMeasures;
// The bytes of keys and measures that a result may have, where a measure counts as so many.
inline constexpr size_t kMaxResultBytes = 1 << 20;
inline constexpr size_t kBytesPerMeasure = 24;
inline constexpr size_t kMaxPatternBytes = 4 << 10;
// How deep the objects and arrays of a record may nest, or the types of a schema.
inline constexpr size_t kMaxJsonDepth = 64;
// The file of a schema that records are written by, or of descriptors.
inline constexpr size_t kMaxSchemaBytes = 256 << 10;
// How many schemas of a registry the records of a job may name, and the bytes of all of them.
inline constexpr size_t kMaxSchemas = 1000;
inline constexpr size_t kMaxSchemasBytes = 4 << 20;
// How many values a record may have by its schema, of which some take no bytes.
constexpr size_t MaxSchemaValues(size_t record_bytes) { return 1000 + 16 * record_bytes; }
// How deep files of descriptors may import each other.
inline constexpr size_t kMaxImports = 200;
inline constexpr uint32_t kMaxTop = 1000;
inline constexpr uint32_t kMinBatchIntervalMs = 10;
inline constexpr uint32_t kMaxBatchIntervalMs = 3'600'000;

// The most shards a job has: the partition with index i lies in shard i mod kShards.
inline constexpr uint32_t kShards = 64;

// How many bad records of each partition are kept as samples, and how many bytes of each.
inline constexpr size_t kMaxBadSamples = 3;
inline constexpr size_t kMaxSampleBytes = 80;
// How long the name of a field, or of an expression that had no value, is where bad records are counted.
inline constexpr size_t kMaxSubjectBytes = 128;

// How many calls may wait at the driver at a time. Each of them occupies a thread of its server, which heartbeats need too.
inline constexpr int kMaxWaitingCalls = 128;

// How many cancelled jobs are still shown.
inline constexpr size_t kMaxCancelledShown = 100;

// How many batches a job publishes while a sink does not take them, unless the driver's --sink-backlog says otherwise.
inline constexpr uint64_t kSinkBacklog = 100'000;

// For how many keys of a job a worker keeps changes until the driver has them. If more change, it drops all of them.
inline constexpr size_t kMaxKeptChanges = 1 << 20;

// The memory, in bytes, that the merges of all jobs may take at the driver (for totals, candidates and known entries),
// unless its --merge-memory says otherwise.
inline constexpr uint64_t kMergeMemoryBytes = 1 << 30;
// The part of kMergeMemoryBytes that the merge of each job may take in any case, in bytes.
inline constexpr uint64_t kLeastMergeBytes = 1 << 20;

// Entries and look-ups for each worker and batch: a merge by thresholds that needs no more is kept, as it is cheap enough.
inline constexpr uint64_t kMergeFloorEntries = 32;

// The largest message, in bytes, that gRPC accepts; replies that could be larger are split into parts of about half of it.
inline constexpr size_t kMaxMessageBytes = 16 << 20;

}  // namespace tenfold
