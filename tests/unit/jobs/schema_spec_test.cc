// How a spec says formats with schemas, and what is said of wrong ones.
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "jobs/spec/job_spec.h"
#include "jobs/spec/spec_writer.h"
#include "tests/unit/jobs/protobuf_fixture.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// With "FILE" as the only file, which has these bytes.
std::vector<std::string> Errors(const std::string& format, const std::string& fields, const std::string& file,
                                JobSpec* spec) {
  const SpecFiles files = [&](const std::string& name) -> absl::StatusOr<std::string> {
    if (name == "FILE") return file;
    return absl::NotFoundError("cannot read the file " + name);
  };
  std::vector<std::string> texts;
  const std::string yaml = absl::StrCat("name: job\nsource:\n  kafka: {topics: [events]}\n  format: ", format,
                                        "\n  fields: ", fields, "\nkey: page\nscore: n\n");
  for (const SpecError& error : ReadJobSpec(yaml, spec, &files)) texts.push_back(FormatSpecError("s", error));
  return texts;
}

constexpr char kSchema[] = R"({
  "type": "record", "name": "E",
  "fields": [{"name": "page", "type": "string"}, {"name": "n", "type": ["null", "double"], "default": null}]
})";
constexpr char kFields[] = "{page: {text: page}, n: {decimal: n}}";

TEST(SchemaSpecTest, AnAvroSchemaIsAFileOrStandsInTheSpecAndBlanksDoNotCount) {
  JobSpec file;
  JobSpec text;
  JobSpec tree;
  EXPECT_THAT(Errors("{avro: {schema: FILE}}", kFields, kSchema, &file), IsEmpty());
  EXPECT_THAT(
      Errors("{avro: {schema: '{\"type\":\"record\",\"name\":\"E\",\"fields\":[{\"name\":\"page\",\"type\":\"string\"},"
             "{\"name\":\"n\",\"type\":[\"null\",\"double\"],\"default\":null}]}'}}",
             kFields, "", &text),
      IsEmpty());
  EXPECT_THAT(Errors("{avro: {schema: {type: record, name: E, fields: [{name: page, type: string}, {name: n, type: "
                     "[null, double]}]}}}",
                     kFields, "", &tree),
              IsEmpty());
  EXPECT_EQ(FoldHash(file), FoldHash(text));
  EXPECT_EQ(FoldHash(file), FoldHash(tree));
  JobSpec again;
  EXPECT_THAT(ReadJobSpec(WriteJobSpec(file), &again), IsEmpty());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(file, again)) << WriteJobSpec(file);
  EXPECT_EQ(
      tree.fold().general().format().avro().schema(),
      R"({"type":"record","name":"E","fields":[{"name":"page","type":"string"},{"name":"n","type":["null","double"]}]})");
  EXPECT_EQ(CheckJobSpec(file), "");
  // What is in quotes in JSON and a number in YAML.
  EXPECT_THAT(Errors("{avro: {schema: {type: record, name: E, fields: [{name: page, type: {type: fixed, name: F, size: 4}}, "
                     "{name: n, type: {type: bytes, logicalType: decimal, precision: 9, scale: 2}}]}}}",
                     kFields, "", &tree),
              IsEmpty());
}

TEST(SchemaSpecTest, WhatIsWrongWithAnAvroFormatIsToldWhereItStands) {
  const auto with = [](const std::string& format, const std::string& fields = kFields, const std::string& file = kSchema) {
    JobSpec spec;
    return Errors(format, fields, file, &spec);
  };
  EXPECT_THAT(with("{avro: {}}"),
              ElementsAre("s:4:18: source.format.avro.schema: is missing, or empty; name the file of the schema "
                          "that records are written by, or by registry the URL of the one that has them"));
  EXPECT_THAT(with("{avro: {schema: NONE}}"), ElementsAre("s:4:27: source.format.avro.schema: cannot read the file NONE"));
  EXPECT_THAT(with("{avro: {schema: FILE}}", kFields, "{"),
              ElementsAre(HasSubstr("s:4:27: source.format.avro.schema: is no JSON, at byte")));
  EXPECT_THAT(
      with("{avro: {schema: FILE}}", "{page: {text: page}, n: {decimal: m}}"),
      ElementsAre("s:5:35: source.fields.n: goes to 'm' of what the schema says is an E, which has none of that name "
                  "(did you mean n?)"));
  EXPECT_THAT(with("{avro: {schema: FILE}}", "{page: {integer: page}, n: {decimal: n}}"),
              ElementsAre("s:5:18: source.fields.page: is no integer: the schema says a string"));
}

