// Reading Avro records: random schemas and records against the oracle, and both against avro-c; and what each type is read
// as.
#include "jobs/decode/avro_format.h"

#include <avro.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/number/fraction.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/feed/avro_encoding.h"
#include "jobs/oracle/avro_tree.h"
#include "nlohmann/json.hpp"
#include "tests/unit/jobs/shown_number.h"

namespace tenfold {
namespace {

using Json = nlohmann::ordered_json;
using oracle::AvroTree;
using oracle::JsonNode;

template <typename Number>
void AppendRaw(Number number, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&number), sizeof(number));
}

AvroFormat Format(const std::string& schema) {
  AvroFormat format;
  format.set_schema(schema);
  return format;
}

// What Read returns of one record, as a text: the value at the path, or "malformed".
std::string ShownValue(const RawValue& value) {
  const bool is_number = value.kind == RawValue::Kind::kNumber || value.kind == RawValue::Kind::kDecimal;
  std::string text = fmt::format("{} {} {}", is_number ? "number" : std::to_string(static_cast<int>(value.kind)),
                                 is_number ? ShownNumber(value) : std::string(value.text), static_cast<int>(value.unit));
  if (value.items == nullptr) return text;
  for (const RawValue& item : *value.items) absl::StrAppend(&text, ", ", ShownValue(item));
  return text;
}

RawValue ValueOf(const JsonNode& node) {
  using Kind = RawValue::Kind;
  switch (node.kind) {
    case JsonNode::Kind::kNull:
      return {};
    case JsonNode::Kind::kTrue:
      return {.kind = Kind::kBoolean, .text = "true"};
    case JsonNode::Kind::kFalse:
      return {.kind = Kind::kBoolean, .text = "false"};
    case JsonNode::Kind::kNumber:
      return {.kind = Kind::kNumber, .text = node.text, .unit = node.unit};
    case JsonNode::Kind::kString:
      return {.kind = Kind::kString, .text = node.text};
    default:
      return {.kind = Kind::kOther};
  }
}

// The same of the oracle's tree; empty if a name that the path goes through is there twice.
std::string ExpectedValue(const JsonNode& root, const JsonPath& path) {
  const JsonNode* node = &root;
  for (const JsonPath::Step& step : path.steps) {
    const JsonNode* next = nullptr;
    if (step.index && *step.index < node->items.size()) next = &node->items[*step.index];
    for (const auto& [name, value] : node->members) {
      if (step.index || name != step.name) continue;
      if (next != nullptr) return "";
      next = &value;
    }
    if (next == nullptr) return ShownValue({});
    node = next;
  }
  if (!path.each) return ShownValue(ValueOf(*node));
  if (node->kind == JsonNode::Kind::kNull) return ShownValue({});
  if (node->kind != JsonNode::Kind::kArray) return ShownValue({.kind = RawValue::Kind::kOther});
  std::vector<RawValue> items;
  for (const JsonNode& item : node->items) items.push_back(ValueOf(item));
  return ShownValue({.kind = RawValue::Kind::kList, .items = &items});
}

std::string ShownTree(const JsonNode& node) {
  std::string text = ShownValue(ValueOf(node));
  for (const JsonNode& item : node.items) absl::StrAppend(&text, "[", ShownTree(item), "]");
  std::vector<std::string> members;
  for (const auto& [name, value] : node.members) members.push_back(absl::StrCat("{", name, ":", ShownTree(value), "}"));
  std::ranges::sort(members);
  for (const std::string& member : members) text += member;
  return text;
}

class RandomAvro {
 public:
  explicit RandomAvro(uint64_t seed) : random_(seed) {}

