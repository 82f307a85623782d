#include "jobs/decode/protobuf_format.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>
#include <utility>

#include "absl/numeric/int128.h"
#include "common/limits.h"
#include "common/number/short_decimal.h"
#include "common/text/utf8.h"
#include "glog/logging.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/wire_format_lite.h"

namespace tenfold {
namespace {

using Kind = RawValue::Kind;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::internal::WireFormatLite;

RawValue Valued(Kind kind, std::string_view text) {
  RawValue value;
  value.kind = kind;
  value.text = text;
  return value;
}

RawValue NoItems() {
  static const std::vector<RawValue>* const none = new std::vector<RawValue>;
  RawValue value = Valued(Kind::kList, "");
  value.items = none;
  return value;
}

constexpr uint32_t kKeyNumber = 1;
constexpr uint32_t kValueNumber = 2;
constexpr int kSecondsNumber = 1;
constexpr int kNanosNumber = 2;

RawValue Decimal(int64_t mantissa, int decimals = 0) {
  RawValue value;
  value.kind = Kind::kDecimal;
  value.mantissa = mantissa;
  value.decimals = static_cast<uint8_t>(decimals);
  return value;
}

template <typename Number>
std::string_view TextOf(Number number, std::array<char, 32>* text) {
  const auto written = std::to_chars(text->data(), text->data() + text->size(), number);
  return {text->data(), static_cast<size_t>(written.ptr - text->data())};
}

// The text of a whole number, a boolean or an unknown value of an enum, as it was read from a varint or its fixed bytes.
std::string_view NumberText(FieldDescriptor::Type type, uint64_t bits, std::array<char, 32>* text) {
  switch (type) {
    case FieldDescriptor::TYPE_BOOL:
      return bits == 0 ? "false" : "true";
    case FieldDescriptor::TYPE_INT32:
    case FieldDescriptor::TYPE_SFIXED32:
    case FieldDescriptor::TYPE_ENUM:
      return TextOf(static_cast<int32_t>(bits), text);
    case FieldDescriptor::TYPE_SINT32:
      return TextOf(WireFormatLite::ZigZagDecode32(static_cast<uint32_t>(bits)), text);
    case FieldDescriptor::TYPE_UINT32:
    case FieldDescriptor::TYPE_FIXED32:
      return TextOf(static_cast<uint32_t>(bits), text);
    case FieldDescriptor::TYPE_INT64:
    case FieldDescriptor::TYPE_SFIXED64:
      return TextOf(static_cast<int64_t>(bits), text);
    case FieldDescriptor::TYPE_SINT64:
      return TextOf(WireFormatLite::ZigZagDecode64(bits), text);
    default:
      return TextOf(bits, text);
  }
}

bool IsKnown(const FieldDescriptor& field, uint64_t bits) {
  return field.enum_type()->FindValueByNumber(static_cast<int>(bits)) != nullptr;
}

}  // namespace

ProtobufReader::ProtobufReader(const ProtobufFormat& format, const std::vector<JsonPath>& paths)
    : confluent_(format.confluent()) {
  std::string error;
  schema_ = ReadProtobufSchema(format, &error);
  CHECK(schema_ != nullptr) << error;
  AddMessageType(schema_->message());
  for (bool more = true; more;) {
    more = false;
    for (MessageType& type : types_) {
      const auto requires_fields = [this](const WireField& of) {
        return of.required != kNowhere || (of.message != kNowhere && types_[of.message].requires_fields);
      };
      if (type.requires_fields || std::ranges::none_of(type.fields, requires_fields)) continue;
      type.requires_fields = more = true;
    }
  }
  AddPlace(kNowhere, 0);
  for (size_t i = 0; i < paths.size(); ++i) AddPath(paths[i], static_cast<uint32_t>(i));
  for (Place& place : places_) FindWays(&place);
  states_.resize(places_.size());
}

uint32_t ProtobufReader::AddMessageType(const Descriptor& message) {
  const auto [known, added] = type_of_.emplace(&message, static_cast<uint32_t>(types_.size()));
  const uint32_t index = known->second;
  if (!added) return index;
  MessageType& type = types_.emplace_back();
  type.oneofs = static_cast<uint32_t>(message.real_oneof_decl_count());
  type.timestamp = IsProtobufTimestamp(message);
  std::vector<const FieldDescriptor*> fields;
  for (int i = 0; i < message.field_count(); ++i) fields.push_back(message.field(i));
  schema_->pool().FindAllExtensions(&message, &fields);
  for (const FieldDescriptor* const field : fields) {
    const bool proto3 = field->file()->syntax() == FileDescriptor::SYNTAX_PROTO3;
    const auto at = static_cast<uint32_t>(type.fields.size());
    const auto* const oneof = field->real_containing_oneof();
    type.fields.push_back({.field = field,
                           .type = field->type(),
                           .wire_type = static_cast<uint32_t>(
                               WireFormatLite::WireTypeForFieldType(static_cast<WireFormatLite::FieldType>(field->type()))),
                           .index = at,
                           .repeated = field->is_repeated(),
                           .packable = field->is_packable(),
                           .map = field->is_map(),
                           .utf8 = field->type() == FieldDescriptor::TYPE_STRING && proto3,
                           .closed = field->type() == FieldDescriptor::TYPE_ENUM && !proto3,
                           .required = field->is_required() ? type.required++ : kNowhere,
                           .oneof = oneof == nullptr ? kNowhere : static_cast<uint32_t>(oneof->index()),
                           .message = kNowhere});
    constexpr uint32_t kSmallNumbers = 256;
    const auto number = static_cast<uint32_t>(field->number());
    if (number >= kSmallNumbers) {
      type.large_numbers[number] = at;
      continue;
    }
    if (type.small_numbers.size() <= number) type.small_numbers.resize(number + 1, kNowhere);
    type.small_numbers[number] = at;
  }
  for (WireField& of : type.fields) {
    if (of.field->message_type() != nullptr) of.message = AddMessageType(*of.field->message_type());
  }
  return index;
}

const ProtobufReader::WireField* ProtobufReader::MessageType::Find(uint32_t number) const {
  if (number < small_numbers.size()) return small_numbers[number] == kNowhere ? nullptr : &fields[small_numbers[number]];
  const auto found = large_numbers.find(number);
  return found == large_numbers.end() ? nullptr : &fields[found->second];
}

void ProtobufReader::FindWays(Place* place) {
  for (size_t i = 0; i < place->fields.size(); ++i) {
    const WireField& field = types_[place->type].fields[i];
    uint32_t& way = place->ways.emplace_back(kGeneral);
    if (place->timestamp || field.oneof != kNowhere || field.repeated || field.message != kNowhere) continue;
    if (place->fields[i] == kNowhere) {
      way = kNowhere;
    } else if (const Place& to = places_[place->fields[i]]; to.values.size() == 1 && to.lists.empty()) {
      way = to.values[0];
    }
  }
}

uint32_t ProtobufReader::AddPlace(uint32_t from, uint32_t message) {
  const auto index = static_cast<uint32_t>(places_.size());
  if (from != kNowhere) places_[from].below.push_back(index);
  Place& made = places_.emplace_back();
  if (message == kNowhere) return index;
  const MessageType& type = types_[message];
  made.type = message;
  made.fields.resize(type.fields.size(), kNowhere);
  made.timestamp = type.timestamp;
  made.oneofs = type.oneofs;
  made.first_case = static_cast<uint32_t>(cases_.size());
  cases_.resize(cases_.size() + type.oneofs);
  return index;
}

uint32_t ProtobufReader::AddField(uint32_t from, const WireField& field, bool in_entry) {
  if (places_[from].fields[field.index] != kNowhere) return places_[from].fields[field.index];
  const uint32_t made = AddPlace(from, field.repeated ? kNowhere : field.message);
  places_[from].fields[field.index] = made;
  places_[made].unset = UnsetValue(field, in_entry);
  places_[made].always = in_entry && field.message != kNowhere;
  return made;
}

uint32_t ProtobufReader::AddItem(uint32_t from, uint32_t index, uint32_t message) {
  for (const auto& [at, place] : places_[from].items) {
    if (at == index) return place;
  }
  const uint32_t made = AddPlace(from, message);
  places_[from].items.emplace_back(index, made);
  return made;
}

uint32_t ProtobufReader::AddKey(uint32_t from, const std::string& key, const WireField& map) {
  for (const auto& [known, place] : places_[from].keys) {
    if (known == key) return place;
  }
  const uint32_t made = AddPlace(from, map.message);
  places_[from].keys.emplace_back(key, made);
  return made;
}

void ProtobufReader::AddPath(const JsonPath& path, uint32_t value) {
  uint32_t place = 0;
  uint32_t message = 0;
  // The repeated field or map of which the path has come to all values.
  const WireField* whole = nullptr;
  for (const JsonPath::Step& step : path.steps) {
    if (whole != nullptr && whole->map && !step.index) {
      place = AddKey(place, step.name, *whole);
      const WireField& of = *types_[whole->message].Find(kValueNumber);
      place = AddField(place, of, true);
      message = of.message;
      whole = nullptr;
    } else if (step.index) {
      if (whole == nullptr || whole->map) return;
      place = AddItem(place, *step.index, message);
      whole = nullptr;
    } else {
      if (whole != nullptr || message == kNowhere) return;
      const auto& fields = types_[message].fields;
      const auto found = std::ranges::find_if(
          fields, [&](const WireField& of) { return !of.field->is_extension() && of.field->name() == step.name; });
      if (found == fields.end()) return;
      place = AddField(place, *found, false);
      message = found->message;
      whole = found->repeated ? &*found : nullptr;
    }
  }
  if (path.each && (whole == nullptr || whole->map)) return;
  (path.each ? places_[place].lists : places_[place].values).push_back(value);
}

RawValue ProtobufReader::UnsetValue(const WireField& of, bool in_entry) {
  const FieldDescriptor& field = *of.field;
  if (of.repeated) return Valued(Kind::kOther, "");
  if (of.message != kNowhere || (field.has_presence() && !field.has_default_value() && !in_entry)) return {};
  uint64_t bits = 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return Valued(Kind::kString, field.default_value_string());
    case FieldDescriptor::CPPTYPE_ENUM:
      return Valued(Kind::kString, field.default_value_enum()->name());
    case FieldDescriptor::CPPTYPE_BOOL:
      bits = field.default_value_bool() ? 1 : 0;
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      bits = of.type == FieldDescriptor::TYPE_SINT32 ? WireFormatLite::ZigZagEncode32(field.default_value_int32())
                                                     : static_cast<uint64_t>(field.default_value_int32());
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      bits = of.type == FieldDescriptor::TYPE_SINT64 ? WireFormatLite::ZigZagEncode64(field.default_value_int64())
                                                     : static_cast<uint64_t>(field.default_value_int64());
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      bits = field.default_value_uint32();
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      bits = field.default_value_uint64();
      break;
    case FieldDescriptor::CPPTYPE_FLOAT:
      bits = std::bit_cast<uint32_t>(field.default_value_float());
      break;
    default:
      bits = std::bit_cast<uint64_t>(field.default_value_double());
  }
  RawValue value = ValueOf(of, bits);
  value.text = default_texts_.emplace_back(value.text);
  return value;
}

