#include "jobs/decode/avro_format.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "boost/multiprecision/cpp_int.hpp"
#include "common/limits.h"
#include "fmt/format.h"
#include "glog/logging.h"
#include "jobs/plan/pane_calendar.h"

namespace tenfold {
namespace {

using Type = AvroType::Kind;
using Logical = AvroType::Logical;
using Kind = RawValue::Kind;

// A zero and the id of a schema, before the value.
constexpr size_t kConfluentBytes = 5;
// A number that is well-formed and that no field takes, as it is out of range.
constexpr std::string_view kTooLarge = "1e999";

// Of the shortest decimals that read back as it, the nearest; with an exponent below 1e-6 and from 1e21 on, as in
// JavaScript.
template <typename Float>
std::string FloatText(Float value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : "inf";
  const double size = std::fabs(static_cast<double>(value));
  // In the format without an exponent, std::to_chars writes all digits of those that are whole whatever they are.
  const bool all_whole = size >= std::ldexp(1.0, std::numeric_limits<Float>::digits);
  const bool fixed = size == 0 || (size >= 1e-6 && size < 1e21);
  std::array<char, 64> buffer;
  const auto format = fixed && !all_whole ? std::chars_format::fixed : std::chars_format::scientific;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format);
  CHECK(error == std::errc());
  std::string text(buffer.data(), end);
  if (!fixed || !all_whole) return text;
  const size_t e = text.find('e');
  const auto zeros = static_cast<size_t>(std::atoi(text.c_str() + e + 1));
  text.resize(e);
  const size_t point = text.find('.');
  const size_t decimals = point == std::string::npos ? 0 : text.size() - point - 1;
  if (point != std::string::npos) text.erase(point, 1);
  return text.append(zeros - decimals, '0');
}

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
    : header_bytes_(format.confluent() ? kConfluentBytes : 0), places_(1), items_of_(paths.size()) {
  std::string error;
  std::optional<AvroSchema> schema = ReadAvroSchema(format.schema(), &error);
  CHECK(schema) << error;
  schema_ = *std::move(schema);
  for (size_t i = 0; i < paths.size(); ++i) {
    uint32_t place = 0;
    for (const JsonPath::Step& step : paths[i].steps) {
      const auto& next = places_[place].next;
      const auto found = std::ranges::find(next, step, [](const auto& way) { return way.first; });
      if (found != next.end()) {
        place = found->second;
        continue;
      }
      places_[place].next.emplace_back(step, static_cast<uint32_t>(places_.size()));
      place = static_cast<uint32_t>(places_.size());
      places_.emplace_back();
    }
    (paths[i].each ? places_[place].lists : places_[place].values).push_back(static_cast<uint32_t>(i));
  }
  ways_.assign(places_.size(), std::vector<std::vector<uint32_t>>(schema_.types.size()));
  FindWays(0, 0);
}

void AvroReader::FindWays(uint32_t place, uint32_t type) {
  const AvroType& of = schema_.types[type];
  const auto lead = [&](const JsonPath::Step& step) {
    const auto& next = places_[place].next;
    const auto found = std::ranges::find(next, step, [](const auto& way) { return way.first; });
    return found == next.end() ? kNowhere : found->second;
  };
  switch (of.kind) {
    case Type::kUnion:
      for (const uint32_t branch : of.types) FindWays(place, branch);
      return;
    case Type::kArray:
    case Type::kMap:
      for (const auto& [step, to] : places_[place].next) {
        if (step.index.has_value() == (of.kind == Type::kArray)) FindWays(to, of.types[0]);
      }
      return;
    case Type::kRecord: {
      std::vector<uint32_t>& ways = ways_[place][type];
      if (!ways.empty()) return;
      for (const std::string& name : of.names) ways.push_back(lead({.name = name, .index = std::nullopt}));
      for (size_t i = 0; i < of.types.size(); ++i) {
        if (ways_[place][type][i] != kNowhere) FindWays(ways_[place][type][i], of.types[i]);
      }
      return;
    }
    default:
      return;
  }
}

BadReason AvroReader::Read(std::string_view value, std::span<RawValue> values) {
  std::ranges::fill(values, RawValue());
  if (header_bytes_ > 0 && (value.size() < header_bytes_ || value[0] != '\0')) return BAD_MALFORMED_RECORD;
  text_ = value;
  at_ = header_bytes_;
  left_ = kMaxSchemaValues;
  values_ = values;
  lists_ = nullptr;
  return ReadValue(0, 0, 0) && at_ == text_.size() ? BAD_NONE : BAD_MALFORMED_RECORD;
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
  const AvroType* of = &schema_.types[type];
  if (of->kind == Type::kUnion) {
    int64_t branch = 0;
    if (!ReadLong(&branch) || branch < 0 || static_cast<uint64_t>(branch) >= of->types.size()) return false;
    type = of->types[static_cast<size_t>(branch)];
    of = &schema_.types[type];
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
      return place == kNowhere && lists_ == nullptr ? SkipScalar(*of) : ReadScalar(place, *of);
  }
}

bool AvroReader::ReadRecord(uint32_t place, uint32_t type, size_t depth) {
  if (depth == kMaxJsonDepth) return false;
  Set(place, {.kind = Kind::kOther});
  // The fields of a record that is an item are no items.
  const std::vector<uint32_t>* const lists = std::exchange(lists_, nullptr);
  const std::vector<uint32_t>& types = schema_.types[type].types;
  const std::vector<uint32_t>* const ways = place == kNowhere ? nullptr : &ways_[place][type];
  for (size_t i = 0; i < types.size(); ++i) {
    if (!ReadValue(ways == nullptr ? kNowhere : (*ways)[i], types[i], depth + 1)) return false;
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
      uint32_t next = kNowhere;
      if (place != kNowhere) {
        for (const auto& [step, to] : places_[place].next) {
          if (step.index && *step.index == index) next = to;
        }
      }
      lists_ = lists;
      if (!ReadValue(next, schema_.types[type].types[0], depth + 1)) return false;
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
      if (!ReadValue(next, schema_.types[type].types[0], depth + 1)) return false;
    }
  } while (items > 0);
  lists_ = lists;
  return true;
}