  Json Schema(int depth) {
    switch (Below(depth == 0 ? 13 : 20)) {
      case 0:
        return Below(2) == 0 ? "int" : "long";
      case 1:
        return Below(2) == 0 ? "float" : "double";
      case 2:
        return "boolean";
      case 3:
        return Json{{"type", "bytes"}, {"logicalType", "decimal"}, {"precision", 20}, {"scale", Below(21)}};
      case 4:
        return Json{{"type", "long"}, {"logicalType", Below(2) == 0 ? "timestamp-millis" : "timestamp-micros"}};
      case 5:
        return Json{{"type", "int"}, {"logicalType", "date"}};
      case 6:
        return Json{{"type", "enum"}, {"name", Name()}, {"symbols", {"A", "B", "C"}}};
      case 7:
        return Json{
            {"type", "fixed"}, {"name", Name()}, {"size", 1 + Below(5)}, {"logicalType", "decimal"}, {"precision", 9}};
      case 8:
        return "bytes";
      case 9:
        return named_.empty() ? Json("null") : Json(named_[Below(static_cast<uint32_t>(named_.size()))]);
      case 13:
      case 14: {
        const Json one = Schema(depth - 1);
        return one.is_array() || one == "null" ? one : Json::array({"null", one});
      }
      case 15:
      case 16:
        return Json{{"type", "array"}, {"items", Schema(depth - 1)}};
      case 17:
        return Json{{"type", "map"}, {"values", Schema(depth - 1)}};
      case 18:
      case 19:
        return Record(depth);
      default:
        return "string";
    }
  }

  Json Record(int depth) {
    Json record{{"type", "record"}, {"name", Name()}, {"fields", Json::array()}};
    // It may be named inside itself, where a null ends it.
    const std::string name = record["name"];
    const uint32_t fields = 1 + Below(4);
    for (uint32_t i = 0; i < fields; ++i) record["fields"].push_back({{"name", Fields()[i]}, {"type", Schema(depth - 1)}});
    if (Below(4) == 0) record["fields"].push_back({{"name", "self"}, {"type", {"null", name}}});
    // Names before it are those of its fields.
    named_.push_back(name);
    types_[name] = record;
    return record;
  }

  void Write(const Json& type, int depth, std::string* bytes) {
    if (type.is_array()) {
      const uint32_t branch = depth > 12 ? 0 : Below(static_cast<uint32_t>(type.size()));
      AppendAvroLong(branch, bytes);
      return Write(type[branch], depth, bytes);
    }
    const std::string kind = type.is_string() ? type : type["type"];
    if (const auto named = types_.find(kind); named != types_.end()) return Write(named->second, depth, bytes);
    if (kind == "record") {
      for (const Json& field : type["fields"]) Write(field["type"], depth + 1, bytes);
    } else if (kind == "array" || kind == "map") {
      for (uint32_t blocks = Below(3); blocks > 0; --blocks) {
        const uint32_t items = 1 + Below(2);
        const bool sized = Below(3) == 0;
        AppendAvroLong(sized ? -static_cast<int64_t>(items) : static_cast<int64_t>(items), bytes);
        // How many bytes it has is not looked at.
        if (sized) AppendAvroLong(3, bytes);
        for (uint32_t i = 0; i < items; ++i) {
          if (kind == "map") AppendAvroText(Below(9) == 0 ? "a" : absl::StrCat(Keys()[Below(3)], blocks, i), bytes);
          Write(type[kind == "map" ? "values" : "items"], depth + 1, bytes);
        }
      }
      AppendAvroLong(0, bytes);
    } else if (kind == "int") {
      AppendAvroLong(static_cast<int32_t>(random_() >> Below(64)), bytes);
    } else if (kind == "long") {
      AppendAvroLong(static_cast<int64_t>(random_() >> Below(64)), bytes);
    } else if (kind == "enum") {
      AppendAvroLong(Below(3), bytes);
    } else if (kind == "boolean") {
      *bytes += static_cast<char>(Below(2));
    } else if (kind == "float") {
      AppendRaw(Below(2) == 0 ? static_cast<float>(Below(1000)) / 8 : DrawFloat<float, uint32_t>(), bytes);
    } else if (kind == "double") {
      AppendRaw(Below(2) == 0 ? static_cast<double>(Below(100000)) / 1000 : DrawFloat<double, uint64_t>(), bytes);
    } else if (kind == "fixed") {
      for (uint32_t i = type["size"]; i > 0; --i) *bytes += static_cast<char>(random_());
    } else if (kind == "bytes") {
      std::string some;
      for (uint32_t i = Below(12); i > 0; --i) some += static_cast<char>(Below(3) == 0 ? 255 : random_());
      AppendAvroText(some, bytes);
    } else if (kind == "string") {
      AppendAvroText(Keys()[Below(3)], bytes);
    }
  }