BadReason ProtobufReader::Read(std::string_view value, std::span<RawValue> values) {
  std::ranges::fill(values, RawValue());
  std::ranges::fill(states_, State());
  std::ranges::fill(cases_, kNowhere);
  values_ = values;
  WireCursor in{value.data(), value.data() + value.size()};
  if (confluent_ && !in.ReadConfluentHeader()) return BAD_MALFORMED_RECORD;
  const WireCursor message = in;
  Enter(0);
  if (!ReadMessage(types_[0], 0, 0, 0, &in)) return BAD_MALFORMED_RECORD;
  if (types_[0].requires_fields && !IsComplete(types_[0], std::span(&message, 1))) return BAD_MALFORMED_RECORD;
  return BAD_NONE;
}

bool ProtobufReader::ReadMessage(const MessageType& type, uint32_t place, uint32_t group, size_t depth, WireCursor* in) {
  while (in->at != in->end) {
    uint32_t tag = 0;
    if (!in->ReadTag(&tag)) return false;
    if (WireTypeOf(tag) == kWireEndGroup) return NumberOf(tag) == group;
    const WireField* const field = type.Find(NumberOf(tag));
    if (field == nullptr ? !in->Skip(tag, depth) : !ReadField(*field, place, tag, depth, in)) return false;
  }
  return group == 0;
}

