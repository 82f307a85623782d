// The schema of records that are messages of Protocol Buffers, and which fields such records can have. Pure.
#pragma once

#include <memory>
#include <string>

#include "google/protobuf/descriptor.h"
#include "job_spec.pb.h"
#include "jobs/plan/json_path.h"

namespace tenfold {

// Immutable once it was read, so that threads may share it.
class ProtobufSchema {
 public:
  // The message that a record is. It and all that it refers to live as long as the schema.
  const google::protobuf::Descriptor& message() const { return *message_; }
  // Also knows the extensions of messages.
  const google::protobuf::DescriptorPool& pool() const { return pool_; }

 private:
  friend std::shared_ptr<const ProtobufSchema> ReadProtobufSchema(const ProtobufFormat& format, std::string* error);
  ProtobufSchema() = default;

  google::protobuf::DescriptorPool pool_;
  const google::protobuf::Descriptor* message_ = nullptr;
};

// Returns nullptr and what is wrong, which begins with a verb, for descriptors that are unsound, incomplete or without the
// message. Files of the set may be in any order, and those that come with Protocol Buffers may be missing.
std::shared_ptr<const ProtobufSchema> ReadProtobufSchema(const ProtobufFormat& format, std::string* error);

// Whether the message, of a schema, is a google.protobuf.Timestamp, which a timestamp can be read from.
bool IsProtobufTimestamp(const google::protobuf::Descriptor& message);

// Returns "", or why a field of the type, with the unit of a timestamp, cannot be read at the path of a record: numbers are
// read from all numeric types, texts from strings, bytes and enums by the names of their values, timestamps from
// google.protobuf.Timestamp, from strings, and from numbers with a unit, and lists from repeated fields.
std::string ProtobufPlaceProblem(const ProtobufSchema& schema, const JsonPath& path, FieldType type, TimestampUnit unit);

}  // namespace tenfold