  // A place as the schema has it, mostly.
  JsonPath Path(const Json& schema) {
    JsonPath path;
    const Json* type = &schema;
    for (int steps = 0; steps < 8; ++steps) {
      while (type->is_array() || type->is_string()) {
        const auto named = type->is_string() ? types_.find(*type) : types_.end();
        if (type->is_string() && named == types_.end()) return path;
        type = type->is_array() ? &(*type)[Below(static_cast<uint32_t>(type->size()))] : &named->second;
      }
      const std::string kind = (*type)["type"];
      if (Below(12) == 0) return path;
      if (kind == "record") {
        const Json& field = (*type)["fields"][Below(static_cast<uint32_t>((*type)["fields"].size()))];
        path.steps.push_back({.name = field["name"], .index = std::nullopt});
        type = &field["type"];
      } else if (kind == "array" && Below(2) == 0) {
        path.each = true;
        return path;
      } else if (kind == "array") {
        path.steps.push_back({.name = "", .index = Below(3)});
        type = &(*type)["items"];
      } else if (kind == "map") {
        path.steps.push_back({.name = Below(2) == 0 ? "a" : absl::StrCat(Keys()[Below(3)], 1, 0), .index = std::nullopt});
        type = &(*type)["values"];
      } else {
        return path;
      }
    }
    return path;
  }

  uint32_t Below(uint32_t end) { return static_cast<uint32_t>(random_() % end); }

 private:
  std::string Name() { return absl::StrCat("T", ++names_); }
  static const std::vector<std::string>& Fields() {
    static const auto* const fields = new std::vector<std::string>{"a", "b", "c", "d"};
    return *fields;
  }
  static const std::vector<std::string>& Keys() {
    static const auto* const keys = new std::vector<std::string>{"", "a", "längerer Text"};
    return *keys;
  }
  template <typename Float, typename Bits>
  Float DrawFloat() {
    const auto bits = static_cast<Bits>(random_());
    Float number = 0;
    std::memcpy(&number, &bits, sizeof(number));
    // An infinity is told as what is no number either.
    return Below(8) == 0        ? std::ldexp(Float{1}, static_cast<int>(Below(200)) - 100)
           : std::isinf(number) ? std::numeric_limits<Float>::quiet_NaN()
                                : number;
  }

  std::mt19937_64 random_;
  int names_ = 0;
  std::vector<std::string> named_;
  std::map<std::string, Json> types_;
};

// What avro-c reads of the record, and writes again.
std::string ByAvroC(const std::string& schema, const std::string& record) {
  avro_schema_t read = nullptr;
  if (avro_schema_from_json_length(schema.data(), schema.size(), &read) != 0) return "no schema: " + schema;
  avro_value_iface_t* const iface = avro_generic_class_from_schema(read);
  avro_value_t value;
  avro_generic_value_new(iface, &value);
  avro_reader_t reader = avro_reader_memory(record.data(), static_cast<int64_t>(record.size()));
  std::string written;
  if (avro_value_read(reader, &value) != 0) {
    written = absl::StrCat("unread: ", avro_strerror());
  } else {
    size_t size = 0;
    avro_value_sizeof(&value, &size);
    written.resize(size);
    avro_writer_t writer = avro_writer_memory(written.data(), static_cast<int64_t>(size));
    if (avro_value_write(writer, &value) != 0) written = "unwritten";
    avro_writer_free(writer);
  }
  avro_reader_free(reader);
  avro_value_decref(&value);
  avro_value_iface_decref(iface);
  avro_schema_decref(read);
  return written;
}

