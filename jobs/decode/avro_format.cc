#include "jobs/decode/avro_format.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "boost/multiprecision/cpp_int.hpp"
#include "common/limits.h"
#include "common/number/short_decimal.h"
#include "fmt/format.h"
#include "glog/logging.h"
#include "jobs/plan/pane_calendar.h"

namespace tenfold {
namespace {

using Type = AvroType::Kind;
using Logical = AvroType::Logical;
using Kind = RawValue::Kind;

// A number that is well-formed and that no field takes, as it is out of range.
constexpr std::string_view kTooLarge = "1e999";

// A decimal's digits: a whole number in two's complement, the highest byte first, of units of 10^-scale.
std::string DecimalText(std::string_view bytes, uint32_t scale) {
  const bool negative = !bytes.empty() && (bytes[0] & 0x80) != 0;
  const char sign = negative ? '\xff' : '\0';
  while (bytes.size() > 1 && bytes[0] == sign && ((bytes[1] & 0x80) != 0) == negative) bytes.remove_prefix(1);
  // Far more than a number may have.
  constexpr size_t kMostBytes = 64;
  constexpr uint32_t kMostScale = 200;
  if (bytes.size() > kMostBytes || scale > kMostScale) return std::string(kTooLarge);
  boost::multiprecision::cpp_int number = 0;
  for (const char byte : bytes) number = number * 256 + static_cast<unsigned char>(byte);
  if (negative) number = (boost::multiprecision::cpp_int(1) << (8 * bytes.size())) - number;
  std::string digits = number.str();
  if (digits.size() <= scale) digits.insert(0, scale + 1 - digits.size(), '0');
  if (scale > 0) digits.insert(digits.size() - scale, ".");
  return negative ? "-" + digits : digits;
}

std::string DateText(int64_t days) {
  int64_t year = 0;
  int64_t month = 0;
  int64_t day = 0;
  DateOfDays(days, &year, &month, &day);
  return fmt::format("{:04}-{:02}-{:02}", year, month, day);
}

}  // namespace

AvroReader::AvroReader(const AvroFormat& format, const std::vector<JsonPath>& paths)
    : has_registry_(format.registry()),
      header_bytes_(format.confluent() || format.registry() ? kConfluentBytes : 0),
      places_(MakePathTree(paths)),
      items_of_(paths.size()) {
  if (has_registry_) return;
  std::string error;
  std::optional<AvroSchema> schema = ReadAvroSchema(format.schema(), &error);
  CHECK(schema) << error;
  only_ = MakeWriter(std::make_shared<const AvroSchema>(*std::move(schema)));
  writer_ = only_.get();
  types_ = writer_->schema->types.data();
}

std::unique_ptr<AvroReader::Writer> AvroReader::MakeWriter(std::shared_ptr<const AvroSchema> schema) const {
  auto writer = std::make_unique<Writer>();
  writer->schema = std::move(schema);
  writer->ways.resize(places_.size());
  FindWays(0, 0, writer.get());
  return writer;
}

void AvroReader::SetSchemas(const std::shared_ptr<const LearnedSchemas>& schemas) {
  if (!has_registry_ || schemas_ == schemas) return;
  schemas_ = schemas;
  writers_.clear();
  writer_ = nullptr;
  types_ = nullptr;
  found_.reset();
}

std::optional<uint32_t> AvroReader::MissingSchema(std::string_view value) {
  if (!has_registry_) return std::nullopt;
  const std::optional<uint32_t> id = SchemaIdOf(value);
  if (!id || *id > kMaxSchemaId || *id == found_) return std::nullopt;
  if (schemas_ == nullptr || !schemas_->contains(*id)) return id;
  found_ = id;
  return std::nullopt;
}

bool AvroReader::SetWriter(std::string_view value) {
  const uint32_t id = *SchemaIdOf(value);
  if (writer_ != nullptr && id == id_) return true;
  if (schemas_ == nullptr) return false;
  const auto learned = schemas_->find(id);
  if (learned == schemas_->end() || learned->second == nullptr) return false;
  std::unique_ptr<Writer>& writer = writers_[id];
  if (writer == nullptr) writer = MakeWriter(learned->second);
  id_ = id;
  writer_ = writer.get();
  types_ = writer_->schema->types.data();
  return true;
}

void AvroReader::FindWays(uint32_t place, uint32_t type, Writer* writer) const {
  const AvroType& of = writer->schema->types[type];
  switch (of.kind) {
    case Type::kUnion:
      for (const uint32_t branch : of.types) FindWays(place, branch, writer);
      return;
    case Type::kArray:
    case Type::kMap:
      for (const auto& [step, to] : places_[place].next) {
        if (step.index.has_value() == (of.kind == Type::kArray)) FindWays(to, of.types[0], writer);
      }
      return;
    case Type::kRecord: {
      if (WaysOf(writer->ways, place, type) != nullptr) return;
      std::vector<Way> ways;
      for (const std::string& name : of.names) {
        Way& way = ways.emplace_back(
            Way{.place = NextPlace(places_[place], {.name = name, .index = std::nullopt}), .value = kNowhere});
        if (way.place == kNowhere) continue;
        const PathPlace& to = places_[way.place];
        if (to.values.size() == 1 && to.lists.empty()) way.value = to.values[0];
      }
      writer->ways[place].emplace_back(type, ways);
      for (size_t i = 0; i < of.types.size(); ++i) {
        if (ways[i].place != kNowhere) FindWays(ways[i].place, of.types[i], writer);
      }
      return;
    }
    default:
      return;
  }
}

inline bool AvroReader::ReadLong(int64_t* value) {
  uint64_t read = 0;
  constexpr int kMostBits = 64;
  for (int shift = 0; shift < kMostBits && at_ != end_; shift += 7) {
    const auto byte = static_cast<unsigned char>(*at_++);
    read |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte >= 0x80) continue;
    *value = static_cast<int64_t>((read >> 1) ^ (~(read & 1) + 1));
    return true;
  }
  return false;
}

