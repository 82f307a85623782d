// Reads fields from JSON records. The whole record is checked: it is one value by RFC 8259 in UTF-8, without a byte order
// mark, nested at most kMaxJsonDepth deep. Of an object that a path goes through, no member that a path names may be there
// twice. Pure; used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/decode/path_tree.h"
#include "jobs/decode/record.h"
#include "jobs/plan/json_path.h"
#include "state.pb.h"

namespace tenfold {

class JsonReader {
 public:
  // The i-th value that Read returns is what stands at paths[i].
  explicit JsonReader(const std::vector<JsonPath>& paths);

  // Ends what was read before.
  void Clear() {
    unescaped_.clear();
    items_.clear();
  }
  // Reads the record into values[i], one for each path: null where there is nothing, as where a path goes through something
  // that is no object or array. A list is kList, or kOther where it is no array. BAD_NONE or BAD_MALFORMED_RECORD.
  BadReason Read(std::string_view value, std::span<RawValue> values);

 private:
  // Each reads what begins at at_, which is at a place of paths or kNowhere. False for what is no JSON.
  bool ReadValue(uint32_t place, size_t depth);
  bool ReadObject(uint32_t place, size_t depth);
  bool ReadArray(uint32_t place, size_t depth);
  bool ReadString(std::string_view* text);
  bool ReadEscape(std::string* text);
  bool ReadHex(uint32_t* value);
  bool ReadNumber(std::string_view* text);
  bool ReadWord(std::string_view word);
  void SkipBlanks();
  bool Take(char c);
  // Sets the values at the place, and appends to the lists that the value is an item of.
  void Set(uint32_t place, RawValue::Kind kind, std::string_view text);
  void SetItem(RawValue::Kind kind, std::string_view text);

  std::vector<PathPlace> places_;
  // The record under way.
  std::string_view text_;
  size_t at_ = 0;
  std::span<RawValue> values_;
  // The lists whose items are read now.
  const std::vector<uint32_t>* lists_ = nullptr;
  // Texts with escapes in them, unescaped, and the items of lists, since the last Clear.
  std::deque<std::string> unescaped_;
  std::deque<std::vector<RawValue>> items_;
  // The items of each value that is a list in the record under way.
  std::vector<std::vector<RawValue>*> items_of_;
};

}  // namespace tenfold