TEST(SchemaSpecTest, DescriptorsAreAFileOrBase64AndReadBackAsTheyAreWritten) {
  const ProtobufFormat format = FormatOf(AllFiles(), "shop.Sale");
  const std::string fields = "{page: {text: s}, n: {decimal: db}}";
  JobSpec file;
  EXPECT_THAT(
      Errors("{protobuf: {descriptors: FILE, message: shop.Sale, confluent: true}}", fields, format.descriptors(), &file),
      IsEmpty());
  EXPECT_EQ(CheckJobSpec(file), "");
  const std::string text = WriteJobSpec(file);
  EXPECT_THAT(text, HasSubstr("base64:"));
  JobSpec again;
  EXPECT_THAT(ReadJobSpec(text, &again), IsEmpty());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(file, again)) << text;
}

TEST(SchemaSpecTest, WhereTheSourceHasADescriptorDoesNotCount) {
  google::protobuf::FileDescriptorSet set = AllFiles();
  const std::string fields = "{page: {text: s}, n: {decimal: db}}";
  JobSpec without;
  JobSpec with;
  EXPECT_THAT(Errors("{protobuf: {descriptors: FILE, message: shop.Sale}}", fields, set.SerializeAsString(), &without),
              IsEmpty());
  set.mutable_file(0)->mutable_source_code_info()->add_location()->set_leading_comments("what it is for");
  EXPECT_THAT(Errors("{protobuf: {descriptors: FILE, message: shop.Sale}}", fields, set.SerializeAsString(), &with),
              IsEmpty());
  EXPECT_EQ(FoldHash(without), FoldHash(with));
}

TEST(SchemaSpecTest, WhatIsWrongWithAProtobufFormatIsToldWhereItStands) {
  const auto with = [](const std::string& format, const std::string& fields = "{page: {text: s}, n: {decimal: db}}") {
    JobSpec spec;
    return Errors(format, fields, AllFiles().SerializeAsString(), &spec);
  };
  EXPECT_THAT(with("{protobuf: {descriptors: FILE}}"),
              ElementsAre(HasSubstr("source.format.protobuf: needs descriptors, the file")));
  EXPECT_THAT(with("{protobuf: {descriptors: FILE, message: shop.Sales}}"),
              ElementsAre("s:4:22: source.format.protobuf: has no message shop.Sales (did you mean shop.Sale?)"));
  EXPECT_THAT(with("{protobuf: {descriptors: 'base64:?', message: shop.Sale}}"),
              testing::Contains(HasSubstr("source.format.protobuf.descriptors: is no base64")));
  EXPECT_THAT(with("{protobuf: {descriptors: FILE, message: shop.Sale}}", "{page: {text: s}, n: {decimal: dbl}}"),
              ElementsAre(HasSubstr("source.fields.n: there is no dbl in shop.Sale")));
}

TEST(SchemaSpecTest, ARegistryIsAUrlOrAMapAndReadsBackAsItIsWritten) {
  JobSpec plain;
  EXPECT_THAT(Errors("{avro: {registry: \"http://registry:8081\"}}", kFields, "", &plain), IsEmpty());
  EXPECT_EQ(plain.registry().url(), "http://registry:8081");
  EXPECT_TRUE(plain.fold().general().format().avro().registry());
  JobSpec whole;
  EXPECT_THAT(Errors("{avro: {registry: {url: \"https://r.example:8081/apis/ccompat/v7\", user: me, password: "
                     "\"${env:TENFOLD_SECRET_REGISTRY}\", ca: /etc/tenfold/ca.pem}}}",
                     kFields, "", &whole),
              IsEmpty());
  EXPECT_EQ(whole.registry().password(), "${env:TENFOLD_SECRET_REGISTRY}");
  // Where the registry is decides nothing of what is folded.
  EXPECT_EQ(FoldHash(plain), FoldHash(whole));
  EXPECT_EQ(CheckUpdate(plain, whole), "");
  for (const JobSpec& spec : {plain, whole}) {
    JobSpec again;
    EXPECT_THAT(ReadJobSpec(WriteJobSpec(spec), &again), IsEmpty());
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(spec, again)) << WriteJobSpec(spec);
    EXPECT_EQ(CheckJobSpec(spec), "");
  }
}

