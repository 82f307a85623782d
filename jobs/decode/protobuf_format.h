// Reads fields from records that are messages of Protocol Buffers, from their bytes, as libprotobuf would: the last value of
// a field counts, messages of several occurrences are one, setting a member of a oneof clears the others, values of a wrong
// wire type and unknown fields do not count. Pure; used by one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "jobs/decode/path_tree.h"
#include "jobs/decode/protobuf_wire.h"
#include "jobs/decode/record.h"
#include "jobs/plan/json_path.h"
#include "jobs/plan/protobuf_schema.h"
#include "state.pb.h"

namespace tenfold {

class ProtobufReader {
 public:
  // The i-th value that Read returns is what stands at paths[i]. ReadProtobufSchema has accepted the format.
  ProtobufReader(const ProtobufFormat& format, const std::vector<JsonPath>& paths);

  // Ends what was read before.
  void Clear() {
    constexpr size_t kKeptTexts = 4096;
    if (texts_.size() > kKeptTexts) texts_.clear();
    used_texts_ = 0;
    items_.clear();
  }
  // Reads the record into values[i], one for each path. A field that is not set is its default, and null if it has none but
  // the schema can tell that it is not set; what is below a message that is not there is null, and so is where the schema
  // has nothing. A google.protobuf.Timestamp is a number of microseconds, which its unit says, beyond 64 bits the nearest
  // that there is. Other messages, all values of a map, and those of a repeated field without [*] are kOther. BAD_NONE or
  // BAD_MALFORMED_RECORD, which is also a record nested more than kMaxJsonDepth deep or without a required field.
  BadReason Read(std::string_view value, std::span<RawValue> values);

 private:
  static constexpr uint32_t kGeneral = kNowhere - 1;
  using Descriptor = google::protobuf::Descriptor;
  using FieldDescriptor = google::protobuf::FieldDescriptor;

  struct WireField {
    const FieldDescriptor* field;
    FieldDescriptor::Type type;
    // How its values are written, one by one.
    uint32_t wire_type;
    // Its place in the message's `fields`.
    uint32_t index;
    bool repeated;
    // Its values may also stand packed in one.
    bool packable;
    bool map;
    // Only UTF-8 is possible.
    bool utf8;
    // An enum of which unknown values do not count.
    bool closed;
    // Which of the message's required fields it is, the oneof that it is a member of, and the message type that it has;
    // kNowhere if none.
    uint32_t required;
    uint32_t oneof;
    uint32_t message;
  };
  // A message type, also those that no path goes through, since they too may be malformed.
  struct MessageType {
    std::vector<WireField> fields;
    // The indexes of fields by their numbers: of small numbers directly, kNowhere for none.
    std::vector<uint32_t> small_numbers;
    absl::flat_hash_map<uint32_t, uint32_t> large_numbers;
    uint32_t required = 0;
    uint32_t oneofs = 0;
    bool timestamp = false;
    // It or a message in it has required fields.
    bool requires_fields = false;

    const WireField* Find(uint32_t number) const;
  };
  // Where paths go on from or end: a tree of their steps. A map's key leads to a place of the map's entry.
  struct Place {
    // Which values stand here, and which are lists of all that is here.
    std::vector<uint32_t> values;
    std::vector<uint32_t> lists;
    // The values here while the field is not set, but its message is there.
    RawValue unset;
    // The type of the message here, and the places that its fields lead to, by their indexes; empty if paths end here.
    uint32_t type = kNowhere;
    std::vector<uint32_t> fields;
    // What a field's value does, in the same order: it sets this one value, or none (kNowhere), or is not as simple
    // (kGeneral).
    std::vector<uint32_t> ways;
    // Of a repeated field or a map.
    std::vector<std::pair<uint32_t, uint32_t>> items;
    std::vector<std::pair<std::string, uint32_t>> keys;
    // All places of the three.
    std::vector<uint32_t> below;
    // Where cases_ begins to have the oneofs of the message, and how many there are.
    uint32_t first_case = 0;
    uint32_t oneofs = 0;
    // The value of a map's entry, which is there even if it is not written.
    bool always = false;
    bool timestamp = false;
  };
  // What the record under way has at a place.
  struct State {
    // The message is there.
    bool present = false;
    // How many values a repeated field has so far.
    uint32_t count = 0;
    std::vector<RawValue>* items = nullptr;
    // Of a timestamp.
    int64_t seconds = 0;
    int64_t nanos = 0;
  };
  // Where a value goes: to a place, or kNowhere, and into a list, if any.
  struct Target {
    uint32_t place = kNowhere;
    std::vector<RawValue>* list = nullptr;
  };
  using NumberBuffer = std::array<char, 32>;