bool ProtobufReader::ReadField(const WireField& field, uint32_t place, uint32_t tag, size_t depth, WireCursor* in) {
  const uint32_t wire_type = WireTypeOf(tag);
  if (wire_type != field.wire_type) {
    return field.packable && wire_type == kWireBytes ? ReadPacked(field, place, in) : in->Skip(tag, depth);
  }
  const uint32_t way = place == kNowhere ? kNowhere : places_[place].ways[field.index];
  if (wire_type == kWireGroup) return ReadSubmessage(field, place, NumberOf(tag), depth, in);
  if (wire_type != kWireBytes) {
    uint64_t bits = 0;
    if (!in->ReadNumber(wire_type, &bits)) return false;
    if (way == kNowhere) return true;
    if (way == kGeneral) {
      SetNumber(field, place, bits);
    } else if (!field.closed || IsKnown(*field.field, bits)) {
      values_[way] = ValueOf(field, bits);
    }
    return true;
  }
  WireCursor bytes;
  if (!in->ReadBytes(&bytes)) return false;
  if (field.map) return ReadEntry(field, place, depth, bytes);
  if (field.message != kNowhere) return ReadSubmessage(field, place, 0, depth, &bytes);
  if (field.utf8 && !IsUtf8(bytes.text())) return false;
  if (way == kNowhere) return true;
  if (way == kGeneral) {
    Set(TargetOf(field, place), Valued(Kind::kString, bytes.text()));
  } else {
    values_[way] = Valued(Kind::kString, bytes.text());
  }
  return true;
}

