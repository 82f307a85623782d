// The oracle's own reading of Protocol Buffers, by libprotobuf's messages without generated code.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor_database.h"
#include "google/protobuf/dynamic_message.h"
#include "job_spec.pb.h"

namespace tenfold::oracle {

// What is at a place of a message.
struct ProtobufFound {
  // A string, a number, a boolean, a list, or what no field can be.
  char kind = 'o';
  std::string text;
  // Of a google.protobuf.Timestamp, which is a number: what it counts.
  TimestampUnit unit = TIMESTAMP_TEXT;
  std::vector<ProtobufFound> items;
};

class ProtobufTree {
 public:
  // The format has passed the rules.
  explicit ProtobufTree(const ProtobufFormat& format);

  // False for what is no message of the schema. Otherwise At is of this record until the next one is read.
  bool Read(std::string_view value);
  // What is where the steps lead, "." before a name, "[" before an index or *; nullopt for null.
  std::optional<ProtobufFound> At(const std::vector<std::string>& steps) const;

 private:
  using Message = google::protobuf::Message;
  using Field = google::protobuf::FieldDescriptor;
  using Steps = std::span<const std::string>;

  static std::optional<ProtobufFound> In(const Message& message, Steps steps);
  static std::optional<ProtobufFound> InMap(const Message& message, const Field& field, Steps steps);
  static std::optional<ProtobufFound> InList(const Message& message, const Field& field, Steps steps);

  google::protobuf::SimpleDescriptorDatabase files_;
  google::protobuf::DescriptorPoolDatabase well_known_;
  google::protobuf::MergedDescriptorDatabase all_;
  google::protobuf::DescriptorPool pool_;
  google::protobuf::DynamicMessageFactory factory_;
  std::unique_ptr<Message> message_;
  const bool confluent_;
};

}  // namespace tenfold::oracle