  // Each makes what is not there yet, and returns its index; a place is of a message, by its type, or kNowhere.
  uint32_t AddMessageType(const Descriptor& message);
  uint32_t AddPlace(uint32_t from, uint32_t message);
  uint32_t AddField(uint32_t from, const WireField& field, bool in_entry);
  uint32_t AddItem(uint32_t from, uint32_t index, uint32_t message);
  uint32_t AddKey(uint32_t from, const std::string& key, const WireField& map);
  void AddPath(const JsonPath& path, uint32_t value);
  void FindWays(Place* place);
  // What the field is where it is not set; one of a map's entry always has a default.
  RawValue UnsetValue(const WireField& field, bool in_entry);

  // Each reads what is next, which stands at a place or kNowhere, `depth` messages and groups deep. False for what is
  // malformed. `group` is the number of the field whose group the message is; 0 if it ends with the bytes.
  bool ReadMessage(const MessageType& type, uint32_t place, uint32_t group, size_t depth, WireCursor* in);
  bool ReadField(const WireField& field, uint32_t place, uint32_t tag, size_t depth, WireCursor* in);
  bool ReadPacked(const WireField& field, uint32_t place, WireCursor* in);
  bool ReadSubmessage(const WireField& field, uint32_t place, uint32_t group, size_t depth, WireCursor* in);
  bool ReadEntry(const WireField& field, uint32_t place, size_t depth, WireCursor entry);
  // Sets *place, which is of the map, to the place that the entry's key leads to, or to kNowhere.
  bool FindEntry(const WireField& map, size_t depth, WireCursor entry, uint32_t* place) const;
  // Whether the message in these parts, which are sound, has all required fields, also below.
  bool IsComplete(const MessageType& type, std::span<const WireCursor> parts) const;

  // A field of the message at the place gets a value.
  void SetNumber(const WireField& field, uint32_t place, uint64_t bits);
  void SetTimestamp(uint32_t place);
  void Set(const Target& target, const RawValue& value);
  // Where the field's next value goes.
  Target TargetOf(const WireField& field, uint32_t place);
  // Of a oneof, the field is what is set now.
  void SetCase(const WireField& field, uint32_t place);
  // The message at the place is there; its fields are not set yet.
  void Enter(uint32_t place);
  // The field at the place is not set.
  void Unset(uint32_t place);
  // All at the place and below it is null again.
  void Reset(uint32_t place);
  RawValue ValueOf(const WireField& field, uint64_t bits);
  RawValue NumberValue(FieldDescriptor::Type type, uint64_t bits);
  template <typename Float>
  RawValue FloatValue(Float number);
  NumberBuffer& NextText();

  std::shared_ptr<const ProtobufSchema> schema_;
  bool confluent_;
  std::deque<MessageType> types_;
  std::map<const Descriptor*, uint32_t> type_of_;
  std::vector<Place> places_;
  // The texts of defaults that are numbers.
  std::deque<std::string> default_texts_;

  // The record under way: by place, and for each oneof of a place the index of the field that is set, or kNowhere.
  std::vector<State> states_;
  std::vector<uint32_t> cases_;
  std::span<RawValue> values_;
  // How many decimals the last floating point number had, which the next one often has.
  int decimals_ = 0;
  // The texts of numbers and the items of lists since the last Clear.
  std::deque<NumberBuffer> texts_;
  size_t used_texts_ = 0;
  std::deque<std::vector<RawValue>> items_;
};

}  // namespace tenfold