bool ProtobufReader::ReadPacked(const WireField& field, uint32_t place, WireCursor* in) {
  WireCursor numbers;
  if (!in->ReadBytes(&numbers)) return false;
  while (numbers.at != numbers.end) {
    uint64_t bits = 0;
    if (!numbers.ReadNumber(field.wire_type, &bits)) return false;
    SetNumber(field, place, bits);
  }
  return true;
}

bool ProtobufReader::ReadSubmessage(const WireField& field, uint32_t place, uint32_t group, size_t depth, WireCursor* in) {
  if (depth == kMaxJsonDepth) return false;
  const Target target = TargetOf(field, place);
  if (target.list != nullptr) target.list->push_back(Valued(Kind::kOther, ""));
  if (target.place != kNowhere) Enter(target.place);
  if (!ReadMessage(types_[field.message], target.place, group, depth + 1, in)) return false;
  if (target.place != kNowhere && places_[target.place].timestamp) SetTimestamp(target.place);
  return true;
}

bool ProtobufReader::ReadEntry(const WireField& field, uint32_t place, size_t depth, WireCursor entry) {
  if (depth == kMaxJsonDepth) return false;
  uint32_t at = place == kNowhere ? kNowhere : places_[place].fields[field.index];
  if (at != kNowhere && !FindEntry(field, depth + 1, entry, &at)) return false;
  // An entry takes the place of an earlier one with the same key.
  if (at != kNowhere) {
    Reset(at);
    Enter(at);
  }
  return ReadMessage(types_[field.message], at, 0, depth + 1, &entry);
}

bool ProtobufReader::FindEntry(const WireField& map, size_t depth, WireCursor entry, uint32_t* place) const {
  const MessageType& type = types_[map.message];
  const WireField& key = *type.Find(kKeyNumber);
  std::string_view text;
  uint64_t bits = 0;
  while (entry.at != entry.end) {
    uint32_t tag = 0;
    if (!entry.ReadTag(&tag)) return false;
    WireCursor bytes;
    if (NumberOf(tag) != kKeyNumber || WireTypeOf(tag) != key.wire_type) {
      if (!entry.Skip(tag, depth)) return false;
    } else if (key.wire_type != kWireBytes) {
      if (!entry.ReadNumber(key.wire_type, &bits)) return false;
    } else {
      if (!entry.ReadBytes(&bytes)) return false;
      text = bytes.text();
    }
  }
  NumberBuffer buffer;
  if (key.wire_type != kWireBytes) text = NumberText(key.type, bits, &buffer);
  const auto& keys = places_[*place].keys;
  const auto found = std::ranges::find(keys, text, [](const auto& way) { return std::string_view(way.first); });
  *place = found == keys.end() ? kNowhere : found->second;
  return true;
}