TEST(AvroFormat, RandomRecordsOfRandomSchemasAreReadAsTheOracleDoes) {
  int sound = 0;
  int malformed = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    RandomAvro random(seed);
    const Json schema = random.Record(3);
    AvroFormat format = Format(schema.dump());
    format.set_confluent(random.Below(4) == 0);
    std::string error;
    ASSERT_TRUE(ReadAvroSchema(format.schema(), &error)) << error << " " << format.schema();
    std::vector<JsonPath> paths;
    for (int i = 0; i < 5; ++i) paths.push_back(random.Path(schema));
    AvroReader reader(format, paths);
    const AvroTree tree(format.schema(), format.confluent());
    std::vector<RawValue> values(paths.size());
    for (int i = 0; i < 10; ++i) {
      std::string record(format.confluent() ? 5 : 0, '\0');
      random.Write(schema, 0, &record);
      const bool changed = i >= 5 && !record.empty();
      if (changed && random.Below(3) == 0) record.resize(random.Below(static_cast<uint32_t>(record.size())));
      if (changed && !record.empty())
        record[random.Below(static_cast<uint32_t>(record.size()))] = static_cast<char>(random.Below(256));
      if (changed && random.Below(8) == 0) record += '\0';
      const auto where = [&] {
        return absl::StrCat("seed ", seed, ", record ", i, " ", absl::CEscape(record), " of ", format.schema());
      };
      if (i % 2 == 0) reader.Clear();
      const BadReason reason = reader.Read(record, values);
      const std::optional<JsonNode> expected = tree.Read(record);
      std::vector<std::string> of_paths;
      for (size_t p = 0; expected && p < paths.size(); ++p) of_paths.push_back(ExpectedValue(*expected, paths[p]));
      const bool twice = std::ranges::find(of_paths, "") != of_paths.end();
      ASSERT_EQ(reason == BAD_NONE, expected.has_value() && !twice) << where();
      malformed += reason != BAD_NONE;
      sound += reason == BAD_NONE;
      for (size_t p = 0; reason == BAD_NONE && p < paths.size(); ++p)
        ASSERT_EQ(ShownValue(values[p]), of_paths[p]) << where() << " at " << p;
      // avro-c takes what is twice in a map for the same, and nothing for Confluent's bytes.
      if (changed || format.confluent() || !expected || seed % 4 != 0) continue;
      const std::string written = ByAvroC(format.schema(), record);
      const std::optional<JsonNode> again = tree.Read(written);
      ASSERT_TRUE(again) << written << " " << where();
      if (record.size() != written.size()) continue;
      ASSERT_EQ(ShownTree(*again), ShownTree(*expected)) << where();
    }
  }
  EXPECT_GT(sound, 15'000);
  EXPECT_GT(malformed, 1'500);
}

TEST(AvroFormat, RecordsByTheSchemasOfARegistryAreReadAsByEachSchemaAlone) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    RandomAvro random(seed);
    // Each has the names of its own schema.
    std::vector<RandomAvro> of_schemas;
    std::vector<Json> schemas;
    std::vector<JsonPath> paths;
    AvroFormat format;
    format.set_registry(true);
    google::protobuf::RepeatedPtrField<LearnedSchema> learned;
    for (uint32_t id = 0; id < 4; ++id) {
      of_schemas.emplace_back(4 * seed + id);
      schemas.push_back(of_schemas[id].Record(2));
      learned.Add()->set_id(id);
      // One is known to be none.
      if (id > 0) learned[static_cast<int>(id)].set_avro(schemas[id].dump());
      for (int i = 0; i < 2; ++i) paths.push_back(of_schemas[id].Path(schemas[id]));
    }
    std::vector<std::unique_ptr<AvroReader>> alone;
    for (const Json& schema : schemas) {
      AvroFormat of = Format(schema.dump());
      of.set_confluent(true);
      alone.push_back(std::make_unique<AvroReader>(of, paths));
    }
    AvroReader reader(format, paths);
    std::vector<RawValue> values(paths.size());
    std::vector<RawValue> expected(paths.size());
    const auto record_of = [&](uint32_t id) {
      std::string record = std::string(4, '\0') + static_cast<char>(id);
      of_schemas[id].Write(schemas[id], 0, &record);
      return record;
    };
    EXPECT_EQ(reader.MissingSchema(record_of(2)), 2u);
    reader.SetSchemas(ReadLearnedSchemas(learned).value());
    for (int i = 0; i < 40; ++i) {
      const uint32_t id = random.Below(4);
      std::string record = record_of(id);
      if (i % 5 == 0) record.resize(random.Below(static_cast<uint32_t>(record.size())));
      reader.Clear();
      alone[id]->Clear();
      ASSERT_EQ(reader.MissingSchema(record), std::nullopt);
      BadReason of_schema = alone[id]->Read(record, expected);
      if (id == 0 && record.size() >= 5) of_schema = BAD_UNKNOWN_SCHEMA;
      ASSERT_EQ(reader.Read(record, values), of_schema) << "seed " << seed << " " << absl::CEscape(record);
      for (size_t p = 0; of_schema == BAD_NONE && p < paths.size(); ++p)
        ASSERT_EQ(ShownValue(values[p]), ShownValue(expected[p])) << "seed " << seed << " " << absl::CEscape(record);
    }
  }
}

