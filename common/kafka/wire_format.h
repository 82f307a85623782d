// Kafka's protocol, value by value: big-endian numbers, compact strings and arrays, tagged fields
// (https://kafka.apache.org/protocol). Pure; used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenfold {

class WireOutput {
 public:
  // Of 1, 2, 4 or 8 bytes.
  template <typename Number>
  void Add(Number number) {
    char bytes[sizeof(number)];
    for (size_t i = 0; i < sizeof(number); ++i) bytes[i] = static_cast<char>(number >> (8 * (sizeof(number) - 1 - i)));
    bytes_.append(bytes, sizeof(bytes));
  }
  void AddVarint(uint32_t number) {
    for (; number >= 0x80; number >>= 7) bytes_.push_back(static_cast<char>(number | 0x80));
    bytes_.push_back(static_cast<char>(number));
  }
  // With a length of two bytes.
  void AddString(std::string_view text) {
    Add(static_cast<int16_t>(text.size()));
    bytes_.append(text);
  }
  // With a length of four bytes.
  void AddLongString(std::string_view text) {
    Add(static_cast<int32_t>(text.size()));
    bytes_.append(text);
  }
  void AddCompactString(std::string_view text) {
    AddVarint(static_cast<uint32_t>(text.size()) + 1);
    bytes_.append(text);
  }
  // The elements follow.
  void BeginCompactArray(size_t size) { AddVarint(static_cast<uint32_t>(size) + 1); }
  void AddNoTags() { AddVarint(0); }

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Reads what a broker sent. A read beyond the end gives zeros and empty texts, and `failed` from then on.
class WireInput {
 public:
  explicit WireInput(std::string_view bytes) : rest_(bytes) {}

  template <typename Number>
  Number Take() {
    const std::string_view bytes = TakeBytes(sizeof(Number));
    uint64_t number = 0;
    for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
    return static_cast<Number>(number);
  }
  uint32_t TakeVarint() {
    uint64_t number = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const auto byte = Take<uint8_t>();
      number |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
      if (shift == 28) failed_ = true;
    }
    if (number > UINT32_MAX) failed_ = true;
    return failed_ ? 0 : static_cast<uint32_t>(number);
  }
  // With a length of two bytes; of the bytes given to the constructor. Empty for null.
  std::string_view TakeString() {
    const auto size = Take<int16_t>();
    return TakeBytes(size < 0 ? 0 : static_cast<size_t>(size));
  }
  // With a length of four bytes, the same.
  std::string_view TakeLongString() {
    const auto size = Take<int32_t>();
    return TakeBytes(size < 0 ? 0 : static_cast<size_t>(size));
  }
  // Of the bytes given to the constructor. Empty for null.
  std::string_view TakeCompactString() {
    const uint32_t size = TakeVarint();
    return TakeBytes(size == 0 ? 0 : size - 1);
  }
  // How many elements follow. No more than there are bytes.
  uint32_t TakeCompactArray() {
    const uint32_t size = TakeVarint();
    if (size > rest_.size() + 1) failed_ = true;
    return failed_ || size == 0 ? 0 : size - 1;
  }
  void SkipTags() {
    ReadTags([](uint32_t, const WireInput&) {});
  }
  // Calls `read` with the number and the bytes of each tagged field.
  template <typename Read>
  void ReadTags(const Read& read) {
    for (uint32_t left = TakeVarint(); left > 0 && !failed_; --left) {
      const uint32_t tag = TakeVarint();
      const std::string_view bytes = TakeBytes(TakeVarint());
      if (!failed_) read(tag, WireInput(bytes));
    }
  }

  bool failed() const { return failed_; }

 private:
  std::string_view TakeBytes(size_t size) {
    if (size > rest_.size()) failed_ = true;
    if (failed_) return {};
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace tenfold
