#include "jobs/plan/protobuf_schema.h"

#include <algorithm>
#include <string>

#include "common/limits.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"
#include "tests/unit/jobs/protobuf_fixture.h"

namespace tenfold {
namespace {

namespace pb = google::protobuf;
using testing::HasSubstr;

TEST(ProtobufSchemaTest, SchemasAreRefusedWithAReason) {
  const auto error = [](const ProtobufFormat& format) {
    std::string text;
    const bool read = ReadProtobufSchema(format, &text) != nullptr;
    EXPECT_EQ(read, text.empty());
    return text;
  };
  EXPECT_EQ(error(FormatOf(AllFiles(), "both.Both")), "");
  EXPECT_EQ(error(FormatOf(Without("google/protobuf/timestamp.proto"), "both.Both")), "");
  pb::FileDescriptorSet reversed = AllFiles();
  std::reverse(reversed.mutable_file()->begin(), reversed.mutable_file()->end());
  EXPECT_EQ(error(FormatOf(reversed, "both.Both")), "");
  ProtobufFormat format;
  EXPECT_THAT(error(format), HasSubstr("is no FileDescriptorSet; protoc --include_imports"));
  format.set_descriptors("no");
  EXPECT_THAT(error(format), HasSubstr("is no FileDescriptorSet"));
  format.set_descriptors(std::string(kMaxSchemaBytes + 1, 'x'));
  EXPECT_EQ(error(format), "has 262145 bytes of descriptors; at most 262144 are possible, without --include_source_info");
  EXPECT_EQ(error(FormatOf(Without("old.proto"), "both.Both")),
            "lacks old.proto, which both.proto imports; protoc puts it in with --include_imports");
  EXPECT_EQ(error(FormatOf(AllFiles(), "shop.Sail")), "has no message shop.Sail (did you mean shop.Sale?)");
  const pb::FileDescriptorSet shop = Without("old.proto", Without("both.proto"));
  EXPECT_EQ(error(FormatOf(shop, "Order")),
            "has no message Order; it has google.protobuf.Timestamp, shop.Item and shop.Sale");
  EXPECT_EQ(error(FormatOf(shop, "shop.Item.PartsEntry")).substr(0, 35), "has no message shop.Item.PartsEntry");
  pb::FileDescriptorSet unsound = Without("google/protobuf/timestamp.proto", shop);
  pb::FileDescriptorProto& file = *unsound.mutable_file(0);
  file.mutable_message_type(0)->mutable_field(2)->set_type_name(".shop.Other");
  EXPECT_EQ(error(FormatOf(unsound, "shop.Item")),
            "is unsound: shop.proto: shop.Item.sale: \".shop.Other\" is not defined.");
  file.add_dependency("shop.proto");
  EXPECT_EQ(error(FormatOf(unsound, "shop.Item")), "has shop.proto, which imports itself");
  pb::FileDescriptorSet other = AllFiles();
  for (pb::FileDescriptorProto& each : *other.mutable_file()) {
    if (each.name() == "google/protobuf/timestamp.proto")
      each.mutable_message_type(0)->mutable_field(1)->set_type(pb::FieldDescriptorProto::TYPE_STRING);
  }
  EXPECT_EQ(error(FormatOf(other, "shop.Item")), "has a google.protobuf.Timestamp without its seconds and nanos");
  const std::string set = R"(syntax = "proto2"; message M { option message_set_wire_format = true; extensions 4 to max; })";
  EXPECT_EQ(error(FormatOf(SetOf({{"m.proto", set}}), "M")), "has M with message_set_wire_format, which is not supported");
}

TEST(ProtobufSchemaTest, PlacesAreCheckedByTheSchema) {
  std::string error;
  const auto schema = ReadProtobufSchema(FormatOf(AllFiles(), "shop.Sale"), &error);
  ASSERT_NE(schema, nullptr) << error;
  const auto problem = [&](const std::string& path, FieldType type, TimestampUnit unit = TIMESTAMP_TEXT) {
    return ProtobufPlaceProblem(*schema, Path(path), type, unit);
  };
  for (const char* number :
       {"i32", "f64", "sf32", "s64", "fl", "db", "oi", "ri[0]", "item.price", "counts.x", "by_id[\"-3\"].price"}) {
    EXPECT_EQ(problem(number, FIELD_DECIMAL), "");
    EXPECT_EQ(problem(number, FIELD_INTEGER), "");
    EXPECT_EQ(problem(number, FIELD_TIMESTAMP, TIMESTAMP_SECONDS), "");
    EXPECT_THAT(problem(number, FIELD_TIMESTAMP), HasSubstr("; say by its unit what it counts"));
    EXPECT_THAT(problem(number, FIELD_TEXT), HasSubstr(", and no text"));
  }
  for (const char* text : {"s", "by", "color", "rs[3]", "flags.true", "item.parts.a.parts.b.name"})
    EXPECT_EQ(problem(text, FIELD_TEXT), "");
  EXPECT_EQ(problem("b", FIELD_BOOLEAN), "");
  EXPECT_EQ(problem("at", FIELD_TIMESTAMP), "");
  EXPECT_EQ(problem("times.t", FIELD_TIMESTAMP), "");
  EXPECT_EQ(problem("s", FIELD_TIMESTAMP), "");
  EXPECT_EQ(problem("rs[*]", FIELD_TEXT_LIST), "");
  EXPECT_EQ(problem("rc[*]", FIELD_TEXT_LIST), "");
  EXPECT_EQ(problem("rd[*]", FIELD_DECIMAL_LIST), "");
  EXPECT_EQ(problem("item.prize", FIELD_DECIMAL), "there is no prize in shop.Item (did you mean price?)");
  EXPECT_EQ(problem("item", FIELD_TEXT), "is a message, shop.Item; say which of its fields");
  EXPECT_EQ(problem("at", FIELD_INTEGER), "is a message, google.protobuf.Timestamp; say which of its fields");
  EXPECT_EQ(problem("s", FIELD_DECIMAL), "is of type string, and no decimal");
  EXPECT_EQ(problem("color", FIELD_INTEGER), "is the enum shop.Color, and no integer");
  EXPECT_EQ(problem("i32", FIELD_BOOLEAN), "is of type int32, and no boolean");
  EXPECT_EQ(problem("by", FIELD_TIMESTAMP), "is of type bytes, and no timestamp");
  EXPECT_EQ(problem("at", FIELD_TIMESTAMP, TIMESTAMP_SECONDS), "is a google.protobuf.Timestamp, which has no unit");
  EXPECT_EQ(problem("s", FIELD_TIMESTAMP, TIMESTAMP_SECONDS), "is of type string, which has no unit");
  EXPECT_EQ(problem("ri", FIELD_INTEGER), "is repeated; [*] has all its values, [0] the first");
  EXPECT_EQ(problem("items.name", FIELD_TEXT), "items is repeated; items[0] is the first");
  EXPECT_EQ(problem("i32[*]", FIELD_DECIMAL_LIST), "is not repeated, and has no [*]");
  EXPECT_EQ(problem("i32", FIELD_DECIMAL_LIST), "is one value, and no list");
  EXPECT_EQ(problem("rs[*]", FIELD_DECIMAL_LIST), "is of type string, and no decimal");
  EXPECT_EQ(problem("items[*]", FIELD_TEXT_LIST), "is a message, shop.Item; say which of its fields");
  EXPECT_EQ(problem("i32[0]", FIELD_INTEGER), "i32 is not repeated");
  EXPECT_EQ(problem("i32.x", FIELD_INTEGER), "i32 is of type int32, which has no fields");
  EXPECT_EQ(problem("counts", FIELD_INTEGER), "is a map; say which key, as in [\"key\"]");
  EXPECT_EQ(problem("counts[*]", FIELD_DECIMAL_LIST), "is a map; say which key, as in [\"key\"]");
  EXPECT_EQ(problem("counts[0]", FIELD_INTEGER), "counts is a map; its values have keys, as in counts[\"key\"]");
  EXPECT_EQ(problem("by_id.x.price", FIELD_INTEGER), "'x' is no key of by_id, which are int32");
  EXPECT_EQ(problem("by_id[\"03\"].price", FIELD_INTEGER), "'03' is no key of by_id, which are int32");
  EXPECT_EQ(problem("prices[\"-1\"]", FIELD_DECIMAL), "'-1' is no key of prices, which are uint64");
  EXPECT_EQ(problem("flags.maybe", FIELD_TEXT), "'maybe' is no key of flags, which are bool");
  EXPECT_EQ(problem("[0]", FIELD_TEXT), "the record is not repeated");
}

}  // namespace
}  // namespace tenfold