bool ProtobufReader::IsComplete(const MessageType& type, std::span<const WireCursor> parts) const {
  std::vector<bool> had(type.required);
  // Of each field that is one message, its parts.
  std::map<uint32_t, std::vector<WireCursor>> messages;
  for (WireCursor part : parts) {
    uint32_t tag = 0;
    // A group ends with a tag.
    while (part.at != part.end && part.ReadTag(&tag) && WireTypeOf(tag) != kWireEndGroup) {
      const WireField* const field = type.Find(NumberOf(tag));
      if (field == nullptr || WireTypeOf(tag) != field->wire_type) {
        part.Skip(tag, 0);
        continue;
      }
      WireCursor content = part;
      if (field->message == kNowhere) {
        uint64_t bits = 0;
        if (field->closed ? part.ReadVarint(10, &bits) && !IsKnown(*field->field, bits) : !part.Skip(tag, 0)) continue;
      } else if (field->wire_type == kWireGroup) {
        part.Skip(tag, 0);
        content.end = part.at;
      } else {
        part.ReadBytes(&content);
      }
      if (field->required != kNowhere) had[field->required] = true;
      if (field->oneof != kNowhere) {
        std::erase_if(messages, [&](const auto& message) {
          return message.first != field->index && type.fields[message.first].oneof == field->oneof;
        });
      }
      if (field->message == kNowhere || !types_[field->message].requires_fields) continue;
      if (!field->repeated) {
        messages[field->index].push_back(content);
      } else if (!IsComplete(types_[field->message], std::span(&content, 1))) {
        return false;
      }
    }
  }
  return std::ranges::find(had, false) == had.end() && std::ranges::all_of(messages, [&](const auto& message) {
           return IsComplete(types_[type.fields[message.first].message], message.second);
         });
}

ProtobufReader::Target ProtobufReader::TargetOf(const WireField& field, uint32_t place) {
  if (place == kNowhere) return {};
  if (field.oneof != kNowhere) SetCase(field, place);
  const uint32_t at = places_[place].fields[field.index];
  if (at == kNowhere || !field.repeated) return {.place = at, .list = nullptr};
  State& state = states_[at];
  if (state.items == nullptr && !places_[at].lists.empty()) {
    state.items = &items_.emplace_back();
    for (const uint32_t i : places_[at].lists) values_[i].items = state.items;
  }
  const auto& items = places_[at].items;
  const auto found = std::ranges::find(items, state.count++, [](const auto& way) { return way.first; });
  return {.place = found == items.end() ? kNowhere : found->second, .list = state.items};
}

void ProtobufReader::SetNumber(const WireField& field, uint32_t place, uint64_t bits) {
  if (place == kNowhere || (field.closed && !IsKnown(*field.field, bits))) return;
  if (places_[place].timestamp) {
    if (field.field->number() == kSecondsNumber) states_[place].seconds = static_cast<int64_t>(bits);
    if (field.field->number() == kNanosNumber) states_[place].nanos = static_cast<int32_t>(bits);
  }
  const Target target = TargetOf(field, place);
  if (target.place != kNowhere || target.list != nullptr) Set(target, ValueOf(field, bits));
}

void ProtobufReader::Set(const Target& target, const RawValue& value) {
  if (target.list != nullptr) target.list->push_back(value);
  if (target.place == kNowhere) return;
  for (const uint32_t i : places_[target.place].values) values_[i] = value;
}

void ProtobufReader::SetTimestamp(uint32_t place) {
  if (places_[place].values.empty()) return;
  const State& state = states_[place];
  // Whole microseconds, rounded down.
  const int64_t below = state.nanos / 1000 - (state.nanos % 1000 < 0 ? 1 : 0);
  const absl::int128 exact = absl::int128(state.seconds) * 1'000'000 + below;
  const auto us = static_cast<int64_t>(
      std::clamp<absl::int128>(exact, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()));
  RawValue value = Decimal(us);
  value.unit = TIMESTAMP_MICROSECONDS;
  Set({.place = place, .list = nullptr}, value);
}

