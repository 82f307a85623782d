#include "common/kafka/record_batch.h"

#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/wire_fixture.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr BatchCodec kCodecs[] = {BatchCodec::kNone, BatchCodec::kGzip, BatchCodec::kSnappy, BatchCodec::kLz4,
                                  BatchCodec::kZstd};

MadeRecord Value(int64_t delta, std::string value) {
  MadeRecord record;
  record.delta = delta;
  record.value = std::move(value);
  return record;
}

MadeBatch Records(size_t count) {
  MadeBatch batch;
  batch.base_offset = 100;
  for (size_t i = 0; i < count; ++i)
    batch.records.push_back(Value(static_cast<int64_t>(i), absl::StrCat("page", i, "|", i)));
  return batch;
}

struct ReadBatch {
  absl::Status status;
  std::vector<std::pair<int64_t, std::string>> records;
};

// Reads the first batch of the bytes, `step` records at a time.
ReadBatch Read(std::string_view bytes, int64_t from = 0, size_t step = 1'000) {
  ReadBatch read;
  RecordBatch batch;
  const absl::StatusOr<bool> taken = TakeBatch(&bytes, &batch);
  if (!taken.ok() || !*taken) return {taken.ok() ? absl::NotFoundError("none") : taken.status(), {}};
  BatchUncompressor uncompressor;
  WireBuffer buffer;
  const absl::StatusOr<std::string_view> records = uncompressor.Uncompress(batch, &buffer);
  if (!records.ok()) return {records.status(), {}};
  BatchRecords reader(batch, *records, from);
  while (read.status.ok() && !reader.done()) {
    std::vector<LogRecord> found;
    read.status = reader.Read(3, 7, step, &found);
    EXPECT_LE(found.size(), step);
    for (const LogRecord& record : found) {
      EXPECT_EQ(record.position, 3U);
      EXPECT_EQ(record.batch, 7U);
      read.records.emplace_back(record.offset, record.value);
    }
  }
  return read;
}