inline bool AvroReader::ReadInt(int64_t* value) {
  return ReadLong(value) && *value >= std::numeric_limits<int32_t>::min() && *value <= std::numeric_limits<int32_t>::max();
}

inline bool AvroReader::ReadBytes(uint64_t size, std::string_view* bytes) {
  if (size > static_cast<uint64_t>(end_ - at_)) return false;
  *bytes = {at_, size};
  at_ += size;
  return true;
}

inline bool AvroReader::ReadSized(std::string_view* bytes) {
  int64_t size = 0;
  return ReadLong(&size) && size >= 0 && ReadBytes(static_cast<uint64_t>(size), bytes);
}

const AvroReader::Way* AvroReader::WaysOf(const Ways& ways, uint32_t place, uint32_t type) {
  for (const auto& [of, of_fields] : ways[place]) {
    if (of == type) return of_fields.data();
  }
  return nullptr;
}

BadReason AvroReader::Read(std::string_view value, std::span<RawValue> values) {
  std::ranges::fill(values, RawValue());
  if (header_bytes_ > 0 && (value.size() < header_bytes_ || value[0] != '\0')) return BAD_MALFORMED_RECORD;
  if (has_registry_ && !SetWriter(value)) return BAD_UNKNOWN_SCHEMA;
  at_ = value.data() + header_bytes_;
  end_ = value.data() + value.size();
  left_ = MaxSchemaValues(value.size());
  values_ = values;
  lists_ = nullptr;
  return ReadValue(0, 0, 0) && at_ == end_ ? BAD_NONE : BAD_MALFORMED_RECORD;
}

std::string_view AvroReader::Keep(std::string text) { return made_.emplace_back(std::move(text)); }

void AvroReader::Set(uint32_t place, const RawValue& value) {
  if (lists_ != nullptr) {
    for (const uint32_t i : *lists_) items_of_[i]->push_back(value);
  }
  if (place == kNowhere) return;
  for (const uint32_t i : places_[place].values) values_[i] = value;
  // A list that is no array; an array sets it itself.
  for (const uint32_t i : places_[place].lists) values_[i].kind = value.kind == Kind::kNull ? Kind::kNull : Kind::kOther;
}

