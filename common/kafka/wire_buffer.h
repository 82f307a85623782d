// Bytes that are not set to zero before they are filled, as those of a string would be. Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace tenfold {

class WireBuffer {
 public:
  // Makes room for so many bytes; what it has may be lost.
  void Resize(size_t size) {
    if (size > capacity_) {
      bytes_ = std::make_unique_for_overwrite<char[]>(size);
      capacity_ = size;
    }
    size_ = size;
  }
  // Makes room for so many bytes, the first of which are those that it has.
  void Grow(size_t size) {
    if (size > capacity_) {
      auto bytes = std::make_unique_for_overwrite<char[]>(size);
      if (size_ > 0) std::memcpy(bytes.get(), bytes_.get(), size_);
      bytes_ = std::move(bytes);
      capacity_ = size;
    }
    size_ = size;
  }

  char* data() { return bytes_.get(); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t capacity_ = 0;
  size_t size_ = 0;
};

}  // namespace tenfold
