// Schemas of Protocol Buffers that tests read records by.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"
#include "job_spec.pb.h"
#include "jobs/plan/json_path.h"

namespace tenfold {

inline constexpr char kShop[] = R"(
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
enum Color { option allow_alias = true; RED = 0; CRIMSON = 0; GREEN = 1; BLUE = 5; NONE = -1; }
message Item {
  string name = 1;
  double price = 2;
  Sale sale = 3;
  optional bool gift = 4;
  repeated string tags = 5;
  map<string, Item> parts = 6;
  oneof which { int32 a = 7; string b = 8; Item c = 9; }
  google.protobuf.Timestamp made = 10;
}
message Sale {
  int32 i32 = 1; int64 i64 = 2; uint32 u32 = 3; uint64 u64 = 4; sint32 s32 = 5; sint64 s64 = 6;
  fixed32 f32 = 7; fixed64 f64 = 8; sfixed32 sf32 = 9; sfixed64 sf64 = 10; float fl = 11; double db = 12;
  bool b = 13; string s = 14; bytes by = 15; Color color = 16;
  optional int32 oi = 17; optional string os = 18; optional Color oc = 19;
  repeated int32 ri = 20; repeated string rs = 21; repeated double rd = 22 [packed = false]; repeated Color rc = 23;
  repeated sint64 rz = 24; repeated fixed32 rf = 25; repeated bool rb = 26; repeated bytes rby = 27;
  Item item = 28; repeated Item items = 29;
  map<string, int32> counts = 30; map<int32, Item> by_id = 31; map<bool, string> flags = 32; map<string, Color> colors = 33;
  map<string, google.protobuf.Timestamp> times = 34; map<uint64, double> prices = 35;
  oneof pick {
    int32 pi = 36; string ps = 37; Item pm = 38; google.protobuf.Timestamp pt = 39; Color pc = 40;
    Sale self = 41;
  }
  google.protobuf.Timestamp at = 42; repeated google.protobuf.Timestamp ats = 43;
  uint64 far = 70000;
}
)";

inline constexpr char kOld[] = R"(
syntax = "proto2";
package old;
enum Mode { SLOW = 3; FAST = 1; }
enum Level { LOW = 0; HIGH = 2; }
message Need {
  required int32 id = 1;
  optional Need next = 2;
  optional Old old = 3;
}
message Old {
  optional int32 n = 1 [default = 7]; optional string s = 2 [default = "x"]; optional Mode mode = 3 [default = FAST];
  repeated Mode modes = 4; repeated Mode packed_modes = 5 [packed = true];
  optional group Result = 6 { optional int32 code = 1; repeated string notes = 2; required Mode must = 3; }
  repeated group Row = 7 { optional int32 x = 1; optional Row row = 2; }
  map<string, Level> by_name = 8; map<int32, Need> needs = 9; map<string, string> texts = 10;
  oneof pick {
    Mode pick_mode = 11; Need pick_need = 12; string pick_text = 13 [default = "d"]; group Pg = 14 { optional int32 y = 1; }
  }
  optional float inf = 15 [default = inf]; optional sint32 z = 16 [default = -5]; optional sint64 z64 = 17 [default = -6];
  optional bool yes = 18 [default = true]; optional bytes by = 19 [default = "\377"]; optional fixed64 f = 20 [default = 9];
  optional double d = 21 [default = 0.1]; optional uint32 u = 22; optional Mode plain = 23;
  optional Need need = 24; repeated Need many = 25; optional Old old = 26; repeated int32 ri = 27;
  extensions 100 to 200;
}
extend Old {
  optional string ext_s = 100; optional Need ext_need = 101; repeated int32 ext_i = 102; repeated Need ext_r = 103;
}
)";

inline constexpr char kBoth[] = R"(
syntax = "proto3";
package both;
import "old.proto";
import "shop.proto";
message Both {
  shop.Sale sale = 1; old.Old old = 2; repeated old.Old olds = 3; map<string, old.Old> by = 4;
  oneof one { old.Need need = 5; int32 i = 6; }
}
)";

using Sources = std::vector<std::pair<std::string, std::string>>;

// What protoc makes of the files.
inline google::protobuf::FileDescriptorSet SetOf(const Sources& sources) {
  std::string dir = testing::TempDir() + "protobuf_XXXXXX";
  EXPECT_NE(mkdtemp(dir.data()), nullptr);
  const std::filesystem::path root(dir);
  std::string command = absl::StrCat("protoc --include_imports --descriptor_set_out=", dir, "/set -I", dir);
  for (const auto& [name, text] : sources) {
    std::ofstream(root / name) << text;
    absl::StrAppend(&command, " ", name);
  }
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream file(root / "set", std::ios::binary);
  google::protobuf::FileDescriptorSet set;
  EXPECT_TRUE(set.ParseFromIstream(&file));
  std::filesystem::remove_all(root);
  return set;
}

// The three files and what they import, in the order in which they do.
inline const google::protobuf::FileDescriptorSet& AllFiles() {
  static const google::protobuf::FileDescriptorSet* const all =
      new google::protobuf::FileDescriptorSet(SetOf({{"both.proto", kBoth}, {"shop.proto", kShop}, {"old.proto", kOld}}));
  return *all;
}

inline google::protobuf::FileDescriptorSet Without(const std::string& name,
                                                   google::protobuf::FileDescriptorSet set = AllFiles()) {
  auto* const files = set.mutable_file();
  files->erase(std::remove_if(files->begin(), files->end(), [&](const auto& file) { return file.name() == name; }),
               files->end());
  return set;
}

inline ProtobufFormat FormatOf(const google::protobuf::FileDescriptorSet& set, const std::string& message,
                               bool confluent = false) {
  ProtobufFormat format;
  format.set_descriptors(set.SerializeAsString());
  format.set_message(message);
  format.set_confluent(confluent);
  return format;
}

inline JsonPath Path(const std::string& text) {
  std::string error;
  const std::optional<JsonPath> path = ParseJsonPath(text, &error);
  EXPECT_TRUE(path) << error;
  return path.value_or(JsonPath());
}

}  // namespace tenfold
