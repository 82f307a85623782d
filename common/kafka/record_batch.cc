#include "common/kafka/record_batch.h"

#include <isa-l/crc.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/kafka/record_hash.h"
#include "common/kafka/wire_format.h"

namespace tenfold {
namespace {

// The bytes before the batch's length ends, behind which the length counts, and those of its header, as far as the records.
constexpr size_t kPrefixBytes = 12;
constexpr size_t kHeaderBytes = 61;
// Where its format is told, and where what its checksum covers begins.
constexpr size_t kMagicAt = 16;
constexpr size_t kCoveredAt = 21;
// Where the delta of its last offset is.
constexpr size_t kLastDeltaAt = 23;
// A batch begins no later, so that no offset of it overflows.
constexpr int64_t kMostOffset = std::numeric_limits<int64_t>::max() - std::numeric_limits<int32_t>::max() - 1;

uint32_t Crc32c(std::string_view bytes) {
  // The library takes no const pointer, but only reads.
  auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  return ~crc32_iscsi(data, static_cast<int>(bytes.size()), ~uint32_t{0});
}

absl::Status Damaged(std::string_view what) { return absl::DataLossError(absl::StrCat("is damaged: ", std::string(what))); }

// Reads a zigzag varint of at most 64 bits. Returns nullptr if it does not end before `end`.
const char* ReadLong(const char* next, const char* end, int64_t* number) {
  uint64_t bits = 0;
  for (int shift = 0; shift < 70 && next != end; shift += 7) {
    const auto byte = static_cast<unsigned char>(*next++);
    bits |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *number = static_cast<int64_t>(bits >> 1) ^ -static_cast<int64_t>(bits & 1);
      return next;
    }
  }
  return nullptr;
}

// The usual number is below 64, and so a single byte.
inline const char* ReadNumber(const char* next, const char* end, int64_t* number) {
  if (next < end && static_cast<unsigned char>(*next) < 0x80) [[likely]] {
    const auto bits = static_cast<unsigned char>(*next);
    *number = static_cast<int64_t>(bits >> 1) ^ -static_cast<int64_t>(bits & 1);
    return next + 1;
  }
  return ReadLong(next, end, number);
}

// Reads a length and skips so many bytes, of which -1, for null, has none. Returns nullptr if they do not end before `end`.
inline const char* ReadBytes(const char* next, const char* end, int64_t* size, const char** bytes) {
  next = ReadNumber(next, end, size);
  if (next == nullptr || *size < -1 || *size > end - next) return nullptr;
  *bytes = *size < 0 ? nullptr : next;
  return next + std::max<int64_t>(*size, 0);
}

// Null, whose size is -1, has no bytes.
inline size_t SizeOf(int64_t size) { return static_cast<size_t>(std::max<int64_t>(size, 0)); }

// Nullopt for null.
std::optional<std::string_view> ViewOf(const char* bytes, int64_t size) {
  if (bytes == nullptr) return std::nullopt;
  return std::string_view(bytes, SizeOf(size));
}

// A record behind its length. Null has no bytes and the size -1.
struct Fields {
  int64_t timestamp = 0;
  int64_t delta = 0;
  const char* key = nullptr;
  int64_t key_size = 0;
  const char* value = nullptr;
  int64_t value_size = 0;
  // The number of headers, and the headers.
  const char* headers = nullptr;
  const char* end = nullptr;
};

// Reads a record of at least one byte up to its headers. False if they do not end before `end`.
inline bool ReadFields(const char* next, const char* end, Fields* fields) {
  ++next;  // attributes, of which there are none
  next = ReadNumber(next, end, &fields->timestamp);
  if (next != nullptr) next = ReadNumber(next, end, &fields->delta);
  if (next != nullptr) next = ReadBytes(next, end, &fields->key_size, &fields->key);
  if (next != nullptr) next = ReadBytes(next, end, &fields->value_size, &fields->value);
  fields->headers = next;
  fields->end = end;
  return next != nullptr;
}

// The fields of a record that BatchRecords has read and checked, at its handle.
Fields FieldsOf(const void* handle) {
  constexpr size_t kMostLengthBytes = 10;
  const auto* begin = static_cast<const char*>(handle);
  int64_t length = 0;
  const char* const next = ReadNumber(begin, begin + kMostLengthBytes, &length);
  Fields fields;
  ReadFields(next, next + length, &fields);
  return fields;
}

}  // namespace

