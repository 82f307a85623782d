#include "jobs/decode/format_reader.h"

#include <utility>

#include "common/limits.h"

namespace tenfold {

FormatReader::FormatReader(const Plan& plan) : index_(plan.fields.size()) {
  std::vector<size_t> columns;
  std::vector<JsonPath> paths;
  for (size_t i = 0; i < plan.fields.size(); ++i) {
    const FieldPlace& place = plan.fields[i].place;
    if (place.IsOfRecord()) continue;
    index_[i] = size_++;
    columns.push_back(place.column);
    paths.push_back(place.path);
  }
  if (plan.format.has_json()) {
    json_ = std::make_unique<JsonReader>(paths);
  } else if (plan.format.has_regex()) {
    regex_ = std::make_unique<RegexReader>(plan.format.regex(), columns);
  } else if (plan.format.has_avro()) {
    avro_ = std::make_unique<AvroReader>(plan.format.avro(), paths);
  } else if (plan.format.has_protobuf()) {
    protobuf_ = std::make_unique<ProtobufReader>(plan.format.protobuf(), paths);
  } else if (!plan.format.has_text()) {
    delimited_ = std::make_unique<DelimitedReader>(plan.format.delimited(), std::move(columns));
  }
}

void FormatReader::Clear() {
  if (json_ != nullptr) json_->Clear();
  if (delimited_ != nullptr) delimited_->Clear();
  if (avro_ != nullptr) avro_->Clear();
  if (protobuf_ != nullptr) protobuf_->Clear();
}

BadReason FormatReader::Read(std::string_view value, std::span<RawValue> values) {
  if (value.empty()) return BAD_EMPTY_RECORD;
  if (value.size() > kMaxRecordBytes) return BAD_RECORD_TOO_LARGE;
  if (json_ != nullptr) return json_->Read(value, values);
  if (delimited_ != nullptr) return delimited_->Read(value, values);
  if (regex_ != nullptr) return regex_->Read(value, values);
  if (avro_ != nullptr) return avro_->Read(value, values);
  if (protobuf_ != nullptr) return protobuf_->Read(value, values);
  for (RawValue& text : values) text = {.kind = RawValue::Kind::kBytes, .text = value};
  return BAD_NONE;
}

}  // namespace tenfold