bool AvroReader::ReadValue(uint32_t place, uint32_t type, size_t depth) {
  const AvroType* of = &types_[type];
  if (of->kind == Type::kUnion) {
    int64_t branch = 0;
    if (!ReadLong(&branch) || branch < 0 || static_cast<uint64_t>(branch) >= of->types.size()) return false;
    type = of->types[static_cast<size_t>(branch)];
    of = &types_[type];
  }
  if (left_ == 0) return false;
  --left_;
  switch (of->kind) {
    case Type::kRecord:
      return ReadRecord(place, type, depth);
    case Type::kArray:
      return ReadArray(place, type, depth);
    case Type::kMap:
      return ReadMap(place, type, depth);
    default:
      break;
  }
  if (place == kNowhere && lists_ == nullptr) return SkipScalar(*of);
  RawValue value;
  if (!ReadScalar(*of, &value)) return false;
  Set(place, value);
  return true;
}

bool AvroReader::ReadRecord(uint32_t place, uint32_t type, size_t depth) {
  if (depth == kMaxJsonDepth) return false;
  Set(place, {.kind = Kind::kOther});
  // The fields of a record that is an item are no items.
  const std::vector<uint32_t>* const lists = std::exchange(lists_, nullptr);
  const std::vector<uint32_t>& types = types_[type].types;
  const Way* const ways = place == kNowhere ? nullptr : WaysOf(writer_->ways, place, type);
  for (size_t i = 0; i < types.size(); ++i) {
    const AvroType& of = types_[types[i]];
    const bool nowhere = ways == nullptr || ways[i].place == kNowhere;
    if (of.kind < Type::kRecord && left_ > 0 && (nowhere || ways[i].value != kNowhere)) {
      // As most are: a value that nothing needs, or one field does.
      --left_;
      if (!(nowhere ? SkipScalar(of) : ReadScalar(of, &values_[ways[i].value]))) return false;
    } else if (!ReadValue(nowhere ? kNowhere : ways[i].place, types[i], depth + 1)) {
      return false;
    }
  }
  lists_ = lists;
  return true;
}

bool AvroReader::ReadArray(uint32_t place, uint32_t type, size_t depth) {
  if (depth == kMaxJsonDepth) return false;
  Set(place, {.kind = Kind::kOther});
  const std::vector<uint32_t>* const outer = std::exchange(lists_, nullptr);
  const std::vector<uint32_t>* lists = nullptr;
  if (place != kNowhere && !places_[place].lists.empty()) {
    lists = &places_[place].lists;
    for (const uint32_t i : *lists) {
      values_[i].kind = Kind::kList;
      values_[i].items = items_of_[i] = &items_.emplace_back();
    }
  }
  uint64_t index = 0;
  uint64_t items = 0;
  do {
    if (!ReadBlock(&items)) return false;
    for (uint64_t i = 0; i < items; ++i, ++index) {
      lists_ = lists;
      if (!ReadValue(NextItem(places_, place, index), types_[type].types[0], depth + 1)) return false;
    }
  } while (items > 0);
  lists_ = outer;
  return true;
}

bool AvroReader::ReadMap(uint32_t place, uint32_t type, size_t depth) {
  if (depth == kMaxJsonDepth) return false;
  Set(place, {.kind = Kind::kOther});
  const std::vector<uint32_t>* const lists = std::exchange(lists_, nullptr);
  const size_t ways = place == kNowhere ? 0 : places_[place].next.size();
  // Which of the place's ways the map has had.
  absl::InlinedVector<bool, 16> had(ways);
  uint64_t items = 0;
  do {
    if (!ReadBlock(&items)) return false;
    for (uint64_t i = 0; i < items; ++i) {
      std::string_view key;
      if (!ReadSized(&key)) return false;
      uint32_t next = kNowhere;
      for (size_t way = 0; way < ways; ++way) {
        const auto& [step, to] = places_[place].next[way];
        if (step.index || step.name != key) continue;
        if (had[way]) return false;
        had[way] = true;
        next = to;
      }
      if (!ReadValue(next, types_[type].types[0], depth + 1)) return false;
    }
  } while (items > 0);
  lists_ = lists;
  return true;
}

