#include "jobs/decode/json_format.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "common/limits.h"
#include "common/text/utf8.h"

namespace tenfold {
namespace {

using Kind = RawValue::Kind;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Returns where the first quote, backslash or control character of the text is from `at` on, or its size. Looks at eight
// bytes at a time.
size_t FindSpecial(std::string_view text, size_t at) {
  static_assert(std::endian::native == std::endian::little);
  constexpr uint64_t kOnes = 0x0101'0101'0101'0101;
  constexpr uint64_t kHighBits = 0x8080'8080'8080'8080;
  for (uint64_t word; at + sizeof(word) <= text.size(); at += sizeof(word)) {
    std::memcpy(&word, text.data() + at, sizeof(word));
    // The highest bit of the first byte that is below a limit, and of no byte before it; those behind it may have it too.
    const auto below = [](uint64_t bytes, uint64_t limit) { return (bytes - kOnes * limit) & ~bytes & kHighBits; };
    const uint64_t found = below(word, 0x20) | below(word ^ (kOnes * '"'), 1) | below(word ^ (kOnes * '\\'), 1);
    if (found != 0) return at + static_cast<size_t>(std::countr_zero(found)) / 8;
  }
  while (at < text.size() && text[at] != '"' && text[at] != '\\' && static_cast<unsigned char>(text[at]) >= 0x20) ++at;
  return at;
}

}  // namespace

JsonReader::JsonReader(const std::vector<JsonPath>& paths) : places_(MakePathTree(paths)), items_of_(paths.size()) {}

BadReason JsonReader::Read(std::string_view value, std::span<RawValue> values) {
  std::ranges::fill(values, RawValue());
  text_ = value;
  at_ = 0;
  values_ = values;
  lists_ = nullptr;
  if (!IsUtf8(value)) return BAD_MALFORMED_RECORD;
  SkipBlanks();
  if (!ReadValue(0, 0)) return BAD_MALFORMED_RECORD;
  SkipBlanks();
  return at_ == text_.size() ? BAD_NONE : BAD_MALFORMED_RECORD;
}

void JsonReader::SkipBlanks() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
}

bool JsonReader::Take(char c) {
  if (at_ == text_.size() || text_[at_] != c) return false;
  ++at_;
  return true;
}

void JsonReader::Set(uint32_t place, Kind kind, std::string_view text) {
  if (place == kNowhere) return;
  for (const uint32_t i : places_[place].values) {
    values_[i].kind = kind;
    values_[i].text = text;
  }
  // A list that is no array; an array sets it itself.
  for (const uint32_t i : places_[place].lists) values_[i].kind = kind == Kind::kNull ? Kind::kNull : Kind::kOther;
}

void JsonReader::SetItem(Kind kind, std::string_view text) {
  if (lists_ == nullptr) return;
  for (const uint32_t i : *lists_) items_of_[i]->push_back({.kind = kind, .text = text});
}

bool JsonReader::ReadValue(uint32_t place, size_t depth) {
  if (at_ == text_.size()) return false;
  Kind kind = Kind::kNull;
  std::string_view text;
  switch (text_[at_]) {
    case '{':
      Set(place, Kind::kOther, "");
      SetItem(Kind::kOther, "");
      return ReadObject(place, depth);
    case '[':
      Set(place, Kind::kOther, "");
      SetItem(Kind::kOther, "");
      return ReadArray(place, depth);
    case '"':
      kind = Kind::kString;
      if (!ReadString(&text)) return false;
      break;
    case 't':
      kind = Kind::kBoolean;
      text = "true";
      if (!ReadWord(text)) return false;
      break;
    case 'f':
      kind = Kind::kBoolean;
      text = "false";
      if (!ReadWord(text)) return false;
      break;
    case 'n':
      if (!ReadWord("null")) return false;
      break;
    default:
      kind = Kind::kNumber;
      if (!ReadNumber(&text)) return false;
  }
  Set(place, kind, text);
  SetItem(kind, text);
  return true;
}

