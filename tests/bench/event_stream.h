// The benchmark's events, the same for the same seed, and their exact sums: the reference that a published result must
// equal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/number/units.h"
#include "nlohmann/json.hpp"

namespace tenfold::bench {

// SplitMix64: the same numbers everywhere, unlike the standard library's distributions.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  // Below `limit`, which is far below 2^32.
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(((Next() >> 32) * limit) >> 32); }
  // In [0, 1).
  double Fraction() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

// Draws keys 0 to keys - 1 with weights 1 / rank^exponent, 0 for equal ones, in constant time (Walker's alias method). Ranks
// are shuffled against keys, so that hot keys are no shorter than others.
class ZipfKeys {
 public:
  ZipfKeys(uint32_t keys, double exponent);
  uint32_t Draw(Random* random) const;

 private:
  struct Slot {
    double own_share;
    uint32_t own;
    uint32_t alias;
  };
  std::vector<Slot> slots_;
};

// One record, `page37|5|1.5119122|-1`, or in JSON with four more fields:
// {"id":"7-40017","page":"page37","country":"de","clicks":5,"minutes":1.5119122,"like":-1,"agent":"Mozilla/5.0 (X11;
// Linux)","ms":1700000040017}
struct Event {
  uint32_t page = 0;
  uint32_t clicks = 0;
  // In units of 1e-7.
  uint32_t minutes_e7 = 0;
  int32_t like = 0;

  static Event Draw(uint32_t page, Random* random);
  // 0.8*clicks + 0.8*minutes + 1*like, which is a multiple of 1e-9.
  int64_t Contribution() const;
  // Writes at most kMaxBytes and returns the end.
  char* Format(char* out) const;
  char* FormatJson(char* out) const;
  // The same eight fields: Avro by kAvroSchema, and a message Event of kDescriptors, with their numbers in that order;
  // minutes are doubles, whose shortest decimal is what the text has.
  std::string FormatAvro() const;
  std::string FormatProtobuf() const;
  static constexpr size_t kMaxBytes = 48;
  static constexpr size_t kMaxJsonBytes = 192;
};

extern const char* const kAvroSchema;
// A google.protobuf.FileDescriptorSet.
std::string Descriptors();

std::string PageName(uint32_t page);

// Exact totals, a page an entry.
class ExactSums {
 public:
  void Add(const Event& event);
  uint64_t records() const { return records_; }
  // {"records": N, "keys": N, "key_bytes": N, "top": [{"key": "page1", "score": "2.2"}, ...]}; score descending, then key
  // ascending by bytes.
  nlohmann::ordered_json Reference() const;

 private:
  struct Row {
    Units sum = 0;
    uint64_t count = 0;
  };
  std::vector<Row> rows_;
  uint64_t records_ = 0;
};

}  // namespace tenfold::bench
