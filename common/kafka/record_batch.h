// Kafka's record batches of format v2, as the answer to a Fetch has them one after the other
// (https://kafka.apache.org/documentation/#recordbatch). Pure. Errors are sentences without their subject.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/kafka/log.h"
#include "common/kafka/wire_buffer.h"

namespace tenfold {

// What a batch uncompresses to may have at most so many bytes.
inline constexpr size_t kMaxUncompressedBytes = size_t{512} << 20;

enum class BatchCodec : uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };

// The header of a batch, and views of the bytes that it was taken from.
struct RecordBatch {
  int64_t base_offset = 0;
  int32_t leader_epoch = -1;
  int16_t attributes = 0;
  // Of the last offset that the batch covers; compaction may have removed its record.
  int32_t last_offset_delta = 0;
  // Milliseconds.
  int64_t base_timestamp = 0;
  int64_t max_timestamp = 0;
  int64_t producer_id = -1;
  int32_t count = 0;
  // The records, compressed as the codec says.
  std::string_view records;

  int64_t last_offset() const { return base_offset + last_offset_delta; }
  BatchCodec codec() const { return static_cast<BatchCodec>(attributes & 7); }
  // The broker's clock gave every record the batch's latest timestamp.
  bool has_append_time() const { return (attributes & 0x08) != 0; }
  bool is_transactional() const { return (attributes & 0x10) != 0; }
  // It has a marker that ends a transaction, in the place of records.
  bool is_control() const { return (attributes & 0x20) != 0; }
};

// How far the batches in an answer go, as their headers say, which nothing has checked.
struct BatchExtent {
  // Of the whole batches.
  size_t whole_bytes = 0;
  // Behind the last of them, and its leader's epoch; -1 if there is none.
  int64_t next_offset = -1;
  int32_t epoch = -1;
  // The size of the batch behind them that is cut off; 0 if there is none, or not even its size.
  int64_t cut_bytes = 0;
};
BatchExtent FindExtent(std::string_view bytes);

// Takes the first batch off the bytes. Returns false if there is no whole one left: a broker cuts the last one off wherever
// its limit is. DATA_LOSS if the batch is damaged, UNIMPLEMENTED for the formats before v2.
absl::StatusOr<bool> TakeBatch(std::string_view* bytes, RecordBatch* batch);

// Whether the marker of this control batch says that the transaction was aborted; not if compaction has removed it.
// DATA_LOSS if it has another record in its place.
absl::StatusOr<bool> IsAbort(const RecordBatch& batch);

// Uncompresses batches. Keeps what its libraries need from one to the next. Used by one thread at a time.
class BatchUncompressor {
 public:
  BatchUncompressor();
  ~BatchUncompressor();
  BatchUncompressor(const BatchUncompressor&) = delete;
  BatchUncompressor& operator=(const BatchUncompressor&) = delete;

  // Returns the records: a view of the batch's own where it is not compressed, otherwise of `buffer`, which it fills.
  // DATA_LOSS if they are damaged or have more than `most` bytes, UNIMPLEMENTED for a codec that is not known.
  absl::StatusOr<std::string_view> Uncompress(const RecordBatch& batch, WireBuffer* buffer,
                                              size_t most = kMaxUncompressedBytes);

 private:
  struct Contexts;
  const std::unique_ptr<Contexts> contexts_;
};

// Reads the records of a batch, some at a time.
class BatchRecords {
 public:
  BatchRecords() = default;
  // `records` are the batch's, uncompressed; they outlive what is read. Records below `from` are left out.
  BatchRecords(const RecordBatch& batch, std::string_view records, int64_t from)
      : next_(records.data()),
        end_(next_ + records.size()),
        base_offset_(batch.base_offset),
        from_(from),
        last_delta_(batch.last_offset_delta),
        left_(batch.count) {}

  // Appends the next records, at most `most`, with these numbers and the address of their bytes as handle. DATA_LOSS if
  // they are damaged.
  absl::Status Read(uint32_t position, uint32_t batch, size_t most, std::vector<LogRecord>* records);
  bool done() const { return left_ <= 0; }

 private:
  const char* next_ = nullptr;
  const char* end_ = nullptr;
  int64_t base_offset_ = 0;
  int64_t from_ = 0;
  int32_t last_delta_ = 0;
  int32_t left_ = 0;
  // Of the record before.
  int32_t delta_ = -1;
};

// LogReader::ReadParts and Hash of the record whose bytes begin at `handle`, as BatchRecords gives it, in this batch.
void ReadRecordParts(const RecordBatch& batch, const void* handle, RecordParts* parts);
uint64_t HashRecord(const RecordBatch& batch, const void* handle);

}  // namespace tenfold
