#include "jobs/oracle/protobuf_tree.h"

#include <cstdint>
#include <limits>
#include <type_traits>

#include "boost/multiprecision/cpp_int.hpp"
#include "common/limits.h"
#include "glog/logging.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/stubs/logging.h"
#include "jobs/oracle/float_text.h"

namespace tenfold::oracle {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

template <typename Number>
ProtobufFound NumberFound(Number number) {
  if constexpr (std::is_floating_point_v<Number>) {
    return {.kind = 'n', .text = FloatText(number), .items = {}};
  } else {
    return {.kind = 'n', .text = std::to_string(number), .items = {}};
  }
}

ProtobufFound BooleanFound(bool value) { return {.kind = 'b', .text = value ? "true" : "false", .items = {}}; }

ProtobufFound EnumFound(const FieldDescriptor& field, int number) {
  const auto* const symbol = field.enum_type()->FindValueByNumber(number);
  return {.kind = 's', .text = symbol != nullptr ? symbol->name() : std::to_string(number), .items = {}};
}

ProtobufFound MessageFound(const Message& message) {
  if (message.GetDescriptor()->full_name() != "google.protobuf.Timestamp") return {};
  const auto& reflection = *message.GetReflection();
  const auto field = [&](const char* name) { return message.GetDescriptor()->FindFieldByName(name); };
  boost::multiprecision::cpp_int nanos = reflection.GetInt64(message, field("seconds"));
  nanos = nanos * 1'000'000'000 + reflection.GetInt32(message, field("nanos"));
  boost::multiprecision::cpp_int us = nanos / 1000;
  if (us * 1000 > nanos) --us;
  if (us > std::numeric_limits<int64_t>::max()) us = std::numeric_limits<int64_t>::max();
  if (us < std::numeric_limits<int64_t>::min()) us = std::numeric_limits<int64_t>::min();
  return {.kind = 'n', .text = us.str(), .unit = TIMESTAMP_MICROSECONDS, .items = {}};
}

// The value of a field, of a repeated one that at the index, whether it is set or not.
ProtobufFound ValueFound(const Message& message, const FieldDescriptor& field, int index = 0) {
  const auto& reflection = *message.GetReflection();
  const bool one = !field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return NumberFound(one ? reflection.GetInt32(message, &field) : reflection.GetRepeatedInt32(message, &field, index));
    case FieldDescriptor::CPPTYPE_INT64:
      return NumberFound(one ? reflection.GetInt64(message, &field) : reflection.GetRepeatedInt64(message, &field, index));
    case FieldDescriptor::CPPTYPE_UINT32:
      return NumberFound(one ? reflection.GetUInt32(message, &field) : reflection.GetRepeatedUInt32(message, &field, index));
    case FieldDescriptor::CPPTYPE_UINT64:
      return NumberFound(one ? reflection.GetUInt64(message, &field) : reflection.GetRepeatedUInt64(message, &field, index));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return NumberFound(one ? reflection.GetFloat(message, &field) : reflection.GetRepeatedFloat(message, &field, index));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return NumberFound(one ? reflection.GetDouble(message, &field) : reflection.GetRepeatedDouble(message, &field, index));
    case FieldDescriptor::CPPTYPE_BOOL:
      return BooleanFound(one ? reflection.GetBool(message, &field) : reflection.GetRepeatedBool(message, &field, index));
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumFound(
          field, one ? reflection.GetEnumValue(message, &field) : reflection.GetRepeatedEnumValue(message, &field, index));
    case FieldDescriptor::CPPTYPE_STRING:
      return {.kind = 's',
              .text = one ? reflection.GetString(message, &field) : reflection.GetRepeatedString(message, &field, index),
              .items = {}};
    default:
      return MessageFound(one ? reflection.GetMessage(message, &field)
                              : reflection.GetRepeatedMessage(message, &field, index));
  }
}

}  // namespace

