// Hashes a sequence of values without ambiguity: every text is preceded by its length and every field of a message by its
// number, so that different sequences never feed the same bytes to the hash. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "google/protobuf/message.h"

namespace tenfold {

class FramedHash {
 public:
  void Add(uint64_t value);
  void Add(std::string_view text);
  // Adds every field of the message that is set, at any depth, in the order of the field numbers. A field that is added to
  // the message's definition later changes the hash only where it is set. Maps and floating-point numbers, which have no
  // one order or form, are refused by a CHECK.
  void Add(const google::protobuf::Message& message);

  // Returns the XXH3-64 of everything added.
  uint64_t Finish() const;

 private:
  std::string frames_;
};

}  // namespace tenfold