TEST(AvroFormat, OtherSchemasTakeThePlaceOfThoseThatWereSetBefore) {
  std::string error;
  AvroFormat format;
  format.set_registry(true);
  AvroReader reader(format, {*ParseJsonPath("a", &error)});
  RawValue value;
  const std::string record("\0\0\0\0\7\2\4", 7);
  const auto set = [&](const std::string& fields) {
    google::protobuf::RepeatedPtrField<LearnedSchema> learned;
    learned.Add()->set_id(7);
    learned[0].set_avro(R"({"type":"record","name":"R","fields":)" + fields + "}");
    reader.SetSchemas(ReadLearnedSchemas(learned).value());
  };
  set(R"([{"name":"a","type":"int"},{"name":"b","type":"int"}])");
  ASSERT_EQ(reader.Read(record, {&value, 1}), BAD_NONE);
  EXPECT_EQ(value.mantissa, 1);
  set(R"([{"name":"b","type":"int"},{"name":"a","type":"int"}])");
  ASSERT_EQ(reader.Read(record, {&value, 1}), BAD_NONE);
  EXPECT_EQ(value.mantissa, 2);
  reader.SetSchemas(std::make_shared<const LearnedSchemas>());
  EXPECT_EQ(reader.MissingSchema(record), 7u);
  EXPECT_EQ(reader.Read(record, {&value, 1}), BAD_UNKNOWN_SCHEMA);
  // No registry has an id that is no positive int.
  EXPECT_EQ(reader.MissingSchema(std::string("\0\xff\0\0\7\2\4", 7)), std::nullopt);
}

// What stands at the path in a record with one field, f, of the type.
std::string ReadField(const std::string& type, const std::string& bytes, const char* place = "f") {
  std::string error;
  const std::optional<JsonPath> path = ParseJsonPath(place, &error);
  AvroReader reader(Format(absl::StrCat(R"({"type":"record","name":"R","fields":[{"name":"f","type":)", type, "}]}")),
                    {*path});
  RawValue value;
  if (reader.Read(bytes, {&value, 1}) != BAD_NONE) return "malformed";
  if (value.kind == RawValue::Kind::kDecimal) return Fraction::OfDecimal(value.mantissa, 1, value.decimals).Text();
  return value.kind == RawValue::Kind::kNull ? "null" : std::string(value.text);
}

