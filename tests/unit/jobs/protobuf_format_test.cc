#include "jobs/decode/protobuf_format.h"

#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/limits.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/stubs/logging.h"
#include "gtest/gtest.h"
#include "jobs/oracle/protobuf_tree.h"
#include "jobs/plan/protobuf_schema.h"
#include "tests/unit/jobs/protobuf_fixture.h"
#include "tests/unit/jobs/shown_number.h"

namespace tenfold {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;
using testing::ElementsAre;

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string Tag(int number, int wire_type) {
  return Varint(static_cast<uint64_t>(number) * 8 + static_cast<uint64_t>(wire_type));
}
std::string Number(int number, uint64_t value) { return Tag(number, 0) + Varint(value); }
std::string Bytes(int number, const std::string& bytes) { return absl::StrCat(Tag(number, 2), Varint(bytes.size()), bytes); }
std::string Group(int number, const std::string& bytes) { return absl::StrCat(Tag(number, 3), bytes, Tag(number, 4)); }
template <typename T>
std::string Fixed(int number, T value) {
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return Tag(number, sizeof(value) == 4 ? 5 : 1) + bytes;
}

std::vector<std::string> StepsOf(const JsonPath& path) {
  std::vector<std::string> steps;
  for (const JsonPath::Step& step : path.steps)
    steps.push_back(step.index ? absl::StrCat("[", *step.index) : "." + step.name);
  if (path.each) steps.emplace_back("[*");
  return steps;
}

std::string Text(char kind, const std::string& text, TimestampUnit unit, const std::vector<std::string>& items) {
  switch (kind) {
    case 's':
      return absl::StrCat("'", absl::CHexEscape(text), "'");
    case 'l':
      return absl::StrCat("[", absl::StrJoin(items, ","), "]");
    case 'o':
      return "other";
    default:
      return absl::StrCat(text, unit == TIMESTAMP_TEXT ? "" : unit == TIMESTAMP_MICROSECONDS ? "us" : "?");
  }
}

bool IsNumber(const RawValue& value) {
  return value.kind == RawValue::Kind::kNumber || value.kind == RawValue::Kind::kDecimal;
}

std::string Text(const RawValue& value) {
  std::vector<std::string> items;
  if (value.kind == RawValue::Kind::kList) {
    for (const RawValue& item : *value.items) items.push_back(Text(item));
  }
  switch (value.kind) {
    case RawValue::Kind::kNull:
      return "null";
    case RawValue::Kind::kBytes:
      return "bytes";
    default:
      return Text(" tsnbnlo"[static_cast<size_t>(value.kind)],
                  IsNumber(value) ? ShownNumber(value) : std::string(value.text), value.unit, items);
  }
}

std::string Text(const std::optional<oracle::ProtobufFound>& found) {
  if (!found) return "null";
  std::vector<std::string> items;
  for (const oracle::ProtobufFound& item : found->items) items.push_back(Text(std::optional(item)));
  return Text(found->kind, found->kind == 'n' ? ShownNumber(found->text) : found->text, found->unit, items);
}

// What is at the paths of records, as texts, or "malformed". Expects that the oracle finds the same.
class Trial {
 public:
  Trial(const ProtobufFormat& format, std::vector<JsonPath> paths)
      : paths_(std::move(paths)), reader_(format, paths_), tree_(format), values_(paths_.size()) {}

