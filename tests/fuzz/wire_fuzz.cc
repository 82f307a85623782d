// Feeds any bytes to what reads brokers' answers: nothing may crash, read beyond them or take memory without bounds. Batches
// get the right length and checksum, so that what is in them is looked at.
#include <isa-l/crc.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/kafka/fetch_machine.h"
#include "common/kafka/record_batch.h"
#include "common/kafka/wire_format.h"
#include "common/kafka/wire_login.h"
#include "common/kafka/wire_messages.h"
#include "tests/unit/common/wire_fixture.h"

namespace tenfold {
namespace {

constexpr size_t kMostUncompressed = 1 << 20;

void ReadBatch(std::string bytes) {
  constexpr size_t kHeader = 61, kCovered = 21;
  if (bytes.size() < kHeader) return;
  WireOutput length;
  length.Add(static_cast<int32_t>(bytes.size() - 12));
  bytes.replace(8, 4, length.bytes());
  bytes[0] = 0;
  bytes[16] = 2;
  WireOutput checksum;
  checksum.Add(~crc32_iscsi(reinterpret_cast<unsigned char*>(bytes.data()) + kCovered,
                            static_cast<int>(bytes.size() - kCovered), ~uint32_t{0}));
  bytes.replace(17, 4, checksum.bytes());
  std::string_view rest = bytes;
  RecordBatch batch;
  const absl::StatusOr<bool> taken = TakeBatch(&rest, &batch);
  if (!taken.ok() || !*taken) return;
  (void)IsAbort(batch);
  static auto* const uncompressor = new BatchUncompressor;
  WireBuffer buffer;
  const absl::StatusOr<std::string_view> records = uncompressor->Uncompress(batch, &buffer, kMostUncompressed);
  if (!records.ok()) return;
  BatchRecords reader(batch, *records, batch.base_offset + 1);
  while (!reader.done()) {
    std::vector<LogRecord> found;
    if (!reader.Read(0, 0, 100, &found).ok()) return;
    for (const LogRecord& record : found) HashRecord(batch, record.handle);
  }
}

WireMetadata Leaders() {
  WireMetadata metadata;
  metadata.brokers = {{1, {"b", 1}}};
  WireMetadata::Topic topic;
  topic.name = "t";
  topic.partitions = {{0, WireError::kNone, 1, 0}};
  metadata.topics = {topic};
  return metadata;
}

// Has a machine take the bytes for the answer to its first Fetch.
void ReadByMachine(std::string_view bytes) {
  FetchMachine machine({.bootstrap = {{"b", 1}}});
  machine.Assign({{{"t", 0}, 0}}, 1);
  int64_t now_us = 1;
  for (int step = 0; step < 20; ++step) {
    for (const FetchMachine::Action& action : machine.Act(++now_us)) {
      if (action.kind == FetchMachine::Action::Kind::kOpen) machine.OnOpen(action.connection);
      if (action.kind != FetchMachine::Action::Kind::kAsk) continue;
      const std::string answer = action.call == WireCall::kApiVersions ? VersionsBytes({0, 13})
                                 : action.call == WireCall::kMetadata  ? MetadataBytes(action.version, Leaders())
                                                                       : std::string(bytes);
      (void)machine.OnAnswer(action.connection, answer, now_us);
    }
  }
  machine.TakeEvents();
}

// Has a login take the bytes for the broker's answers, one after the other.
void LogIn(bool plain, std::string_view bytes) {
  WireLogin login({plain ? "PLAIN" : "SCRAM-SHA-256", "user", "secret"}, "nonce", -1);
  for (int step = 0; step < 5; ++step) {
    // Versions of one call, then an offer of no mechanism.
    const size_t size = std::min<size_t>(bytes.size(), step == 0 ? 12 : step == 1 ? 7 : bytes.size() / 2);
    const absl::StatusOr<std::optional<WireQuestion>> next = login.OnAnswer(bytes.substr(0, size));
    if (!next.ok() || !*next) return;
    bytes.remove_prefix(size);
  }
}

}  // namespace
}  // namespace tenfold

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 9) {
    case 0:
    case 1:
      (void)tenfold::ReadFetched(static_cast<int16_t>(12 + data[0] % 2), bytes);
      break;
    case 2:
      (void)tenfold::ReadMetadata(static_cast<int16_t>(9 + data[0] / 8 % 4), bytes);
      break;
    case 3:
      (void)tenfold::ReadApiVersions(bytes);
      (void)tenfold::ReadFirstOffset(bytes);
      break;
    case 4:
      tenfold::ReadByMachine(bytes);
      break;
    case 5:
      tenfold::LogIn(data[0] / 9 % 2 == 0, bytes);
      break;
    default:
      tenfold::ReadBatch(std::string(bytes));
  }
  return 0;
}
