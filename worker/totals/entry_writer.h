// Entries of replies. Pure.
#pragma once

#include <span>
#include <string_view>

#include "common/number/units.h"
#include "state.pb.h"

namespace tenfold {

// Adds an entry with the sums of a row.
inline void AddEntry(std::string_view key, Units first, std::span<const Units> others,
                     google::protobuf::RepeatedPtrField<Entry>* entries) {
  Entry* entry = entries->Add();
  entry->set_key(key.data(), key.size());
  *entry->mutable_sum() = ToProto(first);
  for (const Units other : others) *entry->add_others() = ToProto(other);
}

}  // namespace tenfold