  std::vector<std::string> operator()(const std::string& record) {
    // A buffer of its own has sanitizers see what is read beyond it.
    const std::vector<char> exact(record.begin(), record.end());
    const std::string_view view(exact.data(), exact.size());
    std::vector<std::string> found;
    std::vector<std::string> expected;
    if (reader_.Read(view, values_) == BAD_NONE) {
      for (const RawValue& value : values_) found.push_back(Text(value));
    } else {
      found = {"malformed"};
    }
    if (tree_.Read(view)) {
      for (const JsonPath& path : paths_) expected.push_back(Text(tree_.At(StepsOf(path))));
    } else {
      expected = {"malformed"};
    }
    if (found != expected) {
      std::string all;
      for (size_t i = 0; i < paths_.size() && i < found.size() && found.size() == expected.size(); ++i) {
        if (found[i] != expected[i])
          absl::StrAppend(&all, absl::StrJoin(StepsOf(paths_[i]), ""), ": ", found[i], " but ", expected[i], "\n");
      }
      ADD_FAILURE() << absl::BytesToHexString(record) << "\n"
                    << all << absl::StrJoin(found, " ") << "\nthe oracle: " << absl::StrJoin(expected, " ");
    }
    return found;
  }
  void Clear() { reader_.Clear(); }