std::string Raw(auto number) {
  std::string bytes;
  AppendRaw(number, &bytes);
  return bytes;
}

std::string Sized(const std::string& text) {
  std::string bytes;
  AppendAvroText(text, &bytes);
  return bytes;
}

TEST(AvroFormat, AFloatIsTheShortestDecimalThatReadsBack) {
  EXPECT_EQ(ReadField("\"double\"", Raw(0.1)), "0.1");
  EXPECT_EQ(ReadField("\"float\"", Raw(0.1F)), "0.1");
  EXPECT_EQ(ReadField("\"double\"", Raw(static_cast<double>(0.1F))), "0.10000000149011612");
  EXPECT_EQ(ReadField("\"double\"", Raw(100000.0)), "100000");
  EXPECT_EQ(ReadField("\"float\"", Raw(-3e10F)), "-30000000000");
  EXPECT_EQ(ReadField("\"double\"", Raw(1e20 + 1e6)), "100000000000001000000");
  EXPECT_EQ(ReadField("\"double\"", Raw(1e21)), "1e+21");
  EXPECT_EQ(ReadField("\"double\"", Raw(-0.0)), "0");
  EXPECT_EQ(ReadField("\"double\"", Raw(5e-324)), "5e-324");
  EXPECT_EQ(ReadField("\"double\"", Raw(std::numeric_limits<double>::quiet_NaN())), "nan");
  EXPECT_EQ(ReadField("\"double\"", Raw(-std::numeric_limits<double>::infinity())), "inf");
}

TEST(AvroFormat, ADecimalHasItsScale) {
  const std::string type = R"({"type":"bytes","logicalType":"decimal","precision":9,"scale":2})";
  EXPECT_EQ(ReadField(type, Sized(std::string("\x01\x2c"))), "3.00");
  EXPECT_EQ(ReadField(type, Sized("\xff")), "-0.01");
  EXPECT_EQ(ReadField(type, Sized("")), "0.00");
  EXPECT_EQ(ReadField(type, Sized(std::string(40, '\0') + "\x05")), "0.05");
}

TEST(AvroFormat, AUnionIsWhatItsBranchIs) {
  const std::string type = R"(["null",{"type":"record","name":"S","fields":[{"name":"x","type":"string"}]}])";
  EXPECT_EQ(ReadField(type, std::string("\x02\x02y"), "f.x"), "y");
  EXPECT_EQ(ReadField(type, std::string("\0", 1), "f.x"), "null");
  EXPECT_EQ(ReadField(type, std::string("\x04"), "f.x"), "malformed");
}

TEST(AvroFormat, ASchemaThatDoublesItselfEndsWithTheRecord) {
  std::string type = "\"null\"";
  for (int i = 0; i < 60; ++i)
    type = absl::StrCat(R"({"type":"record","name":"D)", i, R"(","fields":[{"name":"a","type":)", type,
                        R"(},{"name":"b","type":)", i == 0 ? "\"null\"" : absl::StrCat("\"D", i - 1, "\""), "}]}");
  EXPECT_EQ(ReadField(type, ""), "malformed");
  EXPECT_EQ(ReadField(R"({"type":"array","items":"null"})", "\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"), "malformed");
}

// Both read the record, and what they find at the path is the same.
std::string ReadAlike(const std::string& schema, const std::string& record, const char* place) {
  const AvroFormat format = Format(schema);
  std::string error;
  EXPECT_TRUE(ReadAvroSchema(schema, &error)) << error;
  const std::optional<std::string> compact = CompactAvroSchema(schema);
  const JsonPath path = *ParseJsonPath(place, &error);
  std::string shown;
  for (const std::string& each : {schema, *compact}) {
    AvroReader reader(Format(each), {path});
    RawValue value;
    EXPECT_EQ(reader.Read(record, {&value, 1}), BAD_NONE) << each;
    const std::optional<JsonNode> tree = AvroTree(Format(each).schema(), Format(each).confluent()).Read(record);
    EXPECT_TRUE(tree) << each;
    shown = ShownValue(value);
    EXPECT_EQ(shown, ExpectedValue(*tree, path)) << each;
  }
  return shown;
}

