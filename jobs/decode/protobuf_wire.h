// The wire format of Protocol Buffers: tags, which are a field's number and a wire type, and values. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/limits.h"
#include "google/protobuf/wire_format_lite.h"

namespace tenfold {

inline constexpr uint32_t kWireVarint = google::protobuf::internal::WireFormatLite::WIRETYPE_VARINT;
inline constexpr uint32_t kWireFixed64 = google::protobuf::internal::WireFormatLite::WIRETYPE_FIXED64;
inline constexpr uint32_t kWireBytes = google::protobuf::internal::WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
inline constexpr uint32_t kWireGroup = google::protobuf::internal::WireFormatLite::WIRETYPE_START_GROUP;
inline constexpr uint32_t kWireEndGroup = google::protobuf::internal::WireFormatLite::WIRETYPE_END_GROUP;
inline constexpr uint32_t kWireFixed32 = google::protobuf::internal::WireFormatLite::WIRETYPE_FIXED32;

inline uint32_t NumberOf(uint32_t tag) { return tag >> 3; }
inline uint32_t WireTypeOf(uint32_t tag) { return tag & 7; }

// Bytes that are not read yet. Functions that read return false for what is malformed, and then may have read some of it.
struct WireCursor {
  const char* at;
  const char* end;

  std::string_view text() const { return {at, left()}; }
  size_t left() const { return static_cast<size_t>(end - at); }

  // At most `most` bytes; bits beyond 64 do not count.
  bool ReadVarint(size_t most, uint64_t* value) {
    uint64_t read = 0;
    for (size_t i = 0; i < most && at != end; ++i) {
      const auto byte = static_cast<uint8_t>(*at++);
      read |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte >= 0x80) continue;
      *value = read;
      return true;
    }
    return false;
  }
  // Bits of a tag beyond 32 do not count, as libprotobuf has it.
  bool ReadTag(uint32_t* tag) {
    uint64_t value = 0;
    if (!ReadVarint(5, &value)) return false;
    *tag = static_cast<uint32_t>(value);
    return NumberOf(*tag) != 0;
  }
  bool ReadBytes(WireCursor* bytes) {
    uint64_t size = 0;
    if (!ReadVarint(5, &size) || size > left()) return false;
    *bytes = {at, at + size};
    at += size;
    return true;
  }
  bool ReadFixed(size_t size, uint64_t* bits) {
    if (left() < size) return false;
    *bits = 0;
    std::memcpy(bits, at, size);
    at += size;
    return true;
  }
  // A number, boolean or enum.
  bool ReadNumber(uint32_t wire_type, uint64_t* bits) {
    if (wire_type == kWireVarint) return ReadVarint(10, bits);
    return ReadFixed(wire_type == kWireFixed32 ? 4 : 8, bits);
  }
  bool Skip(uint32_t tag, size_t depth) {
    uint64_t bits = 0;
    WireCursor bytes;
    switch (WireTypeOf(tag)) {
      case kWireVarint:
      case kWireFixed64:
      case kWireFixed32:
        return ReadNumber(WireTypeOf(tag), &bits);
      case kWireBytes:
        return ReadBytes(&bytes);
      case kWireGroup:
        return SkipGroup(NumberOf(tag), depth);
      default:
        return false;
    }
  }
  // A zero, the four bytes of a schema's id, and a counted list of indexes.
  bool ReadConfluentHeader() {
    constexpr size_t kFixedBytes = 5;
    if (left() < kFixedBytes || *at != 0) return false;
    at += kFixedBytes;
    uint64_t encoded = 0;
    if (!ReadVarint(10, &encoded)) return false;
    int64_t count = google::protobuf::internal::WireFormatLite::ZigZagDecode64(encoded);
    if (count < 0) return false;
    for (; count > 0; --count) {
      if (!ReadVarint(10, &encoded)) return false;
    }
    return true;
  }
  bool SkipGroup(uint32_t number, size_t depth) {
    if (depth == kMaxJsonDepth) return false;
    uint32_t tag = 0;
    while (ReadTag(&tag)) {
      if (WireTypeOf(tag) == kWireEndGroup) return NumberOf(tag) == number;
      if (!Skip(tag, depth + 1)) return false;
    }
    return false;
  }
};

}  // namespace tenfold