BatchExtent FindExtent(std::string_view bytes) {
  BatchExtent extent;
  while (bytes.size() - extent.whole_bytes >= kPrefixBytes) {
    const std::string_view rest = bytes.substr(extent.whole_bytes);
    WireInput in(rest);
    const auto offset = in.Take<int64_t>();
    const auto length = in.Take<int32_t>();
    const int64_t size = static_cast<int64_t>(kPrefixBytes) + std::max(length, 0);
    if (size > static_cast<int64_t>(rest.size())) {
      extent.cut_bytes = size;
      break;
    }
    // TakeBatch tells of a batch that makes no sense.
    int32_t delta = 0;
    if (size >= static_cast<int64_t>(kLastDeltaAt + sizeof(delta)) && rest[kMagicAt] == 2) {
      extent.epoch = in.Take<int32_t>();
      delta = WireInput(rest.substr(kLastDeltaAt)).Take<int32_t>();
    }
    if (offset <= kMostOffset) extent.next_offset = std::max(extent.next_offset, offset + std::max(delta, 0) + 1);
    extent.whole_bytes += static_cast<size_t>(size);
  }
  return extent;
}

absl::StatusOr<bool> TakeBatch(std::string_view* bytes, RecordBatch* batch) {
  if (bytes->size() < kPrefixBytes) return false;
  WireInput in(*bytes);
  batch->base_offset = in.Take<int64_t>();
  const auto length = in.Take<int32_t>();
  if (length < 0 || batch->base_offset < 0 || batch->base_offset > kMostOffset)
    return Damaged("its length or offset makes no sense");
  // The formats before v2 have their number in the same place.
  if (bytes->size() > kMagicAt && (*bytes)[kMagicAt] != 2) {
    return absl::UnimplementedError(
        absl::StrCat("is in format v", static_cast<int>((*bytes)[kMagicAt]), ", and only v2 can be read"));
  }
  const size_t size = kPrefixBytes + static_cast<size_t>(length);
  if (size > bytes->size()) return false;
  if (size < kHeaderBytes) return Damaged("it is too short");
  const std::string_view whole = bytes->substr(0, size);
  batch->leader_epoch = in.Take<int32_t>();
  in.Take<int8_t>();
  const auto checksum = in.Take<uint32_t>();
  if (Crc32c(whole.substr(kCoveredAt)) != checksum) return Damaged("its checksum is another");
  batch->attributes = in.Take<int16_t>();
  batch->last_offset_delta = in.Take<int32_t>();
  batch->base_timestamp = in.Take<int64_t>();
  batch->max_timestamp = in.Take<int64_t>();
  batch->producer_id = in.Take<int64_t>();
  in.Take<int16_t>();  // producer epoch
  in.Take<int32_t>();  // base sequence
  batch->count = in.Take<int32_t>();
  if (batch->count < 0 || batch->last_offset_delta < 0 || batch->count > int64_t{batch->last_offset_delta} + 1)
    return Damaged("its offsets contradict each other");
  batch->records = whole.substr(kHeaderBytes);
  bytes->remove_prefix(size);
  return true;
}

absl::StatusOr<bool> IsAbort(const RecordBatch& batch) {
  // Compaction keeps a producer's last batch, even when it has removed the marker in it.
  if (batch.count == 0) return false;
  if (batch.codec() != BatchCodec::kNone) return Damaged("the marker of a transaction is compressed");
  std::vector<LogRecord> records;
  BatchRecords reader(batch, batch.records, 0);
  if (!reader.Read(0, 0, 1, &records).ok() || records.empty()) return Damaged("it has no marker of a transaction");
  const Fields marker = FieldsOf(records[0].handle);
  // The marker's kind is in its key, behind a version of two bytes.
  if (marker.key_size < 4) return Damaged("its marker of a transaction is none");
  WireInput in(std::string_view(marker.key, 4));
  in.Take<int16_t>();
  return in.Take<int16_t>() == 0;
}

absl::Status BatchRecords::Read(uint32_t position, uint32_t batch, size_t most, std::vector<LogRecord>* records) {
  for (size_t i = 0; i < most && left_ > 0; --left_) {
    const char* const begin = next_;
    int64_t length = 0;
    const char* const next = ReadNumber(begin, end_, &length);
    if (next == nullptr || length < 1 || length > end_ - next) return Damaged("a record ends beyond it");
    const char* const end = next + length;
    Fields fields;
    if (!ReadFields(next, end, &fields) || fields.delta <= delta_ || fields.delta > last_delta_)
      return Damaged("a record makes no sense");
    delta_ = static_cast<int32_t>(fields.delta);
    next_ = end;
    const int64_t offset = base_offset_ + fields.delta;
    if (offset < from_) continue;
    ++i;
    records->push_back({position, batch, offset, std::string_view(fields.value, SizeOf(fields.value_size)), begin});
  }
  return absl::OkStatus();
}