TEST(RecordBatchTest, EveryCodecGivesTheSameRecords) {
  const ReadBatch plain = Read(BatchBytes(Records(5'000)));
  ASSERT_TRUE(plain.status.ok()) << plain.status;
  ASSERT_EQ(plain.records.size(), 5'000U);
  EXPECT_EQ(plain.records.back(), std::pair(int64_t{5'099}, std::string("page4999|4999")));
  for (const BatchCodec codec : kCodecs) {
    MadeBatch batch = Records(5'000);
    batch.codec = codec;
    EXPECT_EQ(Read(BatchBytes(batch)).records, plain.records) << static_cast<int>(codec);
    EXPECT_EQ(Read(BatchBytes(batch), 0, 7).records, plain.records) << static_cast<int>(codec);
  }
}

TEST(RecordBatchTest, SnappyInJavasFramesIsRead) {
  MadeBatch batch = Records(100);
  std::string records;
  for (const MadeRecord& record : batch.records) records += RecordBytes(record);
  WireOutput framed;
  for (const char byte : std::string_view("\x82SNAPPY\0", 8)) framed.Add(byte);
  framed.Add(int32_t{1});
  framed.Add(int32_t{1});
  std::string body = framed.bytes();
  for (size_t at = 0; at < records.size(); at += 500) {
    const std::string block = Compress(BatchCodec::kSnappy, records.substr(at, 500));
    WireOutput size;
    size.Add(static_cast<int32_t>(block.size()));
    body += size.bytes() + block;
  }
  batch.codec = BatchCodec::kSnappy;
  batch.body = body;
  EXPECT_EQ(Read(BatchBytes(batch)).records, Read(BatchBytes(Records(100))).records);
  batch.body = body.substr(0, body.size() - 1);
  EXPECT_TRUE(absl::IsDataLoss(Read(BatchBytes(batch)).status));
}

TEST(RecordBatchTest, RecordsBelowTheOffsetAskedForAreLeftOut) {
  EXPECT_THAT(Read(BatchBytes(Records(4)), 102).records, ElementsAre(Pair(102, "page2|2"), Pair(103, "page3|3")));
}

TEST(RecordBatchTest, CompactionLeavesGaps) {
  MadeBatch batch;
  batch.base_offset = 10;
  batch.records = {Value(1, "a"), Value(5, "b")};
  batch.last_offset_delta = 9;
  EXPECT_THAT(Read(BatchBytes(batch)).records, ElementsAre(Pair(11, "a"), Pair(15, "b")));
  std::string_view bytes;
  const std::string made = BatchBytes(batch);
  bytes = made;
  RecordBatch header;
  ASSERT_TRUE(*TakeBatch(&bytes, &header));
  EXPECT_EQ(header.last_offset(), 19);
  EXPECT_TRUE(bytes.empty());
}

TEST(RecordBatchTest, NullAndEmptyValuesAreEmpty) {
  MadeBatch batch;
  batch.records = {Value(0, ""), MadeRecord{.delta = 1, .key = {}, .value = {}, .headers = {}}};
  EXPECT_THAT(Read(BatchBytes(batch)).records, ElementsAre(Pair(0, ""), Pair(1, "")));
}

TEST(RecordBatchTest, ABatchThatIsCutOffIsNotTaken) {
  const std::string whole = BatchBytes(Records(3));
  for (size_t size = 0; size < whole.size(); ++size) {
    std::string_view bytes = std::string_view(whole).substr(0, size);
    RecordBatch batch;
    const absl::StatusOr<bool> taken = TakeBatch(&bytes, &batch);
    ASSERT_TRUE(taken.ok()) << size << taken.status();
    EXPECT_FALSE(*taken) << size;
  }
}

TEST(RecordBatchTest, AnyBitThatFlipsIsNoticed) {
  for (const BatchCodec codec : {BatchCodec::kNone, BatchCodec::kZstd}) {
    MadeBatch made = Records(3);
    made.codec = codec;
    const std::string whole = BatchBytes(made);
    // Of what stands before the checksum, only its own place in the log is not covered, nor the leader's epoch.
    for (size_t byte = 16; byte < whole.size(); ++byte) {
      std::string flipped = whole;
      flipped[byte] = static_cast<char>(flipped[byte] ^ 0x10);
      EXPECT_FALSE(Read(flipped).status.ok()) << byte;
    }
  }
}

TEST(RecordBatchTest, OlderFormatsAndOtherCodecsAreNamed) {
  std::string old = BatchBytes(Records(1));
  old[16] = 1;
  const absl::Status format = Read(old).status;
  EXPECT_TRUE(absl::IsUnimplemented(format));
  EXPECT_THAT(std::string(format.message()), HasSubstr("format v1"));
  MadeBatch codec = Records(1);
  codec.attributes = 5;
  EXPECT_TRUE(absl::IsUnimplemented(Read(BatchBytes(codec)).status)) << Read(BatchBytes(codec)).status;
}

TEST(RecordBatchTest, RecordsThatContradictTheBatchAreDamage) {
  MadeBatch backwards = Records(2);
  backwards.records[0].delta = 1;
  backwards.records[1].delta = 1;
  EXPECT_TRUE(absl::IsDataLoss(Read(BatchBytes(backwards)).status));
  MadeBatch beyond = Records(2);
  beyond.last_offset_delta = 1;
  beyond.records[1].delta = 2;
  EXPECT_TRUE(absl::IsDataLoss(Read(BatchBytes(beyond)).status));
  MadeBatch fewer = Records(1);
  fewer.records.push_back(Value(1, "x"));
  fewer.body = RecordBytes(fewer.records[0]);
  EXPECT_TRUE(absl::IsDataLoss(Read(BatchBytes(fewer)).status));
  MadeBatch longer = Records(1);
  std::string body = RecordBytes(longer.records[0]);
  body[0] = 0x7e;
  longer.body = body;
  EXPECT_TRUE(absl::IsDataLoss(Read(BatchBytes(longer)).status));
}

TEST(RecordBatchTest, WhatUncompressesToTooMuchIsRefused) {
  MadeBatch batch = Records(1);
  batch.records[0].value = std::string(300'000, 'x');
  for (const BatchCodec codec : kCodecs) {
    if (codec == BatchCodec::kNone) continue;
    batch.codec = codec;
    const std::string bytes = BatchBytes(batch);
    std::string_view rest = bytes;
    RecordBatch header;
    ASSERT_TRUE(*TakeBatch(&rest, &header));
    BatchUncompressor uncompressor;
    WireBuffer buffer;
    EXPECT_TRUE(absl::IsDataLoss(uncompressor.Uncompress(header, &buffer, 100'000).status())) << static_cast<int>(codec);
    EXPECT_TRUE(uncompressor.Uncompress(header, &buffer).ok()) << static_cast<int>(codec);
  }
}

TEST(RecordBatchTest, MarkersSayHowTheTransactionEnded) {
  for (const bool abort : {true, false}) {
    const std::string bytes = MarkerBytes(5, 77, abort);
    std::string_view rest = bytes;
    RecordBatch batch;
    ASSERT_TRUE(*TakeBatch(&rest, &batch));
    EXPECT_TRUE(batch.is_control());
    EXPECT_EQ(batch.producer_id, 77);
    EXPECT_EQ(IsAbort(batch).value(), abort);
  }
  MadeBatch emptied;
  emptied.attributes = 0x30;
  MadeBatch markerless = emptied;
  markerless.records.resize(1);
  const std::string bytes = BatchBytes(emptied) + BatchBytes(markerless);
  std::string_view rest = bytes;
  RecordBatch batch;
  ASSERT_TRUE(*TakeBatch(&rest, &batch));
  EXPECT_FALSE(IsAbort(batch).value()) << "compaction removes markers";
  ASSERT_TRUE(*TakeBatch(&rest, &batch));
  EXPECT_TRUE(absl::IsDataLoss(IsAbort(batch).status()));
}

uint64_t HashOf(const MadeRecord& record, int16_t attributes = 0) {
  MadeBatch made;
  made.records = {record};
  made.attributes = attributes;
  const std::string bytes = BatchBytes(made);
  std::string_view rest = bytes;
  RecordBatch batch;
  EXPECT_TRUE(*TakeBatch(&rest, &batch));
  BatchRecords reader(batch, batch.records, 0);
  std::vector<LogRecord> records;
  EXPECT_TRUE(reader.Read(0, 0, 1, &records).ok());
  return HashRecord(batch, records.at(0).handle);
}

TEST(RecordBatchTest, HashesTellWhatDiffersInOneThing) {
  MadeRecord base = Value(0, "v");
  base.key = "k";
  base.headers = {{"h", "x"}};
  std::vector<MadeRecord> others(8, base);
  others[0].key = std::nullopt;
  others[1].key = "";
  others[2].value = std::nullopt;
  others[3].headers[0].second = std::nullopt;
  others[4].headers[0].first = "i";
  others[5].headers.clear();
  others[6].timestamp_delta = 1;
  others[7].headers.push_back({"h", "x"});
  std::vector<uint64_t> hashes = {HashOf(base), HashOf(base, 0x08)};
  for (const MadeRecord& other : others) hashes.push_back(HashOf(other));
  for (size_t i = 0; i < hashes.size(); ++i) {
    for (size_t j = i + 1; j < hashes.size(); ++j) EXPECT_NE(hashes[i], hashes[j]) << i << " " << j;
  }
  EXPECT_EQ(HashOf(base), HashOf(base));
}

TEST(RecordBatchTest, NothingReadsBeyondWhatIsThere) {
  std::minstd_rand random(7);
  for (int i = 0; i < 20'000; ++i) {
    MadeBatch made = Records(3);
    made.codec = kCodecs[random() % 5];
    std::string body = Compress(made.codec, RecordBytes(made.records[0]) + RecordBytes(made.records[1]));
    for (size_t flips = 1 + random() % 3; flips > 0; --flips) body[random() % body.size()] = static_cast<char>(random());
    made.body = body;
    // The checksum is right, so that the bytes are looked at.
    Read(BatchBytes(made));
  }
}

}  // namespace
}  // namespace tenfold