void ProtobufReader::Enter(uint32_t place) {
  if (std::exchange(states_[place].present, true)) return;
  const Place& of = places_[place];
  Set({.place = place, .list = nullptr}, Valued(Kind::kOther, ""));
  for (const uint32_t below : of.below) {
    Unset(below);
    if (!places_[below].always) continue;
    Enter(below);
    if (places_[below].timestamp) SetTimestamp(below);
  }
}

void ProtobufReader::Unset(uint32_t place) {
  Set({.place = place, .list = nullptr}, places_[place].unset);
  for (const uint32_t i : places_[place].lists) values_[i] = NoItems();
}

void ProtobufReader::Reset(uint32_t place) {
  const Place& of = places_[place];
  states_[place] = State();
  std::ranges::fill(std::span(cases_).subspan(of.first_case, of.oneofs), kNowhere);
  Set({.place = place, .list = nullptr}, {});
  for (const uint32_t i : of.lists) values_[i] = {};
  for (const uint32_t below : of.below) Reset(below);
}

void ProtobufReader::SetCase(const WireField& field, uint32_t place) {
  uint32_t& set = cases_[places_[place].first_case + field.oneof];
  const uint32_t before = std::exchange(set, field.index);
  if (before == field.index || before == kNowhere) return;
  const uint32_t at = places_[place].fields[before];
  if (at == kNowhere) return;
  Reset(at);
  Unset(at);
}

ProtobufReader::NumberBuffer& ProtobufReader::NextText() {
  if (used_texts_ == texts_.size()) texts_.emplace_back();
  return texts_[used_texts_++];
}

template <typename Float>
RawValue ProtobufReader::FloatValue(Float number) {
  int64_t mantissa = 0;
  if (ReadShortDecimal(number, &decimals_, &mantissa)) return Decimal(mantissa, decimals_);
  const std::string text = ShortestDecimal(number);
  NumberBuffer& kept = NextText();
  CHECK_LE(text.size(), kept.size());
  std::ranges::copy(text, kept.begin());
  return Valued(Kind::kNumber, {kept.data(), text.size()});
}

RawValue ProtobufReader::NumberValue(FieldDescriptor::Type type, uint64_t bits) {
  switch (type) {
    case FieldDescriptor::TYPE_FLOAT:
      return FloatValue(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    case FieldDescriptor::TYPE_DOUBLE:
      return FloatValue(std::bit_cast<double>(bits));
    case FieldDescriptor::TYPE_INT32:
    case FieldDescriptor::TYPE_SFIXED32:
      return Decimal(static_cast<int32_t>(bits));
    case FieldDescriptor::TYPE_SINT32:
      return Decimal(WireFormatLite::ZigZagDecode32(static_cast<uint32_t>(bits)));
    case FieldDescriptor::TYPE_UINT32:
    case FieldDescriptor::TYPE_FIXED32:
      return Decimal(static_cast<uint32_t>(bits));
    case FieldDescriptor::TYPE_SINT64:
      return Decimal(WireFormatLite::ZigZagDecode64(bits));
    case FieldDescriptor::TYPE_UINT64:
    case FieldDescriptor::TYPE_FIXED64:
      if (bits > std::numeric_limits<int64_t>::max()) return Valued(Kind::kNumber, TextOf(bits, &NextText()));
      [[fallthrough]];
    default:
      return Decimal(static_cast<int64_t>(bits));
  }
}

RawValue ProtobufReader::ValueOf(const WireField& field, uint64_t bits) {
  if (field.type == FieldDescriptor::TYPE_BOOL) return Valued(Kind::kBoolean, bits == 0 ? "false" : "true");
  if (field.type != FieldDescriptor::TYPE_ENUM) return NumberValue(field.type, bits);
  const auto* const symbol = field.field->enum_type()->FindValueByNumber(static_cast<int>(bits));
  return Valued(Kind::kString,
                symbol != nullptr ? std::string_view(symbol->name()) : NumberText(field.type, bits, &NextText()));
}

}  // namespace tenfold