void ReadRecordParts(const RecordBatch& batch, const void* handle, RecordParts* parts) {
  const Fields fields = FieldsOf(handle);
  // Unsigned, as the sum of what a broker sends may overflow.
  const auto at =
      static_cast<int64_t>(static_cast<uint64_t>(batch.base_timestamp) + static_cast<uint64_t>(fields.timestamp));
  parts->timestamp_ms = batch.has_append_time() ? batch.max_timestamp : at;
  parts->key = ViewOf(fields.key, fields.key_size);
  parts->headers.clear();
  int64_t headers = 0;
  const char* next = ReadNumber(fields.headers, fields.end, &headers);
  for (; next != nullptr && headers > 0; --headers) {
    int64_t size = 0;
    const char* bytes = nullptr;
    next = ReadBytes(next, fields.end, &size, &bytes);
    if (next == nullptr || bytes == nullptr) break;
    // librdkafka's names end at a zero byte, and both readers give the same.
    const std::string_view name(bytes, strnlen(bytes, static_cast<size_t>(size)));
    next = ReadBytes(next, fields.end, &size, &bytes);
    if (next != nullptr) parts->headers.push_back({name, ViewOf(bytes, size)});
  }
}

uint64_t HashRecord(const RecordBatch& batch, const void* handle) {
  RecordParts parts;
  ReadRecordParts(batch, handle, &parts);
  const Fields fields = FieldsOf(handle);
  return RecordHash::Of(parts, ViewOf(fields.value, fields.value_size));
}

// ---- compression ----

struct BatchUncompressor::Contexts {
  ~Contexts() {
    LZ4F_freeDecompressionContext(lz4);
    ZSTD_freeDCtx(zstd);
    if (has_gzip) inflateEnd(&gzip);
  }
  LZ4F_dctx* lz4 = nullptr;
  ZSTD_DCtx* zstd = nullptr;
  z_stream gzip{};
  bool has_gzip = false;
};

BatchUncompressor::BatchUncompressor() : contexts_(std::make_unique<Contexts>()) {}
BatchUncompressor::~BatchUncompressor() = default;