bool JsonReader::ReadObject(uint32_t place, size_t depth) {
  if (depth == kMaxJsonDepth) return false;
  // The members of an object that is an item are no items.
  const std::vector<uint32_t>* const lists = std::exchange(lists_, nullptr);
  const size_t ways = place == kNowhere ? 0 : places_[place].next.size();
  // Which of the place's ways the object has had.
  absl::InlinedVector<bool, 16> had(ways);
  ++at_;
  SkipBlanks();
  bool first = true;
  while (!Take('}')) {
    if (!first && !Take(',')) return false;
    first = false;
    SkipBlanks();
    std::string_view name;
    if (at_ == text_.size() || text_[at_] != '"' || !ReadString(&name)) return false;
    SkipBlanks();
    if (!Take(':')) return false;
    SkipBlanks();
    uint32_t next = kNowhere;
    for (size_t way = 0; way < ways; ++way) {
      const auto& [step, to] = places_[place].next[way];
      if (step.index || step.name != name) continue;
      if (had[way]) return false;
      had[way] = true;
      next = to;
    }
    if (!ReadValue(next, depth + 1)) return false;
    SkipBlanks();
  }
  lists_ = lists;
  return true;
}

bool JsonReader::ReadArray(uint32_t place, size_t depth) {
  if (depth == kMaxJsonDepth) return false;
  const std::vector<uint32_t>* const outer = std::exchange(lists_, nullptr);
  const std::vector<uint32_t>* lists = nullptr;
  if (place != kNowhere && !places_[place].lists.empty()) {
    lists = &places_[place].lists;
    for (const uint32_t i : *lists) {
      values_[i].kind = Kind::kList;
      values_[i].items = items_of_[i] = &items_.emplace_back();
    }
  }
  ++at_;
  SkipBlanks();
  for (uint32_t index = 0; !Take(']'); ++index) {
    if (index > 0 && !Take(',')) return false;
    SkipBlanks();
    lists_ = lists;
    if (!ReadValue(NextItem(places_, place, index), depth + 1)) return false;
    SkipBlanks();
  }
  lists_ = outer;
  return true;
}

bool JsonReader::ReadString(std::string_view* text) {
  const size_t begin = ++at_;
  std::string* unescaped = nullptr;
  size_t copied = begin;
  while (true) {
    at_ = FindSpecial(text_, at_);
    if (at_ == text_.size()) return false;
    const char c = text_[at_];
    if (c == '"') break;
    if (c != '\\') return false;
    if (unescaped == nullptr) unescaped = &unescaped_.emplace_back();
    unescaped->append(text_.substr(copied, at_ - copied));
    if (!ReadEscape(unescaped)) return false;
    copied = at_;
  }
  *text = text_.substr(begin, at_ - begin);
  if (unescaped != nullptr) {
    unescaped->append(text_.substr(copied, at_ - copied));
    *text = *unescaped;
  }
  ++at_;
  return true;
}

bool JsonReader::ReadEscape(std::string* text) {
  ++at_;
  if (at_ == text_.size()) return false;
  const char c = text_[at_++];
  constexpr std::string_view kEscapes = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  if (const size_t found = kEscapes.find(c); found != std::string_view::npos) {
    *text += kMeanings[found];
    return true;
  }
  uint32_t code = 0;
  if (c != 'u' || !ReadHex(&code)) return false;
  if (code >= 0xd800 && code < 0xe000) {
    // A high surrogate, and with it a low one.
    uint32_t low = 0;
    if (code >= 0xdc00 || !Take('\\') || !Take('u') || !ReadHex(&low) || low < 0xdc00 || low >= 0xe000) return false;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  AppendUtf8(code, text);
  return true;
}

bool JsonReader::ReadHex(uint32_t* value) {
  for (int i = 0; i < 4; ++i, ++at_) {
    if (at_ == text_.size()) return false;
    const char c = text_[at_];
    const bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (!IsDigit(c) && !letter) return false;
    *value = *value * 16 + static_cast<uint32_t>(IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return true;
}

bool JsonReader::ReadNumber(std::string_view* text) {
  const size_t begin = at_;
  const auto digits = [this] {
    const size_t from = at_;
    while (at_ < text_.size() && IsDigit(text_[at_])) ++at_;
    return at_ > from;
  };
  Take('-');
  if (!Take('0') && !digits()) return false;
  if (Take('.') && !digits()) return false;
  if (Take('e') || Take('E')) {
    if (!Take('+')) Take('-');
    if (!digits()) return false;
  }
  *text = text_.substr(begin, at_ - begin);
  return true;
}

bool JsonReader::ReadWord(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) return false;
  at_ += word.size();
  return true;
}

}  // namespace tenfold
