// Record batches and brokers' answers, made byte by byte for tests.
#pragma once

#include <isa-l/crc.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "common/kafka/record_batch.h"
#include "common/kafka/wire_format.h"
#include "common/kafka/wire_messages.h"

namespace tenfold {

struct MadeRecord {
  int64_t delta = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  int64_t timestamp_delta = 0;
};

inline void AddZigzag(int64_t number, std::string* out) {
  auto bits = (static_cast<uint64_t>(number) << 1) ^ static_cast<uint64_t>(number >> 63);
  for (; bits >= 0x80; bits >>= 7) out->push_back(static_cast<char>(bits | 0x80));
  out->push_back(static_cast<char>(bits));
}

inline void AddBytes(const std::optional<std::string>& bytes, std::string* out) {
  AddZigzag(bytes ? static_cast<int64_t>(bytes->size()) : -1, out);
  if (bytes) out->append(*bytes);
}

inline std::string RecordBytes(const MadeRecord& record) {
  std::string body(1, '\0');
  AddZigzag(record.timestamp_delta, &body);
  AddZigzag(record.delta, &body);
  AddBytes(record.key, &body);
  AddBytes(record.value, &body);
  AddZigzag(static_cast<int64_t>(record.headers.size()), &body);
  for (const auto& [name, value] : record.headers) {
    AddBytes(name, &body);
    AddBytes(value, &body);
  }
  std::string bytes;
  AddZigzag(static_cast<int64_t>(body.size()), &bytes);
  return bytes + body;
}

inline std::string Compress(BatchCodec codec, const std::string& bytes) {
  std::string out;
  switch (codec) {
    case BatchCodec::kNone:
      return bytes;
    case BatchCodec::kSnappy:
      snappy::Compress(bytes.data(), bytes.size(), &out);
      return out;
    case BatchCodec::kLz4:
      out.resize(LZ4F_compressFrameBound(bytes.size(), nullptr));
      out.resize(LZ4F_compressFrame(out.data(), out.size(), bytes.data(), bytes.size(), nullptr));
      return out;
    case BatchCodec::kZstd:
      out.resize(ZSTD_compressBound(bytes.size()));
      out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
      return out;
    case BatchCodec::kGzip: {
      z_stream stream{};
      deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
      out.resize(deflateBound(&stream, bytes.size()));
      stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
      stream.avail_in = static_cast<unsigned>(bytes.size());
      stream.next_out = reinterpret_cast<unsigned char*>(out.data());
      stream.avail_out = static_cast<unsigned>(out.size());
      deflate(&stream, Z_FINISH);
      out.resize(stream.total_out);
      deflateEnd(&stream);
      return out;
    }
  }
  return out;
}

struct MadeBatch {
  int64_t base_offset = 0;
  std::vector<MadeRecord> records;
  BatchCodec codec = BatchCodec::kNone;
  int32_t leader_epoch = 0;
  // Besides the codec.
  int16_t attributes = 0;
  int64_t producer_id = -1;
  int64_t base_timestamp = 1'000;
  int64_t max_timestamp = 2'000;
  // If its last records were compacted away.
  std::optional<int32_t> last_offset_delta;
  // In the place of what the codec makes of the records.
  std::optional<std::string> body;
};

inline std::string BatchBytes(const MadeBatch& batch) {
  std::string records;
  int64_t last = 0;
  for (const MadeRecord& record : batch.records) {
    records += RecordBytes(record);
    last = record.delta;
  }
  WireOutput covered;
  covered.Add(static_cast<int16_t>(batch.attributes | static_cast<int16_t>(batch.codec)));
  covered.Add(batch.last_offset_delta.value_or(static_cast<int32_t>(last)));
  covered.Add(batch.base_timestamp);
  covered.Add(batch.max_timestamp);
  covered.Add(batch.producer_id);
  covered.Add(int16_t{0});
  covered.Add(int32_t{-1});
  covered.Add(static_cast<int32_t>(batch.records.size()));
  std::string bytes = covered.bytes() + batch.body.value_or(Compress(batch.codec, records));
  const uint32_t checksum =
      ~crc32_iscsi(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), ~uint32_t{0});
  WireOutput header;
  header.Add(batch.base_offset);
  header.Add(static_cast<int32_t>(bytes.size() + 9));
  header.Add(batch.leader_epoch);
  header.Add(int8_t{2});
  header.Add(checksum);
  return header.bytes() + bytes;
}