TEST(AvroFormat, NamesAreThoseOfTypesBeforeThemAndOtherAttributesDoNotMatter) {
  // The nearest N that is defined before, which is in no namespace.
  EXPECT_EQ(ReadAlike(R"({"type":"record","name":"R","fields":[)"
                      R"({"name":"a","type":{"type":"enum","name":"N","symbols":["OUTER"]}},)"
                      R"({"name":"q","type":{"type":"record","name":"Q","namespace":"x","fields":[{"name":"c","type":"N"},)"
                      R"({"name":"d","type":{"type":"fixed","name":"N","size":1}}]}}]})",
                      std::string("\0\0y", 3), "q.c"),
            ShownValue({.kind = RawValue::Kind::kString, .text = "OUTER"}));
  // Names of kinds of types, and attributes that mean something elsewhere.
  EXPECT_EQ(ReadAlike(R"({"type":"record","name":"map","namespace":null,"fields":[)"
                      R"({"name":"a","type":{"type":"enum","name":"error","symbols":["E"],"values":[{"doc":"x"}]}},)"
                      R"({"name":"b","type":"error"},{"name":"c","type":{"type":"int","fields":3,"items":{}}},)"
                      R"({"name":"d","type":["null","map"],"default":null,"doc":"123"}]})",
                      std::string("\0\0\6\2\0\0\2\0", 8), "d.b"),
            ShownValue({.kind = RawValue::Kind::kString, .text = "E"}));
  EXPECT_EQ(ReadAlike(R"({"type":"fixed","name":"F","size":1001,"logicalType":"decimal","precision":9})",
                      std::string(1000, '\0') + "\5", "x"),
            ShownValue({}));
  const std::string long_decimal = R"({"type":"record","name":"R","fields":[{"name":"f","type":)"
                                   R"({"type":"fixed","name":"F","size":1001,"logicalType":"decimal","precision":9}}]})";
  EXPECT_EQ(ReadAlike(long_decimal, std::string(1000, '\0') + "\5", "f"),
            ShownValue({.kind = RawValue::Kind::kNumber, .text = "5"}));
}

TEST(AvroFormat, ARecordThatNamesItselfIsReadWhereverItsReaderIsMovedTo) {
  const std::string schema = R"({"type":"record","name":"R","fields":[{"name":"next","type":["null","R"]}]})";
  std::vector<AvroTree> trees;
  for (int i = 0; i < 3; ++i) trees.emplace_back(schema, /*confluent=*/false);
  const std::optional<JsonNode> tree = trees[0].Read(std::string("\2\2\0", 3));
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->members[0].value.members[0].value.members.size(), 1u);
}

std::string ProblemOf(const std::string& schema) {
  std::string error;
  return ReadAvroSchema(schema, &error) ? "" : error;
}