bool AvroReader::ReadScalar(uint32_t place, const AvroType& type) {
  RawValue value;
  std::string_view bytes;
  int64_t number = 0;
  switch (type.kind) {
    case Type::kNull:
      break;
    case Type::kBoolean:
      if (!ReadBytes(1, &bytes) || (bytes[0] != 0 && bytes[0] != 1)) return false;
      value = {.kind = Kind::kBoolean, .text = bytes[0] != 0 ? "true" : "false"};
      break;
    case Type::kInt:
    case Type::kLong: {
      if (!(type.kind == Type::kInt ? ReadInt(&number) : ReadLong(&number))) return false;
      const bool is_date = type.logical == Logical::kDate;
      value = {.kind = is_date ? Kind::kString : Kind::kNumber,
               .text = Keep(is_date ? DateText(number) : fmt::format_int(number).str()),
               .unit = type.logical == Logical::kTimestampMillis   ? TIMESTAMP_MILLISECONDS
                       : type.logical == Logical::kTimestampMicros ? TIMESTAMP_MICROSECONDS
                                                                   : TIMESTAMP_TEXT};
      break;
    }
    case Type::kFloat:
    case Type::kDouble: {
      static_assert(std::endian::native == std::endian::little);
      if (!ReadBytes(type.kind == Type::kFloat ? sizeof(float) : sizeof(double), &bytes)) return false;
      float narrow = 0;
      double wide = 0;
      if (type.kind == Type::kFloat) std::memcpy(&narrow, bytes.data(), sizeof(narrow));
      if (type.kind == Type::kDouble) std::memcpy(&wide, bytes.data(), sizeof(wide));
      value = {.kind = Kind::kNumber, .text = Keep(type.kind == Type::kFloat ? FloatText(narrow) : FloatText(wide))};
      break;
    }
    case Type::kEnum:
      if (!ReadInt(&number) || number < 0 || static_cast<uint64_t>(number) >= type.names.size()) return false;
      value = {.kind = Kind::kString, .text = type.names[static_cast<size_t>(number)]};
      break;
    default:
      if (!(type.kind == Type::kFixed ? ReadBytes(type.size, &bytes) : ReadSized(&bytes))) return false;
      value = {.kind = Kind::kString, .text = bytes};
      if (type.logical == Logical::kDecimal) value = {.kind = Kind::kNumber, .text = Keep(DecimalText(bytes, type.scale))};
  }
  Set(place, value);
  return true;
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

bool AvroReader::ReadLong(int64_t* value) {
  uint64_t read = 0;
  constexpr int kMostBits = 64;
  for (int shift = 0; shift < kMostBits; shift += 7) {
    if (at_ == text_.size()) return false;
    const auto byte = static_cast<unsigned char>(text_[at_++]);
    read |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte >= 0x80) continue;
    *value = static_cast<int64_t>((read >> 1) ^ (~(read & 1) + 1));
    return true;
  }
  return false;
}

bool AvroReader::ReadInt(int64_t* value) {
  return ReadLong(value) && *value >= std::numeric_limits<int32_t>::min() && *value <= std::numeric_limits<int32_t>::max();
}

bool AvroReader::ReadBytes(uint64_t size, std::string_view* bytes) {
  if (size > text_.size() - at_) return false;
  *bytes = text_.substr(at_, size);
  at_ += size;
  return true;
}

bool AvroReader::ReadSized(std::string_view* bytes) {
  int64_t size = 0;
  return ReadLong(&size) && size >= 0 && ReadBytes(static_cast<uint64_t>(size), bytes);
}

}  // namespace tenfold