// The marker that ends a transaction.
inline std::string MarkerBytes(int64_t offset, int64_t producer_id, bool abort) {
  WireOutput key;
  key.Add(int16_t{0});
  key.Add(static_cast<int16_t>(abort ? 0 : 1));
  MadeRecord record;
  record.key = key.bytes();
  record.value = std::string(6, '\0');
  MadeBatch batch;
  batch.base_offset = offset;
  batch.records = {record};
  batch.attributes = 0x30;
  batch.producer_id = producer_id;
  return BatchBytes(batch);
}

// ---- brokers' answers ----

inline std::string VersionsBytes(WireVersions fetch, WireVersions metadata = {0, 12}) {
  WireOutput out;
  out.Add(int16_t{0});
  out.BeginCompactArray(3);
  const WireVersions offsets = {0, 8};
  for (const auto& [call, versions] : {std::pair(WireCall::kFetch, fetch), std::pair(WireCall::kMetadata, metadata),
                                       std::pair(WireCall::kListOffsets, offsets)}) {
    out.Add(static_cast<int16_t>(call));
    out.Add(versions.least);
    out.Add(versions.most);
    out.AddNoTags();
  }
  out.Add(int32_t{0});
  out.AddNoTags();
  return out.bytes();
}

inline void AddTopicIdTo(const TopicId& id, WireOutput* out) {
  for (const char byte : id) out->Add(byte);
}

inline std::string MetadataBytes(int16_t version, const WireMetadata& metadata) {
  WireOutput out;
  out.Add(int32_t{0});
  out.BeginCompactArray(metadata.brokers.size());
  for (const auto& [id, address] : metadata.brokers) {
    out.Add(id);
    out.AddCompactString(address.host);
    out.Add(static_cast<int32_t>(address.port));
    out.AddVarint(0);
    out.AddNoTags();
  }
  out.AddCompactString("cluster");
  out.Add(int32_t{1});
  out.BeginCompactArray(metadata.topics.size());
  for (const WireMetadata::Topic& topic : metadata.topics) {
    out.Add(static_cast<int16_t>(topic.error));
    out.AddCompactString(topic.name);
    if (version >= 10) AddTopicIdTo(topic.id, &out);
    out.Add(int8_t{0});
    out.BeginCompactArray(topic.partitions.size());
    for (const WireMetadata::Partition& partition : topic.partitions) {
      out.Add(static_cast<int16_t>(partition.error));
      out.Add(partition.partition);
      out.Add(partition.leader);
      out.Add(partition.leader_epoch);
      for (int list = 0; list < 3; ++list) {
        out.BeginCompactArray(1);
        out.Add(int32_t{1});
      }
      out.AddNoTags();
    }
    out.Add(int32_t{0});
    out.AddNoTags();
  }
  if (version <= 10) out.Add(int32_t{0});
  out.AddNoTags();
  return out.bytes();
}

inline std::string FetchedBytes(int16_t version, const WireFetched& fetched) {
  WireOutput out;
  out.Add(fetched.throttle_ms);
  out.Add(static_cast<int16_t>(fetched.error));
  out.Add(int32_t{0});
  out.BeginCompactArray(fetched.partitions.size());
  for (const WireFetched::Partition& partition : fetched.partitions) {
    if (version >= 13) {
      AddTopicIdTo(partition.id, &out);
    } else {
      out.AddCompactString(partition.topic);
    }
    out.BeginCompactArray(1);
    out.Add(partition.partition);
    out.Add(static_cast<int16_t>(partition.error));
    out.Add(partition.high_watermark);
    out.Add(partition.last_stable_offset);
    out.Add(partition.log_start);
    out.BeginCompactArray(partition.aborted.size());
    for (const WireFetched::Aborted& aborted : partition.aborted) {
      out.Add(aborted.producer_id);
      out.Add(aborted.first_offset);
      out.AddNoTags();
    }
    out.Add(partition.preferred_replica);
    out.AddCompactString(partition.records);
    WireOutput diverging;
    diverging.Add(partition.diverging_epoch);
    diverging.Add(partition.diverging_end);
    diverging.AddNoTags();
    WireOutput leader;
    leader.Add(partition.leader);
    leader.Add(partition.leader_epoch);
    leader.AddNoTags();
    out.AddVarint((partition.diverging_epoch >= 0 ? 1U : 0U) + (partition.leader >= 0 ? 1U : 0U));
    for (const auto& [tag, set, bytes] : {std::tuple(0U, partition.diverging_epoch >= 0, diverging.bytes()),
                                          std::tuple(1U, partition.leader >= 0, leader.bytes())}) {
      if (!set) continue;
      out.AddVarint(tag);
      out.AddVarint(static_cast<uint32_t>(bytes.size()));
      for (const char byte : bytes) out.Add(byte);
    }
    out.AddNoTags();
  }
  out.AddNoTags();
  return out.bytes();
}

}  // namespace tenfold