template <typename Float>
bool AvroReader::ReadFloat(RawValue* value) {
  static_assert(std::endian::native == std::endian::little);
  std::string_view bytes;
  if (!ReadBytes(sizeof(Float), &bytes)) return false;
  Float number = 0;
  std::memcpy(&number, bytes.data(), sizeof(number));
  if (ReadShortDecimal(number, &decimals_, &value->mantissa)) {
    value->kind = Kind::kDecimal;
    value->decimals = static_cast<uint8_t>(decimals_);
  } else {
    value->kind = Kind::kNumber;
    value->text = Keep(ShortestDecimal(number));
  }
  return true;
}

bool AvroReader::ReadScalar(const AvroType& type, RawValue* value) {
  std::string_view bytes;
  int64_t number = 0;
  switch (type.kind) {
    case Type::kNull:
      return true;
    case Type::kBoolean:
      if (!ReadBytes(1, &bytes) || (bytes[0] != 0 && bytes[0] != 1)) return false;
      value->kind = Kind::kBoolean;
      value->text = bytes[0] != 0 ? "true" : "false";
      return true;
    case Type::kInt:
      if (!ReadInt(&number)) return false;
      if (type.logical == Logical::kDate) {
        value->kind = Kind::kString;
        value->text = Keep(DateText(number));
        return true;
      }
      value->kind = Kind::kDecimal;
      value->mantissa = number;
      return true;
    case Type::kLong:
      value->kind = Kind::kDecimal;
      if (type.logical == Logical::kTimestampMillis) value->unit = TIMESTAMP_MILLISECONDS;
      if (type.logical == Logical::kTimestampMicros) value->unit = TIMESTAMP_MICROSECONDS;
      return ReadLong(&value->mantissa);
    case Type::kFloat:
      return ReadFloat<float>(value);
    case Type::kDouble:
      return ReadFloat<double>(value);
    case Type::kEnum:
      if (!ReadInt(&number) || number < 0 || static_cast<uint64_t>(number) >= type.names.size()) return false;
      value->kind = Kind::kString;
      value->text = type.names[static_cast<size_t>(number)];
      return true;
    default:
      if (!(type.kind == Type::kFixed ? ReadBytes(type.size, &bytes) : ReadSized(&bytes))) return false;
      value->kind = type.logical == Logical::kDecimal ? Kind::kNumber : Kind::kString;
      value->text = type.logical == Logical::kDecimal ? Keep(DecimalText(bytes, type.scale)) : bytes;
      return true;
  }
}

bool AvroReader::SkipScalar(const AvroType& type) {
  std::string_view bytes;
  int64_t number = 0;
  switch (type.kind) {
    case Type::kNull:
      return true;
    case Type::kBoolean:
      return ReadBytes(1, &bytes) && (bytes[0] == 0 || bytes[0] == 1);
    case Type::kInt:
      return ReadInt(&number);
    case Type::kLong:
      return ReadLong(&number);
    case Type::kEnum:
      return ReadInt(&number) && number >= 0 && static_cast<uint64_t>(number) < type.names.size();
    case Type::kFloat:
      return ReadBytes(sizeof(float), &bytes);
    case Type::kDouble:
      return ReadBytes(sizeof(double), &bytes);
    case Type::kFixed:
      return ReadBytes(type.size, &bytes);
    default:
      return ReadSized(&bytes);
  }
}

bool AvroReader::ReadBlock(uint64_t* items) {
  int64_t count = 0;
  if (!ReadLong(&count)) return false;
  // Behind a negative count is how many bytes the block has, by which a reader may pass it over.
  int64_t bytes = 0;
  if (count < 0 && (!ReadLong(&bytes) || count == std::numeric_limits<int64_t>::min())) return false;
  *items = static_cast<uint64_t>(count < 0 ? -count : count);
  return true;
}

}  // namespace tenfold