 private:
  std::vector<JsonPath> paths_;
  ProtobufReader reader_;
  oracle::ProtobufTree tree_;
  std::vector<RawValue> values_;
};

Trial TrialOf(const ProtobufFormat& format, const std::vector<std::string>& paths) {
  std::vector<JsonPath> read;
  for (const std::string& path : paths) read.push_back(Path(path));
  return Trial(format, std::move(read));
}

TEST(ProtobufFormatTest, NumbersAndTextsAreReadByTheirTypes) {
  const std::vector<std::string> paths = {"i32",  "i64", "u32", "u64", "s32", "s64", "f32",   "f64", "sf32",
                                          "sf64", "fl",  "db",  "b",   "s",   "by",  "color", "far"};
  Trial trial = TrialOf(FormatOf(AllFiles(), "shop.Sale"), paths);
  EXPECT_THAT(trial(""),
              ElementsAre("0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0", "false", "''", "''", "'RED'", "0"));
  const std::string all = Number(1, ~uint64_t{0}) + Number(2, uint64_t{1} << 63) + Number(3, 0xffff'ffff) +
                          Number(4, ~uint64_t{0}) + Number(5, 1) + Number(6, 2) + Fixed(7, uint32_t{7}) +
                          Fixed(8, ~uint64_t{0}) + Fixed(9, int32_t{-9}) + Fixed(10, int64_t{-10}) + Fixed(11, 0.1F) +
                          Fixed(12, 0.1) + Number(13, 256) + Bytes(14, "ä") + Bytes(15, "\xff") + Number(16, 5) +
                          Number(70000, 3);
  EXPECT_THAT(trial(all), ElementsAre("-1", "-9223372036854775808", "4294967295", "18446744073709551615", "-1", "1", "7",
                                      "18446744073709551615", "-9", "-10", "0.1", "0.1", "true", "'\\xc3\\xa4'", "'\\xff'",
                                      "'BLUE'", "3"));
  EXPECT_EQ(trial(Fixed(12, 1e22))[11], "1e22");
  EXPECT_EQ(trial(Fixed(12, std::bit_cast<double>(~uint64_t{0})))[11], "nan");
  EXPECT_EQ(trial(Number(16, 4))[15], "'4'") << "an unknown value of an open enum";
  EXPECT_EQ(trial(Number(16, 5) + Number(16, 1))[15], "'GREEN'") << "the last value counts";
  EXPECT_EQ(trial(Bytes(1, "x"))[0], "0") << "a value of a wrong wire type does not count";
}

TEST(ProtobufFormatTest, WhatIsNotThereIsItsDefaultOrNull) {
  Trial trial =
      TrialOf(FormatOf(AllFiles(), "shop.Sale"), {"oi", "item.name", "item.gift", "item.tags[*]", "item", "ri[*]", "at"});
  EXPECT_THAT(trial(""), ElementsAre("null", "null", "null", "null", "null", "[]", "null"));
  EXPECT_THAT(trial(Number(17, 0) + Bytes(28, "") + Bytes(42, "")),
              ElementsAre("0", "''", "null", "[]", "other", "[]", "0us"));
  Trial old = TrialOf(FormatOf(AllFiles(), "old.Old"), {"n", "s", "mode", "pick_text", "inf", "z", "z64", "yes", "by", "f",
                                                        "d", "u", "plain", "result.code"});
  EXPECT_THAT(old(""), ElementsAre("7", "'x'", "'FAST'", "'d'", "nan", "-5", "-6", "true", "'\\xff'", "9", "0.1", "null",
                                   "null", "null"));
}

TEST(ProtobufFormatTest, MessagesOfSeveralOccurrencesAreOneAndMembersOfAOneofExcludeEachOther) {
  Trial trial = TrialOf(FormatOf(AllFiles(), "shop.Sale"), {"item.name", "item.price", "pi", "ps", "pm.name", "pm.a"});
  EXPECT_THAT(trial(Bytes(28, Bytes(1, "a")) + Bytes(28, Fixed(2, 1.5))),
              ElementsAre("'a'", "1.5", "null", "null", "null", "null"));
  const std::string name = Bytes(38, Bytes(1, "a"));
  const std::string a = Bytes(38, Number(7, 5));
  EXPECT_THAT(trial(name + a), ElementsAre("null", "null", "null", "null", "'a'", "5"));
  EXPECT_THAT(trial(name + Number(36, 0) + a), ElementsAre("null", "null", "null", "null", "''", "5"));
  EXPECT_THAT(trial(a + Bytes(37, "x")), ElementsAre("null", "null", "null", "'x'", "null", "null"));
}

TEST(ProtobufFormatTest, RepeatedFieldsAreReadPackedOrNot) {
  Trial trial =
      TrialOf(FormatOf(AllFiles(), "shop.Sale"), {"ri[*]", "ri[1]", "rd[*]", "rs[*]", "items[1].name", "items[*]", "ri"});
  EXPECT_THAT(trial(Number(20, 1) + Bytes(20, Varint(2) + Varint(3)) + Bytes(22, std::string(8, '\0')) + Bytes(21, "a") +
                    Bytes(29, "") + Bytes(29, Bytes(1, "b"))),
              ElementsAre("[1,2,3]", "2", "[0]", "['a']", "'b'", "[other,other]", "other"));
  EXPECT_THAT(trial(Bytes(22, "1234567")), ElementsAre("malformed"));
  EXPECT_THAT(trial(Bytes(20, "\x80")), ElementsAre("malformed"));
}

TEST(ProtobufFormatTest, TheLastEntryOfAKeyCounts) {
  Trial trial = TrialOf(FormatOf(AllFiles(), "shop.Sale"), {"counts.a", "counts[\"\"]", "by_id[\"-1\"].name",
                                                            "by_id[\"-1\"].price", "flags.true", "times.t", "counts"});
  EXPECT_THAT(trial(""), ElementsAre("null", "null", "null", "null", "null", "null", "other"));
  const auto id = [](const std::string& item) { return Bytes(31, Bytes(2, item) + Number(1, ~uint64_t{0})); };
  EXPECT_THAT(trial(Bytes(30, Bytes(1, "a") + Number(2, 1)) + Bytes(30, Number(2, 2) + Bytes(1, "a")) + Bytes(30, "") +
                    id(Bytes(1, "x")) + id(Fixed(2, 2.5)) + Bytes(32, Number(1, 1)) + Bytes(34, Bytes(1, "t"))),
              ElementsAre("2", "0", "''", "2.5", "''", "0us", "other"));
}

TEST(ProtobufFormatTest, TimestampsAreMicroseconds) {
  Trial trial = TrialOf(FormatOf(AllFiles(), "shop.Sale"), {"at", "at.seconds", "ats[0]"});
  const auto at = [](int64_t seconds, int64_t nanos) {
    return Number(1, static_cast<uint64_t>(seconds)) + Number(2, static_cast<uint64_t>(nanos));
  };
  EXPECT_THAT(trial(Bytes(42, at(3, 1'999)) + Bytes(43, at(1, 0))), ElementsAre("3000001us", "3", "1000000us"));
  EXPECT_THAT(trial(Bytes(42, Number(1, 3)) + Bytes(42, Number(2, 5'000))), ElementsAre("3000005us", "3", "null"));
  EXPECT_EQ(trial(Bytes(42, at(-1, 999'999'999)))[0], "-1us");
  EXPECT_EQ(trial(Bytes(42, at(0, -1)))[0], "-1us");
  EXPECT_EQ(trial(Bytes(42, at(std::numeric_limits<int64_t>::max(), 0)))[0], "9223372036854775807us");
  EXPECT_EQ(trial(Bytes(42, at(std::numeric_limits<int64_t>::min(), 0)))[0], "-9223372036854775808us");
}

TEST(ProtobufFormatTest, WhatIsNoMessageIsMalformed) {
  Trial trial = TrialOf(FormatOf(AllFiles(), "shop.Sale"), {"i32"});
  const std::string zeros(9, '\x80');
  for (const std::string& record :
       {std::string("\x08"), Tag(0, 0) + "\1", Tag(1, 6), Tag(1, 7), Tag(1, 4), Tag(99, 3), Tag(99, 3) + Tag(98, 4),
        Tag(1, 0) + zeros + "\x80\1", std::string("\x80\x80\x80\x80\x80\1", 6), Bytes(14, "\xff"), Bytes(14, "\xed\xa0\x80"),
        Bytes(28, Bytes(1, "\xff")), Tag(14, 2) + Varint(1), Bytes(28, Tag(1, 0)), Tag(28, 2) + Varint(~uint64_t{0}),
        Tag(28, 2) + std::string("\x80\x80\x80\x80\x80\0", 6), Bytes(28, Tag(9, 4))}) {
    EXPECT_THAT(trial(record), ElementsAre("malformed")) << absl::CHexEscape(record);
  }
  EXPECT_THAT(trial(Tag(1, 0) + zeros + "\1" + Group(99, Group(98, Number(1, 1)))), ElementsAre("0"));
  EXPECT_THAT(trial("\x88\x80\x80\x80\x10\5"), ElementsAre("5")) << "bits of a tag beyond 32 do not count";
  EXPECT_THAT(trial(Tag(99, 2) + "\x81\x80\x80\x80" + std::string(1, '\0') + "x" + Number(1, 5)), ElementsAre("5"));
  const auto nested = [](size_t depth, bool groups) {
    std::string record;
    for (size_t i = 0; i < depth; ++i) record = groups ? Group(99, record) : Bytes(i % 2 == depth % 2 ? 3 : 28, record);
    return record;
  };
  for (const bool groups : {false, true}) {
    EXPECT_THAT(trial(nested(kMaxJsonDepth, groups)), ElementsAre("0"));
    EXPECT_THAT(trial(nested(kMaxJsonDepth + 1, groups)), ElementsAre("malformed"));
    EXPECT_THAT(trial(nested(20'000, groups)), ElementsAre("malformed"));
  }
}

TEST(ProtobufFormatTest, RequiredFieldsAndClosedEnumsOfProto2) {
  Trial trial =
      TrialOf(FormatOf(AllFiles(), "old.Old"), {"n", "mode", "modes[*]", "result.code", "pick_need.id", "by_name.a"});
  EXPECT_THAT(trial(Bytes(24, "")), ElementsAre("malformed"));
  EXPECT_THAT(trial(Bytes(25, "")), ElementsAre("malformed"));
  EXPECT_THAT(trial(Bytes(101, "")), ElementsAre("malformed")) << "an extension";
  EXPECT_THAT(trial(Bytes(9, "")), ElementsAre("7", "'FAST'", "[]", "null", "null", "null")) << "an entry without a value";
  EXPECT_THAT(trial(Bytes(9, Bytes(2, "")) + Bytes(9, Bytes(2, Number(1, 1)))), ElementsAre("malformed"))
      << "an entry, even if another one with its key follows";
  EXPECT_THAT(trial(Bytes(8, Bytes(1, "a") + Number(2, 2)) + Bytes(8, Bytes(1, "a") + Number(2, 1))),
              ElementsAre("7", "'FAST'", "[]", "null", "null", "'LOW'"))
      << "an entry whose value is unknown has the default";
  EXPECT_THAT(trial(Group(6, Number(3, 2))), ElementsAre("malformed")) << "an unknown value";
  const std::vector<std::string> nothing = {"7", "'FAST'", "[]", "null", "null", "null"};
  EXPECT_EQ(trial(Bytes(24, "") + Bytes(24, Number(1, 0))), nothing) << "both are one message";
  EXPECT_EQ(trial(Bytes(12, "") + Bytes(13, "x")), nothing) << "another member of the oneof took its place";
  EXPECT_THAT(trial(Number(3, 3) + Number(3, 2) + Number(4, 1) + Number(4, 2) + Bytes(5, "\2\1") +
                    Group(6, Number(3, 1) + Number(1, 4))),
              ElementsAre("7", "'SLOW'", "['FAST']", "4", "null", "null"));
}

TEST(ProtobufFormatTest, ConfluentsHeaderIsSkipped) {
  Trial trial = TrialOf(FormatOf(AllFiles(), "shop.Sale", true), {"i32"});
  const std::string id("\0\1\2\3\4", 5);
  EXPECT_THAT(trial(id + std::string("\0", 1) + Number(1, 5)), ElementsAre("5"));
  EXPECT_THAT(trial(id + "\4\2\6" + Number(1, 5)), ElementsAre("5"));
  for (const std::string& bad :
       {std::string(), id, id + "\4\2", id + "\1\2", "\1" + id.substr(1) + std::string("\0", 1), id + "\x80"}) {
    EXPECT_THAT(trial(bad), ElementsAre("malformed"));
  }
}

TEST(ProtobufFormatTest, ValuesLastUntilClear) {
  const std::vector<JsonPath> paths = {Path("i32"), Path("ri[*]"), Path("at")};
  ProtobufReader reader(FormatOf(AllFiles(), "shop.Sale"), paths);
  std::vector<std::string> records;
  for (uint64_t i = 0; i < 200; ++i) records.push_back(Number(1, i) + Number(20, i) + Bytes(42, Number(1, i)));
  for (int round = 0; round < 2; ++round) {
    std::vector<std::vector<RawValue>> values(records.size(), std::vector<RawValue>(paths.size()));
    for (size_t i = 0; i < records.size(); ++i) EXPECT_EQ(reader.Read(records[i], values[i]), BAD_NONE);
    for (size_t i = 0; i < records.size(); ++i) {
      EXPECT_EQ(Text(values[i][0]), absl::StrCat(i));
      EXPECT_EQ(Text(values[i][1]), absl::StrCat("[", i, "]"));
      EXPECT_EQ(Text(values[i][2]), absl::StrCat(i, i == 0 ? "us" : "000000us"));
    }
    reader.Clear();
  }
}

// Draws records of a schema, most of them sound, and paths in them.
class Draw {
 public:
  Draw(const pb::DescriptorPool& pool, uint64_t seed) : pool_(pool), random_(seed) {}

  size_t Below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random_); }
  bool OneIn(size_t n) { return Below(n) == 0; }

  // The bytes of a message, its fields in any order and number.
  std::string Message(const pb::Descriptor& message, size_t depth) {
    std::string bytes;
    std::vector<const FieldDescriptor*> fields;
    for (int i = 0; i < message.field_count(); ++i) fields.push_back(message.field(i));
    pool_.FindAllExtensions(&message, &fields);
    const size_t count = fields.empty() ? 0 : Below(depth == 0 ? 3 : 7);
    for (size_t i = 0; i < count; ++i) bytes += Field(*fields[Below(fields.size())], depth);
    for (const FieldDescriptor* field : fields) {
      if (!field->is_required() || OneIn(30)) continue;
      bytes = OneIn(2) ? bytes + Field(*field, depth) : Field(*field, depth) + bytes;
    }
    if (OneIn(10)) bytes += Unknown(static_cast<int>(Below(120)) + 1, Below(3));
    return bytes;
  }

  std::string Field(const FieldDescriptor& field, size_t depth) {
    const int number = field.number();
    if (OneIn(60)) return Unknown(number, 2);
    if (field.message_type() != nullptr) {
      const std::string bytes = depth == 0 ? "" : Message(*field.message_type(), depth - 1);
      if (depth == 0 && OneIn(2)) return "";
      return field.type() == FieldDescriptor::TYPE_GROUP ? Group(number, bytes) : Bytes(number, bytes);
    }
    if (field.type() == FieldDescriptor::TYPE_STRING || field.type() == FieldDescriptor::TYPE_BYTES) {
      static const std::vector<std::string> texts = {
          "", "a", "b", "\xc3\xa4", "1", "true", "longer than a string that is short"};
      const bool broken = OneIn(field.type() == FieldDescriptor::TYPE_BYTES ? 3 : 300);
      return Bytes(number, broken ? "\xed\xa0\x80" : texts[Below(texts.size())]);
    }
    if (!field.is_packable() || OneIn(2)) return Tag(number, WireType(field)) + Scalar(field);
    std::string packed;
    for (size_t i = Below(5); i > 0; --i) packed += Scalar(field);
    return Bytes(number, packed);
  }

  // One that is there, or nearly.
  JsonPath AnyPath(const pb::Descriptor& root) {
    JsonPath path;
    const pb::Descriptor* message = &root;
    while (message != nullptr) {
      const FieldDescriptor& field = *message->field(static_cast<int>(Below(static_cast<size_t>(message->field_count()))));
      path.steps.push_back({.name = OneIn(60) ? "none" : field.name(), .index = {}});
      message = field.message_type();
      if (field.is_map()) {
        static const std::vector<std::string> keys = {"a", "b", "", "0", "1", "-1", "true", "false", "\xc3\xa4"};
        if (OneIn(20)) return path;
        path.steps.push_back({.name = keys[Below(keys.size())], .index = {}});
        message = message->map_value()->message_type();
      } else if (field.is_repeated()) {
        path.each = OneIn(2);
        if (path.each || OneIn(20)) return path;
        path.steps.push_back({.name = "", .index = static_cast<uint32_t>(Below(3))});
      } else if (OneIn(60)) {
        path.steps.push_back({.name = "", .index = 0});
      }
      if (path.steps.size() > 8 || OneIn(8)) break;
    }
    path.each = path.each || OneIn(60);
    return path;
  }

  // Changes bytes of a record.
  std::string Broken(std::string bytes) {
    for (size_t i = Below(3) + 1; i > 0 && !bytes.empty(); --i) {
      const size_t at = Below(bytes.size());
      switch (Below(5)) {
        case 0:
          bytes.resize(at);
          break;
        case 1:
          bytes[at] = static_cast<char>(Below(256));
          break;
        case 2:
          bytes.insert(at, 1, static_cast<char>(Below(256)));
          break;
        case 3:
          bytes.erase(at, 1);
          break;
        default:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << Below(8)));
      }
    }
    return bytes;
  }

 private:
  static int WireType(const FieldDescriptor& field) {
    switch (field.type()) {
      case FieldDescriptor::TYPE_FIXED32:
      case FieldDescriptor::TYPE_SFIXED32:
      case FieldDescriptor::TYPE_FLOAT:
        return 5;
      case FieldDescriptor::TYPE_FIXED64:
      case FieldDescriptor::TYPE_SFIXED64:
      case FieldDescriptor::TYPE_DOUBLE:
        return 1;
      default:
        return 0;
    }
  }

  std::string Scalar(const FieldDescriptor& field) {
    const uint64_t small = Below(7) - 1;
    const uint64_t bits = OneIn(3)                           ? random_()
                          : OneIn(2) && WireType(field) == 1 ? std::bit_cast<uint64_t>(0.25 * double(small))
                                                             : small;
    if (WireType(field) == 0) {
      std::string varint = Varint(bits);
      // A longer form of the same.
      if (OneIn(50) && varint.size() < 10) {
        varint.back() = static_cast<char>(varint.back() | 0x80);
        varint.resize(varint.size() + Below(10 - varint.size()), '\x80');
        varint += '\0';
      }
      return varint;
    }
    return std::string(reinterpret_cast<const char*>(&bits), WireType(field) == 5 ? 4 : 8);
  }

  std::string Unknown(int number, size_t depth) {
    switch (Below(5)) {
      case 0:
        return Number(number, Below(1000));
      case 1:
        return Fixed(number, random_());
      case 2:
        return Bytes(number, std::string(Below(10), '\1'));
      case 3:
        return Fixed(number, static_cast<uint32_t>(random_()));
      default:
        return Group(number, depth == 0 ? "" : Unknown(number + 1, depth - 1));
    }
  }

  const pb::DescriptorPool& pool_;
  std::mt19937_64 random_;
};

class RandomRecords : public testing::TestWithParam<const char*> {};

TEST_P(RandomRecords, AreReadAsLibprotobufReadsThem) {
  constexpr int kReaders = 60;
  constexpr int kRecords = 40;
  const ProtobufFormat format = FormatOf(AllFiles(), GetParam());
  std::string error;
  const auto schema = ReadProtobufSchema(format, &error);
  ASSERT_NE(schema, nullptr) << error;
  pb::DynamicMessageFactory factory;
  const std::unique_ptr<pb::Message> canonical(factory.GetPrototype(&schema->message())->New());
  const pb::LogSilencer silencer;
  std::map<std::string, size_t> seen;
  for (uint64_t seed = 1; seed <= kReaders; ++seed) {
    Draw draw(schema->pool(), seed);
    std::vector<JsonPath> paths(40);
    for (JsonPath& path : paths) path = draw.AnyPath(schema->message());
    Trial trial(format, paths);
    std::string before;
    for (int i = 0; i < kRecords; ++i) {
      const std::string record = draw.Message(schema->message(), draw.Below(5));
      std::vector<std::string> all = {record, before + record, draw.Broken(record), draw.Broken(before + record)};
      if (canonical->ParsePartialFromString(record)) {
        all.push_back(canonical->SerializePartialAsString());
        all.push_back(draw.Broken(all.back()));
      }
      for (const std::string& each : all) {
        const std::vector<std::string> found = trial(each);
        for (const std::string& text : found) ++seen[text == "null" || text == "malformed" ? text : "value"];
        ++seen["records"];
        ASSERT_FALSE(HasFailure()) << "seed " << seed << ", record " << i;
      }
      before = record;
      if (draw.OneIn(64)) trial.Clear();
    }
  }
  // The records are neither all malformed nor without values.
  EXPECT_GT(seen["records"], size_t{kReaders * kRecords * 4});
  EXPECT_GT(seen["malformed"], seen["records"] / 20);
  EXPECT_LT(seen["malformed"], seen["records"] * 4 / 5);
  EXPECT_GT(seen["value"], seen["records"]);
}

INSTANTIATE_TEST_SUITE_P(ProtobufFormatTest, RandomRecords,
                         testing::Values("shop.Sale", "shop.Item", "old.Old", "old.Need", "both.Both"));

}  // namespace
}  // namespace tenfold