namespace {

// Makes room behind what the buffer holds already. False once it may not grow any more.
bool Grow(size_t size, size_t most, WireBuffer* buffer) {
  if (size < buffer->size()) return true;
  if (size >= most) return false;
  buffer->Grow(std::min(most, std::max<size_t>(2 * size, 1 << 10)));
  return true;
}

absl::Status TooLarge(size_t most) {
  return absl::DataLossError(absl::StrCat("uncompresses to more than ", most >> 20, " MiB"));
}

// What Java's clients write in the place of plain Snappy: a header, then blocks with their sizes.
constexpr std::string_view kXerial("\x82SNAPPY\0", 8);
constexpr size_t kXerialBytes = 16;

absl::Status UncompressSnappyBlock(std::string_view block, size_t most, WireBuffer* buffer, size_t* size) {
  size_t block_size = 0;
  if (!snappy::GetUncompressedLength(block.data(), block.size(), &block_size))
    return Damaged("its Snappy block makes no sense");
  if (block_size > most - *size) return TooLarge(most);
  if (buffer->size() < *size + block_size) buffer->Grow(std::min(most, std::max(*size + block_size, 2 * *size)));
  if (!snappy::RawUncompress(block.data(), block.size(), buffer->data() + *size))
    return Damaged("its Snappy block makes no sense");
  *size += block_size;
  return absl::OkStatus();
}

absl::Status UncompressSnappy(std::string_view in, size_t most, WireBuffer* buffer, size_t* size) {
  if (!in.starts_with(kXerial)) return UncompressSnappyBlock(in, most, buffer, size);
  if (in.size() < kXerialBytes) return Damaged("its Snappy header is cut off");
  in.remove_prefix(kXerialBytes);
  while (!in.empty()) {
    const auto block = WireInput(in).Take<int32_t>();
    if (in.size() < 4 || block < 0 || static_cast<size_t>(block) > in.size() - 4)
      return Damaged("a Snappy block ends beyond it");
    if (absl::Status status = UncompressSnappyBlock(in.substr(4, static_cast<size_t>(block)), most, buffer, size);
        !status.ok())
      return status;
    in.remove_prefix(4 + static_cast<size_t>(block));
  }
  return absl::OkStatus();
}

absl::Status UncompressLz4(LZ4F_dctx* context, std::string_view in, size_t most, WireBuffer* buffer, size_t* size) {
  LZ4F_resetDecompressionContext(context);
  for (;;) {
    if (!Grow(*size, most, buffer)) return TooLarge(most);
    size_t taken = in.size();
    size_t given = buffer->size() - *size;
    const size_t hint = LZ4F_decompress(context, buffer->data() + *size, &given, in.data(), &taken, nullptr);
    if (LZ4F_isError(hint)) return Damaged(absl::StrCat("lz4 says ", LZ4F_getErrorName(hint)));
    in.remove_prefix(taken);
    *size += given;
    if (hint == 0) return absl::OkStatus();
    if (in.empty() && *size < buffer->size()) return Damaged("its lz4 frame is cut off");
  }
}

absl::Status UncompressZstd(ZSTD_DCtx* context, std::string_view bytes, size_t most, WireBuffer* buffer, size_t* size) {
  ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (;;) {
    if (!Grow(*size, most, buffer)) return TooLarge(most);
    ZSTD_outBuffer out{buffer->data(), buffer->size(), *size};
    const size_t hint = ZSTD_decompressStream(context, &out, &in);
    if (ZSTD_isError(hint) != 0) return Damaged(absl::StrCat("zstd says ", ZSTD_getErrorName(hint)));
    *size = out.pos;
    if (hint == 0 && in.pos == in.size) return absl::OkStatus();
    if (in.pos == in.size && out.pos < out.size) return Damaged("its zstd frame is cut off");
  }
}

absl::Status UncompressGzip(z_stream* stream, std::string_view in, size_t most, WireBuffer* buffer, size_t* size) {
  inflateReset(stream);
  stream->next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(in.data()));
  stream->avail_in = static_cast<unsigned>(in.size());
  for (;;) {
    if (!Grow(*size, most, buffer)) return TooLarge(most);
    stream->next_out = reinterpret_cast<unsigned char*>(buffer->data() + *size);
    stream->avail_out = static_cast<unsigned>(buffer->size() - *size);
    const int result = inflate(stream, Z_NO_FLUSH);
    *size = buffer->size() - stream->avail_out;
    if (result == Z_STREAM_END && stream->avail_in == 0) return absl::OkStatus();
    // Another member follows.
    if (result == Z_STREAM_END) {
      inflateReset(stream);
      continue;
    }
    if (result != Z_OK && result != Z_BUF_ERROR)
      return Damaged(absl::StrCat("gzip says ", stream->msg == nullptr ? "nothing" : stream->msg));
    if (stream->avail_in == 0 && stream->avail_out > 0) return Damaged("its gzip stream is cut off");
  }
}

}  // namespace

absl::StatusOr<std::string_view> BatchUncompressor::Uncompress(const RecordBatch& batch, WireBuffer* buffer, size_t most) {
  Contexts* const use = contexts_.get();
  const std::string_view in = batch.records;
  size_t size = 0;
  absl::Status status;
  // Most batches have a few times the size that they are sent with.
  buffer->Resize(std::min(most, std::max(buffer->capacity(), 4 * in.size() + 256)));
  switch (batch.codec()) {
    case BatchCodec::kNone:
      return in;
    case BatchCodec::kGzip:
      // 32 takes gzip's and zlib's header alike.
      if (!use->has_gzip) use->has_gzip = inflateInit2(&use->gzip, 15 + 32) == Z_OK;
      if (!use->has_gzip) return absl::ResourceExhaustedError("finds no memory to uncompress");
      status = UncompressGzip(&use->gzip, in, most, buffer, &size);
      break;
    case BatchCodec::kSnappy:
      status = UncompressSnappy(in, most, buffer, &size);
      break;
    case BatchCodec::kLz4:
      if (use->lz4 == nullptr && LZ4F_isError(LZ4F_createDecompressionContext(&use->lz4, LZ4F_VERSION)))
        return absl::ResourceExhaustedError("finds no memory to uncompress");
      status = UncompressLz4(use->lz4, in, most, buffer, &size);
      break;
    case BatchCodec::kZstd:
      if (use->zstd == nullptr) use->zstd = ZSTD_createDCtx();
      if (use->zstd == nullptr) return absl::ResourceExhaustedError("finds no memory to uncompress");
      status = UncompressZstd(use->zstd, in, most, buffer, &size);
      break;
    default:
      return absl::UnimplementedError(
          absl::StrCat("is compressed with codec ", batch.attributes & 7, ", which is not known here"));
  }
  if (!status.ok()) return status;
  return buffer->view().substr(0, size);
}

}  // namespace tenfold