TEST(SchemaSpecTest, WhatIsWrongWithARegistryIsToldWhereItStands) {
  const auto with = [](const std::string& avro) {
    JobSpec spec;
    const std::vector<std::string> errors = Errors("{avro: " + avro + "}", kFields, kSchema, &spec);
    return errors.empty() ? "" : errors[0];
  };
  EXPECT_THAT(with("{registry: nowhere}"), HasSubstr("source.format.avro.registry: is no URL of one registry, as http://"));
  EXPECT_THAT(with("{registry: \"http://r:8081/?a=b\"}"), HasSubstr("is no URL of one registry"));
  EXPECT_THAT(with("{registry: \"file:///etc/passwd\"}"), HasSubstr("is no URL of one registry"));
  EXPECT_THAT(with("{registry: \"http://me:secret@r:8081\"}"),
              HasSubstr("source.format.avro.registry: has a user in its URL; write {url: .., user: NAME, password: "));
  EXPECT_THAT(with("{registry: {user: me}}"), HasSubstr("registry: needs the URL of a registry"));
  EXPECT_THAT(with("{registry: \"http://r:65536\"}"), HasSubstr("is no URL of one registry"));
  EXPECT_THAT(with("{registry: \"http://r,http://s\"}"), HasSubstr("is no URL of one registry"));
  EXPECT_THAT(with("{registry: {url: \"http://r\", user: me, password: secret}}"),
              HasSubstr("registry.password: is no reference; give ${file:/PATH}"));
  EXPECT_THAT(with("{registry: {url: \"http://r\", password: \"${file:/p}\"}}"),
              HasSubstr("registry.user: is missing beside a password"));
  EXPECT_THAT(with("{registry: {url: \"http://r\", ca: /ca.pem}}"), HasSubstr("registry.ca: goes with https://"));
  EXPECT_THAT(with("{registry: {url: \"https://r\", ca: ca.pem}}"), HasSubstr("give its absolute path"));
  EXPECT_THAT(with("{registry: {url: \"https://r\", token: x}}"), HasSubstr("token"));
  EXPECT_THAT(with("{registry: \"http://r\", schema: FILE}"), HasSubstr("schema: goes without a registry"));
  EXPECT_THAT(with("{registry: \"http://r\", confluent: true}"), HasSubstr("confluent: goes without saying"));
}

TEST(SchemaSpecTest, AJobHasOneRegistry) {
  const auto sources = [](const std::string& first, const std::string& second) {
    JobSpec spec;
    std::vector<std::string> texts;
    const auto source = [](const std::string& topic, const std::string& avro) {
      return absl::StrCat("  - {kafka: {topics: [", topic, "]}, format: {avro: ", avro, "}, fields: ", kFields, "}\n");
    };
    for (const SpecError& error : ReadJobSpec(
             absl::StrCat("name: job\nsources:\n", source("a", first), source("b", second), "key: page\nscore: n\n"), &spec))
      texts.push_back(FormatSpecError("s", error));
    return texts;
  };
  const std::string string_schema = absl::StrCat("{schema: '", kSchema, "'}");
  EXPECT_THAT(sources("{registry: \"http://r\"}", "{registry: \"http://r\"}"), IsEmpty());
  EXPECT_THAT(sources("{registry: \"http://r\"}", string_schema), IsEmpty());
  EXPECT_THAT(sources(string_schema, "{registry: \"http://r\"}"), IsEmpty());
  EXPECT_THAT(
      sources("{registry: \"http://r\"}", "{registry: \"http://s\"}"),
      ElementsAre(HasSubstr("sources[1].format.avro.registry: is another registry than that of a source before it")));
}

}  // namespace
}  // namespace tenfold
