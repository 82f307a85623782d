#include "jobs/plan/protobuf_schema.h"

#include <charconv>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "common/limits.h"
#include "common/text/shown_text.h"
#include "common/text/suggestion.h"
#include "fmt/format.h"
#include "google/protobuf/descriptor.pb.h"

namespace tenfold {
namespace {

namespace pb = google::protobuf;
using Type = pb::FieldDescriptor;

constexpr char kTimestamp[] = "google.protobuf.Timestamp";

// Keeps the first error of a file.
class FirstError : public pb::DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string& file, const std::string& element, const pb::Message* /*descriptor*/,
                ErrorLocation /*location*/, const std::string& message) override {
    if (text_.empty()) text_ = fmt::format("{}: {}: {}", Shown(file), Shown(element), Shown(message));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Builds the files of a set into a pool, what a file imports before the file.
class PoolBuilder {
 public:
  PoolBuilder(const pb::FileDescriptorSet& set, pb::DescriptorPool* pool) : pool_(pool) {
    for (const pb::FileDescriptorProto& file : set.file()) files_.emplace(file.name(), &file);
  }

  // False and the error for a file that cannot be built.
  bool Build(const pb::FileDescriptorProto& file, size_t depth = 0) {
    if (depth > kMaxImports) {
      error_ = fmt::format("has files that import each other over {} deep", kMaxImports);
      return false;
    }
    if (const auto [begun, added] = built_.emplace(file.name(), false); !added) {
      if (!begun->second) error_ = fmt::format("has {}, which imports itself", Shown(file.name()));
      return begun->second;
    }
    for (const std::string& import : file.dependency()) {
      if (const auto found = files_.find(import); found != files_.end()) {
        if (!Build(*found->second, depth + 1)) return false;
        continue;
      }
      const bool known = import.starts_with("google/protobuf/");
      const pb::FileDescriptor* const own = known ? pb::DescriptorPool::generated_pool()->FindFileByName(import) : nullptr;
      if (own == nullptr) {
        error_ = fmt::format("lacks {}, which {} imports; protoc puts it in with --include_imports", Shown(import),
                             Shown(file.name()));
        return false;
      }
      pb::FileDescriptorProto copy;
      own->CopyTo(&copy);
      if (!Build(copy, depth + 1)) return false;
    }
    FirstError first;
    built_[file.name()] = pool_->BuildFileCollectingErrors(file, &first) != nullptr;
    if (built_[file.name()]) return true;
    error_ = fmt::format("is unsound: {}", first.text());
    return false;
  }

  const std::string& error() const { return error_; }

 private:
  pb::DescriptorPool* const pool_;
  std::map<std::string, const pb::FileDescriptorProto*, std::less<>> files_;
  // Whether a file that was begun is in the pool.
  std::map<std::string, bool, std::less<>> built_;
  std::string error_;
};

// Adds the names of the messages and of those in them. `old` becomes the name of one in the format of message sets, which
// only very old programs write.
template <typename Messages>
void ListMessages(const std::string& scope, const Messages& messages, std::vector<std::string>* names, std::string* old) {
  for (const pb::DescriptorProto& message : messages) {
    if (message.options().map_entry()) continue;
    const std::string name = scope.empty() ? message.name() : fmt::format("{}.{}", scope, message.name());
    names->push_back(name);
    if (message.options().message_set_wire_format()) *old = name;
    ListMessages(name, message.nested_type(), names, old);
  }
}

bool HasSecondsAndNanos(const pb::Descriptor& message) {
  const auto is = [&](int number, const char* name, Type::Type type) {
    const Type* const field = message.FindFieldByNumber(number);
    return field != nullptr && field->name() == name && field->type() == type && !field->is_repeated() &&
           field->containing_oneof() == nullptr && !field->has_default_value();
  };
  return is(1, "seconds", Type::TYPE_INT64) && is(2, "nanos", Type::TYPE_INT32);
}

// "a, b and c", at most five of them.
std::string Listed(const std::vector<std::string>& names) {
  constexpr size_t kMost = 5;
  std::string listed;
  for (size_t i = 0; i < names.size() && i < kMost; ++i) {
    const bool last = i + 1 == names.size();
    listed += fmt::format("{}{}", i == 0 ? "" : last ? " and " : ", ", Shown(names[i]));
  }
  return names.size() > kMost ? fmt::format("{} and {} more", listed, names.size() - kMost) : listed;
}

bool IsNumber(const Type& field) {
  switch (field.cpp_type()) {
    case Type::CPPTYPE_STRING:
    case Type::CPPTYPE_ENUM:
    case Type::CPPTYPE_MESSAGE:
    case Type::CPPTYPE_BOOL:
      return false;
    default:
      return true;
  }
}

// Whether the name, in a path, is how a key of the map is written.
bool IsKey(const Type& key, const std::string& name) {
  const auto is_number = [&](auto number) {
    const char* const end = name.data() + name.size();
    const auto [at, error] = std::from_chars(name.data(), end, number);
    return error == std::errc() && at == end && std::to_string(number) == name;
  };
  switch (key.cpp_type()) {
    case Type::CPPTYPE_STRING:
      return true;
    case Type::CPPTYPE_BOOL:
      return name == "true" || name == "false";
    case Type::CPPTYPE_INT32:
      return is_number(int32_t{});
    case Type::CPPTYPE_UINT32:
      return is_number(uint32_t{});
    case Type::CPPTYPE_INT64:
      return is_number(int64_t{});
    default:
      return is_number(uint64_t{});
  }
}

// Where a path has come to: a message, or a value of a field, or, if `whole`, all values of a repeated field or a map.
struct Point {
  const pb::Descriptor* message = nullptr;
  const Type* field = nullptr;
  bool whole = false;

  static Point Of(const Type& field) { return {field.message_type(), &field, field.is_repeated()}; }
  static Point ValueOf(const Type& field) { return {field.message_type(), &field, false}; }
};

std::string NoField(const pb::Descriptor& message, const std::string& name) {
  std::vector<std::string> names;
  for (int i = 0; i < message.field_count(); ++i) names.push_back(message.field(i)->name());
  return fmt::format("there is no {} in {}{}", Shown(name), message.full_name(), DidYouMean(name, names));
}

// Goes on by a step, or returns why that is not possible.
std::string Go(const JsonPath::Step& step, Point* point) {
  const Type* const field = point->field;
  if (point->whole && field->is_map()) {
    const Type& key = *point->message->map_key();
    if (step.index) return fmt::format("{} is a map; its values have keys, as in {}[\"key\"]", field->name(), field->name());
    if (!IsKey(key, step.name))
      return fmt::format("{} is no key of {}, which are {}", Quoted(step.name), field->name(), key.type_name());
    *point = Point::ValueOf(*point->message->map_value());
    return "";
  }
  if (step.index) {
    if (!point->whole) return fmt::format("{} is not repeated", field == nullptr ? "the record" : field->name());
    point->whole = false;
    return "";
  }
  if (point->whole) return fmt::format("{} is repeated; {}[0] is the first", field->name(), field->name());
  if (point->message == nullptr)
    return fmt::format("{} is of type {}, which has no fields", field->name(), field->type_name());
  const Type* const next = point->message->FindFieldByName(step.name);
  if (next == nullptr) return NoField(*point->message, step.name);
  *point = Point::Of(*next);
  return "";
}

// What a value of the field is, as messages call it.
std::string Kind(const Type& field) {
  if (field.type() == Type::TYPE_ENUM) return fmt::format("is the enum {}", field.enum_type()->full_name());
  return fmt::format("is of type {}", field.type_name());
}

std::string TimestampProblem(const Type& field, TimestampUnit unit) {
  if (field.cpp_type() == Type::CPPTYPE_MESSAGE)
    return unit == TIMESTAMP_TEXT ? "" : "is a google.protobuf.Timestamp, which has no unit";
  if (field.type() == Type::TYPE_STRING) return unit == TIMESTAMP_TEXT ? "" : "is of type string, which has no unit";
  if (!IsNumber(field)) return fmt::format("{}, and no timestamp", Kind(field));
  return unit != TIMESTAMP_TEXT ? "" : fmt::format("{}; say by its unit what it counts", Kind(field));
}

}  // namespace

bool IsProtobufTimestamp(const pb::Descriptor& message) { return message.full_name() == kTimestamp; }

std::shared_ptr<const ProtobufSchema> ReadProtobufSchema(const ProtobufFormat& format, std::string* error) {
  const auto refuse = [error](std::string why) {
    *error = std::move(why);
    return nullptr;
  };
  if (format.descriptors().size() > kMaxSchemaBytes)
    return refuse(fmt::format("has {} bytes of descriptors; at most {} are possible, without --include_source_info",
                              format.descriptors().size(), kMaxSchemaBytes));
  pb::FileDescriptorSet set;
  if (!set.ParsePartialFromString(format.descriptors()) || set.file().empty())
    return refuse("is no FileDescriptorSet; protoc --include_imports --descriptor_set_out=FILE writes one");
  const std::shared_ptr<ProtobufSchema> schema(new ProtobufSchema);
  PoolBuilder builder(set, &schema->pool_);
  for (const pb::FileDescriptorProto& file : set.file()) {
    if (!builder.Build(file)) return refuse(builder.error());
  }
  std::vector<std::string> names;
  std::string old;
  for (const pb::FileDescriptorProto& file : set.file()) ListMessages(file.package(), file.message_type(), &names, &old);
  if (!old.empty()) return refuse(fmt::format("has {} with message_set_wire_format, which is not supported", Shown(old)));
  const pb::Descriptor* const timestamp = schema->pool_.FindMessageTypeByName(kTimestamp);
  if (timestamp != nullptr && !HasSecondsAndNanos(*timestamp))
    return refuse(fmt::format("has a {} without its seconds and nanos", kTimestamp));
  schema->message_ = schema->pool_.FindMessageTypeByName(format.message());
  if (schema->message_ != nullptr && !schema->message_->options().map_entry()) return schema;
  const std::string close = DidYouMean(format.message(), names);
  return refuse(fmt::format("has no message {}{}", Shown(format.message()),
                            !close.empty()  ? close
                            : names.empty() ? "; it has none"
                                            : fmt::format("; it has {}", Listed(names))));
}

std::string ProtobufPlaceProblem(const ProtobufSchema& schema, const JsonPath& path, FieldType type, TimestampUnit unit) {
  Point point{.message = &schema.message()};
  for (const JsonPath::Step& step : path.steps) {
    if (std::string problem = Go(step, &point); !problem.empty()) return problem;
  }
  const Type& field = *point.field;
  const bool list = type == FIELD_TEXT_LIST || type == FIELD_DECIMAL_LIST;
  if (point.whole && field.is_map()) return "is a map; say which key, as in [\"key\"]";
  if (path.each && !point.whole) return "is not repeated, and has no [*]";
  if (point.whole && (!path.each || !list)) return "is repeated; [*] has all its values, [0] the first";
  if (list && !path.each) return "is one value, and no list";
  if (point.message != nullptr && (type != FIELD_TIMESTAMP || !IsProtobufTimestamp(*point.message)))
    return fmt::format("is a message, {}; say which of its fields", point.message->full_name());
  const bool text = field.cpp_type() == Type::CPPTYPE_STRING || field.cpp_type() == Type::CPPTYPE_ENUM;
  switch (type) {
    case FIELD_DECIMAL:
    case FIELD_DECIMAL_LIST:
      return IsNumber(field) ? "" : fmt::format("{}, and no decimal", Kind(field));
    case FIELD_INTEGER:
      return IsNumber(field) ? "" : fmt::format("{}, and no integer", Kind(field));
    case FIELD_TEXT:
    case FIELD_TEXT_LIST:
      return text ? "" : fmt::format("{}, and no text", Kind(field));
    case FIELD_BOOLEAN:
      return field.cpp_type() == Type::CPPTYPE_BOOL ? "" : fmt::format("{}, and no boolean", Kind(field));
    case FIELD_TIMESTAMP:
      return TimestampProblem(field, unit);
    default:
      return "";
  }
}

}  // namespace tenfold
