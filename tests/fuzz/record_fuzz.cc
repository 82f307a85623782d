// Feeds any bytes to folds of expressions, as records of each format, alone and in blocks: nothing may crash, and the
// oracle, which shares no code with the decoders, must have the same key, the same contributions and the same reason for
// what is bad.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/text_format.h"
#include "jobs/decode/block_decoder.h"
#include "jobs/decode/general_decoder.h"
#include "jobs/oracle/general_record.h"
#include "jobs/plan/plan.h"

namespace tenfold {
namespace {

struct Place {
  const char* name;
  FieldType type;
  const char* json;
};
constexpr std::array<Place, 6> kPlaces = {{{"n", FIELD_DECIMAL, "m.n"},
                                           {"i", FIELD_INTEGER, "list[1]"},
                                           {"t", FIELD_TEXT, "[\"t.t\"]"},
                                           {"b", FIELD_BOOLEAN, "b"},
                                           {"at", FIELD_TIMESTAMP, "at"},
                                           {"key", FIELD_TEXT, "key"}}};

constexpr char kAvroSchema[] =
    R"({"type":"record","name":"R","fields":[)"
    R"({"name":"m","type":["null",{"type":"record","name":"M","fields":[)"
    R"({"name":"n","type":["null","double","float",{"type":"bytes","logicalType":"decimal","precision":9,"scale":3}]},)"
    R"({"name":"self","type":["null","M"]}]}]},{"name":"list","type":{"type":"array","items":["null","long"]}},)"
    R"({"name":"t","type":["null","string","bytes"]},{"name":"b","type":["null","boolean"]},)"
    R"({"name":"at","type":["null",{"type":"long","logicalType":"timestamp-millis"},{"type":"int","logicalType":"date"}]},)"
    R"({"name":"key","type":["null","string",{"type":"enum","name":"E","symbols":["A","B"]}]},)"
    R"({"name":"attributes","type":{"type":"map","values":"int"}},)"
    R"({"name":"tags","type":{"type":"array","items":["string","int"]}}]})";

constexpr char kDescriptors[] = R"(
file {
  name: "r.proto" syntax: "proto3" dependency: "google/protobuf/timestamp.proto"
  message_type {
    name: "R"
    field { name: "m" number: 1 type: TYPE_MESSAGE type_name: ".R.M" label: LABEL_OPTIONAL }
    field { name: "list" number: 2 type: TYPE_INT64 label: LABEL_REPEATED }
    field { name: "t" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 }
    field { name: "other" number: 9 type: TYPE_INT32 label: LABEL_OPTIONAL oneof_index: 0 }
    field { name: "b" number: 4 type: TYPE_BOOL label: LABEL_OPTIONAL }
    field { name: "at" number: 5 type: TYPE_MESSAGE type_name: ".google.protobuf.Timestamp" label: LABEL_OPTIONAL }
    field { name: "key" number: 6 type: TYPE_BYTES label: LABEL_OPTIONAL }
    field { name: "tags" number: 7 type: TYPE_STRING label: LABEL_REPEATED }
    field { name: "numbers" number: 8 type: TYPE_DOUBLE label: LABEL_REPEATED }
    oneof_decl { name: "either" }
    nested_type {
      name: "M"
      field { name: "n" number: 1 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
      field { name: "self" number: 2 type: TYPE_MESSAGE type_name: ".R.M" label: LABEL_OPTIONAL }
    }
  }
})";

// Of the shapes from here on the records have schemas.
constexpr uint16_t kSchemas = 256;
constexpr uint16_t kShapes = 512;

// What the registry has: under 1 the schema of all fields, under 2 one with some of them and of other types, under 3 none.
google::protobuf::RepeatedPtrField<LearnedSchema> Learned() {
  google::protobuf::RepeatedPtrField<LearnedSchema> learned;
  for (uint32_t id = 1; id <= 3; ++id) learned.Add()->set_id(id);
  learned[0].set_avro(kAvroSchema);
  learned[1].set_avro(
      R"({"type":"record","name":"S","fields":[{"name":"key","type":"string"},{"name":"t","type":["null","long"]},)"
      R"({"name":"m","type":{"type":"map","values":"double"}},{"name":"tags","type":{"type":"array","items":"int"}}]})");
  return learned;
}

void SetSchema(bool avro, bool texts, bool registry, GeneralFold* fold) {
  for (Field& field : *fold->mutable_fields()) {
    if (field.name() == "t") field.set_place("t");
    if (field.name() == "tags" && !avro && !texts) field.set_place("numbers[*]");
  }
  if (avro && registry) return fold->mutable_format()->mutable_avro()->set_registry(true);
  if (avro) return fold->mutable_format()->mutable_avro()->set_schema(kAvroSchema);
  google::protobuf::FileDescriptorSet set;
  CHECK(google::protobuf::TextFormat::ParseFromString(kDescriptors, &set));
  fold->mutable_format()->mutable_protobuf()->set_descriptors(set.SerializeAsString());
  fold->mutable_format()->mutable_protobuf()->set_message("R");
}

// Which of the formats and options a fold has is in the bits of `shape`.
GeneralFold MakeFold(uint16_t shape) {
  GeneralFold fold;
  const bool has_schema = shape >= kSchemas;
  const bool json = has_schema || (shape & 1) != 0;
  for (const Place& place : kPlaces) {
    Field* const field = fold.add_fields();
    field->set_name(place.name);
    field->set_type(place.type);
    field->set_place(json ? place.json : place.name);
    field->set_nullable((shape & 2) != 0);
  }
  if (json) {
    if (!has_schema) fold.mutable_format()->mutable_json();
    Field* const tags = fold.add_fields();
    tags->set_name("tags");
    tags->set_type((shape & 4) != 0 ? FIELD_TEXT_LIST : FIELD_DECIMAL_LIST);
    tags->set_place("tags[*]");
    tags->set_nullable(true);
    // Blocks take no lists.
    fold.set_where((shape & 8) != 0 ? "tags is null or n > 0" : "n > -3 or i is null");
    if (has_schema) SetSchema((shape & 1) != 0, (shape & 4) != 0, (shape & 32) != 0, &fold);
  } else if ((shape & 28) == 28) {
    // A group may take no part.
    RegexFormat* const format = fold.mutable_format()->mutable_regex();
    std::string pattern = "(?s)";
    for (const Place& place : kPlaces) {
      const bool optional = place.name == std::string_view("i");
      pattern += absl::StrCat(pattern.size() > 4 ? "," : "", "(?P<", place.name, ">", optional ? "\\d+)?" : "[^,]*)");
    }
    format->set_pattern(std::move(pattern));
    format->set_filter_unmatched((shape & 32) != 0);
  } else {
    DelimitedFormat* const format = fold.mutable_format()->mutable_delimited();
    format->set_separator((shape & 4) != 0 ? "||" : ",");
    for (const Place& place : kPlaces) format->add_fields(place.name);
    format->set_quoted((shape & 8) != 0);
    format->set_trim((shape & 16) != 0);
    format->set_strip_bom((shape & 32) != 0);
    if ((shape & 64) != 0) format->set_null_as("");
  }
  fold.add_key("key");
  fold.add_key("b");
  // Blocks take no lists; an element is a part of the key then.
  if (json ? (shape & 16) != 0 : (shape & 96) == 96) {
    fold.mutable_explode()->set_name("e");
    fold.mutable_explode()->set_list(json ? "tags" : "split(t, \",\")");
    fold.add_key("e");
    fold.set_where(fold.where().empty() ? "e is not null" : absl::StrCat("(", fold.where(), ") and e is not null"));
  }
  // Blocks take no quotient of two fields.
  const bool quotient = (shape & 128) != 0;
  for (const auto& [name, expression] : {std::pair{"score", quotient ? "sum(n / i)" : "sum(round(n, 3) * i - n / 7)"},
                                         {"texts", "sum(length(t))"},
                                         {"late", "count(at)"}}) {
    Measure* const measure = fold.add_measures();
    measure->set_name(name);
    measure->set_expression(expression);
  }
  std::vector<PlanProblem> problems;
  CHECK(MakePlan(fold, &problems) != nullptr) << "shape " << shape << ": " << problems[0].path << " " << problems[0].message;
  CHECK(MakeCanonical(&fold));
  return fold;
}

struct Subject {
  explicit Subject(uint16_t shape) : decoder(GeneralDecoder::Create(MakeFold(shape)).value()), oracle(MakeFold(shape)) {
    if (BlockDecoder::Suits(decoder.plan())) blocks = std::make_unique<BlockDecoder>(decoder.shared_plan());
    const std::shared_ptr<const LearnedSchemas> schemas = ReadLearnedSchemas(Learned()).value();
    decoder.SetSchemas(schemas);
    if (blocks != nullptr) blocks->SetSchemas(schemas);
    for (const LearnedSchema& schema : Learned()) oracle.Learn(schema);
  }
  GeneralDecoder decoder;
  std::unique_ptr<BlockDecoder> blocks;
  oracle::GeneralRecords oracle;
};

void CheckBlock(Subject* subject, std::string_view record, const oracle::Contributed& expected) {
  const std::array<Record, 2> records = {Record{.value = record, .topic = "t", .partition = 1, .offset = 2},
                                         Record{.value = record, .topic = "t", .partition = 1, .offset = 2}};
  const DecodedBlock& block = subject->blocks->Decode(records);
  for (size_t row = 0; row < records.size(); ++row) {
    const bool filtered = (block.filtered >> row & 1) != 0;
    const bool folded = (block.folded >> row & 1) != 0;
    if (!filtered && !folded) continue;
    CHECK(expected.reason == BAD_NONE) << BadReason_Name(expected.reason);
    CHECK_EQ(filtered, expected.filtered);
    if (filtered) continue;
    CHECK_EQ(expected.events.size(), 1u);
    CHECK_EQ(std::string(block.keys[row]), expected.events[0].key);
    for (size_t m = 0; m < block.units.size(); ++m) CHECK(expected.events[0].units[m] == block.units[m][row]) << "sum " << m;
  }
}

void Check(Subject* subject, std::string_view record) {
  // A fold stops in front of it.
  if (subject->decoder.MissingSchema(record)) return;
  const Contribution& made = subject->decoder.Decode({.value = record, .topic = "t", .partition = 1, .offset = 2});
  const oracle::Contributed expected = subject->oracle.Read("t", 1, 2, record);
  if (subject->blocks != nullptr) CheckBlock(subject, record, expected);
  CHECK_EQ(made.reason, expected.reason) << BadReason_Name(made.reason) << " or " << BadReason_Name(expected.reason);
  CHECK_EQ(std::string(made.subject), expected.subject);
  CHECK_EQ(made.filtered, expected.filtered);
  CHECK_EQ(made.events.size(), expected.events.size());
  for (size_t e = 0; e < made.events.size(); ++e) {
    CHECK_EQ(std::string(made.events[e].key), expected.events[e].key);
    const auto& units = expected.events[e].units;
    CHECK_EQ(made.events[e].units.size(), units.size());
    for (size_t m = 0; m < units.size(); ++m) CHECK(units[m] == made.events[e].units[m]) << "sum " << m;
  }
}

}  // namespace
}  // namespace tenfold

// The first two bytes say which fold, the others are the record.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const subjects = [] {
    auto* made = new std::vector<std::unique_ptr<tenfold::Subject>>;
    for (uint16_t shape = 0; shape < tenfold::kShapes; ++shape) made->push_back(std::make_unique<tenfold::Subject>(shape));
    return made;
  }();
  if (size < 2) return 0;
  const size_t shape = data[0] + (data[1] % 2) * size_t{256};
  tenfold::Check((*subjects)[shape].get(), {reinterpret_cast<const char*>(data) + 2, size - 2});
  return 0;
}