TEST(AvroSchema, WhatIsWrongIsNamed) {
  EXPECT_EQ(ProblemOf("{\"type\": \"record\""), "is no JSON, at byte 18");
  EXPECT_THAT(ProblemOf(R"({"type":"record","name":"R","fields":[{"name":"f","type":"strin"}]})"),
              testing::HasSubstr("names a type 'strin', which it has not defined before (did you mean string?)"));
  EXPECT_THAT(ProblemOf(R"({"type":"record","name":"R","fields":[{"name":"f"}]})"),
              testing::HasSubstr("without a name or a type"));
  EXPECT_THAT(ProblemOf(R"(["null", ["int"]])"), testing::HasSubstr("a union directly in a union"));
  EXPECT_THAT(ProblemOf(R"(["long", {"type":"long","logicalType":"timestamp-millis"}])"),
              testing::HasSubstr("has timestamp-millis twice in a union"));
  EXPECT_THAT(ProblemOf(R"({"type":"int","default":1e400})"), testing::HasSubstr("has a number that is out of range"));
  EXPECT_THAT(ProblemOf(R"({"a":)" + std::string(100'000, '[')), testing::HasSubstr("nested over 64 deep"));
}

TEST(AvroSchema, ALongPathThroughTypesThatNameEachOtherIsCheckedInNoTime) {
  std::string error;
  const std::optional<AvroSchema> schema =
      ReadAvroSchema(R"({"type":"record","name":"A","fields":[{"name":"a","type":["null","A",{"type":"record","name":"B",)"
                     R"("fields":[{"name":"a","type":["null","A","B"]}]}]}]})",
                     &error);
  ASSERT_TRUE(schema) << error;
  std::string place = "a";
  for (int i = 0; i < 60; ++i) place += ".a";
  EXPECT_THAT(AvroPlaceProblem(*schema, *ParseJsonPath(place, &error), FIELD_TEXT, TIMESTAMP_TEXT),
              testing::HasSubstr("say which of its fields"));
}

std::string PlaceProblem(const char* place, FieldType type, TimestampUnit unit = TIMESTAMP_TEXT) {
  std::string error;
  const std::optional<AvroSchema> schema = ReadAvroSchema(
      R"({"type":"record","name":"Sale","namespace":"shop","fields":[{"name":"price","type":["null","double"]},
          {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"id","type":"long"},
          {"name":"tags","type":{"type":"array","items":"string"}}]})",
      &error);
  return AvroPlaceProblem(*schema, *ParseJsonPath(place, &error), type, unit);
}

TEST(AvroSchema, AFieldThatDoesNotFitIsRefused) {
  EXPECT_EQ(PlaceProblem("price", FIELD_DECIMAL), "");
  EXPECT_EQ(PlaceProblem("at", FIELD_TIMESTAMP), "");
  EXPECT_EQ(PlaceProblem("at", FIELD_INTEGER), "");
  EXPECT_EQ(PlaceProblem("tags[*]", FIELD_TEXT_LIST), "");
  EXPECT_EQ(PlaceProblem("tags[0]", FIELD_TEXT), "");
  EXPECT_EQ(PlaceProblem("id", FIELD_TIMESTAMP, TIMESTAMP_SECONDS), "");
  EXPECT_EQ(PlaceProblem("id", FIELD_TIMESTAMP), "needs a unit, s, ms or us: the schema says a long");
  EXPECT_EQ(PlaceProblem("at", FIELD_TIMESTAMP, TIMESTAMP_SECONDS),
            "has a unit, and the schema says what it is: a timestamp-millis");
  EXPECT_EQ(PlaceProblem("price", FIELD_TEXT), "is no text: the schema says a double");
  EXPECT_EQ(PlaceProblem("price.x", FIELD_TEXT), "goes to 'x' of what the schema says is a double, which has no fields");
  EXPECT_EQ(PlaceProblem("tags[0]", FIELD_TIMESTAMP, TIMESTAMP_SECONDS),
            "has a unit, which only numbers have: the schema says a string");
  EXPECT_EQ(PlaceProblem("tags.x", FIELD_TEXT), "goes to 'x' of an array; say of which item, [0] the first");
  EXPECT_EQ(PlaceProblem("prices", FIELD_DECIMAL),
            "goes to 'prices' of what the schema says is a shop.Sale, which has none of that name (did you mean price?)");
  EXPECT_EQ(PlaceProblem("tags", FIELD_TEXT),
            "is no text: the schema says an array; [*] has all its items, for a list, [0] the first");
}

}  // namespace
}  // namespace tenfold
