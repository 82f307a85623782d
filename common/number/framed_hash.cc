#include "common/number/framed_hash.h"

#include <vector>

#include "glog/logging.h"
#include "google/protobuf/descriptor.h"
#include "xxhash.h"

namespace tenfold {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Adds one value of a field: the whole field, or entry `index` of a repeated one.
void AddValue(const Message& message, const FieldDescriptor& field, int index, FramedHash* hash) {
  const Reflection& reflection = *message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return hash->Add(static_cast<uint64_t>(repeated ? reflection.GetRepeatedInt32(message, &field, index)
                                                      : reflection.GetInt32(message, &field)));
    case FieldDescriptor::CPPTYPE_INT64:
      return hash->Add(static_cast<uint64_t>(repeated ? reflection.GetRepeatedInt64(message, &field, index)
                                                      : reflection.GetInt64(message, &field)));
    case FieldDescriptor::CPPTYPE_UINT32:
      return hash->Add(
          uint64_t{repeated ? reflection.GetRepeatedUInt32(message, &field, index) : reflection.GetUInt32(message, &field)});
    case FieldDescriptor::CPPTYPE_UINT64:
      return hash->Add(repeated ? reflection.GetRepeatedUInt64(message, &field, index)
                                : reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return hash->Add(
          uint64_t{repeated ? reflection.GetRepeatedBool(message, &field, index) : reflection.GetBool(message, &field)});
    case FieldDescriptor::CPPTYPE_ENUM:
      return hash->Add(static_cast<uint64_t>(repeated ? reflection.GetRepeatedEnumValue(message, &field, index)
                                                      : reflection.GetEnumValue(message, &field)));
    case FieldDescriptor::CPPTYPE_STRING:
      return hash->Add(repeated ? reflection.GetRepeatedString(message, &field, index)
                                : reflection.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return hash->Add(repeated ? reflection.GetRepeatedMessage(message, &field, index)
                                : reflection.GetMessage(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      LOG(FATAL) << field.full_name() << " is a floating-point number, which is not hashed";
  }
}

}  // namespace

void FramedHash::Add(uint64_t value) {
  for (int byte = 0; byte < 8; ++byte) frames_ += static_cast<char>(value >> (8 * byte) & 0xff);
}

void FramedHash::Add(std::string_view text) {
  Add(text.size());
  frames_ += text;
}

void FramedHash::Add(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    CHECK(!field->is_map()) << field->full_name() << " is a map, which has no order";
    Add(static_cast<uint64_t>(field->number()));
    const int count = field->is_repeated() ? message.GetReflection()->FieldSize(message, field) : 1;
    if (field->is_repeated()) Add(static_cast<uint64_t>(count));
    for (int i = 0; i < count; ++i) AddValue(message, *field, i, this);
  }
  // Marks the end of the message, as no field has the number 0.
  Add(uint64_t{0});
}

uint64_t FramedHash::Finish() const { return XXH3_64bits(frames_.data(), frames_.size()); }

}  // namespace tenfold