ProtobufTree::ProtobufTree(const ProtobufFormat& format)
    : well_known_(*DescriptorPool::generated_pool()),
      all_(&files_, &well_known_),
      pool_(&all_),
      factory_(&pool_),
      confluent_(format.confluent()) {
  google::protobuf::FileDescriptorSet set;
  CHECK(set.ParsePartialFromString(format.descriptors()));
  for (const auto& file : set.file()) files_.Add(file);
  const Descriptor* const descriptor = pool_.FindMessageTypeByName(format.message());
  CHECK(descriptor != nullptr) << format.message();
  message_.reset(factory_.GetPrototype(descriptor)->New());
}

bool ProtobufTree::Read(std::string_view value) {
  // What is bad in a record is no news for a log.
  const google::protobuf::LogSilencer silencer;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(value.data()), static_cast<int>(value.size()));
  in.SetRecursionLimit(static_cast<int>(kMaxJsonDepth));
  if (confluent_) {
    std::string start;
    uint64_t count = 0;
    if (!in.ReadString(&start, 5) || start[0] != 0 || !in.ReadVarint64(&count)) return false;
    // In zigzag, where an odd number is a negative one.
    if (count % 2 == 1) return false;
    for (uint64_t index = 0; count > 0; count -= 2) {
      if (!in.ReadVarint64(&index)) return false;
    }
  }
  message_->Clear();
  return message_->MergePartialFromCodedStream(&in) && in.ConsumedEntireMessage() && message_->IsInitialized();
}

std::optional<ProtobufFound> ProtobufTree::At(const std::vector<std::string>& steps) const { return In(*message_, steps); }

std::optional<ProtobufFound> ProtobufTree::In(const Message& message, Steps steps) {
  if (steps.empty()) return MessageFound(message);
  if (steps[0][0] != '.') return std::nullopt;
  const Field* const field = message.GetDescriptor()->FindFieldByName(steps[0].substr(1));
  if (field == nullptr) return std::nullopt;
  const Steps rest = steps.subspan(1);
  if (field->is_repeated()) {
    if (rest.empty()) return ProtobufFound();
    return field->is_map() ? InMap(message, *field, rest) : InList(message, *field, rest);
  }
  const auto& reflection = *message.GetReflection();
  const bool set = !field->has_presence() || reflection.HasField(message, field);
  if (field->message_type() != nullptr) return set ? In(reflection.GetMessage(message, field), rest) : std::nullopt;
  if (!rest.empty() || (!set && !field->has_default_value())) return std::nullopt;
  return ValueFound(message, *field);
}

std::optional<ProtobufFound> ProtobufTree::InMap(const Message& message, const Field& field, Steps steps) {
  if (steps[0][0] != '.') return std::nullopt;
  const auto& reflection = *message.GetReflection();
  for (int i = reflection.FieldSize(message, &field); i > 0; --i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i - 1);
    if (ValueFound(entry, *field.message_type()->map_key()).text != steps[0].substr(1)) continue;
    const Field& value = *field.message_type()->map_value();
    const Steps rest = steps.subspan(1);
    if (value.message_type() != nullptr) return In(entry.GetReflection()->GetMessage(entry, &value), rest);
    return rest.empty() ? std::optional(ValueFound(entry, value)) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<ProtobufFound> ProtobufTree::InList(const Message& message, const Field& field, Steps steps) {
  const auto& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, &field);
  if (steps[0] == "[*") {
    ProtobufFound list{.kind = 'l', .text = "", .items = {}};
    for (int i = 0; i < size; ++i) {
      list.items.push_back(field.message_type() == nullptr ? ValueFound(message, field, i) : ProtobufFound());
    }
    return list;
  }
  if (steps[0][0] != '[' || std::stoi(steps[0].substr(1)) >= size) return std::nullopt;
  const int index = std::stoi(steps[0].substr(1));
  const Steps rest = steps.subspan(1);
  if (field.message_type() != nullptr) return In(reflection.GetRepeatedMessage(message, &field, index), rest);
  return rest.empty() ? std::optional(ValueFound(message, field, index)) : std::nullopt;
}

}  // namespace tenfold::oracle
