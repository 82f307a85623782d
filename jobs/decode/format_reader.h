// Reads from a record's value, by the format of a plan, what stands at the places of the plan's fields. Pure; used by one
// thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/limits.h"
#include "jobs/decode/avro_format.h"
#include "jobs/decode/delimited_format.h"
#include "jobs/decode/json_format.h"
#include "jobs/decode/learned_schemas.h"
#include "jobs/decode/protobuf_format.h"
#include "jobs/decode/record.h"
#include "jobs/decode/regex_format.h"
#include "jobs/plan/plan.h"
#include "state.pb.h"

namespace tenfold {

class FormatReader {
 public:
  explicit FormatReader(const Plan& plan);

  // How many values Read returns.
  size_t size() const { return size_; }
  // Which of them a field of the plan has that is of the record's value.
  size_t index(uint32_t field) const { return index_[field]; }

  // Of a format with a registry: what that has said so far, and the schema that a record names and that was not said,
  // without which it cannot be read.
  void SetSchemas(const std::shared_ptr<const LearnedSchemas>& schemas) {
    if (avro_ != nullptr) avro_->SetSchemas(schemas);
  }
  std::optional<uint32_t> MissingSchema(std::string_view value) {
    return avro_ == nullptr || value.size() > kMaxRecordBytes ? std::nullopt : avro_->MissingSchema(value);
  }

  // Ends what was read before.
  void Clear();
  // BAD_NONE, BAD_EMPTY_RECORD, BAD_RECORD_TOO_LARGE, or what the format's reader says.
  BadReason Read(std::string_view value, std::span<RawValue> values);

 private:
  size_t size_ = 0;
  std::vector<size_t> index_;
  // One of them is set, unless the whole value is each of the values.
  std::unique_ptr<DelimitedReader> delimited_;
  std::unique_ptr<JsonReader> json_;
  std::unique_ptr<RegexReader> regex_;
  std::unique_ptr<AvroReader> avro_;
  std::unique_ptr<ProtobufReader> protobuf_;
};

}  // namespace tenfold
